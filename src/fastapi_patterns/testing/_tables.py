"""The tables of a test database: made from the models, and compared with them where they were there already."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, Inspector, MetaData, Table, inspect
from sqlalchemy.schema import CreateSchema

__all__ = ["Models", "check_columns", "create_tables", "existing_tables", "schema_of"]


class Models(NamedTuple):
    """The tables of one of the application's databases.

    Attributes:
        metadata: The tables.
        translation: The database's `schema_translate_map`.
    """

    metadata: MetaData
    translation: Mapping[str | None, str | None]

    def translate(self, connection: Connection) -> None:
        """Let the connection speak of these tables."""
        connection.execution_options(schema_translate_map=dict(self.translation))


def create_tables(connection: Connection, models: Models) -> None:
    """Make the missing tables, and the schemas that they are in.

    Raises:
        pytest.fail.Exception: A table that is there has other columns than its model.
    """
    check_columns(connection, models, "Drop the database and create it again: only tests use it")
    metadata = models.metadata
    if connection.dialect.name == "postgresql":
        schemas = {schema_of(connection, table) for table in metadata.tables.values()}
        for schema in sorted(schema for schema in schemas if schema is not None):
            connection.execute(CreateSchema(schema, if_not_exists=True))
    metadata.create_all(connection)


def check_columns(connection: Connection, models: Models, what_to_do: str) -> None:
    """Compare the tables that are there with the models.

    A column that the models do not have is no difference where a row needs no value for it.

    Raises:
        pytest.fail.Exception: They differ.
    """
    models.translate(connection)
    inspector = inspect(connection)
    found = [
        difference
        for table in existing_tables(connection, models.metadata)
        if (difference := _difference(inspector, table, schema_of(connection, table)))
    ]
    if found:
        where = connection.engine.url.database
        pytest.fail(
            f"fastapi_db: tables in the database {where!r} differ from the models: {'; '.join(found)}. {what_to_do}.",
            pytrace=False,
        )


def existing_tables(connection: Connection, metadata: MetaData) -> list[Table]:
    """Return those tables of the models that the database has, as tables and not as views."""
    inspector = inspect(connection)
    names: dict[str | None, set[str]] = {}
    found = []
    for table in metadata.tables.values():
        schema = schema_of(connection, table)
        if schema not in names:
            names[schema] = set(inspector.get_table_names(schema=schema))
        if table.name in names[schema]:
            found.append(table)
    return found


def schema_of(connection: Connection, table: Table) -> str | None:
    """Return the schema that a table is really in, after the application's `schema_translate_map`."""
    translated = connection.get_execution_options().get("schema_translate_map") or {}
    schema: str | None = translated.get(table.schema, table.schema)
    return schema


def _difference(inspector: Inspector, table: Table, schema: str | None) -> str | None:
    columns = {column["name"]: column for column in inspector.get_columns(table.name, schema=schema)}
    missing = [column.name for column in table.columns if column.name not in columns]
    needed = [
        name
        for name, column in columns.items()
        if name not in {each.name for each in table.columns}
        and not column["nullable"]
        and column["default"] is None
        and not (column.get("computed") or column.get("identity") or column.get("autoincrement") is True)
    ]
    return ", ".join(_said(table.name, missing, needed)) or None


def _said(name: str, missing: list[str], needed: list[str]) -> Iterator[str]:
    if missing:
        yield f"{name} has no {', '.join(missing)}"
    if needed:
        yield f"{name} needs a value for {', '.join(needed)}, which the model does not have"
