"""What the benchmarks are measured against: the targets of this project, and whether a run has reached them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import OURS

__all__ = ["TARGETS", "Target", "outcomes"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """One of them.

    Attributes:
        what: The case, in the words of a user.
        suite: Where it is measured.
        case: Which case of it.
        limit: The ratio that it may reach; where `over` names a subject, the times that this one must be slower.
        over: Compared with this subject, instead of the floor.
        of: Which subject of ours.
    """

    what: str
    suite: str
    case: str
    limit: float
    over: str | None = None
    of: str = OURS


_LOG = "request log as JSON and id"
_STACK_AND_USER = "the whole stack and a user"
_TEST = "one small test of the session alone, no requests, SQLite"
_REQUESTS = "one small test, SQLite, a get_db of its own"
_CREATE_DROP = "create_all and drop_all around each test, a file"


def _decode(algorithm: str) -> Target:
    return Target(f"decode {algorithm}, full policy", "tokens", f"decode {algorithm}", 1.15)


TARGETS = (
    *map(_decode, ("HS256", "RS256", "ES256", "EdDSA")),
    Target("JSON request log and id, direct sink", "middleware", f"{_LOG}, direct sink", 1.15),
    Target("JSON request log and id, through logging", "middleware", f"{_LOG}, through logging", 1.45),
    Target("whole stack, direct sink", "middleware", "the whole stack, direct sink", 1.30),
    Target("whole stack and a user", "auth", _STACK_AND_USER, 1.6),
    Target("times slower is fastapi-users, without a stack", "auth", _STACK_AND_USER, 2, "fastapi-users, in memory"),
    Target("AppException", "middleware", "an error that the route raises, without the log", 1.0),
    Target("validation error", "middleware", "a validation error, without the log", 1.7),
    Target("an isolated test: times slower is create/drop", "testing", _TEST, 20, _CREATE_DROP),
    Target("the same with two requests", "testing", _REQUESTS, 20, _CREATE_DROP),
    Target("outgoing call: times slower is a client for each", "http", "5 calls", 15, "a client for each call"),
    Target("enqueue in process", "tasks", "add_task, 10 in each of 100 requests", 3.0),
    Target("enqueue on procrastinate", "tasks", "written in a transaction of PostgreSQL, 50 jobs", 1.1),
    Target("enqueue on taskiq", "tasks", "handed to taskiq on a real Valkey, 200 times", 1.1),
)


def outcomes(rows: Sequence[Row]) -> list[tuple[Target, float, bool]]:
    """Give the figure of each target that was measured, and whether it is reached."""
    found = {(row["suite"], row["case"], row["subject"]): row["ratio"] for row in rows}
    results = []
    for target in TARGETS:
        ours = found.get((target.suite, target.case, target.of))
        other = found.get((target.suite, target.case, target.over)) if target.over else None
        if ours is None or (target.over and other is None):
            continue
        figure = other / ours if other is not None else ours
        results.append((target, figure, figure >= target.limit if target.over else figure <= target.limit))
    return results
