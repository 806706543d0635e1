"""`mock_http`: what the application asks of other services in a test, answered without a network.

The transports of httpx2, and of httpx where it is installed, are replaced for the test: the one place that every client
passes which would reach the network, whoever made it and when.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

if TYPE_CHECKING:
    import httpx2

    from fastapi_patterns.testing._answers import Asked, Reply
    from fastapi_patterns.testing._patterns import Pattern

__all__ = ["MockHttp", "OutgoingCall", "mock_http"]


@dataclass(frozen=True, slots=True, repr=False)
class OutgoingCall:
    """A call that the application made.

    Attributes:
        method: In capitals.
        url: The whole URL, with its query.
        headers: As they were sent.
        content: The body.
    """

    method: str
    url: "httpx2.URL"
    headers: "httpx2.Headers"
    content: bytes

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.content)

    def __str__(self) -> str:
        from fastapi_patterns.testing._patterns import shown_url

        return f"{self.method} {shown_url(self.url)}"

    def __repr__(self) -> str:
        return f"OutgoingCall({self})"


@dataclass
class _Answer:
    pattern: "Pattern"
    reply: "Reply"
    optional: bool
    given: int = 0


class MockHttp:
    """The other services of one test; the fixture `mock_http` is one.

    Attributes:
        calls: The application's calls in their order, those that had no answer too.
    """

    def __init__(self) -> None:
        self.calls: list[OutgoingCall] = []
        self._answers: list[_Answer] = []
        self._unmatched: list[str] = []
        self._lock = threading.Lock()  # routes call from several threads

    def add(
        self,
        method: str,
        url: str | re.Pattern[str],
        *,
        params: Mapping[str, Any] | None = None,
        status: int = 200,
        json: Any = ...,
        text: str | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        exception: Exception | type[Exception] | None = None,
        handler: Callable[[Any], Any] | None = None,
        optional: bool = False,
    ) -> None:
        """Say what a call gets: a response, an exception, or what a function returns.

        Of the answers for a call the first that was not given yet is taken, and when all were, the last one again: two
        answers for the same call are given in turn, and the second from then on.

        Args:
            method: Such as `"GET"`.
            url: The whole URL. Its query is compared when it has one, in any order, and else may be anything. Or a
                compiled regular expression, which must match from the beginning of the URL.
            params: What the query must hold, beside what else it has.
            status: Of the response.
            json: A body to write as JSON; None is `null`.
            text: A body of text.
            content: A body of bytes.
            headers: Of the response; a list of pairs for several of one name.
            exception: Raised instead, by its class or an instance. One of httpx2's reaches a client of plain httpx as
                the one of the same name there.
            handler: Gets the request and returns an `httpx2.Response`; may be async for async clients.
            optional: Whether the test passes when it is never called.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: The arguments contradict each other, or no call can match.
        """
        from fastapi_patterns.testing._answers import failure, from_handler, written
        from fastapi_patterns.testing._patterns import Pattern

        pattern = Pattern(method, url, params)
        body = {name: value for name, value in (("text", text), ("content", content)) if value is not None}
        if json is not ...:
            body["json"] = json
        reply = written(status, headers, body)
        if exception is not None or handler is not None:
            if (exception is not None and handler is not None) or body or headers is not None or status != 200:
                raise ValueError("pass an exception, or a handler, or what the response has: only one of the three")
            reply = failure(exception) if handler is None else from_handler(handler)
        self._answers.append(_Answer(pattern, reply, optional))

    def _answer(self, asked: "Asked") -> Any:
        """Answer a request that a transport was to send."""
        import httpx2

        request = asked.request
        url, headers = httpx2.URL(str(request.url)), httpx2.Headers(request.headers.raw)
        call = OutgoingCall(request.method, url, headers, request.content)
        with self._lock:
            self.calls.append(call)
            found = [answer for answer in self._answers if answer.pattern.matches(call.method, url)]
            if not found:
                self._unmatched.append(str(call))
                raise AssertionError(f"mock_http has no answer for {call}. {self._added()}")
            answer = next((each for each in found if not each.given), found[-1])
            answer.given += 1
        return answer.reply(asked)

    def _check(self) -> None:
        """Fail the test over calls without an answer and answers without a call."""
        __tracebackhide__ = True
        never = [str(each.pattern) for each in self._answers if not each.given and not each.optional]
        problems = []
        if self._unmatched:
            problems += ["The application made calls that mock_http has no answer for:", *_lines(self._unmatched)]
            problems.append(self._added())
        if never:
            problems += ["These answers of mock_http were never asked for; optional=True allows that:", *_lines(never)]
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)

    def _added(self) -> str:
        if not self._answers:
            return "Nothing was added: mock_http.add('GET', 'https://...', json=...)"
        return "\n".join(["These were added:", *_lines(str(answer.pattern) for answer in self._answers)])


@pytest.fixture
def mock_http(fastapi_app: FastAPI) -> Iterator[MockHttp]:
    """Answer outgoing calls: `mock_http.add("GET", "https://api.example/users/7", json={...})`.

    It is there before the test's other fixtures and goes after them, so the application's start-up and shutdown are
    inside. A call without an answer fails the test, and so does an answer without a call.
    """
    if find_spec("httpx2") is None:
        pytest.fail("mock_http needs httpx2: pip install 'fastapi-patterns[testing]'", pytrace=False)
    mocked = MockHttp()
    with _instead_of_the_network(mocked):
        yield mocked
    mocked._check()


@contextmanager
def _instead_of_the_network(mocked: MockHttp) -> Iterator[None]:
    # The application is imported by now, and may have made `httpx` another name for httpx2.
    families = [import_module(name) for name in ("httpx2", "httpx") if find_spec(name) is not None]
    with pytest.MonkeyPatch.context() as patch:
        for family in {family.__name__: family for family in families}.values():
            _replace_transports(patch, family, mocked)
        from fastapi_patterns.http.client import _Client

        patch.setattr(_Client, "waits", False)
        yield


def _replace_transports(patch: pytest.MonkeyPatch, family: ModuleType, mocked: MockHttp) -> None:
    from fastapi_patterns.testing._answers import Asked
    from fastapi_patterns.testing._direct import DirectTransport

    send = family.HTTPTransport.handle_request

    def handle_request(self: Any, request: Any) -> Any:
        if isinstance(self, DirectTransport):
            return send(self, request)
        mock = family.MockTransport(lambda request: mocked._answer(Asked(request, family, is_async=False)))
        return mock.handle_request(request)

    async def handle_async_request(self: Any, request: Any) -> Any:
        mock = family.MockTransport(lambda request: mocked._answer(Asked(request, family, is_async=True)))
        return await mock.handle_async_request(request)

    patch.setattr(family.HTTPTransport, "handle_request", handle_request)
    patch.setattr(family.AsyncHTTPTransport, "handle_async_request", handle_async_request)


def _lines(found: Any) -> list[str]:
    return [f"  {each}" for each in found]
