"""Exceptions that carry values are logged without them, whatever they are wrapped in."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter

from fastapi_patterns import install_stack
from fastapi_patterns._scrub import scrub
from fastapi_patterns.logs import ConsoleFormatter, JsonFormatter, TextFormatter

SECRET = "hunter2"


class Account(BaseModel):
    """Something with a secret."""

    password: int


def raised(call: Callable[[], Any]) -> Exception:
    """What a call raises."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def pydantic_error() -> Exception:
    """Prints what was sent."""
    return raised(lambda: Account.model_validate({"password": SECRET}))


def sql_error() -> Exception:
    """Prints the bound values, since this engine has SQLAlchemy's defaults."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        statement = sqlalchemy.text("select * from nowhere where x = :x")
        error = raised(lambda: connection.execute(statement, {"x": SECRET}))
    engine.dispose()
    return error


def driver_error() -> Exception:
    """Quotes the row that is in the way, as PostgreSQL's drivers do."""
    cls = type("UniqueViolation", (Exception,), {"__module__": "psycopg.errors", "sqlstate": "23505"})
    error: Exception = cls(f"duplicate key value\nDETAIL: Key (email)=({SECRET}) already exists.")
    return error


def validation_error() -> Exception:
    """FastAPI's, for a request."""
    return RequestValidationError([{"loc": ("body", "password"), "type": "int_parsing", "msg": "x", "input": SECRET}])


MAKERS = [pydantic_error, sql_error, driver_error, validation_error]


def wrapped(error: Exception, how: str) -> BaseException:
    """The error on its own, or behind others."""
    if how == "cause":
        return raised(lambda: _raise_from(error, cause=True))
    if how == "context":
        return raised(lambda: _raise_from(error, cause=False))
    if how == "group":
        return ExceptionGroup("several", [ValueError("plain"), ExceptionGroup("inner", [error])])
    return error


def _raise_from(error: Exception, *, cause: bool) -> None:
    try:
        raise error
    except Exception as caught:
        if cause:
            raise LookupError("outer") from caught
        raise LookupError("outer")  # noqa: B904 (the point of the test)


@pytest.mark.parametrize("how", ["alone", "cause", "context", "group"])
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter(), ConsoleFormatter(colours=False)])
def test_no_formatter_shows_a_value(formatter: logging.Formatter, make: Callable[[], Exception], how: str) -> None:
    """The class and what is wrong stay, the value goes."""
    error = make()
    assert SECRET in str(error)
    outer = wrapped(error, how)
    record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "failed", None, (type(outer), outer, None))
    written = formatter.format(record)
    assert SECRET not in written
    assert type(error).__name__ in written
    if how in ("cause", "context"):
        assert "LookupError: outer" in written


def test_what_is_kept_helps() -> None:
    """Field and kind of a validation error; class, state and statement of a database's."""
    assert str(scrub(pydantic_error())) == "1 validation error(s): password (int_parsing) [input hidden]"
    assert "no such table: nowhere [SQL: select * from nowhere where x = ?]" in str(scrub(sql_error()))
    assert str(scrub(driver_error())) == "sqlstate=23505"


def of_psycopg(words: str, **attributes: object) -> Exception:
    """An error without a code, as psycopg raises it when it cannot connect."""
    cls = type("OperationalError", (Exception,), {"__module__": "psycopg", **attributes})
    error: Exception = cls(words)
    return error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('FATAL:  password authentication failed for user "ada"', "password authentication failed"),
        ("fe_sendauth: no password supplied", "the server wants a password, and there is none"),
        ('FATAL:  database "ada" does not exist', "the database does not exist"),
        ('FATAL:  role "ada" does not exist', "this role may not log in, or not from here"),
        ('FATAL:  no pg_hba.conf entry for host "ada"', "this role may not log in, or not from here"),
        ("FATAL:  sorry, too many clients already, ada", "too many connections"),
        ("FATAL:  the database system is starting up, ada", "the server does not accept connections at the moment"),
        (
            'connection to server at "ada" failed: Connection refused',
            "connection refused: is the server running there?",
        ),
        ('could not translate host name "ada" to address', "the host has no address"),
        ("connection to ada timed out", "no answer in time"),
        ("ada: server closed the connection unexpectedly", "the connection broke"),
        ('server certificate for "ada" does not match', "TLS: the two sides do not agree, or a certificate is refused"),
        ("duplicate key: (email)=(ada)", "[message hidden]"),
    ],
)
def test_why_there_is_no_connection_is_said_in_fixed_words(words: str, said: str) -> None:
    """Somebody on call can tell a wrong password from a server that is down; the server's text stays out."""
    assert str(scrub(of_psycopg(words))) == said


def test_codes_are_kept_with_what_they_mean() -> None:
    """PostgreSQL's state with a word on it, also when the record is scrubbed twice; MySQL's number."""
    error = of_psycopg("FATAL: ada", sqlstate="53300")
    assert str(scrub(error)) == "sqlstate=53300 (too many connections)"
    assert str(scrub(scrub(error))) == "sqlstate=53300 (too many connections)"
    cls = type("OperationalError", (Exception,), {"__module__": "pymysql.err"})
    assert str(scrub(cls(1045, "Access denied for user 'ada'"))) == "code=1045 [message hidden]"


def test_a_session_that_was_rolled_back_repeats_no_value() -> None:
    """SQLAlchemy's PendingRollbackError quotes the original exception."""
    orm = pytest.importorskip("sqlalchemy.exc")
    error = orm.PendingRollbackError(f"This Session's transaction was rolled back. Original exception was: {SECRET}")
    assert str(scrub(error)) == "This Session's transaction was rolled back."


def test_any_other_exception_is_itself() -> None:
    """Nothing is copied that carries no values, a ring of causes included."""
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    assert scrub(first) is first
    group = ExceptionGroup("g", [first])
    assert scrub(group) is group


def test_a_stand_in_keeps_the_traceback() -> None:
    """The frames are those of the original."""
    error = pydantic_error()
    stand_in = scrub(error)
    assert stand_in is not error
    assert stand_in.__traceback__ is error.__traceback__
    assert (type(stand_in).__name__, type(stand_in).__module__) == (type(error).__name__, type(error).__module__)


def test_an_exception_without_a_text_is_logged() -> None:
    """A broken `__str__` behind a value is no reason to lose the line."""

    class Broken(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("no text")

    error = Broken()
    error.__cause__ = pydantic_error()
    assert str(scrub(error)) == "<the exception has no text>"


def test_an_unhandled_error_is_scrubbed_for_every_formatter(caplog: pytest.LogCaptureFixture) -> None:
    """Also where the application formats by itself, the record holds no value."""
    app = FastAPI()
    install_stack(app)

    @app.get("/")
    async def route() -> None:
        TypeAdapter(int).validate_python(SECRET)

    @app.get("/response", response_model=Account)
    async def response() -> dict[str, str]:
        return {"password": SECRET}

    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/", "/response"):
        assert SECRET not in client.get(path).text
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 2
    assert SECRET not in "".join(logging.Formatter().format(record) for record in errors)
    assert ResponseValidationError.__name__ in logging.Formatter().format(errors[1])


def test_modules_that_are_not_there_are_not_imported() -> None:
    """An application without SQLAlchemy does not get it by a failing request."""
    before = set(sys.modules)
    scrub(ValueError("x"))
    assert set(sys.modules) == before
