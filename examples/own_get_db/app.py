"""The `get_db` that an application has had for years, tested through the plugin without changing it."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    """The tables."""


class Item(Base):
    """A thing with a name."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


SessionLocal = sessionmaker(create_engine("sqlite:///items.db"))


def get_db() -> Iterator[Session]:
    """Give a session; routes commit themselves."""
    with SessionLocal() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]
app = FastAPI()


@app.post("/items")
def create_item(name: str, db: SessionDep) -> dict[str, int]:
    """Store an item."""
    item = Item(name=name)
    db.add(item)
    db.commit()
    return {"id": item.id}


@app.get("/items")
def list_items(db: SessionDep) -> list[str]:
    """List the names."""
    return [item.name for item in db.query(Item)]
