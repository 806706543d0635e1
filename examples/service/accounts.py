"""Registration, login and the user's own page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.security import OAuth2PasswordRequestForm
from sqlalchemy import select

from examples.service.blocks import Admin, CurrentUser, OptionalUser, SessionDep, TasksDep, passwords, tokens
from examples.service.mail import send_welcome
from examples.service.models import User
from examples.service.schemas import Registration, Token, UserOut
from fastapi_patterns import AppException

router = APIRouter()


@router.post("/auth/register", status_code=201, response_model=UserOut)
def register(data: Registration, session: SessionDep, tasks: TasksDep) -> User:
    """Make an account."""
    if session.scalar(select(User).where(User.email == data.email)) is not None:
        raise AppException(409, "This e-mail address is taken", code="email_taken")
    user = User(email=data.email, name=data.name, password_hash=passwords.hash(data.password))
    session.add(user)
    session.flush()  # the response needs the id, and it is made before the commit
    tasks.add_task(send_welcome, user.id)
    return user


@router.post("/auth/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], session: SessionDep, response: Response) -> Token:
    """Exchange e-mail (as `username`) and password for a token."""
    user = session.scalar(select(User).where(User.email == form.username))
    # Unknown users cost one verification too, and read the same answer: nobody learns who has an account.
    ok, new_hash = passwords.verify_and_update(form.password, user.password_hash if user else None)
    if user is None or not ok or not user.is_active:
        raise AppException(401, "Wrong e-mail or password", headers={"WWW-Authenticate": "Bearer"})
    if new_hash is not None:
        user.password_hash = new_hash
    response.headers["Cache-Control"] = "no-store"
    return Token(access_token=tokens.encode({"sub": user.id}))


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
