"""Makes the tables of the tests with Alembic's migrations, and sees to it that they reach no other database."""

import contextlib
import logging.config
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, Engine, NullPool, event

from fastapi_patterns.db import Database
from fastapi_patterns.testing._access import Access, in_a_thread
from fastapi_patterns.testing._config import setting
from fastapi_patterns.testing._like import like

if TYPE_CHECKING:
    from fastapi_patterns.db import AsyncDatabase

__all__ = ["migrate"]

_ELSEWHERE = (
    "fastapi_alembic: env.py connects to {got}, and not to the database of the tests: it was stopped before it could "
    "migrate that. env.py must take its database from the application's own object (database.engine.url), from "
    'config.get_main_option("sqlalchemy.url") or from config.attributes["connection"], and not from a URL in the '
    "settings or the environment."
)
# The arguments of a driver that say which database it is.
_PLACE = ("host", "port", "dbname", "database", "service", "hostaddr")


def migrate(config: pytest.Config, url: URL, databases: "Sequence[Database | AsyncDatabase]") -> None:
    """Run `alembic upgrade heads` on a test database.

    Args:
        config: Names Alembic's configuration file in `fastapi_alembic`.
        url: The test database.
        databases: The application's objects for it, which are bound to it meanwhile.

    Raises:
        pytest.fail.Exception: There is no such file, Alembic is not installed, or env.py goes to another database.
    """
    file = config.rootpath / setting(config, "fastapi_alembic")
    if find_spec("alembic") is None:
        pytest.fail("fastapi_alembic is set, and Alembic is not installed: pip install alembic", pytrace=False)
    if not file.is_file():
        pytest.fail(f"fastapi_alembic must name Alembic's configuration; there is no file {file}", pytrace=False)
    with ExitStack() as opened:
        for database in databases:
            engine = like(database, url, poolclass=NullPool).engine
            opened.enter_context(
                database.bound_to(engine) if isinstance(database, Database) else database._bound_to(engine)
            )
        elsewhere = opened.enter_context(_nowhere_else(url))
        try:
            # An async env.py runs an event loop of its own, and the test's may run here.
            in_a_thread(lambda: _upgrade(file, url))
        finally:
            if elsewhere:  # also where env.py has swallowed the error
                pytest.fail(elsewhere[0], pytrace=False)


def _upgrade(file: Path, url: URL) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(file)
    with contextlib.chdir(file.parent), _without_its_logging(), ExitStack() as opened:
        env = Path(str(config.get_main_option("script_location"))) / "env.py"
        given, engine = _url_for(env, url)
        config.set_main_option("sqlalchemy.url", given.render_as_string(hide_password=False).replace("%", "%%"))
        if engine is not None:
            opened.callback(engine.dispose)
            config.attributes["connection"] = opened.enter_context(engine.begin())
        command.upgrade(config, "heads")


def _url_for(env: Path, url: URL) -> tuple[URL, Engine | None]:
    """Return the URL for env.py, with a driver of the kind of its engine, and an engine for a connection to give it."""
    is_async = env.is_file() and "async_engine" in env.read_text(encoding="utf-8")
    if url.get_backend_name() == "postgresql":
        access = Access(url)
        if is_async and find_spec("asyncpg") is not None:
            return url.set(drivername="postgresql+asyncpg"), access.engine
        return access.url, access.engine
    engine = Database(url, poolclass=NullPool).engine
    return (url.set(drivername="sqlite+aiosqlite") if is_async else url), engine


@contextmanager
def _nowhere_else(url: URL) -> Iterator[list[str]]:
    """Refuse connections to any other database, and collect what was refused."""
    refused: list[str] = []

    def check(dialect: Any, _record: Any, arguments: Any, options: Any) -> None:
        expected = (None, None)
        if dialect.name == url.get_backend_name():
            expected = _place(*dialect.create_connect_args(url.set(drivername=f"{dialect.name}+{dialect.driver}")))
        got = _place(arguments, options)
        if got != expected:
            refused.append(_ELSEWHERE.format(got=_said(dialect.name, got)))
            raise RuntimeError(refused[-1])

    event.listen(Engine, "do_connect", check)
    try:
        yield refused
    finally:
        event.remove(Engine, "do_connect", check)


def _place(arguments: Any, options: Any) -> Any:
    return list(arguments), {name: options[name] for name in _PLACE if options.get(name) is not None}


def _said(dialect: str, place: Any) -> str:
    """Name a database without what may be a secret."""
    arguments, options = place
    known = [f"{name}={value}" for name, value in options.items()]
    return " ".join([f"a {dialect} database", *(map(str, arguments) if dialect == "sqlite" else ()), *known])


@contextmanager
def _without_its_logging() -> Iterator[None]:
    """Leave the test's logging alone: env.py's `fileConfig` would switch the application's loggers off for the run."""
    file_config = logging.config.fileConfig
    logging.config.fileConfig = lambda *_, **__: None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"alembic\.")
            yield
    finally:
        logging.config.fileConfig = file_config
