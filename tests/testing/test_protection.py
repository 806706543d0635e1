"""`assert_routes_protected`: what is open is listed, however it came into the application."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router

from fastapi_patterns import Claims, TokenCodec, TokenConfig, make_current_user
from fastapi_patterns.testing import assert_routes_protected

TOKENS = TokenCodec(TokenConfig(secret_key="S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"))


async def load_user(claims: Claims) -> dict[str, str]:
    """Anybody."""
    return {"id": claims.sub}


get_current_user = make_current_user(load_user, tokens=TOKENS)


def answer() -> None:
    """A route that asks for nothing."""


def bare(**options: Any) -> FastAPI:
    """An application without docs."""
    return FastAPI(openapi_url=None, **options)


def open_routes(app: FastAPI, *public: str, **options: Any) -> list[str]:
    """What the assertion says, line by line."""
    try:
        assert_routes_protected(app, public, **options)
    except AssertionError as error:
        return str(error).splitlines()
    return []


TITLE = "These routes can be reached without a user; protect them, or name them in public=[...]:"


@pytest.mark.parametrize(
    "dependency",
    [
        Depends(get_current_user),
        Depends(get_current_user.requiring(lambda user: True)),
        Depends(get_current_user.any_scope("read")),
        Depends(get_current_user.fresh(timedelta(minutes=5))),
        Security(get_current_user, scopes=["read"]),
    ],
)
def test_a_required_user_protects(dependency: Any) -> None:
    """Every kind of required user does, as a route's dependency and below one of the application's own."""

    def own(user: Annotated[Any, dependency]) -> Any:
        return user

    app = bare()
    app.get("/one", dependencies=[dependency])(answer)
    app.get("/two", dependencies=[Depends(own)])(answer)
    app.websocket("/three", dependencies=[Depends(own)])(answer)
    assert open_routes(app) == []


@pytest.mark.parametrize("dependency", [get_current_user.optional, get_current_user.if_valid, get_current_user.base])
def test_a_user_that_may_be_missing_does_not(dependency: Callable[..., Any]) -> None:
    """`.optional`, `.if_valid` and `.base` let strangers in."""
    app = bare()
    app.get("/hello", dependencies=[Depends(dependency)])(answer)
    assert open_routes(app) == [TITLE, "  GET /hello (answer)"]


def test_the_list_names_method_path_and_function() -> None:
    """One line for each method that is open; HEAD comes with GET and is not told."""
    app = bare()
    app.api_route("/both", methods=["GET", "POST"])(answer)
    app.websocket("/socket")(answer)
    app.add_route("/plain", lambda request: PlainTextResponse(""))
    app.get("/mine", dependencies=[Depends(get_current_user)])(answer)
    assert open_routes(app) == [
        TITLE,
        "  GET /both (answer)",
        "  POST /both (answer)",
        "  WEBSOCKET /socket (answer)",
        "  GET /plain (<lambda>)",
    ]


def test_what_is_named_may_be_open() -> None:
    """By its path for every method, or by method and path."""
    app = bare()
    app.api_route("/both", methods=["GET", "POST"])(answer)
    app.post("/items/{item_id}")(answer)
    app.websocket("/socket")(answer)
    assert open_routes(app, "/both", "POST /items/{item_id}", "WEBSOCKET /socket") == []
    assert open_routes(app, "GET /both", "/items/{item_id}", "/socket") == [TITLE, "  POST /both (answer)"]


def test_a_name_that_names_nothing_is_an_error() -> None:
    """A typo, another method, or a route that is protected by now: each would hide the next mistake."""
    app = bare()
    app.get("/health")(answer)
    app.get("/mine", dependencies=[Depends(get_current_user)])(answer)
    assert open_routes(app, "/health", "/helth", "POST /health", "/mine") == [
        "These names in public match no route:",
        "  /helth",
        "  POST /health",
        "These names in public are protected; take them out:",
        "  /mine",
    ]


def test_dependencies_of_included_routers_count() -> None:
    """Of the router, of `include_router` at any depth, and of the application; prefixes are in the path."""
    inner, middle, plain = APIRouter(prefix="/inner"), APIRouter(prefix="/middle"), APIRouter()
    inner.get("/one")(answer)
    inner.websocket("/socket")(answer)
    middle.include_router(inner)
    plain.get("/open")(answer)
    app = bare()
    app.include_router(middle, prefix="/guarded", dependencies=[Depends(get_current_user)])
    app.include_router(middle, prefix="/strange")
    app.include_router(plain, prefix="/plain")
    assert open_routes(app) == [
        TITLE,
        "  GET /strange/middle/inner/one (answer)",
        "  WEBSOCKET /strange/middle/inner/socket (answer)",
        "  GET /plain/open (answer)",
    ]
    whole = bare(dependencies=[Depends(get_current_user)])
    whole.include_router(middle)
    assert open_routes(whole) == []


def test_mounted_applications_are_looked_into(tmp_path: Any) -> None:
    """FastAPI's and Starlette's, below their middleware; of what has no routes nothing is known, so it is open."""
    sub = bare()
    sub.get("/mine", dependencies=[Depends(get_current_user)])(answer)
    sub.get("/open")(answer)
    app = bare()
    app.mount("/sub", sub)
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.mount("/wrapped", GZipMiddleware(sub))
    app.router.routes.append(Mount("/zipped", app=sub, middleware=[Middleware(GZipMiddleware)]))
    app.mount("/other", Starlette(routes=[Route("/page", HTTPEndpoint)]))
    app.router.routes.append(Mount("/plain", routes=[Route("/page", HTTPEndpoint)]))
    app.router.routes.append(Host("api.example", Router([Route("/hosted", HTTPEndpoint)])))
    included = APIRouter()
    included.mount("/deep", sub)
    app.include_router(included, dependencies=[Depends(get_current_user)])
    assert open_routes(app) == [
        TITLE,
        "  GET /sub/open (answer)",
        "  * /static (StaticFiles)",
        "  * /wrapped (GZipMiddleware)",
        "  GET /zipped/open (answer)",
        "  * /other/page (HTTPEndpoint)",
        "  * /plain/page (HTTPEndpoint)",
        "  * api.example/hosted (HTTPEndpoint)",
        *(["  GET /deep/open (answer)"] if _mounts_are_included() else []),
    ]


def _mounts_are_included() -> bool:
    """Old FastAPIs leave the mounts of an included router out."""
    router, app = APIRouter(), FastAPI()
    router.mount("/deep", bare())
    app.include_router(router)
    return any(type(route).__name__ not in ("Route", "APIRoute") for route in app.routes)


@pytest.mark.skipif(not hasattr(FastAPI, "frontend"), reason="this FastAPI has no frontend()")
def test_frontends_are_open_unless_protected(tmp_path: Any) -> None:
    """FastAPI's `frontend` keeps its routes apart; its dependencies count."""
    router = APIRouter()
    router.frontend("/pages", directory=tmp_path)  # type: ignore[attr-defined,unused-ignore]
    app = bare()
    app.include_router(router, prefix="/strange")
    app.include_router(router, prefix="/guarded", dependencies=[Depends(get_current_user)])
    app.frontend("/", directory=tmp_path)  # type: ignore[attr-defined,unused-ignore]
    assert sorted(open_routes(app)[1:]) == ["  GET / (_FrontendRoute)", "  GET /strange/pages (_FrontendRoute)"]


def test_the_docs_are_open_until_they_are_named() -> None:
    """They are routes like others; `public_docs` names those of mounted applications too, and no others."""
    app = FastAPI()
    app.mount("/sub", FastAPI())
    app.add_route("/docs/more", lambda request: PlainTextResponse(""))
    assert [line.split(" (")[0] for line in open_routes(app)[1:5]] == [
        "  GET /openapi.json",
        "  GET /docs",
        "  GET /docs/oauth2-redirect",
        "  GET /redoc",
    ]
    assert open_routes(app, public_docs=True) == [TITLE, "  GET /docs/more (<lambda>)"]
    assert open_routes(FastAPI(), "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc") == []


def test_guards_of_the_applications_own_can_be_named() -> None:
    """A dependency that this package does not know counts when it is named."""
    bearer = HTTPBearer()
    app = bare()
    app.get("/keyed", dependencies=[Depends(bearer)])(answer)
    assert open_routes(app) == [TITLE, "  GET /keyed (answer)"]
    assert open_routes(app, guards=[bearer]) == []


def test_a_route_of_the_applications_own_class() -> None:
    """A subclass of FastAPI's route is judged as one."""

    class Timed(APIRoute):
        """A route that somebody wrote."""

    router = APIRouter(route_class=Timed, dependencies=[Depends(get_current_user)])
    router.get("/timed")(answer)
    app = bare()
    app.include_router(router)
    assert open_routes(app) == []
