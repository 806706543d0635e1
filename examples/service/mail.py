"""The welcome mail: it is written to the log instead of being sent."""

import logging

from examples.service.blocks import database
from examples.service.models import User

log = logging.getLogger("examples.service.mail")


def send_welcome(user_id: int) -> None:
    """Greet a new user; runs in the background with a session of its own."""
    with database.session_scope() as session:
        user = session.get(User, user_id)
        if user is not None:
            log.info("Welcome, user %d!", user.id)
