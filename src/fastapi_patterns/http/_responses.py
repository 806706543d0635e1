"""Responses whose bodies are bounded, in size and in time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx2

from fastapi_patterns.http.failures import CallDeadlineError, NotJSONError, ResponseTooLargeError

__all__ = ["BoundedResponse", "DeadlineStream", "bound"]

Note = Callable[[httpx2.Response | BaseException], None]


class BoundedResponse(httpx2.Response):
    """A response that gives up on a body which is too long."""

    _max_bytes: int
    _note: Note | None = None  # where it is streamed: the call ends with its body

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """Iterate over the decoded body; what is counted is what it takes in memory."""
        seen = 0
        async for chunk in super().aiter_bytes(chunk_size):
            seen += len(chunk)
            if seen > self._max_bytes:
                error = ResponseTooLargeError(f"the body has more than {self._max_bytes} bytes", request=self.request)
                if self._note is not None:
                    self._note(error)
                await self.aclose()
                raise error
            yield chunk

    def json(self, **kwargs: Any) -> Any:
        """Read the body as JSON.

        Raises:
            NotJSONError: It is none.
        """
        try:
            return super().json(**kwargs)
        except (ValueError, RecursionError) as error:
            # A JSONDecodeError, bytes in no encoding, or arrays nested without end: the upstream's mistake, each.
            broken = NotJSONError("the body is not JSON", "", getattr(error, "pos", 0))
            broken.request = self.request
            raise broken from None  # the cause holds the body, which may be personal data


def bound(response: httpx2.Response, max_bytes: int) -> BoundedResponse:
    """Make a response of a client a bounded one: a client has no option for the class of its responses."""
    response.__class__ = BoundedResponse
    bounded: Any = response
    bounded._max_bytes = max_bytes
    return bounded  # type: ignore[no-any-return]


class DeadlineStream(httpx2.AsyncByteStream):
    """A body that is streamed, and has to be read before a deadline; the call ends with it.

    Args:
        response: Whose body it is.
        stream: The body.
        deadline: In the event loop's time.
        note: Gets the outcome of the call.
    """

    def __init__(self, response: httpx2.Response, stream: httpx2.AsyncByteStream, deadline: float, note: Note) -> None:
        self._response = response
        self._stream = stream
        self._deadline = deadline
        self._note = note

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._stream)
        while True:
            timeout = asyncio.timeout_at(self._deadline)
            try:
                async with timeout:
                    chunk = await anext(chunks, None)
            except BaseException as error:
                if not (isinstance(error, TimeoutError) and timeout.expired()):
                    self._note(error)
                    raise
                late = CallDeadlineError("the body took too long", request=self._response.request)
                self._note(late)
                await self.aclose()
                raise late from None
            if chunk is None:
                return
            yield chunk

    async def aclose(self) -> None:
        """Close the body, and give its connection back."""
        self._note(self._response)
        await self._stream.aclose()
