"""What goes in and out over HTTP. No schema for output has a field for the password hash."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254, examples=["ada@example.com"])]

# How good it is, `PasswordPolicy` decides.
Password = Annotated[str, Field(max_length=1000, json_schema_extra={"format": "password"})]


class Strict(BaseModel):
    """Input: unknown fields are refused, and values stay out of error texts."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Registration(Strict):
    """A new user."""

    email: Email
    name: Annotated[str, Field(min_length=1, max_length=100)]
    password: Password


class Address(Strict):
    """Where a mail goes, if there is such an account."""

    email: Email


class Link(Strict):
    """What a mail's link holds."""

    token: Annotated[str, Field(max_length=2000)]


class Reset(Link):
    """A new password, with the link of the mail."""

    password: Password


class NewNote(Strict):
    """A new note."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class UserOut(BaseModel):
    """A user, as everybody may see them who may see them at all."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    name: str


class NoteOut(BaseModel):
    """A note."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    text: str
