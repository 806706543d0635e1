"""A table of SQLModel's, in a module of its own: its class registers itself when it is made."""

from sqlmodel import Field, SQLModel


class Hero(SQLModel, table=True):
    """Somebody."""

    id: int | None = Field(default=None, primary_key=True)
    name: str
