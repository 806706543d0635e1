"""The seams to other versions: route templates and kinds of callables."""

import functools
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns._compat import is_async_callable, route_template


async def _coroutine() -> None: ...


def _function() -> None: ...


class _AsyncCall:
    async def __call__(self) -> None: ...


class _Call:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("call", "is_async"),
    [
        (_coroutine, True),
        (_function, False),
        (functools.partial(_coroutine), True),
        (functools.partial(functools.partial(_coroutine)), True),
        (functools.partial(_function), False),
        (_AsyncCall(), True),
        (_Call(), False),
        (_AsyncCall, False),
        (print, False),
    ],
)
def test_is_async_callable(call: Any, is_async: bool) -> None:
    """What gives an awaitable when it is called is recognised, whatever it is wrapped in."""
    assert is_async_callable(call) is is_async


class _Witness:
    """Reads the template after the application ran."""

    def __init__(self, app: Any, seen: list[str | None]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        root = scope.get("root_path", "")
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            self.seen.append(route_template(scope, root))


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/plain/7", "/plain/{item_id}"),
        ("/api/v1/items/7", "/api/v1/items/{item_id}"),
        ("/mounted/deep/7", "/mounted/deep/{item_id}"),
        ("/nothing/here", None),
    ],
)
def test_the_template_has_every_prefix(path: str, template: str | None) -> None:
    """Plain, included and mounted routes show their whole template; no route, no template."""
    app, router, mounted = FastAPI(), APIRouter(prefix="/v1"), FastAPI()
    for owner, pattern in ((app, "/plain/{item_id}"), (router, "/items/{item_id}"), (mounted, "/deep/{item_id}")):

        @owner.get(pattern)  # type: ignore[attr-defined, untyped-decorator]
        def item(item_id: int) -> int:
            return item_id

    app.include_router(router, prefix="/api")
    app.mount("/mounted", mounted)
    seen: list[str | None] = []
    TestClient(_Witness(app, seen)).get(path)
    assert seen == [template]
