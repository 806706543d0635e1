"""`openapi_schema`, in projects of its own: schemathesis tests every route inside the test's transaction."""

import pytest

from tests.testing.test_plugin import APP, configure

FUZZED = """
import schemathesis
from hypothesis import settings

schema = schemathesis.pytest.from_fixture("openapi_schema")

@schema.parametrize()
@settings(max_examples=5, derandomize=True, deadline=None, database=None)
def test_api(case):
    case.call_and_validate()
"""

ASYNC_APP = """
from typing import Annotated
from contextlib import asynccontextmanager
from fastapi import Depends, FastAPI, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from fastapi_patterns import AsyncDatabase, PendingTasks, TaskQueue, install_stack

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)

@asynccontextmanager
async def lifespan(app):
    yield {"started": True}

database, tasks = AsyncDatabase("sqlite:///real.db", metadata=Base.metadata), TaskQueue()
app = FastAPI(lifespan=lifespan)
install_stack(app, resources=[database, tasks])
SessionDep = Annotated[AsyncSession, Depends(database.session)]

async def one_more():
    async with database.session_scope() as session:
        session.add(User())

@app.post("/users")
async def create(request: Request, session: SessionDep, tasks: Annotated[PendingTasks, Depends(tasks.pending)]) -> int:
    session.add(User())
    await session.flush()
    tasks.add_task(one_more)
    assert request.state.started
    return 1

@app.get("/users")
async def users(session: SessionDep) -> int:
    return len(list(await session.scalars(select(User))))
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose routes answer what they document."""
    pytester.makepyfile(shop=APP.replace('raise ValueError("undone")', "pass"))
    configure(pytester)
    return pytester


def add(project: pytest.Pytester, code: str) -> None:
    """Add routes to the application."""
    path = project.path / "shop.py"
    path.write_text(path.read_text() + code)


@pytest.mark.parametrize(("app", "addopts"), [("sync", ""), ("async", "-n 2")])
def test_what_cases_write_is_rolled_back(pytester: pytest.Pytester, app: str, addopts: str) -> None:
    """In sync and async databases, with background tasks; the test's own client sees what the cases wrote."""
    pytester.makepyfile(shop=ASYNC_APP if app == "async" else APP.replace('raise ValueError("undone")', "pass"))
    configure(pytester, addopts=addopts)
    pytester.makepyfile(
        test_a=FUZZED,
        test_b="""
        import pytest
        import schemathesis

        @pytest.mark.parametrize("turn", range(2))
        def test_it(client, openapi_schema, turn):
            assert client.get("/users").json() in ([], 0)
            openapi_schema["/users"]["POST"].Case().call_and_validate()
            assert client.get("/users").json() in (["ada (welcomed)"], 2)
        """,
    )
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes()["passed"] == 3
    assert not {"failed", "errors"} & result.parseoutcomes().keys()
    assert not (pytester.path / "real.db").exists()


def test_what_is_not_documented_fails(project: pytest.Pytester) -> None:
    """The test names the route and the status."""
    add(project, '\n@app.get("/teapot")\ndef teapot() -> None:\n    from fastapi import HTTPException\n')
    add(project, "    raise HTTPException(418)\n")
    project.makepyfile(test_it=FUZZED)
    result = project.runpytest_subprocess()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_api*GET /teapot*", "*Undocumented status code*", "*Received: 418*"])


def test_an_exception_of_the_application_is_shown(project: pytest.Pytester) -> None:
    """As with `client`, what no handler answers is raised in the test."""
    add(project, '\n@app.get("/broken")\ndef broken() -> None:\n    raise ZeroDivisionError("broken route")\n')
    project.makepyfile(test_it=FUZZED)
    result = project.runpytest_subprocess()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ZeroDivisionError: broken route*"])


def test_the_document_need_not_be_served(project: pytest.Pytester) -> None:
    """With `openapi_url=None` the application makes it all the same, and its own copy is left alone."""
    path = project.path / "shop.py"
    path.write_text(path.read_text().replace("app = FastAPI()", "app = FastAPI(openapi_url=None)"))
    project.makepyfile(
        test_it=FUZZED,
        test_own="""
        def test_own(openapi_schema, fastapi_app):
            assert openapi_schema.raw_schema == fastapi_app.openapi()
            openapi_schema.raw_schema["info"]["title"] = "changed"
            assert fastapi_app.openapi()["info"]["title"] == "FastAPI"
        """,
    )
    outcomes = project.runpytest_subprocess().parseoutcomes()
    assert (outcomes["passed"], "failed" in outcomes) == (2, False)


def test_a_login_is_sent(project: pytest.Pytester) -> None:
    """`auth_headers` gives the headers of each call; without them the same route is a documented 401."""
    add(
        project,
        """
from fastapi_patterns import Claims, TokenCodec, TokenConfig, make_current_user
tokens = TokenCodec(TokenConfig(secret_key="S3cr3t-of-the-tests-0123456789-abc"))
current = make_current_user(lambda claims: {"id": claims.int_sub}, tokens=tokens, token_url="login")
calls = []

@app.get("/me")
def me(user: Annotated[dict, Depends(current)]) -> int:
    calls.append(user["id"])
    return user["id"]
""",
    )
    project.makepyfile(
        test_it=FUZZED.replace("def test_api(case)", "def test_api(case, auth_headers)").replace(
            "call_and_validate()", "call_and_validate(headers=auth_headers(7))"
        )
        + "\ndef test_sent():\n    from shop import calls\n    assert set(calls) == {7}\n"
    )
    configure(project, addopts="-p no:xdist")
    outcomes = project.runpytest_subprocess().parseoutcomes()
    assert (outcomes["passed"], "failed" in outcomes) == (2, False)


def test_an_endless_stream_ends(project: pytest.Pytester) -> None:
    """Enough of an event stream is read, and the application's side of it is closed."""
    add(
        project,
        """
from fastapi.responses import StreamingResponse
import asyncio
closed = []

@app.get("/events")
async def events() -> StreamingResponse:
    async def body():
        try:
            while True:
                yield "data: tick\\n\\n"
                await asyncio.sleep(0)
        finally:
            closed.append(True)
    return StreamingResponse(body(), media_type="text/event-stream")
""",
    )
    project.makepyfile(
        test_it="""
        from shop import closed

        def test_events(client, openapi_schema):
            answer = openapi_schema["/events"]["GET"].Case().call()
            assert answer.status_code == 200
            assert b"data: tick" in answer.content
            assert client.get("/users").status_code == 200
            assert closed == [True]
        """
    )
    project.runpytest_subprocess(timeout=60).assert_outcomes(passed=1)


def test_without_schemathesis_it_says_so(project: pytest.Pytester) -> None:
    """And what to install."""
    configure(project, addopts="-p no:schemathesis -p hide")
    project.makepyfile(
        hide="import sys\nsys.modules['schemathesis'] = None", test_it="def test_it(openapi_schema): ..."
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*openapi_schema fixture needs schemathesis 4: pip install 'schemathesis>=4'*"])
    result.stdout.no_fnmatch_line("*Traceback*")
