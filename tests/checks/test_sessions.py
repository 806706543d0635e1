"""Commits after the response, and what looks like one."""

import pytest

from tests.checks.conftest import Check

START = """
from collections.abc import Iterator
from contextlib import contextmanager, asynccontextmanager
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker
engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine)
"""
ROUTE = """
@app.get("/")
def route(db: Annotated[object, Depends(get_db)]): ...
"""
UNIT = """
@contextmanager
def unit():
    with SessionLocal() as s:
        yield s
        %s
"""
BRANCHES = """
def get_db(request: Request):
    s = SessionLocal()
    if request.method == "GET":
        yield s
        %s
    s.commit()
    yield s
"""

COMMITS = {
    "begin beside a session": "def get_db():\n    with Session(engine) as s, s.begin(): yield s",
    "begin of a factory": "def get_db():\n    with SessionLocal.begin() as s: yield s",
    "begin of an engine": "def get_db():\n    with engine.begin() as c: yield c",
    "nested": "def get_db():\n    with Session(engine) as s:\n        with s.begin(): yield s",
    "async": "async def get_db():\n    async with object().begin() as s: yield s",
    "async, nested": "async def get_db():\n    async with object() as s:\n        async with s.begin(): yield s",
    "own block": UNIT % "s.commit()" + "def get_db():\n    with unit() as s: yield s",
    "own block of a global object": "class Database:\n    @contextmanager\n    def session(self):\n"
    "        s = SessionLocal()\n        yield s\n        s.commit()\n"
    "database = Database()\ndef get_db():\n    with database.session() as s: yield s",
    "helper": "def finish(session): session.commit()\n"
    "def get_db():\n    s = SessionLocal()\n    yield s\n    finish(s)",
    "the first yield by line": "def get_db():\n    s = SessionLocal()\n    if s:\n        yield s\n        s.commit()\n"
    "    yield s",
    "in an else": "def get_db():\n    s = SessionLocal()\n    try: yield s\n    except OSError: s.rollback()\n"
    "    else: s.commit()",
    "what it was given": "def read(): return SessionLocal()\n"
    "def get_db(db: Annotated[object, Depends(read)]):\n    yield\n    db.commit()",
    "of what it yields": "class Unit: session = SessionLocal()\n"
    "def get_db():\n    u = Unit()\n    yield u\n    u.session.commit()",
    "after a branch that goes on": BRANCHES % "s.expunge_all()",
}
DOES_NOT = {
    "begin_nested": "def get_db():\n    with Session(engine) as s, s.begin_nested(): yield s",
    "begin before the yield": "def get_db():\n    s = Session(engine)\n    with s.begin(): ...\n    yield s",
    "own block without a commit": UNIT % "s.close()" + "def get_db():\n    with unit() as s: yield s",
    "another session": "def get_db():\n    yield\n    with SessionLocal() as s:\n        s.commit()",
    "another session, beside one": "def get_db():\n    s, audit = SessionLocal(), SessionLocal()\n    yield s\n"
    "    audit.commit()",
    "helper that commits another": "def finish(session): SessionLocal().commit()\n"
    "def get_db():\n    s = SessionLocal()\n    yield s\n    finish(s)",
    "git": "def get_db():\n    tree = object()\n    yield tree\n    tree.commit('done')",
    "function of its own": "def get_db():\n    s = SessionLocal()\n    yield s\n    def finish(): s.commit()",
    "after a branch that ends": BRANCHES % "return",
}


@pytest.mark.parametrize("code", COMMITS.values(), ids=COMMITS)
def test_commits(code: str, check: Check) -> None:
    """Whatever commits when the `yield` comes back."""
    (found,) = check("FP401", START + code + ROUTE)
    assert found.mend.endswith("Depends(get_db, scope='function')")


@pytest.mark.parametrize("code", DOES_NOT.values(), ids=DOES_NOT)
def test_does_not_commit(code: str, check: Check) -> None:
    """Nothing that the client was told of."""
    assert check("FP401", START + code + ROUTE) == []


def test_a_websocket_has_no_response(check: Check) -> None:
    """A route beside it, with the same dependency, has."""
    code = START + "def get_db():\n    s = SessionLocal()\n    yield s\n    s.commit()"
    socket = "\n@app.websocket('/ws')\nasync def socket(w: WebSocket, db: Annotated[object, Depends(get_db)]): ..."
    assert check("FP401", code + socket) == []
    assert len(check("FP401", code + socket + ROUTE)) == 1


def test_an_object_is_named_by_its_class(check: Check) -> None:
    """In what goes wrong, and in what to write."""
    code = "class Tx:\n    def __call__(self):\n        s = SessionLocal()\n        yield s\n        s.commit()\n"
    (found,) = check("FP401", START + code + "get_db = Tx()" + ROUTE)
    assert found.why.startswith("Tx.__call__ commits")
    assert found.mend.endswith("Depends(Tx(...), scope='function')")


def test_a_timer_in_two_scopes_is_no_session(check: Check) -> None:
    """The words are true of what yields no session too."""
    code = "def timer():\n    yield\n@app.get('/', dependencies=[Depends(timer)])\n"
    (found,) = check("FP404", code + "def route(t: Annotated[None, Depends(timer, scope='function')]): ...")
    assert found.why == "GET / gets two of what timer yields, one in each scope"
