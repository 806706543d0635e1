"""Routes that ask for a credential in one of the ways in which people write that, and routes that do not."""

import pytest

from tests.checks.conftest import Check

DEPENDENCY = """
from fastapi.requests import HTTPConnection
HEADER = "X-Api-Key"
def reads(request): return request.headers.get("authorization")
def refuses(request):
    if "name" not in request.session: raise HTTPException(401)
%s
@app.get("/", dependencies=[Depends(guard)])
def route(): ...
"""
ENDPOINT = """
from starlette.authentication import requires
from pydantic import BaseModel
from functools import wraps
class Credentials(BaseModel):
    authorization: str
class Filters(BaseModel):
    accept_language: str
def login_required(function):
    @wraps(function)
    def wrapper(request, *args, **kwargs):
        if "user" not in request.session: raise HTTPException(401)
        return function(request, *args, **kwargs)
    return wrapper
def timed(function):
    @wraps(function)
    def wrapper(request): return function(request)
    return wrapper
%s
"""
RAISES = "\n    raise HTTPException(401)"

GUARDS = {
    "session": "def guard(request: Request):\n    request.session.get('user')" + RAISES,
    "header": "def guard(request: Request):\n    request.headers.get('Authorization')" + RAISES,
    "own header": "def guard(request: Request):\n    request.headers['x-internal-token']" + RAISES,
    "header in": "def guard(c: HTTPConnection):\n    if 'authorization' not in c.headers: raise HTTPException(401)",
    "header of a constant": "def guard(request: Request):\n    request.headers.get(HEADER)" + RAISES,
    "cookie": "def guard(request: Request):\n    request.cookies['who']" + RAISES,
    "state": "def guard(request: Request):\n    request.state.user" + RAISES,
    "user": "def guard(request: Request):\n    request.user.is_authenticated" + RAISES,
    "auth": "def guard(request: Request):\n    request.auth.scopes" + RAISES,
    "in a helper": "def guard(request: Request): return refuses(request)",
    "read in a helper": "def guard(request: Request):\n    if reads(request): raise HTTPException(401)",
    "object": "class Guard:\n    def __call__(self, request: Request):\n        request.session['name']\n"
    "        raise HTTPException(401)\nguard = Guard()",
    "class": "class guard:\n    def __init__(self, request: Request):\n        request.session['name']\n"
    "        raise HTTPException(401)",
    "alias": "def guard(c: Annotated[str, Cookie(alias='__Host-sid')]): ...",
    "header parameter": "def guard(x_auth_token: Annotated[str, Header()]): ...",
    "proxy": "def guard(x_forwarded_user: Annotated[str, Header()]): ...",
    "query": "def guard(expires: int, signature: str): ...",
}
NO_GUARDS = {
    "does not refuse": "def guard(request: Request): request.session.get('user')",
    "does not read": "def guard(request: Request): raise HTTPException(503, 'no session yet')",
    "another header": "def guard(request: Request):\n    request.headers['accept-language']" + RAISES,
    "only says so": "def guard(request: Request):\n    'The token is checked by a proxy.'\n    request.headers['host']"
    + RAISES,
    "another's session": "def guard(request: Request, db: Annotated[dict, Body()]):\n    db.session" + RAISES,
    "another state": "def guard(request: Request):\n    request.state.started" + RAISES,
    "paging": "def guard(page_token: str, residence: str, author: str): ...",
    "CSRF": "def guard(x_csrf_token: Annotated[str, Header()]): ...",
}
ROUTES = {
    "stripe": "@app.post('/')\ndef route(stripe_signature: Annotated[str, Header()]): ...",
    "github": "@app.post('/')\ndef route(x_hub_signature_256: Annotated[str, Header()]): ...",
    "cookie": "@app.get('/')\ndef route(session_id: Annotated[str, Cookie()]): ...",
    "model": "@app.get('/')\ndef route(given: Annotated[Credentials, Header()]): ...",
    "itself": "@app.get('/')\ndef route(request: Request):\n    request.headers['authorization']" + RAISES,
    "requires": "@app.get('/')\n@requires('authenticated')\ndef route(request: Request): ...",
    "async requires": "@app.get('/')\n@requires('authenticated')\nasync def route(request: Request): ...",
    "own decorator": "@app.get('/')\n@login_required\ndef route(request: Request): ...",
    "websocket": "@app.websocket('/')\nasync def route(websocket: WebSocket, ticket: str): ...",
    "HTTPEndpoint": "from starlette.endpoints import HTTPEndpoint\nclass Thing(HTTPEndpoint):\n"
    "    @requires('authenticated')\n    async def get(self, request): ...\napp.add_route('/', Thing)",
}
OPEN = {
    "model": "@app.get('/')\ndef route(given: Annotated[Filters, Header()]): ...",
    "query": "@app.get('/')\ndef route(session: str): ...",
    "own decorator": "@app.get('/')\n@timed\ndef route(request: Request): ...",
    "HTTPEndpoint": "from starlette.endpoints import HTTPEndpoint\nclass Thing(HTTPEndpoint):\n"
    "    @requires('authenticated')\n    async def get(self, request): ...\n"
    "    async def post(self, request): ...\napp.add_route('/', Thing)",
}
FILES = """
from fastapi.staticfiles import StaticFiles
from fastapi.middleware.gzip import GZipMiddleware
class Pages(StaticFiles): ...
app.mount("/static", StaticFiles(directory="."))
app.mount("/gzip", GZipMiddleware(StaticFiles(directory=".")))
app.mount("/", Pages(directory="."))
"""
MIDDLEWARE = """
class %s:
    def __init__(self, app): self.app = app
    async def __call__(self, scope, receive, send): await self.app(scope, receive, send)
app.add_middleware(%s)
@app.get("/a")
@app.get("/b")
def route(): ...
"""


@pytest.mark.parametrize("code", GUARDS.values(), ids=GUARDS)
def test_a_dependency_asks(code: str, check: Check) -> None:
    """For a credential, by hand."""
    assert check("FP101", DEPENDENCY % code) == []


@pytest.mark.parametrize("code", NO_GUARDS.values(), ids=NO_GUARDS)
def test_a_dependency_does_not_ask(code: str, check: Check) -> None:
    """What it reads is no credential, or it lets everybody in."""
    assert len(check("FP101", DEPENDENCY % code)) == 1


@pytest.mark.parametrize("code", ROUTES.values(), ids=ROUTES)
def test_a_route_asks(code: str, check: Check) -> None:
    """By its own parameters, or by what is around it."""
    assert check("FP101", ENDPOINT % code) == []


@pytest.mark.parametrize("code", OPEN.values(), ids=OPEN)
def test_a_route_does_not_ask(code: str, check: Check) -> None:
    """Though it looks like one that does."""
    (found,) = check("FP101", ENDPOINT % code)
    assert ".py:" in found.place


def test_files_are_for_anybody(check: Check) -> None:
    """Also those of a subclass, and under a middleware; and what robots and browsers look for."""
    assert check("FP101", FILES) == []
    assert check("FP101", "@app.get('/robots.txt')\n@app.get('/favicon.ico')\ndef route(): ...") == []


def test_a_mount_at_the_root_has_a_name(check: Check) -> None:
    """Which `public` understands."""
    code = "async def other(scope, receive, send): ...\napp.mount('/', other)"
    (found,) = check("FP101", code)
    assert found.why == "/ asks for no credential"
    assert "public = ['/']" in found.mend
    assert check("FP101", code, public=["/"]) == []


def test_the_hint_opens_one_method(check: Check) -> None:
    """And not the others of that path."""
    code = "@app.post('/users/')\ndef create(): ...\n@app.get('/users/')\ndef read(): ..."
    hints = [found.mend.partition(": ")[2] for found in check("FP101", code)]
    assert hints == ["public = ['POST /users/']", "public = ['GET /users/']"]
    assert [found.why for found in check("FP101", code, public=["POST /users/"])] == [
        "GET /users/ asks for no credential"
    ]


def test_head_is_not_told_beside_get(check: Check) -> None:
    """Of one function; alone, and with another function, it is."""
    assert len(check("FP101", "@app.get('/')\n@app.head('/')\ndef route(): ...")) == 1
    assert len(check("FP101", "@app.head('/')\ndef route(): ...")) == 1
    assert len(check("FP101", "@app.get('/')\ndef get(): ...\n@app.head('/')\ndef head(): ...")) == 2


@pytest.mark.parametrize("name", ["ApiKeyASGI", "JWTMiddleware", "AuthMiddleware"])
def test_middleware_that_authenticates_is_one_finding(name: str, check: Check) -> None:
    """What it lets through cannot be seen."""
    (found,) = check("FP101", MIDDLEWARE % (name, name))
    assert found.place.endswith(name)
    assert found.why.endswith("without it 2 ask for no credential: GET /b, GET /a")


@pytest.mark.parametrize("name", ["AuthorMiddleware", "CSRFTokenMiddleware", "Timing"])
def test_other_middleware_is_not(name: str, check: Check) -> None:
    """Each route is told of."""
    assert len(check("FP101", MIDDLEWARE % (name, name))) == 2
