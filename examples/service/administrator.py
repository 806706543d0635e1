"""Makes an administrator: nobody becomes one over HTTP."""

from sqlalchemy import select

from examples.service.models import User
from fastapi_patterns import Database, PasswordHasher


def make_administrator(database: Database, email: str, password: str) -> None:
    """Give this account the administrator's rights and this password; it is made when there is none."""
    with database.session_scope() as session:
        user = session.scalar(select(User).where(User.email == email))
        if user is None:
            user = User(email=email, name="Administrator")
            session.add(user)
        user.password_hash = PasswordHasher().hash(password)
        user.scopes = "admin"
