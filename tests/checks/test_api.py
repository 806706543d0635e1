"""Handlers that a lifespan replaces, and operations that say nothing."""

import importlib
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.checks.conftest import Check

START = """
from contextlib import asynccontextmanager
from functools import partial
@asynccontextmanager
async def lifespan(app, greeting=""): yield
def start(): print("started")
"""

LOST = {
    "the application's": "app = FastAPI(lifespan=lifespan)\napp.router.add_event_handler('startup', start)",
    "under another name": "api = app = FastAPI(lifespan=lifespan)\napi.router.add_event_handler('startup', start)",
    "a partial": "app = FastAPI(lifespan=partial(lifespan, greeting='hi'))\n"
    "app.router.add_event_handler('startup', start)",
    "a router's": "app = FastAPI(lifespan=lifespan)\nrouter = APIRouter(lifespan=lifespan)\n"
    "router.add_event_handler('startup', start)\napp.include_router(router)",
    "with the stack": "from fastapi_patterns import install_stack\napp = FastAPI(lifespan=lifespan)\n"
    "app.router.add_event_handler('startup', start)\ninstall_stack(app)",
}
RUN = {
    "no lifespan": "app.router.add_event_handler('startup', start)",
    "no lifespan, with the stack": "from fastapi_patterns import install_stack\n"
    "app.router.add_event_handler('startup', start)\ninstall_stack(app)",
    "a router without one": "router = APIRouter()\nrouter.add_event_handler('startup', start)\n"
    "app = FastAPI(lifespan=lifespan)\napp.include_router(router)",
    "a router with one": "router = APIRouter(lifespan=lifespan)\nrouter.add_event_handler('startup', start)\n"
    "app.include_router(router)",
    "another application": "def create():\n    app = FastAPI(lifespan=lifespan)\n    return app\n"
    "def legacy():\n    app = FastAPI()\n    app.router.add_event_handler('startup', start)\n    return app\n"
    "app, other = legacy(), create()",
    "by hand": "@asynccontextmanager\nasync def by_hand(app):\n"
    "    [each() for each in app.router.on_startup]\n    yield\n"
    "app = FastAPI(lifespan=by_hand)\napp.router.add_event_handler('startup', start)",
}


@pytest.mark.parametrize(
    ("code", "is_lost"),
    [*((code, True) for code in LOST.values()), *((code, False) for code in RUN.values())],
    ids=[*LOST, *RUN],
)
def test_handlers(code: str, is_lost: bool, check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    """The finding says what does happen when the application starts."""
    found = check("FP406", START + code)
    (name,) = (name for name in sys.modules if name.startswith("checked_"))
    with TestClient(sys.modules[name].app):
        assert ("started" not in capsys.readouterr().out) == is_lost
    assert len(found) == is_lost


def test_handlers_in_another_file(check: Check, tmp_path: Path) -> None:
    """Their place is where they are."""
    (tmp_path / "starting.py").write_text(
        "def start(): ...\ndef add(app): app.router.add_event_handler('startup', start)\n"
    )
    importlib.invalidate_caches()
    (found,) = check("FP406", START + "app = FastAPI(lifespan=lifespan)\nfrom starting import add\nadd(app)")
    del sys.modules["starting"]
    assert found.place.endswith("starting.py:1")


def test_pages_are_no_operations(check: Check) -> None:
    """Nor are websockets and what is left out of the document."""
    code = """
@app.get("/said")
def said() -> int: return 1
@app.get("/silent")
def silent(): ...
@app.get("/hidden", include_in_schema=False)
def hidden(): ...
@app.websocket("/socket")
async def socket(websocket: WebSocket): ...
"""
    (found,) = check("FP702", code)
    assert found.why.startswith("1 of 2 operations")
