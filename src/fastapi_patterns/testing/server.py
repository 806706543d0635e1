"""`uvicorn_server` and `uvicorn_client`: a real server, for what a client without one hides."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from fastapi_patterns.testing._config import serves_in_process
from fastapi_patterns.testing.clients import only_server

if TYPE_CHECKING:
    import subprocess

    import httpx2

    from fastapi_patterns.testing._server_process import ServerProcess
    from fastapi_patterns.testing._watch import Watch
    from fastapi_patterns.testing.isolation import Isolation

__all__ = ["UvicornServer", "uvicorn_client", "uvicorn_server"]


class UvicornServer:
    """A server that serves the application; the fixture `uvicorn_server` is one.

    Attributes:
        url: Such as `http://127.0.0.1:41234`.
    """

    def __init__(self, url: str, in_process: "ServerProcess | None" = None) -> None:
        self.url = url
        self._in_process = in_process

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The server's process, for signals and its exit code; there is one with the marker alone."""
        return self._own("process").popen

    @property
    def log(self) -> str:
        """What the server's process has written so far; a thread's log is the test's own, in `caplog`."""
        return self._own("log").log()

    def kill(self) -> None:
        """End the server's process at once, as a crash or a power failure does."""
        self._own("kill()").kill()

    def _own(self, name: str) -> "ServerProcess":
        __tracebackhide__ = True
        if self._in_process is None:
            pytest.fail(
                f"uvicorn_server.{name} is for a server in a process of its own: mark the test with "
                "@pytest.mark.fastapi(server='process')",
                pytrace=False,
            )
        return self._in_process


@pytest.fixture
def uvicorn_server(
    request: pytest.FixtureRequest,
    fastapi_app: FastAPI,
    _fastapi_databases: Any,
    _fastapi_isolation: "Isolation | None",
    _fastapi_watch: "Watch | None",
) -> Iterator[UvicornServer]:
    """Serve the application with uvicorn on a free port of 127.0.0.1, its lifespan running, until the test ends.

    It is a thread of the test, or a process with `@pytest.mark.fastapi(server="process")`. A test that uses it commits
    for good, as with `db_committed`: requests come at the same time, on connections of their own.
    """
    if find_spec("uvicorn") is None:
        pytest.fail("uvicorn_server needs uvicorn: pip install uvicorn", pytrace=False)
    if serves_in_process(request):
        from fastapi_patterns.testing._server_process import serve_in_process

        databases = None if _fastapi_databases is None else _fastapi_databases[0]
        with serve_in_process(request.config, databases) as (url, process):
            yield UvicornServer(url, process)
        return
    from fastapi_patterns.testing._server_thread import serve_in_thread

    served = fastapi_app if _fastapi_isolation is None else _fastapi_isolation.serving(fastapi_app)
    with only_server(fastapi_app, "uvicorn_server"), serve_in_thread(served, _fastapi_watch) as url:
        yield UvicornServer(url)


@pytest.fixture
def uvicorn_client(uvicorn_server: UvicornServer) -> "Iterator[httpx2.Client]":
    """An `httpx2.Client` for `uvicorn_server`, with a real connection; `mock_http` leaves it alone.

    Cookies that are Secure come back although the scheme is http, as they do in browsers on a loopback address.
    """
    import httpx2

    from fastapi_patterns.testing._direct import direct_transport

    with httpx2.Client(base_url=uvicorn_server.url, transport=direct_transport(), trust_env=False) as client:

        def keep_secure_cookies(_response: httpx2.Response) -> None:
            for cookie in client.cookies.jar:
                cookie.secure = False  # a policy of the jar's own would not do: httpx2 copies jars without it

        client.event_hooks["response"].append(keep_secure_cookies)
        yield client
