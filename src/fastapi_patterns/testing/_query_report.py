"""What `assert_num_queries` prints: the statements without their values, repeated ones in one line. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Query", "is_counted", "report"]

_MAX_WIDTH = 160
_MAX_LINES = 40
# So many SELECTs from one line are taken for a loop: two are often two requests.
_LOOP = 3

_COMMENTS = re.compile(r"\s*(?:--[^\n]*(?:\n|\Z)\s*|/\*.*?\*/\s*)*", re.DOTALL)
_FIRST_WORD = re.compile(r"[a-z]*", re.IGNORECASE)
# The driver's and the pool's business, and what transactions begin and end with.
_NOT_COUNTED = frozenset({
    "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE",
    "PRAGMA", "SET", "RESET", "SHOW", "DISCARD",
})  # fmt: skip
_PING = re.compile(r"select 1\s*;?\s*\Z", re.IGNORECASE)

_TEXT = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w$.:])\d+(?:\.\d+)?\b")
_COLUMNS = re.compile(r"\A(SELECT(?: DISTINCT)?) .+? (FROM) ", re.IGNORECASE)
_ROWS = re.compile(r"( VALUES) \(.*?\)(?:, \(.*?\))+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Query:
    """A statement as it was sent, with what is known of its origin.

    Attributes:
        statement: Without its parameters.
        place: Where the application sent it, in words, or empty.
        relationship: Whose rows it loads because an attribute was read, such as `User.orders`, or empty.
    """

    statement: str
    place: str
    relationship: str


def is_counted(statement: str) -> bool:
    """Tell whether a statement is one of the application's: no ping, no setting, no end of a transaction."""
    found = _COMMENTS.match(statement)
    start = found.end() if found else 0
    word = _FIRST_WORD.match(statement, start)
    return (word is None or word[0].upper() not in _NOT_COUNTED) and _PING.match(statement, start) is None


def report(queries: Sequence[Query]) -> str:
    """List the statements by number, repeated ones once, and say which of them look like N+1."""
    groups: dict[Query, list[int]] = {}
    for number, query in enumerate(queries, start=1):
        key = Query(statement=_shape(query.statement), place=query.place, relationship=query.relationship)
        groups.setdefault(key, []).append(number)
    lines: list[str] = []
    for query, numbers in list(groups.items())[:_MAX_LINES]:
        times = f"{len(numbers)} x " if len(numbers) > 1 else ""
        place = f"  {query.place}" if query.place else ""
        lines.append(f"{numbers[0]:>4}. {times}{_shortened(query.statement)}{place}")
        lines += [f"      {advice}" for advice in _advice(query, len(numbers))]
    if len(groups) > _MAX_LINES:
        lines.append(f"      and {len(groups) - _MAX_LINES} more")
    return "\n".join(lines)


def _advice(query: Query, times: int) -> list[str]:
    if times < 2:
        return []
    if query.relationship:
        return [
            f"This looks like N+1: {query.relationship} is loaded for one row after the other. Load it with the rows:",
            f"select(...).options(selectinload({query.relationship})), or joinedload where it is a single object.",
        ]
    if times >= _LOOP and query.place and query.statement[:6].upper() == "SELECT":
        return ["This looks like N+1: the same SELECT from the same line. One with IN (...) or a join loads all rows."]
    return []


def _shape(statement: str) -> str:
    """Take out what makes two statements differ in their values only; those may be personal data."""
    return _NUMBER.sub("?", _TEXT.sub("?", " ".join(statement.split())))


def _shortened(statement: str) -> str:
    if len(statement) > _MAX_WIDTH:
        statement = _ROWS.sub(r"\1 ...", _COLUMNS.sub(r"\1 ... \2 ", statement))
    return statement if len(statement) <= _MAX_WIDTH else statement[: _MAX_WIDTH - 4] + " ..."
