"""What authentication stands on is down: nobody gets in, not even as a stranger, and the route does not run."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn

import pytest
from fastapi import Depends, FastAPI, Security, WebSocket
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import WebSocketDenialResponse

from fastapi_patterns import AsyncDatabase, Claims, Database, KeySet, TokenCodec, TokenConfig, install_stack
from fastapi_patterns.auth import CurrentUserDependency, LoginSessions, make_current_user
from fastapi_patterns.auth.stores import RedisTokenStore, SqlAlchemyTokenStore
from tests.faults.harness import Books, Kind, within
from tests.services import PostgresServer, ValkeyServer

SECRET = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
TOKENS = TokenCodec(TokenConfig(secret_key=SECRET))
PATHS = ("/required", "/optional", "/if-valid", "/requiring", "/any-scope", "/scoped", "/fresh")


def load_user(claims: Claims) -> str:
    """Anybody."""
    return claims.sub


async def load_async(claims: Claims) -> str:
    """The same, async."""
    return claims.sub


def down(_claims: Any = None) -> NoReturn:
    """What is asked cannot be reached."""
    raise ConnectionError("down")


async def down_async(_claims: Any = None) -> NoReturn:
    """The same, async."""
    raise TimeoutError("down")


class Gate:
    """An application with every kind of current user, which counts how often one of its routes ran.

    Args:
        current: The current user.
        resources: What the stack opens.
    """

    def __init__(self, current: CurrentUserDependency[Any], resources: list[Any] | None = None) -> None:
        self.served = 0
        app = FastAPI()
        install_stack(app, resources=resources or [])
        dependencies: list[Any] = [
            Depends(current),
            Depends(current.optional),
            Depends(current.if_valid),
            Depends(current.requiring(lambda user: True)),
            Depends(current.any_scope("read")),
            Security(current, scopes=["read"]),
            Depends(current.fresh(timedelta(minutes=1))),
        ]
        for path, dependency in zip(PATHS, dependencies, strict=True):
            app.get(path, dependencies=[dependency])(self.route)
        app.websocket("/socket")(self.socket(current))
        self.app = app

    def route(self) -> str:
        """Count."""
        self.served += 1
        return "in"

    def socket(self, current: Any) -> Callable[..., Awaitable[None]]:
        """Make a websocket's route that counts."""

        async def socket(websocket: WebSocket, user: Annotated[Any, Depends(current)]) -> None:
            self.served += 1
            await websocket.accept()
            await websocket.close()

        return socket

    @contextmanager
    def open(self) -> Iterator[TestClient]:
        """Run the application; errors are answered, not raised."""
        with TestClient(self.app, raise_server_exceptions=False) as client:
            yield client

    def statuses(self, client: TestClient, token: str) -> set[int]:
        """Ask every route with a token, and the websocket too; tell the answers."""
        headers = {"Authorization": f"Bearer {token}"}
        found = {client.get(path, headers=headers).status_code for path in PATHS}
        try:
            with client.websocket_connect("/socket", headers=headers):
                found.add(200)
        except WebSocketDenialResponse as denied:
            found.add(denied.status_code)
        except Exception:  # Starlette's client raises what answers a handshake with 500
            found.add(500)
        return found


def token(**claims: Any) -> str:
    """Make a token that every route lets in."""
    now = int(datetime.now(UTC).timestamp())
    return TOKENS.encode({"sub": "7", "scope": "read", "auth_time": now, **claims})


@pytest.mark.parametrize(
    ("hook", "broken"),
    [
        ("load_user", down),
        ("load_user", down_async),
        ("revoked", down),
        ("revoked", down_async),
        ("is_active", down),
        ("user_scopes", down),
    ],
)
def test_a_hook_that_raises_lets_nobody_in(hook: str, broken: Callable[..., Any]) -> None:
    """The loader, the revocation, `is_active` or `user_scopes` is down: an error of the server on every route."""
    options: dict[str, Any] = {hook: broken}
    gate = Gate(make_current_user(**{"load_user": load_user, "tokens": TOKENS, **options}))
    with gate.open() as client:
        if hook == "user_scopes":  # only asked where a route asks for scopes
            answers = [client.get(path, headers={"Authorization": f"Bearer {token()}"}) for path in PATHS[4:6]]
            assert [answer.status_code for answer in answers] == [500, 500]
        else:
            assert gate.statuses(client, token()) == {500}
    assert gate.served == 0


@pytest.mark.parametrize("keys", [down, lambda: None, lambda: KeySet([])], ids=["raises", "none", "no keys"])
def test_a_key_lookup_that_fails_lets_nobody_in(keys: Callable[[], Any]) -> None:
    """Keys that cannot be had: 503, or 500 for an exception of the application's own function."""
    codec = TokenCodec(TokenConfig(keys=keys))
    gate = Gate(make_current_user(load_async, tokens=codec))
    with gate.open() as client:
        assert gate.statuses(client, token()) <= {500, 503}
    assert gate.served == 0


def test_a_hook_that_comes_back_lets_users_in() -> None:
    """A failure is not remembered: the next request asks again."""
    answers: Iterator[Any] = iter([ConnectionError("down"), False])

    def revoked(claims: Claims) -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    gate = Gate(make_current_user(load_user, tokens=TOKENS, revoked=revoked))
    headers = {"Authorization": f"Bearer {token()}"}
    with gate.open() as client:
        assert [client.get("/required", headers=headers).status_code for _ in range(2)] == [500, 200]
    assert gate.served == 1


@pytest.mark.services
def test_a_database_that_is_down_lets_nobody_in(kind: Kind, books: Books, postgres_server: PostgresServer) -> None:
    """Revocation in PostgreSQL: 503 while it is down, and what was revoked before is so after it."""
    made = Database if kind == "sync" else AsyncDatabase
    database = made(books.url)
    store = SqlAlchemyTokenStore(database)
    sessions = LoginSessions(store, tokens=TOKENS)
    gate = Gate(make_current_user(load_user, tokens=TOKENS, revoked=sessions.revoked), [database])
    good, bad = token(), token()
    with gate.open() as client:
        assert client.portal is not None
        client.portal.call(store.create_all)
        client.portal.call(sessions.revoke, TOKENS.decode(bad))
        _falls_and_rises(gate, client, good, bad, down=postgres_server.kill, up=postgres_server.restart, status=503)


@pytest.mark.services
def test_a_users_table_that_is_down_lets_nobody_in(books: Books, postgres_server: PostgresServer) -> None:
    """The loader's own session cannot be had, or breaks: 503."""
    database = Database(books.url)

    def load(claims: Claims, session: Annotated[Session, Depends(database.session)]) -> str | None:
        return session.scalar(text("SELECT 'ada' WHERE :name = '7'"), {"name": claims.sub})

    gate = Gate(make_current_user(load, tokens=TOKENS), [database])
    with gate.open() as client:
        good, bad = token(), token(sub="8")
        _falls_and_rises(gate, client, good, bad, down=postgres_server.kill, up=postgres_server.restart, status=503)


@pytest.mark.services
def test_a_valkey_that_is_down_lets_nobody_in(valkey_server: ValkeyServer) -> None:
    """Revocation in Valkey: an error of the server while it is down, and what was revoked before is so after it."""
    redis = pytest.importorskip("redis.asyncio")
    cache = redis.Redis.from_url(valkey_server.url)
    store = RedisTokenStore(cache, prefix="faults:")
    sessions = LoginSessions(store, tokens=TOKENS)
    gate = Gate(make_current_user(load_user, tokens=TOKENS, revoked=sessions.revoked))
    good, bad = token(), token()
    with gate.open() as client, _closing(client, cache):
        assert client.portal is not None
        client.portal.call(sessions.revoke, TOKENS.decode(bad))
        _falls_and_rises(gate, client, good, bad, down=valkey_server.kill, up=valkey_server.restart, status=500)


def _closing(client: TestClient, cache: Any) -> AbstractContextManager[None]:
    @contextmanager
    def closing() -> Iterator[None]:
        try:
            yield
        finally:
            assert client.portal is not None
            client.portal.call(cache.aclose)

    return closing()


def _falls_and_rises(
    gate: Gate,
    client: TestClient,
    good: str,
    bad: str,
    *,
    down: Callable[[], None],
    up: Callable[[], None],
    status: int,
) -> None:
    """In before; nobody while the service is down; in again after it; the bad token never at a required route."""
    allowed, refused = ({"Authorization": f"Bearer {each}"} for each in (good, bad))
    assert gate.statuses(client, good) == {200}
    assert client.get("/required", headers=refused).status_code == 401
    down()
    try:
        # A PostgreSQL that was killed goes on for a moment in the connections that it has.
        assert within(5, lambda: client.get("/required", headers=allowed).status_code == status)
        before = gate.served
        assert gate.statuses(client, good) == gate.statuses(client, bad) == {status}
        assert gate.served == before
    finally:
        up()
    assert client.get("/required", headers=refused).status_code == 401
    assert gate.statuses(client, good) == {200}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize("leeway", [timedelta(0), timedelta(seconds=30)])
def test_a_clock_that_jumps_back_extends_no_token(leeway: timedelta) -> None:
    """Whatever the clock says, a token is good from `iat` to `exp`, give or take the leeway."""
    clock = Clock()
    codec = TokenCodec(TokenConfig(secret_key=SECRET, leeway=leeway), now=clock)
    gate = Gate(make_current_user(load_user, tokens=codec))
    made = clock.now
    sent = {"Authorization": f"Bearer {codec.encode({'sub': '7'})}"}
    ends = made + timedelta(minutes=15)
    with gate.open() as client:
        for seconds in range(2 * 3600, -3600 - 1, -60):  # backwards: it has expired, and the clock goes back
            clock.now = made + timedelta(seconds=seconds)
            expected = 200 if made - leeway <= clock.now < ends + leeway else 401
            assert client.get("/required", headers=sent).status_code == expected, seconds


def test_a_token_made_after_the_jump_ends_by_its_own_clock() -> None:
    """A new token lasts its lifetime from there, and is over when the clock is put right."""
    clock = Clock()
    codec = TokenCodec(TokenConfig(secret_key=SECRET), now=clock)
    gate = Gate(make_current_user(load_user, tokens=codec))
    clock.now -= timedelta(hours=1)
    sent = {"Authorization": f"Bearer {codec.encode({'sub': '7'})}"}
    with gate.open() as client:
        assert client.get("/required", headers=sent).status_code == 200
        clock.now += timedelta(hours=1)
        assert client.get("/required", headers=sent).status_code == 401
    assert gate.served == 1
