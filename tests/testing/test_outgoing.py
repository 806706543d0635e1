"""`mock_http`, in projects of its own: which calls it reaches, what they get, and which tests it fails."""

import http.server
import threading
from collections.abc import Iterator

import httpx2
import pytest
from starlette import testclient

from tests.testing.test_plugin import INI, configure

APP = """
from contextlib import asynccontextmanager
from typing import Annotated, Any
import httpx2
from fastapi import Depends, FastAPI
from fastapi_patterns import HttpClient, PendingTasks, TaskQueue, install_stack

shared = httpx2.Client()  # made before any test
weather = HttpClient("https://weather.example/v1/", retries=0, trusted_hosts=["weather.example", "shop.example"])
own_transport = httpx2.MockTransport(lambda request: httpx2.Response(200, text="own"))
own = HttpClient("https://own.example", transport=own_transport)
WeatherDep = Annotated[httpx2.AsyncClient, Depends(weather.client)]
queue = TaskQueue()

@asynccontextmanager
async def lifespan(app):
    if at_start is not None:
        await (await weather.client()).get(at_start)
    yield
    if at_start is not None:
        await (await weather.client()).get("bye")

at_start = None
app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[weather, own, queue])

@app.get("/shared")
def by_shared() -> str:
    return shared.get("https://api.example/users/7").text

@app.get("/once")
def by_once() -> str:
    return httpx2.get("https://api.example/users/7").text

@app.get("/async")
async def by_async() -> str:
    async with httpx2.AsyncClient() as client:
        return (await client.get("https://api.example/users/7")).text

@app.get("/own")
async def by_own() -> str:
    return (await (await own.client()).get("/")).text

@app.get("/forecast")
async def forecast(client: WeatherDep, city: str = "Paris") -> Any:
    response = await client.get("forecast", params={"city": city})
    response.raise_for_status()
    return response.json()

@app.post("/orders")
async def order(client: WeatherDep) -> Any:
    return (await client.post("https://shop.example/orders", json={"id": 7}, headers={"X-Key": "k"})).status_code

@app.get("/careless")
def careless() -> str:
    try:
        httpx2.get("https://user:hunter2@api.example/users?token=hunter3&page=2").raise_for_status()
    except Exception:
        return "all is well"

@app.get("/later")
async def later(tasks: Annotated[PendingTasks, Depends(queue.pending)]) -> None:
    tasks.add_task(by_once)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose application calls others in all ways."""
    pytester.makepyfile(shop=APP)
    configure(pytester)
    return pytester


REACHED = """
import httpx2
import pytest
from starlette import testclient
import shop
from fastapi.testclient import TestClient
from fastapi_patterns import HttpClient

USER = "https://api.example/users/7"

@pytest.mark.parametrize("path", ["/shared", "/once", "/async"])
def test_every_client(client, mock_http, path):
    mock_http.add("GET", USER, text="ada")
    assert client.get(path).json() == "ada"
    assert [(call.method, call.url) for call in mock_http.calls] == [("GET", USER)]

def test_the_shared_client(client, mock_http):
    mock_http.add("POST", "https://shop.example/orders", status=201)
    answer = client.post("/orders")
    assert answer.json() == 201
    call, = mock_http.calls
    assert call.json() == {"id": 7}
    assert call.content == b'{"id":7}'
    assert call.headers["x-key"] == "k"
    assert call.headers["X-Request-ID"] == answer.headers["X-Request-ID"]
    assert repr(call) == "OutgoingCall(POST https://shop.example/orders)"

def test_tasks(client, mock_http):
    mock_http.add("GET", USER, text="ada")
    client.get("/later")
    assert len(mock_http.calls) == 1

def test_what_is_the_tests_or_has_its_own_transport_is_left_alone(client, mock_http, fastapi_app):
    assert client.get("/own").json() == "own"
    assert TestClient(fastapi_app).get("/openapi.json").status_code == 200
    async def ask():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(fastapi_app), base_url="http://test") as inside:
            return (await inside.get("/own")).text
    assert client.portal.call(ask) == '"own"'
    assert mock_http.calls == []

def test_start_up_and_shutdown_are_inside(client_that_starts, mock_http):
    assert [str(call.url) for call in mock_http.calls] == ["https://weather.example/v1/hello"]

@pytest.fixture
def client_that_starts(monkeypatch, request, fastapi_app, mock_http):
    monkeypatch.setattr(shop, "at_start", "hello")
    mock_http.add("GET", "https://weather.example/v1/hello")
    mock_http.add("GET", "https://weather.example/v1/bye")
    return request.getfixturevalue("client")

def test_afterwards_everything_is_as_it_was():
    assert httpx2.HTTPTransport.handle_request.__module__.startswith("httpx2")
    assert httpx2.AsyncHTTPTransport.handle_async_request.__module__.startswith("httpx2")
"""


@pytest.mark.parametrize("addopts", ["", "-n 2"])
def test_it_reaches_every_outgoing_call(project: pytest.Pytester, addopts: str) -> None:
    """Clients made at import, in a route and by HttpClient, tasks, start-up and shutdown; never the test's own."""
    configure(project, addopts=addopts)
    project.makepyfile(test_it=REACHED)
    project.runpytest_subprocess().assert_outcomes(passed=8)


def test_it_is_there_before_other_fixtures(project: pytest.Pytester) -> None:
    """Start-up and shutdown are answered, in whatever order the test names the fixtures."""
    project.makeconftest(
        """
        import pytest

        @pytest.fixture
        def own_client(request):
            import httpx2
            assert "httpx2" not in httpx2.HTTPTransport.handle_request.__module__
            yield
            assert "httpx2" not in httpx2.HTTPTransport.handle_request.__module__
        """
    )
    project.makepyfile(test_it="def test_it(own_client, client, mock_http): ...")
    project.runpytest_subprocess().assert_outcomes(passed=1)


ANSWERS = """
import re
import httpx2
import pytest
from starlette import testclient

USERS = "https://api.example/users"

@pytest.fixture(params=["get", "stream"])
def ask(request):
    def by_get(url, **options):
        return httpx2.get(url, **options)
    def by_stream(url, **options):
        with httpx2.stream("GET", url, **options) as response:
            response.read()
        return response
    return by_get if request.param == "get" else by_stream

def test_bodies(mock_http, ask):
    mock_http.add("get", USERS, json={"id": 7}, status=201, headers={"X-A": "1"})
    response = ask(USERS)
    assert (response.status_code, response.json(), response.headers["X-A"]) == (201, {"id": 7}, "1")
    assert response.headers["Content-Type"] == "application/json"
    assert response.elapsed.total_seconds() >= 0
    assert (response.http_version, response.reason_phrase) == ("HTTP/1.1", "Created")
    mock_http.add("GET", USERS, text="Zo\\u00eb")
    assert (ask(USERS).text, ask(USERS).headers["Content-Type"]) == ("Zo\\u00eb", "text/plain; charset=utf-8")
    mock_http.add("GET", USERS, content=b"\\x00", headers={"Content-Type": "image/png"})
    assert (ask(USERS).content, ask(USERS).headers["Content-Type"]) == (b"\\x00", "image/png")
    mock_http.add("GET", USERS, json=None)
    assert ask(USERS).json() is None
    mock_http.add("GET", USERS, status=204)
    assert ask(USERS).content == b""

def test_it_streams_once(mock_http):
    mock_http.add("GET", USERS, content=b"abc" * 1000)
    with httpx2.stream("GET", USERS) as response:
        with pytest.raises(httpx2.ResponseNotRead):
            response.content
        assert b"".join(response.iter_raw(chunk_size=100)) == b"abc" * 1000
        with pytest.raises(httpx2.StreamConsumed):
            list(response.iter_raw())

def test_errors_and_encodings_are_the_clients_to_find(mock_http, ask):
    mock_http.add("GET", USERS, status=500)
    with pytest.raises(httpx2.HTTPStatusError):
        ask(USERS).raise_for_status()
    mock_http.add("GET", USERS, content=b"no gzip", headers={"Content-Encoding": "gzip"})
    with pytest.raises(httpx2.DecodingError):
        ask(USERS)

def test_several_headers_of_a_name(mock_http, ask):
    mock_http.add("GET", USERS, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert dict(ask(USERS).cookies) == {"a": "1", "b": "2"}

def test_head_has_no_body(mock_http):
    mock_http.add("HEAD", USERS, json=[1, 2])
    response = httpx2.head(USERS)
    assert (response.content, response.headers["Content-Length"]) == (b"", "5")

def test_in_turn(mock_http, ask):
    for page in (1, 2, 3):
        mock_http.add("GET", USERS, json=page)
    assert [ask(USERS).json() for _ in range(5)] == [1, 2, 3, 3, 3]

def test_redirects_are_calls(mock_http):
    mock_http.add("GET", USERS, status=302, headers={"Location": "/people"})
    mock_http.add("GET", "https://api.example/people", text="here")
    assert httpx2.get(USERS, follow_redirects=True).text == "here"
    assert [call.url.path for call in mock_http.calls] == ["/users", "/people"]

@pytest.mark.parametrize("url", [
    USERS, USERS + "?a=1", "https://API.example:443/users", "https://me:secret@api.example/users", USERS + "#part",
])
def test_a_url_without_a_query(mock_http, url):
    mock_http.add("GET", USERS, text="found")
    assert httpx2.get(url).text == "found"

@pytest.mark.parametrize("url", [
    USERS + "/", USERS + "/7", "http://api.example/users", "https://api.example:444/users", "https://api.example",
    "https://other.example/users", "https://api.example/Users",
])
def test_another_url(mock_http, url):
    mock_http.add("GET", USERS, optional=True)
    mock_http.add("GET", re.compile("http"), text="another")
    assert httpx2.get(url).text == "another"

def test_another_method(mock_http):
    mock_http.add("GET", USERS, optional=True)
    mock_http.add("POST", USERS, text="posted")
    assert httpx2.post(USERS).text == "posted"

def test_an_encoded_slash_is_none(mock_http):
    mock_http.add("GET", "https://api.example/a/b", optional=True)
    mock_http.add("GET", "https://api.example/a%2Fb", text="one part")
    assert httpx2.get("https://api.example/a%2Fb").text == "one part"

def test_queries(mock_http):
    mock_http.add("GET", USERS + "?a=1&b=2", text="both")
    mock_http.add("GET", USERS, params={"page": 2, "tag": ["x", "y"]}, text="page")
    mock_http.add("GET", USERS, text="any")
    def ask(params):
        return httpx2.get(USERS, params=params).text
    assert ask({"b": 2, "a": 1}) == "both"
    assert ask({"tag": ["x", "y"], "more": "1", "page": "2"}) == "page"
    assert ask({"a": 1}) == ask({"tag": ["y", "x"], "page": 2}) == ask({"a": 1, "b": 2, "c": 3}) == "any"

def test_expressions(mock_http):
    mock_http.add("GET", re.compile(r"https://api\\.example/users/\\d+$"), text="user")
    mock_http.add("GET", re.compile(r"https://api\\.example/users\\?page="), params={"page": "2"}, text="page")
    assert httpx2.get(USERS + "/7").text == "user"
    assert httpx2.get("https://me:secret@api.example/users/8").text == "user"
    assert httpx2.get(USERS, params={"page": 2}).text == "page"
"""


def test_answers(project: pytest.Pytester) -> None:
    """Responses are as from the network; calls are told apart by method, URL and query."""
    project.makepyfile(test_it=ANSWERS)
    result = project.runpytest_subprocess()
    assert result.ret == 0, result.stdout.str()


def test_exceptions_and_handlers(project: pytest.Pytester) -> None:
    """An exception is raised as the client would; a function answers, an async one to async clients."""
    project.makepyfile(
        test_it="""
        import httpx2
        import pytest

        FORECAST = "https://weather.example/v1/forecast"
        USER = "https://api.example/users/7"

        @pytest.mark.parametrize(("exception", "status"), [
            (httpx2.ConnectTimeout, 504),
            (httpx2.PoolTimeout("busy"), 503),
            (httpx2.ConnectError, 502),
        ])
        def test_mapped(client, mock_http, exception, status):
            mock_http.add("GET", FORECAST, exception=exception)
            for _ in range(2):
                assert client.get("/forecast").status_code == status

        @pytest.mark.parametrize("options", [{"status": 401}, {"text": "<title>Sign in</title>"}])
        def test_an_upstream_that_fails(client, mock_http, options):
            mock_http.add("GET", FORECAST, **options)
            assert client.get("/forecast").status_code == 502

        def test_a_failure_and_then_an_answer(client, mock_http):
            mock_http.add("GET", FORECAST, exception=httpx2.ReadTimeout)
            mock_http.add("GET", FORECAST, json={"sky": "blue"})
            assert client.get("/forecast").status_code == 504
            assert client.get("/forecast").json() == {"sky": "blue"}

        def test_exceptions_know_their_request(mock_http):
            mock_http.add("GET", USER, exception=httpx2.ConnectError("refused"))
            with pytest.raises(httpx2.ConnectError, match="refused") as raised:
                httpx2.get(USER)
            assert raised.value.request.url == USER

        @pytest.mark.parametrize("exception", [OSError, OSError("gone")])
        def test_other_exceptions(mock_http, exception):
            mock_http.add("GET", USER, exception=exception)
            with pytest.raises(OSError):
                httpx2.get(USER)

        def test_a_handler(client, mock_http):
            def handler(request):
                return httpx2.Response(200, json={"city": request.url.params["city"]})
            mock_http.add("GET", FORECAST, handler=handler)
            assert client.get("/forecast?city=Rome").json() == {"city": "Rome"}
            mock_http.add("GET", USER, handler=lambda request: httpx2.Response(200, text="ada"))
            assert client.get("/shared").json() == client.get("/async").json() == "ada"

        def test_an_async_handler(client, mock_http):
            async def handler(request):
                return httpx2.Response(200, json={"sky": "blue"})
            mock_http.add("GET", FORECAST, handler=handler)
            assert client.get("/forecast").json() == {"sky": "blue"}
            mock_http.add("GET", USER, handler=handler)
            with pytest.raises(TypeError, match="an async handler of mock_http cannot answer a sync client"):
                httpx2.get(USER)

        def test_a_handler_that_streams_or_raises(mock_http):
            def chunks():
                yield b"a"
                raise httpx2.ReadError("broke off")
            mock_http.add("GET", USER, handler=lambda request: httpx2.Response(200, content=chunks()))
            with pytest.raises(httpx2.ReadError):
                httpx2.get(USER)
            mock_http.add("GET", USER, handler=lambda request: "ada")
            with pytest.raises(TypeError, match="must return an httpx2.Response; got str"):
                httpx2.get(USER)
        """
    )
    result = project.runpytest_subprocess()
    assert result.ret == 0, result.stdout.str()


def test_a_call_without_an_answer_fails_the_test(project: pytest.Pytester) -> None:
    """Also where the application catches the error; the message says what was added, and hides what may be secret."""
    project.makepyfile(
        test_it="""
        import pytest

        def test_caught(client, mock_http):
            mock_http.add("GET", "https://api.example/users/7?api_key=hunter4", optional=True)
            assert client.get("/careless").json() == "all is well"

        def test_raised(client, mock_http):
            with pytest.raises(AssertionError) as raised:
                client.get("/once")
            print(raised.value)

        def test_fine(client, mock_http): ...
        """
    )
    result = project.runpytest_subprocess("-rP")
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(
        [
            "The application made calls that mock_http has no answer for:",
            "  GET https://api.example/users?token=[[]redacted]&page=[[]redacted]",
            "These were added:",
            "  GET https://api.example/users/7?api_key=[[]redacted]",
        ]
    )
    result.stdout.fnmatch_lines(
        [
            "mock_http has no answer for GET https://api.example/users/7. Nothing was added: mock_http.add('GET', *",
        ]
    )
    result.stdout.no_fnmatch_line("*hunter[[]0-9]*")


def test_an_answer_without_a_call_fails_the_test(project: pytest.Pytester) -> None:
    """Unless it is optional; one that was given in part counts."""
    project.makepyfile(
        test_it="""
        import re

        def test_never(mock_http):
            mock_http.add("GET", "https://api.example/users")
            mock_http.add("POST", re.compile("https://api"), params={"page": 2})
            mock_http.add("PUT", "https://api.example/users", optional=True)
            mock_http.add("GET", "https://api.example/users/7")

        def test_half(client, mock_http):
            mock_http.add("GET", "https://api.example/users/7", text="first")
            mock_http.add("GET", "https://api.example/users/7", text="second")
            client.get("/once")

        def test_optional(mock_http):
            mock_http.add("GET", "https://api.example/users", optional=True)
        """
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(
        [
            "These answers of mock_http were never asked for; optional=True allows that:",
            "  GET https://api.example/users",
            "  POST re.compile('https://api') with page in the query",
            "  GET https://api.example/users/7",
        ]
    )
    result.stdout.no_fnmatch_line("*  PUT *")


def test_mistakes_are_readable(project: pytest.Pytester) -> None:
    """What can never answer is refused where it is written."""
    project.makepyfile(
        test_it=r"""
        import re
        import httpx2
        import pytest

        URL = "https://api.example/"

        class NeedsMore(Exception):
            def __init__(self, a, b): ...

        @pytest.mark.parametrize(("arguments", "options", "error", "words"), [
            ((URL, "GET"), {}, ValueError, "the first argument must be a method such as 'GET'"),
            ((7, URL), {}, ValueError, "the first argument must be a method"),
            (("GET POST", URL), {}, ValueError, "the first argument must be a method"),
            (("GET", "/users"), {}, ValueError, "must be the whole URL, such as 'https://api.*; got '/users'"),
            (("GET", "api.example/users"), {}, ValueError, "must be the whole URL"),
            (("GET", "ftp://api.example/"), {}, ValueError, "must be the whole URL"),
            (("GET", "https://me:hunter2@api.example/"), {}, ValueError, "without a user and a password"),
            (("GET", "https://api.example:port/"), {}, ValueError, "url must be a URL"),
            (("GET", 7), {}, TypeError, "url must be a str or a compiled regular expression; got int"),
            (("GET", re.compile(b"https")), {}, TypeError, "got a regular expression for bytes"),
            (("GET", URL + "?a=1"), {"params": {"b": 2}}, ValueError, "in url or in params; it is in both"),
            (("GET", URL), {"params": "a=1"}, TypeError, "params must be a dict"),
            (("GET", URL), {"status": 99}, ValueError, "status must be between 200 and 599; got 99"),
            (("GET", URL), {"status": "200"}, ValueError, "status must be between 200 and 599; got '200'"),
            (("GET", URL), {"json": {}, "content": b""}, ValueError, "one body; got content and json"),
            (("GET", URL), {"text": b"a"}, TypeError, "text must be str; got bytes"),
            (("GET", URL), {"content": "a"}, TypeError, "content must be bytes; got str"),
            (("GET", URL), {"json": object()}, TypeError, "JSON serializable"),
            (("GET", URL), {"exception": "timeout"}, TypeError, "exception must be an exception, such as"),
            (("GET", URL), {"exception": KeyboardInterrupt}, TypeError, "exception must be an exception, such as"),
            (("GET", URL), {"exception": httpx2.HTTPStatusError}, ValueError, "use status=503"),
            (("GET", URL), {"exception": NeedsMore}, TypeError, "NeedsMore cannot be made .* handler="),
            (("GET", URL), {"exception": OSError, "status": 500}, ValueError, "only one of the three"),
            (("GET", URL), {"exception": OSError, "json": None}, ValueError, "only one of the three"),
            (("GET", URL), {"exception": OSError, "handler": print}, ValueError, "only one of the three"),
            (("GET", URL), {"handler": print, "headers": {}}, ValueError, "only one of the three"),
            (("GET", URL), {"handler": "print"}, TypeError, "handler must be a function of the request; got str"),
        ])
        def test_it(mock_http, arguments, options, error, words):
            with pytest.raises(error, match=words) as raised:
                mock_http.add(*arguments, **options)
            assert "hunter2" not in str(raised.value)
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=27)


ASYNC = """
import asyncio
import httpx2
import pytest
from starlette import testclient

pytestmark = {mark}
{backend}

async def test_it(mock_http):
    mock_http.add("GET", "https://api.example/", json=1)
    async with httpx2.AsyncClient() as client:
        answers = await asyncio.gather(*(client.get("https://api.example/") for _ in range(20)))
        assert [answer.json() for answer in answers] == [1] * 20
        async with client.stream("GET", "https://api.example/") as response:
            assert [part async for part in response.aiter_raw()] == [b"1"]
    assert len(mock_http.calls) == 21

async def test_requests(async_client, mock_http):
    mock_http.add("GET", "https://weather.example/v1/forecast", json={{"sky": "blue"}})
    mock_http.add("GET", "https://weather.example/v1/forecast", exception=httpx2.ConnectTimeout)
    assert (await async_client.get("/forecast")).json() == {{"sky": "blue"}}
    assert (await async_client.get("/forecast")).status_code == 504
"""
BACKEND = "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'"
LOOP_SCOPE = "asyncio_default_fixture_loop_scope = function"


@pytest.mark.parametrize(
    ("mark", "plugin", "more"),
    [
        ("pytest.mark.anyio", "-p no:asyncio", ""),
        ("pytest.mark.asyncio", "", f"asyncio_mode = strict\n{LOOP_SCOPE}"),
        ("[]", "", f"asyncio_mode = auto\n{LOOP_SCOPE}"),
    ],
    ids=["anyio", "strict", "auto"],
)
def test_async_tests(pytester: pytest.Pytester, mark: str, plugin: str, more: str) -> None:
    """It works the same in async tests, for many calls at once."""
    pytester.makepyfile(shop=APP, test_it=ASYNC.format(mark=mark, backend=BACKEND if "anyio" in mark else ""))
    ini = INI.replace("-p no:asyncio", plugin)
    pytester.makeini(ini.format(app="shop:app", addopts="", more=more))
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_calls_of_threads_get_each_answer_once(project: pytest.Pytester) -> None:
    """Answers are given in turn, whichever thread asks."""
    project.makepyfile(
        test_it="""
        from concurrent.futures import ThreadPoolExecutor
        import httpx2

        def test_it(mock_http):
            for number in range(200):
                mock_http.add("GET", "https://api.example/", json=number)
            with httpx2.Client() as client, ThreadPoolExecutor(8) as pool:
                asked = pool.map(lambda _: client.get("https://api.example/").json(), range(200))
            assert sorted(asked) == list(range(200))
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


class Hello(http.server.BaseHTTPRequestHandler):
    """Answers a GET."""

    def do_GET(self) -> None:
        """Say hello."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a real server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_a_direct_transport_reaches_the_network(project: pytest.Pytester, server: str) -> None:
    """For a client of the test's own, while the application's calls are answered."""
    assert httpx2.get(server).text == "hello"
    project.makepyfile(
        test_it=f"""
        import httpx2
        from fastapi_patterns.testing._direct import direct_transport

        def test_it(mock_http):
            mock_http.add("GET", {server!r}, text="mocked")
            with httpx2.Client(transport=direct_transport()) as direct:
                assert direct.get({server!r}).text == "hello"
                assert httpx2.get({server!r}).text == "mocked"
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_plain_httpx_is_reached_too(project: pytest.Pytester) -> None:
    """With its own classes of responses and exceptions, whichever family the test wrote."""
    pytest.importorskip("httpx")
    project.makepyfile(
        test_it="""
        import asyncio
        import httpx2
        import pytest

        URL = "https://api.example/"

        def test_it(mock_http):
            import httpx
            mock_http.add("GET", URL, json=1, headers={"X-A": "b"})
            mock_http.add("GET", URL, handler=lambda request: httpx2.Response(200, text="two"))
            mock_http.add("GET", URL, handler=lambda request: httpx.Response(200, text="three"))
            mock_http.add("GET", URL, exception=httpx2.ConnectTimeout)
            mock_http.add("GET", URL, exception=httpx.ConnectError("refused"))
            mock_http.add("GET", URL, exception=httpx.ConnectError("refused"))
            first = httpx.get(URL)
            assert type(first) is httpx.Response
            assert (first.json(), first.headers["X-A"]) == (1, "b")
            assert [httpx.get(URL).text, httpx.get(URL).text] == ["two", "three"]
            with pytest.raises(httpx.ConnectTimeout):
                httpx.get(URL)
            async def ask():
                async with httpx.AsyncClient() as client:
                    await client.get(URL)
            with pytest.raises(httpx.ConnectError, match="refused"):
                asyncio.run(ask())
            with pytest.raises(httpx2.ConnectError, match="refused"):
                httpx2.get(URL)
            assert len(mock_http.calls) == 6
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_httpx_as_another_name_for_httpx2(project: pytest.Pytester) -> None:
    """An application that calls `httpx2.alias_httpx()` is answered, and put back, once."""
    if not hasattr(httpx2, "alias_httpx"):
        pytest.skip("this httpx2 has no alias")
    if vars(testclient)["httpx"] is not httpx2:
        pytest.skip("the TestClient of this Starlette has imported httpx before the application can")
    project.makepyfile(
        shop=f"import httpx2\nhttpx2.alias_httpx()\n{APP}",
        test_it="""
        def test_it(mock_http):
            import httpx
            mock_http.add("GET", "https://api.example/", text="found")
            assert httpx.get("https://api.example/").text == "found"

        def test_afterwards():
            import httpx2
            assert httpx2.HTTPTransport.handle_request.__module__.startswith("httpx2")
        """,
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_without_httpx2_it_says_what_to_install(pytester: pytest.Pytester) -> None:
    """The message holds the pip line."""
    pytester.makepyfile(
        shop="from fastapi import FastAPI\napp = FastAPI()",
        test_it="""
        import importlib.util

        def test_it(request, monkeypatch):
            from fastapi_patterns.testing import outgoing
            monkeypatch.setattr(outgoing, "find_spec", lambda name: None)
            request.getfixturevalue("mock_http")
        """,
    )
    configure(pytester)
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*mock_http needs httpx2: pip install 'fastapi-patterns[[]testing]'*"])


def test_the_projects_own_fixture_wins(project: pytest.Pytester) -> None:
    """A `mock_http` in the project's conftest is the one that tests get."""
    project.makeconftest("import pytest\n\n@pytest.fixture\ndef mock_http():\n    return 'own mock'")
    project.makepyfile(test_it="def test_it(client, mock_http):\n    assert mock_http == 'own mock'")
    project.runpytest_subprocess().assert_outcomes(passed=1)
