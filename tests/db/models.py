"""Tables for the tests: a unique name, a required owner, and a foreign key that is only checked at the commit."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables."""


class Owner(Base):
    """Somebody with a unique name."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Thing(Base):
    """Something whose owner is checked when the transaction commits."""

    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id", deferrable=True, initially="DEFERRED"))
