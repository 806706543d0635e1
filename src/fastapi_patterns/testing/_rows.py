"""The rows of a PostgreSQL test database: what is there before the first test is what each test that commits leaves.

Rows are deleted, not truncated: for a few rows a DELETE takes a fraction of the time. Sequences go on, so that an id
never comes twice.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import sort_tables_and_constraints

from fastapi_patterns.testing._access import APPLICATION_NAME
from fastapi_patterns.testing._tables import Models, existing_tables, schema_of

__all__ = ["SCHEMA", "is_locked", "lock_holders", "run_statements", "statements_of", "table_with_rows", "take_snapshot"]

# Holds a copy of the rows that migrations inserted, and the statements that put them back. That it is there says that
# the database is for tests only.
SCHEMA = "fastapi_patterns_tests"

_LOCK_TIMEOUT = "5s"
_LOCK_NOT_AVAILABLE = "55P03"

# Sessions that a test has left open hold locks, and may still write.
_END_LEFT_SESSIONS = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
AND application_name = '{APPLICATION_NAME}' AND state <> 'idle' AND pid <> pg_backend_pid()
"""  # noqa: S608
_HOLDERS = text("""
SELECT format('%s (process %s, %s)', coalesce(nullif(application_name, ''), 'unnamed'), pid, state)
FROM pg_stat_activity WHERE datname = current_database()
AND (state = 'active' OR state LIKE 'idle in transaction%') AND pid <> pg_backend_pid()
""")


class _Tables:
    """The tables of some models, in the order in which rows can be inserted."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.columns: dict[str, str] = {}
        self.is_cyclic = False

    def add(self, connection: Connection, models: Models) -> None:
        models.translate(connection)
        quote = connection.dialect.identifier_preparer.quote
        inspector = inspect(connection)
        # Not `sorted_tables`, which warns of a cycle.
        tables = existing_tables(connection, models.metadata)
        *ordered, (_, cyclic) = sort_tables_and_constraints(tables)  # type: ignore[no-untyped-call]
        self.is_cyclic = self.is_cyclic or bool(cyclic)
        for table, _ in ordered:
            if table is None:
                continue
            schema = schema_of(connection, table)
            name = ".".join(quote(part) for part in (schema, table.name) if part is not None)
            columns = inspector.get_columns(table.name, schema=schema)
            if name not in self.columns:
                self.names.append(name)
                self.columns[name] = ", ".join(quote(each["name"]) for each in columns if not each.get("computed"))


def table_with_rows(connection: Connection, models: Iterable[Models]) -> str | None:
    """Return the name of a table that has rows, if there is one."""
    tables = _tables(connection, models)
    return next((name for name in tables.names if _has_rows(connection, name)), None)


def take_snapshot(connection: Connection, models: Iterable[Models]) -> list[str]:
    """Copy the rows that are there, and return the statements that bring the database back to them."""
    connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    tables = _tables(connection, models)
    statements = [_END_LEFT_SESSIONS, f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"]
    if tables.is_cyclic:
        statements += [f"TRUNCATE {', '.join(tables.names)}"]
    else:
        statements += [f"DELETE FROM {name}" for name in reversed(tables.names)]  # noqa: S608  # quoted
    seeds = []
    for position, name in enumerate(tables.names):
        if not _has_rows(connection, name):
            continue
        copy, columns = f"{SCHEMA}.seed_{position}", tables.columns[name]
        connection.exec_driver_sql(f"CREATE TABLE {copy} AS TABLE {name}")
        seeds.append(
            f"INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {copy}"  # noqa: S608
        )
    if seeds and tables.is_cyclic:
        # No order of the tables satisfies the foreign keys, and the rows did when they were copied.
        statements.append("SET LOCAL session_replication_role = replica")
    statements += seeds
    connection.exec_driver_sql(f"CREATE TABLE {SCHEMA}.restore (position int, statement text)")
    for position, statement in enumerate(statements):
        connection.execute(
            text(f"INSERT INTO {SCHEMA}.restore VALUES (:position, :statement)"),  # noqa: S608
            {"position": position, "statement": statement},
        )
    return statements


def run_statements(connection: Connection, statements: Sequence[str]) -> None:
    """Run the statements of a snapshot, in one round trip where the driver can."""
    if connection.dialect.driver != "asyncpg":
        statements = ["; ".join(statements)]
    for statement in statements:
        connection.exec_driver_sql(statement)


def statements_of(connection: Connection) -> list[str]:
    """Return the statements that an earlier run has left in the database.

    Raises:
        sqlalchemy.exc.DBAPIError: It left none.
    """
    found = connection.execute(text(f"SELECT statement FROM {SCHEMA}.restore ORDER BY position"))  # noqa: S608
    return list(found.scalars())


def is_locked(error: DBAPIError) -> bool:
    """Tell whether a statement gave up because somebody else holds a lock."""
    original = error.orig
    return _LOCK_NOT_AVAILABLE in (getattr(original, "sqlstate", None), getattr(original, "pgcode", None))


def lock_holders(connection: Connection) -> str:
    """Say who has a transaction open in this database."""
    return ", ".join(connection.execute(_HOLDERS).scalars()) or "nobody any more"


def _tables(connection: Connection, models: Iterable[Models]) -> _Tables:
    tables = _Tables()
    for each in models:
        tables.add(connection, each)
    return tables


def _has_rows(connection: Connection, name: str) -> bool:
    return bool(connection.exec_driver_sql(f"SELECT EXISTS (SELECT FROM {name})").scalar())  # noqa: S608
