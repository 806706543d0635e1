"""Registration, forgotten passwords, checked addresses and the user's own page."""

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from examples.service.blocks import (
    Admin,
    CurrentUser,
    OptionalUser,
    SessionDep,
    TasksDep,
    checks,
    database,
    passwords,
    policy,
    resets,
    sessions,
)
from examples.service.mail import send_address_check, send_reset, send_welcome
from examples.service.models import User
from examples.service.schemas import Address, Link, Registration, Reset, UserOut
from fastapi_patterns import OneTimeTokens, TokenError, error_responses
from fastapi_patterns.errors import BadRequestError, ConflictError
from fastapi_patterns.security import PasswordError

router = APIRouter()


class EmailTakenError(ConflictError, code="email_taken", detail="This e-mail address is taken"):
    """There is such an account."""


class LinkExpiredError(
    BadRequestError, code="link_expired", detail="This link does not work any more. Ask for a new one."
):
    """A link that is used, too old, or none of ours."""


SENT = {"message": "If there is such an account, we have sent it a mail."}


@router.post("/auth/register", status_code=201, response_model=UserOut, responses=error_responses(EmailTakenError))
def register(data: Registration, session: SessionDep, tasks: TasksDep) -> User:
    """Make an account."""
    _check_password(data.password, data.email, data.name)
    password_hash = passwords.hash(data.password)  # takes a while, before the session takes a connection
    if session.scalar(select(User).where(User.email == data.email)) is not None:
        raise EmailTakenError
    user = User(email=data.email, name=data.name, password_hash=password_hash)
    session.add(user)
    session.flush()  # the response needs the id, and it is made before the commit
    tasks.add_task(send_welcome, user.id)
    return user


@router.post("/auth/email/send", status_code=202)
def send_check(data: Address, tasks: TasksDep) -> dict[str, str]:
    """Send the link that shows whose address it is, once more."""
    tasks.add_task(send_address_check, data.email)
    return SENT


@router.post("/auth/email/check", status_code=204, responses=error_responses(LinkExpiredError))
def check_email(data: Link, session: SessionDep) -> None:
    """Mark an address as its user's own; a link for an address that was changed meanwhile is worthless."""
    user = _user_of(checks, data.token, session)
    _verify(checks, data.token, state=(user.email, user.email_verified))
    user.email_verified = True


@router.post("/auth/password/forgotten", status_code=202)
def forgotten(data: Address, tasks: TasksDep) -> dict[str, str]:
    """Send a link for a new password. Neither the answer nor its time tells whether there is such an account."""
    tasks.add_task(send_reset, data.email)
    return SENT


@router.post("/auth/password/reset", status_code=204, responses=error_responses(LinkExpiredError))
async def reset(data: Reset) -> None:
    """Set a new password, once, and end all sessions: whoever knew the old one is out."""
    user_id = await run_in_threadpool(_change_password, data)
    # After the commit: a login with the old password that came just before is ended too.
    await sessions.end_all(user_id)


@router.get("/me", response_model=UserOut)
def me(user: CurrentUser) -> User:
    """Show the user who is logged in."""
    return user


@router.get("/greeting")
def greeting(user: OptionalUser) -> dict[str, str]:
    """Greet whoever comes, by name if known."""
    return {"message": f"Hello, {user.name if user else 'stranger'}!"}


@router.get("/admin/users", response_model=list[UserOut])
def list_users(admin: Admin, session: SessionDep) -> list[User]:
    """List everybody; for administrators."""
    return list(session.scalars(select(User).order_by(User.id)))


def _change_password(data: Reset) -> int:
    with database.session_scope() as session:
        user = _user_of(resets, data.token, session)
        _verify(resets, data.token, state=user.password_hash)
    _check_password(data.password, user.email, user.name)
    new_hash = passwords.hash(data.password)  # takes a while, in which no connection is held
    with database.session_scope() as session:
        # Only where the hash is still the one that the link was made for: of two uses at once, one wins.
        changed: int | None = session.scalar(
            update(User)
            .where(User.id == user.id, User.password_hash == user.password_hash)
            .values(password_hash=new_hash)
            .returning(User.id)
        )
    if changed is None:
        raise LinkExpiredError
    return changed


def _check_password(password: str, *words: str) -> None:
    """Answer a password that is not good enough as a validation error of its field."""
    try:
        policy.check(password, words=words)
    except PasswordError as error:
        place = ("body", "password")
        raise RequestValidationError([{"type": "value_error", "loc": place, "msg": str(error)}]) from None


def _user_of(links: OneTimeTokens, token: str, session: Session) -> User:
    try:
        user = session.get(User, int(links.subject_of(token)))
    except TokenError:
        raise LinkExpiredError from None
    if user is None:
        raise LinkExpiredError
    return user


def _verify(links: OneTimeTokens, token: str, *, state: str | tuple[str, bool]) -> None:
    try:
        links.verify(token, state=state)
    except TokenError:
        raise LinkExpiredError from None
