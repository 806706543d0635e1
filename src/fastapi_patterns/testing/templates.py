"""Databases for tests: made once a test run, with their tables, so that no test has to make any."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from fastapi_patterns.db import Database
from fastapi_patterns.testing._config import setting
from fastapi_patterns.testing._like import place_of, translation_of
from fastapi_patterns.testing._tables import Models, check_columns, create_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from fastapi_patterns.db import AsyncDatabase

__all__ = ["Template", "Templates"]

_UNKNOWN = "fastapi_db must be 'postgres', or the URL of a SQLite or PostgreSQL database such as {example}; got {got!r}"
_EXAMPLE = "postgresql://user:password@localhost/shop_test"
_DISAGREE = "The migrations and the models disagree: write a migration with alembic revision --autogenerate"


class Template(Protocol):
    """A database with tables and no rows but those that its migrations put there.

    Attributes:
        url: The database that tests share, each in a transaction which is rolled back.
        made_at: The database that tables are made in.
    """

    url: URL

    @property
    def made_at(self) -> URL:
        """Where tables are made."""
        ...

    def begin(self, models: Sequence[Models]) -> None:
        """Look at what is there before any table is made."""

    def prepare(self, make: "Callable[[Connection], None]") -> None:
        """Make tables, on a connection in a transaction."""

    def finish(self, models: Sequence[Models]) -> None:
        """Take what is there now for the state that each test begins with."""

    def fill(self, engine: Engine) -> None:
        """Make the tables in the database in memory behind a new engine; nothing where they are there already."""

    async def fill_async(self, engine: "AsyncEngine") -> None:
        """The same for an async one."""

    def committed(self) -> AbstractContextManager[URL]:
        """Give the URL of a database for one test that commits; nothing stays after it."""
        ...

    def close(self) -> None:
        """Remove what was made for this test run."""


class Templates:
    """Makes a template for each real database of the application, when a test first needs it.

    Objects for the same real database, such as a `Database` and an `AsyncDatabase`, have one template.

    Args:
        config: Says where the test databases are.
        databases: Those of the application; their order numbers the test databases.
    """

    def __init__(self, config: pytest.Config, databases: "Sequence[Database | AsyncDatabase]") -> None:
        self._config = config
        self._groups: dict[object, list[Database | AsyncDatabase]] = {}
        for database in databases:
            self._groups.setdefault(place_of(database), []).append(database)
        self._folder: Path | None = None
        self._made: dict[object, Template] = {}
        self._failed: dict[object, BaseException] = {}

    def of(self, database: "Database | AsyncDatabase") -> Template:
        """Return the template of one of the application's databases.

        Raises:
            pytest.fail.Exception: Its tables are not known, or cannot be made.
        """
        place = place_of(database)
        if place in self._failed:
            raise self._failed[place]  # once is enough: each test would wait for it again
        found = self._made.get(place)
        if found is None:
            try:
                found = self._made[place] = self._make(place)
            except pytest.UsageError as error:
                raise pytest.fail.Exception(str(error), pytrace=False) from None
            except (Exception, pytest.fail.Exception) as error:
                self._failed[place] = error
                raise
        return found

    @contextmanager
    def committed(self, databases: "Sequence[Database | AsyncDatabase]") -> Iterator[list[URL]]:
        """Give each database the URL of one that a test may commit to; the same where they are the same."""
        with ExitStack() as opened:
            urls: dict[object, URL] = {}
            for database in databases:
                if place_of(database) not in urls:
                    urls[place_of(database)] = opened.enter_context(self.of(database).committed())
            yield [urls[place_of(database)] for database in databases]

    def close(self) -> None:
        """Remove what was made."""
        for template in self._made.values():
            template.close()
        self._made.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self, place: object) -> Template:
        databases = self._groups[place]
        models = [_models(database) for database in databases]
        number = list(self._groups).index(place) + 1
        template = self._place(number)
        template.begin(models)
        if number == 1 and setting(self._config, "fastapi_alembic"):
            from fastapi_patterns.testing._migrate import migrate

            migrate(self._config, template.made_at, databases)
            for each in models:
                template.prepare(partial(check_columns, models=each, what_to_do=_DISAGREE))
        else:
            for each in models:
                template.prepare(partial(create_tables, models=each))
        template.finish(models)
        return template

    def _place(self, number: int) -> Template:
        """Find a place for the template: the first has the name in `fastapi_db`, the others that and their number."""
        url = self._url()
        worker = getattr(self._config, "workerinput", {}).get("workerid")
        suffix = (f"_{number}" if number > 1 else "") + (f"_{worker}" if worker else "")
        if url.get_backend_name() == "postgresql":
            from fastapi_patterns.testing._server_template import ServerTemplate

            return ServerTemplate(url.set(database=f"{url.database or ''}{suffix}"), fresh=worker is not None)
        from fastapi_patterns.testing._sqlite_template import SqliteTemplate

        if url.database is None:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="fastapi-patterns-tests-"))
            return SqliteTemplate(self._folder / f"template{suffix}.db", url, fresh=True)
        named = Path(url.database).absolute()  # env.py may run in another folder
        file = named.with_name(f"{named.stem}{suffix}{named.suffix}")
        return SqliteTemplate(file, url.set(database=str(file)), fresh=worker is not None)

    def _url(self) -> URL:
        server = self._config.pluginmanager.get_plugin("fastapi_patterns_postgres")
        if server is not None:
            own: URL = server.url()
            return own
        named = setting(self._config, "fastapi_db")
        try:
            url = make_url(named.replace("postgres://", "postgresql://", 1))
        except (ArgumentError, ValueError):
            raise pytest.UsageError(_UNKNOWN.format(example=_EXAMPLE, got=named)) from None
        is_server = url.get_backend_name() == "postgresql"
        if not (is_server and url.database) and url.get_backend_name() != "sqlite":
            raise pytest.UsageError(_UNKNOWN.format(example=_EXAMPLE, got=repr(url)))
        return url.set(database=None) if url.database in ("", ":memory:") else url


def _models(database: "Database | AsyncDatabase") -> Models:
    if database.metadata is None:
        pytest.fail(
            f"{database!r} was made without its tables: pass {type(database).__name__}(..., metadata=Base.metadata), "
            "so that tests can create them.",
            pytrace=False,
        )
    return Models(database.metadata, translation_of(database))
