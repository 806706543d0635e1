"""HttpClient: one client with the application's life, and failures that become the right answer."""

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import ConfigurationError, HttpClient, PatternsError, install_stack

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def failing(error: Callable[[httpx2.Request], Exception]) -> httpx2.MockTransport:
    """An upstream that fails like this."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error(request)

    return httpx2.MockTransport(answer)


def answering(status: int, **headers: str) -> httpx2.MockTransport:
    """An upstream that answers like this."""
    return httpx2.MockTransport(lambda request: httpx2.Response(status, headers=headers, json={"upstream": "secret"}))


def saying(body: bytes, **headers: str) -> httpx2.MockTransport:
    """An upstream that answers 200 with these bytes."""
    return httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=body))


def answer_with(upstream: HttpClient) -> Any:
    """What our client gets when a route calls this upstream."""
    app = FastAPI()
    install_stack(app, resources=[upstream])

    @app.get("/")
    async def route(client: Annotated[httpx2.AsyncClient, Depends(upstream.client)]) -> Any:
        response = await client.get("thing", params={"token": "secret"})
        response.raise_for_status()
        return response.json()

    with TestClient(app) as client:
        return client.get("/")


def test_an_answer_is_passed_on() -> None:
    """The route has the shared client, with the upstream's base URL."""
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return httpx2.Response(200, json={"fine": True})

    ours = answer_with(HttpClient("http://upstream.example/v1/", transport=httpx2.MockTransport(answer)))
    assert ours.json() == {"fine": True}
    assert seen == ["http://upstream.example/v1/thing?token=secret"]


@pytest.mark.parametrize(
    ("transport", "status", "error"),
    [
        (failing(lambda r: httpx2.ConnectTimeout("secret", request=r)), 504, "Another service did not answer in time"),
        (failing(lambda r: httpx2.ReadTimeout("secret", request=r)), 504, "Another service did not answer in time"),
        (failing(lambda r: httpx2.PoolTimeout("secret", request=r)), 503, "Too many calls to another service"),
        (failing(lambda r: httpx2.ConnectError("secret", request=r)), 502, "Another service failed"),
        (failing(lambda r: httpx2.RemoteProtocolError("secret", request=r)), 502, "Another service failed"),
        (failing(lambda r: httpx2.DecodingError("secret", request=r)), 502, "Another service failed"),
        (answering(500), 502, "Another service failed"),
        (answering(401), 502, "Another service failed"),
        (answering(404), 502, "Another service failed"),
        (saying(b"<html>Sign in to the secret network</html>"), 502, "Another service failed"),
        (saying(b""), 502, "Another service failed"),
        (saying(b'{"secret": "'), 502, "Another service failed"),
        (saying(b'"secret \xff"'), 502, "Another service failed"),
        (saying(b"[" * 100_000), 502, "Another service failed"),
        (saying(b"secret", **{"content-encoding": "gzip"}), 502, "Another service failed"),
        (answering(302, location="http://169.254.169.254/"), 502, "Another service failed"),
    ],
)
def test_a_failure_of_theirs_is_no_500_of_ours(transport: httpx2.MockTransport, status: int, error: str) -> None:
    """Timeouts 504, no free connection 503, the rest 502, a body that is no JSON too; nothing is forwarded."""
    answer = answer_with(HttpClient("http://upstream.example", transport=transport))
    assert answer.status_code == status
    assert answer.json() == {"error": error}
    assert "www-authenticate" not in answer.headers
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


def test_a_body_that_is_no_json_is_a_decoding_error() -> None:
    """It is httpx2's failure with its request, and what code on httpx catches today; the body is not in it."""

    async def read() -> None:
        async with HttpClient("http://upstream.example", transport=saying(b"secret")) as upstream:
            response = await (await upstream.client()).get("thing")
            with pytest.raises(httpx2.DecodingError, match="the body is not JSON") as caught:
                response.json()
            assert isinstance(caught.value, json.JSONDecodeError)
            assert caught.value.request is response.request
            assert caught.value.__suppress_context__
            assert "secret" not in repr(vars(caught.value))

    asyncio.run(read())


def test_an_own_jsondecodeerror_stays_a_500() -> None:
    """A mistake of the application's own is not blamed on the upstream."""
    app = FastAPI()
    install_stack(app, resources=[HttpClient("http://upstream.example", transport=saying(b"{}"))])

    @app.get("/")
    async def route() -> Any:
        return json.loads("not JSON")

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/").status_code == 500


def test_it_lives_with_the_application() -> None:
    """One client while it is open, a clear error before and after, and a new one the next time."""
    upstream = HttpClient("http://upstream.example")

    async def life() -> httpx2.AsyncClient:
        with pytest.raises(PatternsError, match=r"not open. Pass it to install_stack\(app, resources="):
            await upstream.client()
        async with upstream:
            opened = await upstream.client()
            assert await upstream.client() is opened
            with pytest.raises(PatternsError, match="open already"):
                await upstream.__aenter__()
        assert opened.is_closed
        with pytest.raises(PatternsError, match="not open"):
            await upstream.client()
        await upstream.__aexit__()
        return opened

    assert asyncio.run(life()) is not asyncio.run(life())


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
def test_a_timeout_is_a_time(timeout_s: float) -> None:
    """There is no waiting for ever."""
    with pytest.raises(ConfigurationError, match="timeout_s must be a positive, finite number"):
        HttpClient(timeout_s=timeout_s)


def test_every_timeout_is_set() -> None:
    """Connecting, writing, reading and waiting for a connection all end."""

    async def timeouts() -> httpx2.Timeout:
        async with HttpClient(timeout_s=2) as upstream:
            return (await upstream.client()).timeout

    assert set(asyncio.run(timeouts()).as_dict().values()) == {2}


def test_the_wait_for_a_connection_ends_before_the_deadline() -> None:
    """Too many calls are 503, whatever the deadline is; a deadline that passes would be 504."""

    async def timeouts() -> httpx2.Timeout:
        async with HttpClient(timeout_s=5, deadline_s=3) as upstream:
            return (await upstream.client()).timeout

    assert asyncio.run(timeouts()).as_dict() == {"connect": 5, "read": 5, "write": 5, "pool": 1.5}


def test_a_repr_hides_the_password() -> None:
    """A base URL may hold credentials; a repr ends in logs."""
    shown = repr(HttpClient("http://user:pass-word@upstream.example/"))
    assert "upstream.example" in shown
    assert "pass-word" not in shown


@pytest.mark.parametrize(
    ("options", "url", "own", "sent"),
    [
        ({"trusted_hosts": ["UP"]}, "/", {}, {"x-request-id": "request-1", "traceparent": TRACEPARENT}),
        (
            {"trusted_hosts": ["up"], "request_id_header": "X-Trace"},
            "/",
            {},
            {"x-trace": "request-1", "traceparent": TRACEPARENT},
        ),
        (
            {"trusted_hosts": ["up"]},
            "/",
            {"X-Request-ID": "own", "traceparent": "own"},
            {"x-request-id": "own", "traceparent": "own"},
        ),
        ({}, "/", {}, {}),
        ({"trusted_hosts": ["up"]}, "http://elsewhere/", {}, {}),
        ({"trusted_hosts": ["p"]}, "/", {}, {}),
    ],
)
def test_the_request_at_hand_goes_along(
    options: dict[str, Any], url: str, own: dict[str, str], sent: dict[str, str]
) -> None:
    """Its id and its trace are handed to hosts that are trusted, and to no other; a call's own headers win."""
    seen: list[httpx2.Headers] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers)
        return httpx2.Response(200)

    upstream = HttpClient("http://up", transport=httpx2.MockTransport(answer), **options)
    app = FastAPI()
    install_stack(app, resources=[upstream])

    @app.get("/")
    async def route(client: Annotated[httpx2.AsyncClient, Depends(upstream.client)]) -> None:
        await client.get(url, headers=own)

    with TestClient(app) as client:
        client.get("/", headers={"X-Request-ID": "request-1", "traceparent": TRACEPARENT})
    found = {name: seen[0].get(name) for name in ("x-request-id", "x-trace", "traceparent")}
    assert {name: value for name, value in found.items() if value is not None} == sent


def test_outside_a_request_nothing_goes_along() -> None:
    """A task or a script without a request sends no id."""
    seen: list[httpx2.Headers] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers)
        return httpx2.Response(200)

    async def call() -> None:
        options = {"trusted_hosts": ["up"], "transport": httpx2.MockTransport(answer)}
        async with HttpClient("http://up", **options) as upstream:  # type: ignore[arg-type]
            await (await upstream.client()).get("/")

    asyncio.run(call())
    assert "x-request-id" not in seen[0]
