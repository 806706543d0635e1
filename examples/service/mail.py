"""The service's mails: files in MAIL_DIR, one a mail, where a provider would send them.

Each function is a background task, after the response, with a session of its own.
"""

import logging
from uuid import uuid4

from sqlalchemy import select

from examples.service.blocks import checks, database, resets, settings
from examples.service.models import User

log = logging.getLogger("examples.service.mail")


def send_welcome(user_id: int) -> None:
    """Greet a new user, and ask whether the address is theirs."""
    with database.session_scope() as session:
        user = session.get(User, user_id)
    if user is not None:
        token = checks.issue(user.id, state=(user.email, user.email_verified))
        _deliver(user, "Welcome", f"Confirm your address with {token}")


def send_address_check(email: str) -> None:
    """Ask again whether the address is theirs, if there is such an account that has not said so."""
    user = _find(email)
    if user is not None and not user.email_verified:
        token = checks.issue(user.id, state=(user.email, user.email_verified))
        _deliver(user, "Your address", f"Confirm your address with {token}")


def send_reset(email: str) -> None:
    """Send a link for a new password, if there is such an account."""
    user = _find(email)
    if user is not None and user.is_active:
        token = resets.issue(user.id, state=user.password_hash)
        _deliver(user, "A new password", f"Set a new password with {token}")


def _find(email: str) -> User | None:
    with database.session_scope() as session:
        return session.scalar(select(User).where(User.email == email))


def _deliver(user: User, subject: str, text: str) -> None:
    # The text holds a link that works: it goes to the user and into no log.
    if settings.mail_dir is not None:
        path = settings.mail_dir / f"{uuid4().hex}.txt"
        path.write_text(f"To: {user.email}\nSubject: {subject}\n\n{text}\n")
    log.info("A mail to user %d: %s", user.id, subject)
