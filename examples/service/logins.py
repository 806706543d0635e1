"""Login, refresh, logout and logout everywhere: the routes are the library's, the users are ours."""

from sqlalchemy import select, update

from examples.service.blocks import database, get_current_user, is_active, passwords, sessions
from examples.service.models import User
from fastapi_patterns import make_auth_router
from fastapi_patterns.auth import LoginRules

# These functions open sessions of their own, and short ones. The store of the login sessions writes in a transaction of
# its own: a request that held one open meanwhile would take two connections, and on SQLite the hash that it wants to
# renew could not be written any more.


def find_user(email: str) -> User | None:
    """Find the user who logs in."""
    with database.session_scope() as session:
        return session.scalar(select(User).where(User.email == email))


def find_subject(subject: str) -> User | None:
    """Find the user of a session that is refreshed."""
    with database.session_scope() as session:
        return session.get(User, int(subject))


def renew_hash(user: User, new_hash: str) -> None:
    """Store a hash of today's strength, unless the password was changed meanwhile."""
    with database.session_scope() as session:
        unchanged = (User.id == user.id, User.password_hash == user.password_hash)
        session.execute(update(User).where(*unchanged).values(password_hash=new_hash))


def claims_of(user: User) -> dict[str, str]:
    """Give what access tokens say of a user, besides who it is."""
    return {"scope": user.scopes} if user.scopes else {}


router = make_auth_router(
    sessions,
    find_user=find_user,
    load_user=find_subject,
    rules=LoginRules(passwords=passwords, is_active=is_active, set_password_hash=renew_hash),
    current_user=get_current_user,
    claims=claims_of,
)
