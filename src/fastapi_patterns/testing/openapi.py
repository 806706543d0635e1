"""`openapi_schema`: the application's OpenAPI document as schemathesis takes it, inside the test's transaction."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING

import anyio
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from fastapi_patterns._compat import keep_private_node_id
from fastapi_patterns.exceptions import PatternsError

if TYPE_CHECKING:
    from schemathesis.schemas import BaseSchema

    from fastapi_patterns.testing.clients import Client

__all__ = ["openapi_schema"]


@pytest.fixture
def openapi_schema(request: pytest.FixtureRequest, fastapi_app: FastAPI, _fastapi_client: "Client") -> "BaseSchema":
    """The application's API for schemathesis: `schema = schemathesis.pytest.from_fixture("openapi_schema")`.

    What the generated requests write is rolled back after the test. The document need not be served.
    """
    try:
        from schemathesis.openapi import from_dict
    except ImportError:
        pytest.fail("the openapi_schema fixture needs schemathesis 4: pip install 'schemathesis>=4'", pytrace=False)
    keep_private_node_id(request.node)
    schema = from_dict(deepcopy(fastapi_app.openapi()))
    schema.app = _InClientsLoop(_fastapi_client)
    if (allow := getattr(schema.config.checks, "allow_header_conformance", None)) is not None:
        # Starlette's 405 names the methods of one route, although the path may have more: no fault of the application.
        allow.enabled = False
    return schema


class _InClientsLoop:
    """The application for a caller in another event loop: schemathesis has one of its own.

    The test's lifespan, databases and background tasks live in the loop of the client.

    Args:
        client: The client of the test.
    """

    def __init__(self, client: "Client") -> None:
        self.app = client.app  # where schemathesis looks for constants that the code compares with
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # the client has begun the lifespan
        if self._client.portal is None:
            raise PatternsError("The client of the test is closed: use openapi_schema in the test that asked for it.")
        loop, answer = asyncio.get_running_loop(), asyncio.Queue[Message | None]()

        def tell(message: Message | None) -> None:
            loop.call_soon_threadsafe(answer.put_nowait, message)

        body = await _body(receive)
        serving = self._client.portal.start_task_soon(self._serve, scope, body, tell)
        serving.add_done_callback(lambda _: tell(None))
        try:
            while (message := await answer.get()) is not None:
                await send(message)
        finally:
            serving.cancel()  # schemathesis has read enough of an endless stream
        serving.result()

    async def _serve(self, scope: Scope, body: bytes, tell: Callable[[Message], None]) -> None:
        unread, answered = [body], anyio.Event()

        async def receive() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            tell(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answered.set()

        await self._client.serve({**scope, "state": dict(self._client.app_state)}, receive, send)


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body
