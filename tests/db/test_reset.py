"""Which statements leave something on their connection that a rollback does not undo."""

import pytest

from fastapi_patterns.db._reset import outlasts_transaction


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE somebody",
        "set session authorization somebody",
        "  SET search_path TO elsewhere",
        "/* request 7 */ SET ROLE somebody",
        "-- as somebody\nSET ROLE somebody",
        "SELECT 1; SET ROLE somebody",
        "RESET statement_timeout",
        "SELECT set_config('app.tenant', '7', false)",
        "SELECT pg_advisory_lock(7)",
        "SELECT pg_try_advisory_lock(7)",
        "LISTEN jobs",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE TEMP VIEW mine AS SELECT 1",
        "SELECT 1 AS id INTO TEMP mine",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
    ],
)
def test_what_outlasts_a_transaction(statement: str) -> None:
    """A connection that ran it is cleaned before the next user has it."""
    assert outlasts_transaction(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "UPDATE owners SET name = 'ada'",
        "SET LOCAL ROLE somebody",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "SELECT temperature FROM weather",
        "SELECT reset, listen FROM settings",
        "SAVEPOINT sa_savepoint_1",
    ],
)
def test_what_ends_with_its_transaction(statement: str) -> None:
    """The usual statements cost no cleaning."""
    assert not outlasts_transaction(statement)
