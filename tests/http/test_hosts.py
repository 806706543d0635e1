"""What a client is set to stays with its own host; and a client of the application's own, behind an HttpClient."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from fastapi_patterns import HttpClient
from fastapi_patterns.context import request_context
from fastapi_patterns.http._own import settings_of

SECRETS: list[dict[str, Any]] = [
    {"headers": {"Authorization": "Bearer secret"}},
    {"headers": {"X-API-Key": "secret"}},
    {"auth": ("secret", "secret")},
    {"cookies": {"session": "secret"}},
    {"params": {"key": "secret"}},
]


class Upstreams:
    """All hosts; `up` sends on to where it is told."""

    def __init__(self, location: str | None = None) -> None:
        self.asked: list[httpx2.Request] = []
        self._location = location

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        cookie = {"Set-Cookie": "session=of-ada"}
        if self._location is not None and request.url.host == "up":
            return httpx2.Response(302, headers={**cookie, "Location": self._location})
        return httpx2.Response(200, headers=cookie)

    def carried(self, number: int = -1) -> bool:
        """Tell whether a call had something that is known by its value or by what Basic makes of it."""
        request = self.asked[number]
        return "secret" in str(request.url) + str(request.headers.raw) or "authorization" in request.headers


def use(
    upstreams: Upstreams, what: Callable[[httpx2.AsyncClient], Awaitable[Any]], is_own: bool, **options: Any
) -> Any:
    """Do something with a client for `https://up`: an HttpClient, or a client of the application's own behind one."""

    async def main() -> Any:
        settings = {"base_url": "https://up", "transport": httpx2.MockTransport(upstreams), **options}
        if not is_own:
            async with HttpClient(**settings) as upstream:
                return await what(await upstream.client())
        async with httpx2.AsyncClient(**settings) as own, HttpClient(client=own) as upstream:
            return await what(await upstream.client())

    return asyncio.run(main())


@pytest.mark.parametrize("is_own", [False, True])
@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("url", ["https://elsewhere/", "http://up/", "https://up:8443/", "https://up.elsewhere/"])
def test_credentials_stay_with_their_host(secret: dict[str, Any], url: str, is_own: bool) -> None:
    """Headers, authentication, cookies and parameters do not go along to another scheme, host or port."""
    upstreams = Upstreams()

    async def calls(client: httpx2.AsyncClient) -> None:
        for own in ("/", "https://up/", "https://up:443/"):
            await client.get(own)
            assert upstreams.carried(), own
        await client.get(url)
        assert not upstreams.carried()
        async with client.stream("GET", url):
            assert not upstreams.carried()
        await client.send(httpx2.Request("GET", url))
        assert not upstreams.carried()

    use(upstreams, calls, is_own, **secret)


@pytest.mark.parametrize("is_own", [False, True])
def test_what_a_call_says_goes_where_it_says(is_own: bool) -> None:
    """Credentials of the call's own are sent to another host, and win over the client's at its own; so do bodies."""
    upstreams = Upstreams()

    async def calls(client: httpx2.AsyncClient) -> None:
        for url in ("/", "https://elsewhere/"):
            await client.post(url, auth=("a", "b"), params={"page": 2}, headers={"X-Own": "1"}, json={"a": 1})

    use(upstreams, calls, is_own, auth=("secret", "secret"), params={"key": "secret"})
    own, other = upstreams.asked
    assert str(own.url) == "https://up/?key=secret&page=2"
    assert str(other.url) == "https://elsewhere/?page=2"
    for request in (own, other):
        assert request.headers["Authorization"] == "Basic YTpi"
        assert request.headers["X-Own"] == "1"
        assert request.content == b'{"a":1}'


@pytest.mark.parametrize("is_own", [False, True])
def test_the_time_for_another_host_is_the_same(is_own: bool) -> None:
    """It is no setting that would be a secret."""
    upstreams = Upstreams()
    use(upstreams, lambda client: client.get("https://elsewhere/"), is_own, timeout=2.5)
    assert set(upstreams.asked[0].extensions["timeout"].values()) == {2.5}


def test_without_a_base_url_all_hosts_are_its_own() -> None:
    """There is none to compare with."""
    upstreams = Upstreams()
    headers = {"X-API-Key": "secret"}
    use(upstreams, lambda client: client.get("https://elsewhere/"), False, base_url="", headers=headers)
    assert upstreams.carried()


@pytest.mark.parametrize(("location", "carried"), [("https://elsewhere/", False), ("https://up.internal/", True)])
def test_a_redirect_that_is_wanted_takes_no_id_along(location: str, carried: bool) -> None:
    """The id of the request stays with the hosts that are trusted; one that the call brought itself is the call's."""
    upstreams = Upstreams(location)

    async def calls(client: httpx2.AsyncClient) -> None:
        with request_context("request-1"):
            await client.get("/")
            await client.get("/", headers={"X-Request-ID": "own"})

    trusted = ["up", "up.internal"]
    use(upstreams, calls, False, follow_redirects=True, trusted_hosts=trusted)
    shown = [request.headers.get("X-Request-ID") for request in upstreams.asked]
    assert shown == ["request-1", "request-1" if carried else None, "own", "own"]


@pytest.mark.parametrize("follows", [False, True])
def test_redirects_of_a_client_of_ones_own_are_as_it_is_set(follows: bool) -> None:
    """And a call's own word wins."""
    upstreams = Upstreams("https://elsewhere/")

    async def calls(client: httpx2.AsyncClient) -> list[int]:
        answers = [await client.get("/"), await client.get("/", follow_redirects=not follows)]
        return [answer.status_code for answer in answers]

    expected = [200, 302] if follows else [302, 200]
    assert use(upstreams, calls, True, follow_redirects=follows) == expected


@pytest.mark.parametrize("is_own", [False, True])
def test_cookies_of_responses_are_not_kept(is_own: bool) -> None:
    """Not in a redirect either, nor from the jar of a client of the application's own."""
    upstreams = Upstreams("https://up.internal/")

    async def calls(client: httpx2.AsyncClient) -> None:
        for _ in range(2):
            await client.get("/")

    use(upstreams, calls, is_own, follow_redirects=True, cookies={"own": "1"})
    assert len(upstreams.asked) == 4
    assert "of-ada" not in str([request.headers.get("cookie") for request in upstreams.asked])


def test_settings_of_a_client_are_all_that_a_call_is_built_from() -> None:
    """What an `httpx2.AsyncClient` shows of itself is taken over, or is its transport's."""
    own = httpx2.AsyncClient()
    shown = {name for name in dir(own) if not name.startswith("_") and not callable(getattr(own, name))}
    assert shown - set(settings_of(own)) <= {"event_hooks", "is_closed"}


def test_a_response_can_be_kept() -> None:
    """In a cache, for example."""
    response = use(Upstreams(), lambda client: client.get("/"), False)
    assert pickle.loads(pickle.dumps(response)).status_code == 200
