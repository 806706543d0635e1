"""Each rule on applications that break it, and on their neighbours that do not."""

import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fastapi_patterns.checks._rules import passwords
from tests.checks.conftest import Check

BEARER = """
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
bearer = OAuth2PasswordBearer(tokenUrl="login")
def user(token: Annotated[str, Depends(bearer)]): ...
"""
BY_HAND = "def key(authorization: Annotated[str, Header()]): ...\n"
HANDLER = """
from fastapi.responses import JSONResponse
@app.exception_handler(ValueError)
async def handle(request, exc):
    return JSONResponse({"detail": %s})
"""
GET_DB = """
def get_db():
    db = object()
    yield db
    %s
@app.get("/")
def route(db: Annotated[object, Depends(get_db%s)]): ...
"""
CORS = """
from fastapi.middleware.cors import CORSMiddleware
app.add_middleware(CORSMiddleware, %s)
"""
TWO_SCOPES = """
def get_db():
    yield object()
def repository(db: Annotated[object, Depends(get_db%s)]): ...
@app.get("/")
def route(db: Annotated[object, Depends(get_db%s)], repository: Annotated[object, Depends(repository)]): ...
"""
TASK = """
import time, smtplib
def work(): %s
@app.post("/")
def route(tasks: %s): tasks.add_task(work)
"""
QUEUE = "class Queue:\n    def add_task(self, task): ...\n"
HTML = "from fastapi.responses import HTMLResponse\n"
LIFESPAN = """
from contextlib import asynccontextmanager
@asynccontextmanager
async def lifespan(app): yield
app = FastAPI(%s)
@%s.on_event("startup")
def start(): print("started")
"""
CONTEXT = "from passlib.context import CryptContext\ncontext = CryptContext(%s)"

BROKEN = [
    ("FP101", "@app.get('/open')\ndef route(): ..."),
    (
        "FP101",
        BEARER
        + "router = APIRouter(prefix='/a')\n@router.get('/open')\ndef route(q: str): ...\napp.include_router(router)",
    ),
    ("FP101", "@app.websocket('/socket')\nasync def route(socket: WebSocket): ..."),
    ("FP201", CORS % "allow_origins=['*'], allow_credentials=True"),
    ("FP201", CORS % "allow_origin_regex='https?://.*', allow_credentials=True"),
    ("FP202", CORS % "allow_origins='https://app.example'"),
    ("FP203", CORS % "allow_origin_regex='https://.*example.com'"),
    ("FP203", CORS % "allow_origins=['https://app.example/']"),
    ("FP301", "@app.middleware('http')\nasync def log(request, call_next): ..."),
    ("FP302", CORS % "allow_origins=['https://app.example']"),
    ("FP401", GET_DB % ("db.commit()", "")),
    ("FP402", "import time\n@app.get('/')\nasync def route(): time.sleep(1)"),
    ("FP402", "from time import sleep\n@app.get('/')\nasync def route(): sleep(1)"),
    (
        "FP402",
        "import time as t\nasync def slow(): t.sleep(1)\napp.get('/', dependencies=[Depends(slow)])(lambda: 0)",
    ),
    ("FP402", "import httpx2\n@app.get('/')\nasync def route(): httpx2.get('https://api.example')"),
    ("FP403", "import httpx2\n@app.get('/')\nasync def route():\n    async with httpx2.AsyncClient() as client: ..."),
    ("FP403", "from httpx2 import Client\n@app.get('/')\ndef route(): Client()"),
    ("FP404", TWO_SCOPES % (", scope='function'", "")),
    ("FP404", TWO_SCOPES % ("", ", scope='function'")),
    ("FP405", TASK % ("time.sleep(1)", "BackgroundTasks")),
    ("FP405", TASK % ("smtplib.SMTP('localhost')", "BackgroundTasks")),
    (
        "FP405",
        "import httpx2\nfrom starlette.background import BackgroundTask\ndef work(): httpx2.post('x')\n"
        "@app.get('/')\ndef route(): return Response(background=BackgroundTask(work))",
    ),
    ("FP406", LIFESPAN % ("lifespan=lifespan", "app.router")),
    ("FP406", LIFESPAN % ("lifespan=lifespan", "app")),
    ("FP501", "SECRET_KEY = 'abc'"),
    ("FP501", "class Settings:\n    jwt_secret: str = 'abc'"),
    ("FP502", "def read(token): jwt.decode(token, 'x', options={'verify_signature': False})"),
    ("FP502", "def read(token): jwt.decode(token, 'x', algorithms=['none'])"),
    ("FP502", "def read(token): jwt.decode(token, 'x', verify=False)"),
    ("FP504", CONTEXT % "['md5_crypt']"),
    ("FP504", CONTEXT % "['plaintext', 'argon2']"),
    ("FP504", CONTEXT % "['hex_sha256']"),
    ("FP504", CONTEXT % "['pbkdf2_sha256']"),
    ("FP504", CONTEXT % "['bcrypt'], bcrypt__rounds=5"),
    ("FP504", CONTEXT % "['argon2'], argon2__memory_cost=1024, argon2__rounds=2"),
    ("FP504", "from argon2 import PasswordHasher\nhasher = PasswordHasher(time_cost=1, memory_cost=512)"),
    ("FP504", "import bcrypt\ndef hash(password): return bcrypt.hashpw(password, bcrypt.gensalt(4))"),
    ("FP504", "import bcrypt as b\ndef hash(password): return b.hashpw(password, b.gensalt(rounds=6))"),
    ("FP601", "@app.post('/')\ndef route(item: dict[str, str]): ..."),
    ("FP602", HANDLER % "str(exc)"),
    ("FP602", HANDLER % "f'failed: {exc}'"),
    (
        "FP602",
        "@app.get('/')\ndef route():\n    try: ...\n    except Exception as e: raise HTTPException(500, repr(e))",
    ),
    ("FP603", "app.debug = True"),
    ("FP701", LIFESPAN % ("", "app.router")),
    ("FP701", "x = status.HTTP_422_UNPROCESSABLE_ENTITY"),
    (
        "FP701",
        "from fastapi import status as s\nx, y = s.HTTP_422_UNPROCESSABLE_ENTITY, s.HTTP_422_UNPROCESSABLE_ENTITY",
    ),
    ("FP701", "def named(q: Annotated[str, Query(regex='a+')]): ..."),
    ("FP701", "import fastapi\ndef named(q: str = fastapi.Query('', example='a')): ..."),
    ("FP702", "@app.get('/')\ndef route(): ..."),
    (
        "FP702",
        "router = APIRouter()\n@router.get('/a')\n@router.post('/a')\ndef route(): ...\napp.include_router(router)",
    ),
]
SOUND = [
    ("FP101", BEARER + "@app.get('/me')\ndef route(user: Annotated[str, Depends(user)]): ..."),
    ("FP101", BEARER + "@app.get('/me', dependencies=[Security(user, scopes=['a'])])\ndef route(): ..."),
    ("FP101", BEARER + "@app.post('/login')\ndef route(form: Annotated[OAuth2PasswordRequestForm, Depends()]): ..."),
    ("FP101", BY_HAND + "app.get('/me', dependencies=[Depends(key)])(lambda: 0)"),
    ("FP201", CORS % "allow_origins=['*']"),
    ("FP201", CORS % "allow_origins=['https://app.example'], allow_credentials=True"),
    ("FP202", CORS % "allow_origins=['https://app.example']"),
    ("FP203", CORS % r"allow_origin_regex=r'https://[a-z]+\.app\.example'"),
    ("FP301", CORS % "allow_origins=['https://app.example']"),
    ("FP302", "from fastapi_patterns import install_stack\ninstall_stack(app, allow_origins=['https://app.example'])"),
    ("FP401", GET_DB % ("db.close()", "")),
    ("FP401", GET_DB % ("db.commit()", ", scope='function'")),
    ("FP402", "import time\n@app.get('/')\ndef route(): time.sleep(1)"),
    ("FP402", "import asyncio\n@app.get('/')\nasync def route(): await asyncio.sleep(1)"),
    ("FP402", "import time\n@app.get('/')\nasync def route():\n    def in_a_thread(): time.sleep(1)"),
    ("FP402", "class time:\n    def sleep(self): ...\n@app.get('/')\nasync def route(time: int): time.sleep()"),
    ("FP403", "import httpx2\nclient = httpx2.Client()\n@app.get('/')\ndef route(): client.get('x')\nclient.close()"),
    ("FP404", TWO_SCOPES % ("", "")),
    ("FP404", TWO_SCOPES % (", scope='function'", ", scope='function'")),
    (
        "FP404",  # no generator: FastAPI calls it once, and nothing is closed
        TWO_SCOPES.replace("yield", "return") % (", scope='function'", ""),
    ),
    ("FP405", TASK % ("print()", "BackgroundTasks")),
    ("FP405", QUEUE + TASK % ("time.sleep(1)", "Annotated[Queue, Depends()]")),
    ("FP406", LIFESPAN % ("", "app")),
    ("FP406", LIFESPAN % ("lifespan=None", "app.router")),
    ("FP501", "import os\nSECRET_KEY = os.environ.get('SECRET_KEY')\npassword = ''\nsecret_name = 'abc'"),
    ("FP502", "def read(token): jwt.decode(token, 'x', algorithms=['HS256'])\ndef text(data): data.decode('utf-8')"),
    ("FP504", CONTEXT % "['argon2', 'bcrypt', 'md5_crypt'], deprecated='auto'"),
    ("FP504", CONTEXT % "['bcrypt']"),
    ("FP504", CONTEXT % "['bcrypt'], bcrypt__rounds=10"),
    ("FP504", CONTEXT % "['sha512_crypt']"),
    ("FP504", CONTEXT % "['django_pbkdf2_sha256'], django_pbkdf2_sha256__rounds=600000"),
    ("FP504", "from argon2 import PasswordHasher\nhasher = PasswordHasher()"),
    ("FP504", "import bcrypt\ndef hash(password): return bcrypt.hashpw(password, bcrypt.gensalt())"),
    ("FP505", "from jose import jwt"),
    ("FP601", "@app.get('/')\ndef route(number: int): ..."),
    ("FP602", HANDLER % "'no'"),
    ("FP602", "@app.get('/')\ndef route():\n    try: ...\n    except KeyError as e: raise HTTPException(404, str(e))"),
    ("FP603", ""),
    ("FP701", LIFESPAN % ("lifespan=lifespan", "APIRouter()")),
    ("FP701", "x = status.HTTP_404_NOT_FOUND"),
    ("FP701", "def named(q: Annotated[str, Query(pattern='a+', examples=['a'])]): ..."),
    ("FP701", "import re\ndef regex(regex): return re.compile(regex)\nregex(regex='a')"),
    ("FP701", "from sqlalchemy.orm import declarative_base, DeclarativeBase"),
    ("FP702", ""),
    ("FP702", "from typing import Any\n@app.get('/')\ndef route() -> Any: ..."),
    ("FP702", "@app.get('/', response_model=int)\ndef route(): ..."),
    ("FP702", "@app.get('/', status_code=204)\ndef route(): ..."),
    ("FP702", "@app.get('/', include_in_schema=False)\ndef route(): ..."),
    ("FP702", HTML + "@app.get('/', response_class=HTMLResponse)\ndef route(): ..."),
    ("FP702", HTML + "app = FastAPI(default_response_class=HTMLResponse)\n@app.get('/')\ndef route(): ..."),
    ("FP702", "@app.get('/')\ndef route() -> Response: ..."),
    ("FP702", "@app.get('/', responses={200: {'content': {'image/png': {}}}})\ndef route(): ..."),
    ("FP702", "@app.websocket('/')\nasync def route(socket: WebSocket): ..."),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "code"), BROKEN)
def test_what_breaks_it_is_found(rule: str, code: str, check: Check) -> None:
    """Once, with words on what goes wrong and on what to write instead."""
    (found,) = check(rule, code)
    assert found.why
    assert found.mend


@pytest.mark.parametrize("lifespan", ["", "lifespan=lifespan"])
def test_a_lifespan_does_take_the_place_of_handlers(
    lifespan: str, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is what FP406 says."""
    found = check("FP406", LIFESPAN % (lifespan, "app"))
    (name,) = (name for name in sys.modules if name.startswith("checked_"))
    with TestClient(sys.modules[name].app):
        assert (capsys.readouterr().out == "") == bool(found)


@pytest.mark.parametrize(("rule", "code"), SOUND)
def test_what_keeps_it_is_not(rule: str, code: str, check: Check) -> None:
    """No false alarm."""
    assert check(rule, code) == []


def test_a_version_that_takes_forged_tokens(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the application imports it, at the version that is installed."""
    code = "from jose import jwt"
    assert check("FP505", code) == []
    monkeypatch.setattr(passwords, "version", lambda package: "3.3.0")
    (found,) = check("FP505", code)
    assert (found.place, found.mend) == ("python-jose 3.3.0", "install python-jose>=3.4")


def test_a_version_that_nobody_uses(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no finding where the application does not import it."""
    monkeypatch.setattr(passwords, "version", lambda package: "3.3.0")
    assert check("FP505", "import json") == []


def test_an_object_that_modules_share_is_found_once(check: Check, tmp_path: Path) -> None:
    """At the line that makes it."""
    (tmp_path / "shared_context.py").write_text(f"x = 1\n{CONTEXT % ['md5_crypt']}\n")
    (found,) = check("FP504", "from shared_context import context\nalias = context")
    assert found.place.endswith("shared_context.py:3")


def test_a_line_may_ignore_a_rule(check: Check) -> None:
    """That rule, at that line or the one below it, and no other."""
    code = "import time\n@app.get('/')\nasync def route():\n    time.sleep(1){same}\n    {above}\n    time.sleep(2)\n"
    ignore = "# patterns: ignore[FP402]"
    assert len(check("FP402", code.format(same="", above=""))) == 2
    assert len(check("FP402", code.format(same=f"  {ignore}", above=""))) == 1
    assert len(check("FP402", code.format(same="", above="# patterns: ignore[FP101, FP402] why"))) == 1
    assert len(check("FP402", code.format(same="  # patterns: ignore[FP101]", above=""))) == 2


def test_options(check: Check) -> None:
    """Paths that are public, with a method or for a whole part, and rules that are left out."""
    code = "@app.get('/a/b')\n@app.post('/a/b')\ndef route(): ..."
    assert len(check("FP101", code)) == 2
    assert len(check("FP101", code, public=["GET /a/b"])) == 1
    assert check("FP101", code, public=["/a/*"]) == []
    assert check("FP101", code, ignore=["FP101"]) == []


def test_sources_that_cannot_be_read(check: Check) -> None:
    """Lambdas, partials, objects and code that is made at run time are passed over."""
    code = """
from functools import partial
class Callable:
    def __call__(self): ...
exec(compile("async def made(): ...", "<nowhere>", "exec"))
app.get("/lambda")(lambda: None)
app.get("/object")(Callable())
app.get("/made")(made)
def add(x: int): ...
app.get("/partial")(partial(add, x=1))
"""
    assert len(check("FP101", code)) == 4
