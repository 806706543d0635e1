"""Users whose table comes from migrations; the application creates none by itself."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import Database, install_stack


class Base(DeclarativeBase):
    """The tables. Every constraint has a name, so that a migration can drop it and an answer can know it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class User(Base):
    """Somebody with an address of their own."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


database = Database(
    os.environ.get("DATABASE_URL", "sqlite:///migrations.db"),
    metadata=Base.metadata,
    constraints={"uq_users_email": "E-mail is taken"},
)
SessionDep = Annotated[Session, Depends(database.session)]

app = FastAPI()
install_stack(app, resources=[database])


@app.post("/users")
def create_user(email: str, session: SessionDep) -> dict[str, int]:
    """Create a user."""
    user = User(email=email)
    session.add(user)
    session.flush()
    return {"id": user.id}
