"""Requests to an application without a server between, each in a task of its own, with headers as clients send them."""

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["REQUESTS", "Memory", "requests_to"]

REQUESTS = 100  # in one sample, so that entering the event loop does not count

_HEADERS = [
    (b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"), (b"user-agent", b"python-httpx2/2.16"), (b"content-type", b"application/json"),
]  # fmt: skip


class Memory(io.BytesIO):
    """Where a log goes, so that no file or terminal is measured; it is emptied as it goes."""

    def write(self, data: Any) -> int:
        """Keep the last line."""
        self.seek(0)
        return super().write(data)


def requests_to(
    loop: asyncio.AbstractEventLoop,
    app: Any,
    path: str,
    *,
    method: str = "GET",
    content: bytes = b"",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Callable[[], object]:
    """Make a subject of `REQUESTS` requests, one after the other; another status than the expected one is an error."""
    seen: list[int] = []
    sent = _HEADERS + [(name.encode(), value.encode()) for name, value in (headers or {}).items()]

    async def receive() -> Any:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    async def requests() -> None:
        for _ in range(REQUESTS):
            scope = {
                "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
                "method": method, "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
                "root_path": "", "headers": sent, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
                "state": {},
            }  # fmt: skip
            await loop.create_task(app(scope, receive, send))  # as servers do

    def run() -> None:
        seen.clear()
        loop.run_until_complete(requests())
        if seen != [status] * REQUESTS:
            raise RuntimeError(f"expected {status}, got {set(seen)}")

    return run
