"""The lazy root, what importing costs, and what a missing extra says. Each in a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastapi_patterns
from fastapi_patterns.exceptions import MissingExtraError

SOURCE = Path(fastapi_patterns.__file__)
ROOMS = ["auth", "db", "errors", "http", "logs", "middleware", "security", "stack", "tasks", "testing.plugin"]


def run(code: str) -> str:
    """Run code in a fresh interpreter with warnings as errors and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("fastapi_patterns", {"fastapi", "starlette", "sqlalchemy", "pydantic", "jose", "httpx2", "pytest"}),
        ("fastapi_patterns.exceptions", {"fastapi", "starlette", "sqlalchemy", "pydantic"}),
        ("fastapi_patterns.security", {"fastapi", "starlette", "sqlalchemy", "passlib"}),
        ("fastapi_patterns.testing.plugin", {"fastapi", "starlette", "sqlalchemy", "pydantic"}),
    ],
)
def test_importing_brings_in_only_what_is_needed(module: str, absent: set[str]) -> None:
    """The front door, the security room and the plugin's entry point leave the heavy packages out."""
    loaded = set(run(f"import sys, {module}; print(*sys.modules)").split())
    assert module in loaded
    assert not loaded & absent


@pytest.mark.parametrize("room", ROOMS)
def test_importing_a_room_sets_nothing_up(room: str) -> None:
    """A room's import adds no log handler, and reads no SECRET_KEY."""
    code = f"""
import logging, os
os.environ["SECRET_KEY"] = "weak"
import fastapi_patterns.{room}
print(logging.getLogger().handlers, logging.getLogger("fastapi_patterns").handlers)
"""
    assert run(code).strip() == "[] []"


def test_the_sync_database_needs_no_greenlet() -> None:
    """With the extra `db` alone `Database` and the plugin work; `AsyncDatabase` names the extra that it needs."""
    code = """
import sys
sys.modules["greenlet"] = None
from fastapi_patterns import Database
import fastapi_patterns.testing.databases
from sqlalchemy import text
with Database("sqlite://").session_scope() as session:
    print(session.execute(text("SELECT 42")).scalar_one())
try:
    from fastapi_patterns import AsyncDatabase
except ImportError as error:
    print(error)
try:
    from fastapi_patterns.db import Nothing
except ImportError as error:
    print(type(error).__name__)
"""
    assert run(code).splitlines() == [
        "42",
        "fastapi_patterns.db.AsyncDatabase needs greenlet. Install it with pip install 'fastapi-patterns[async-db]'.",
        "ImportError",
    ]


@pytest.mark.parametrize(
    ("kind", "url", "driver", "extra"),
    [
        ("Database", "postgresql://h/d", "psycopg", "postgres"),
        ("AsyncDatabase", "postgresql://h/d", "asyncpg", "postgres"),
        ("AsyncDatabase", "sqlite://", "aiosqlite", "async-db"),
    ],
)
def test_a_missing_driver_names_its_extra(kind: str, url: str, driver: str, extra: str) -> None:
    """The engine is made on first use, and says which extra brings its driver."""
    code = f"""
import sys
sys.modules[{driver!r}] = None
from fastapi_patterns import {kind}
try:
    {kind}({url!r}).engine
except ImportError as error:
    print(error)
"""
    printed = run(code).strip()
    assert f"needs {driver}. Install it with pip install 'fastapi-patterns[{extra}]'." in printed


def test_names_for_type_checkers_and_for_python_agree() -> None:
    """What type checkers see imported, `__all__` and the lazy table hold the same names."""
    tree = ast.parse(SOURCE.read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, "only `X as X` is a re-export to type checkers"
            imported[alias.name] = str(node.module).removeprefix("fastapi_patterns.")
    assert imported == fastapi_patterns._ROOM_OF
    assert fastapi_patterns.__all__ == sorted(imported)


def test_every_name_can_be_imported() -> None:
    """Each name of the front door is there, and is the room's own object."""
    for name, room in fastapi_patterns._ROOM_OF.items():
        found = getattr(fastapi_patterns, name)
        assert found is getattr(sys.modules[f"fastapi_patterns.{room}"], name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelled name says which module lacks it."""
    with pytest.raises(AttributeError, match="module 'fastapi_patterns' has no attribute 'TokenCodex'"):
        _ = fastapi_patterns.TokenCodex  # type: ignore[attr-defined]


def test_dir_lists_the_front_door() -> None:
    """Completion in an interactive session shows the names before they are imported."""
    assert set(fastapi_patterns.__all__) <= set(dir(fastapi_patterns))


@pytest.mark.parametrize(
    ("name", "hidden", "message"),
    [
        ("TokenCodec", "jose", "fastapi_patterns.security needs python-jose. Install it with pip install"),
        ("PasswordHasher", "argon2", "fastapi_patterns.security needs argon2-cffi. Install it with pip install"),
        ("AsyncDatabase", "sqlalchemy", "fastapi_patterns.db.AsyncDatabase needs sqlalchemy. Install it with pip"),
        ("make_current_user", "passlib", "fastapi_patterns.security needs passlib. Install it with pip install"),
        ("Database", "sqlalchemy", "fastapi_patterns.db needs sqlalchemy. Install it with pip install"),
        ("HttpClient", "httpx2", "fastapi_patterns.http needs httpx2. Install it with pip install"),
    ],
)
def test_a_missing_extra_names_itself(name: str, hidden: str, message: str) -> None:
    """Without a room's packages its names raise an ImportError that holds the pip line."""
    extra = {"Database": "db", "AsyncDatabase": "async-db", "HttpClient": "http"}.get(name, "security")
    code = f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {hidden!r} else real(name, *rest)
try:
    from fastapi_patterns import {name}
except ImportError as error:
    print(type(error).__name__, error.name, error)
"""
    printed = run(code).strip()
    assert printed.startswith(f"{MissingExtraError.__name__} {hidden} {message}")
    assert f" pip install 'fastapi-patterns[{extra}]'." in printed


def test_a_room_without_its_packages_names_both_of_its_extras() -> None:
    """`fastapi_patterns.db` misses SQLAlchemy before it knows what is imported from it: the message has both lines."""
    code = """
import sys
sys.modules["sqlalchemy"] = None
try:
    from fastapi_patterns.db import AsyncDatabase
except ImportError as error:
    print(error)
"""
    assert run(code).strip() == (
        "fastapi_patterns.db needs sqlalchemy. Install it with pip install 'fastapi-patterns[db]'. "
        "For AsyncDatabase it is 'fastapi-patterns[async-db]'."
    )
