"""Calls that block, clients that are made each time, and what looks like one of them."""

import pytest

from tests.checks.conftest import Check

START = """
import functools, os, subprocess, time, httpx2
from functools import cache, lru_cache
from sqlalchemy.orm import Session
def pending(): return {}
def get_db(): ...
Db = Annotated[Session, Depends(get_db)]
client = httpx2.Client()
aclient = httpx2.AsyncClient()
clock = time
"""
ROUTE = """
@app.get("/")
async def route(%s):
    %s
"""
CLIENT = """
%s
@app.get("/")
def route(client: Annotated[object, Depends(get_client)]): ...
"""

BLOCKS = {
    "subprocess.call": ROUTE % ("", "subprocess.call(['true'])"),
    "subprocess.check_call": ROUTE % ("", "subprocess.check_call(['true'])"),
    "import in it": ROUTE % ("", "import time as t; t.sleep(1)"),
    "from in it": ROUTE % ("", "from time import sleep; sleep(1)"),
    "global client": ROUTE % ("", "client.get('x')"),
    "session": ROUTE % ("db: Annotated[Session, Depends(get_db)]", "db.execute('x')"),
    "session of an alias": ROUTE % ("db: Db", "db.scalars('x')"),
    "session by default": ROUTE % ("db: Session = Depends(get_db)", "db.query(int).all()"),
    "session, once": ROUTE % ("db: Db", "db.execute('x'); db.commit()"),
    "global in it": ROUTE % ("", "global clock; clock.sleep(1); clock = time"),
}
DOES_NOT_BLOCK = {
    "shadowed": ROUTE % ("time: Annotated[dict, Depends(pending)]", "time.sleep(1)"),
    "shadowed by a local": ROUTE % ("", "time = object(); time.sleep(1)"),
    "shadowed by a loop": ROUTE % ("", "[time.sleep(1) for time in ()]"),
    "zero": ROUTE % ("", "time.sleep(0)"),
    "async client": ROUTE % ("", "await aclient.get('x')"),
    "async session": "from sqlalchemy.ext.asyncio import AsyncSession"
    + ROUTE % ("db: Annotated[AsyncSession, Depends(get_db)]", "await db.execute('x')"),
    "session in a def": ROUTE.replace("async def", "def") % ("db: Db", "db.execute('x')"),
    "session in a thread": ROUTE % ("db: Db", "await asyncio.to_thread(db.execute, 'x')"),
    "nothing that waits": ROUTE % ("db: Db", "db.add(1)"),
    "another import": ROUTE % ("", "from asyncio import sleep; await sleep(1)"),
}
MADE_EACH_TIME = {
    "plain": "def get_client(): return httpx2.AsyncClient()",
    "in an if": "def get_client(q: int = 0):\n    if q: client = httpx2.AsyncClient()\n    return client",
    "transport": "def get_client(): return httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(retries=2))",
    "attribute": "class Holder:\n    def __call__(self): self.client = httpx2.AsyncClient()\nget_client = Holder()",
}
KEPT = {
    "cache": "@functools.cache\ndef get_client(): return httpx2.AsyncClient()",
    "lru_cache": "@lru_cache(maxsize=1)\ndef get_client(): return httpx2.AsyncClient()",
    "global": "kept = None\ndef get_client():\n    global kept\n    if kept is None: kept = httpx2.AsyncClient()\n"
    "    return kept",
    "state": "def get_client(request: Request):\n    if not hasattr(request.app.state, 'client'):\n"
    "        request.app.state.client = httpx2.AsyncClient()\n    return request.app.state.client",
    "object": "class Holder:\n    client = None\n    def __call__(self):\n"
    "        if self.client is None: self.client = httpx2.AsyncClient()\nget_client = Holder()",
    "except": "kept = {}\ndef get_client():\n    try: return kept['a']\n"
    "    except KeyError: kept['a'] = httpx2.AsyncClient()",
    "of the application itself": "def get_client(): return httpx2.AsyncClient(transport=httpx2.ASGITransport(app))",
    "shadowed": "def get_client(httpx2: Annotated[object, Depends(pending)]): return httpx2.AsyncClient()",
}


@pytest.mark.parametrize("code", BLOCKS.values(), ids=BLOCKS)
def test_blocks(code: str, check: Check) -> None:
    """In an async function; a session once for each function."""
    assert len(check("FP402", START + code)) == 1


def test_functions_of_requests_block(check: Check) -> None:
    """By their own names, and a session of it that is kept."""
    pytest.importorskip("requests")
    start = "import requests\nfrom requests import get as fetch\nsession = requests.Session()"
    (found,) = check("FP402", start + ROUTE % ("", "fetch('x')"))
    assert found.why.startswith("requests.get in")
    (found,) = check("FP402", start + ROUTE % ("", "session.post('x')"))
    assert found.why.startswith("session.post in")


@pytest.mark.parametrize("code", DOES_NOT_BLOCK.values(), ids=DOES_NOT_BLOCK)
def test_does_not_block(code: str, check: Check) -> None:
    """It is something else of that name, or it is awaited."""
    assert check("FP402", START + code) == []


@pytest.mark.parametrize("code", MADE_EACH_TIME.values(), ids=MADE_EACH_TIME)
def test_a_client_that_is_made_each_time(code: str, check: Check) -> None:
    """With its connections."""
    assert len(check("FP403", START + CLIENT % code)) == 1


@pytest.mark.parametrize("code", KEPT.values(), ids=KEPT)
def test_a_client_that_is_kept(code: str, check: Check) -> None:
    """Or that has no connections."""
    assert check("FP403", START + CLIENT % code) == []


def test_an_object_is_named_by_its_class(check: Check) -> None:
    """And by its method, which is `__call__` always."""
    code = "class Slow:\n    async def __call__(self): time.sleep(1)\n@app.get('/', dependencies=[Depends(Slow())])\n"
    (found,) = check("FP402", START + code + "def route(): ...")
    assert "function Slow.__call__ holds up" in found.why


def test_a_task_that_only_lets_others_run(check: Check) -> None:
    """Does not wait."""
    code = "import asyncio\nasync def work(): await asyncio.sleep(%s)\n@app.post('/')\n"
    route = "def route(tasks: BackgroundTasks): tasks.add_task(work)"
    assert len(check("FP405", code % 1 + route)) == 1
    assert check("FP405", code % 0 + route) == []
