"""The tables."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_patterns.auth.stores import token_store_tables


class Base(DeclarativeBase):
    """The service's tables."""


class User(Base):
    """Somebody who can log in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    email_verified: Mapped[bool] = mapped_column(default=False)
    name: Mapped[str]
    password_hash: Mapped[str]
    scopes: Mapped[str] = mapped_column(default="")  # what they may do, with blanks between: "admin"
    is_active: Mapped[bool] = mapped_column(default=True)


class Note(Base):
    """A text that only its owner sees."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    text: Mapped[str]


# Login sessions and revoked tokens: tables beside the others, for `create_all` and for migrations.
token_tables = token_store_tables(Base.metadata)
