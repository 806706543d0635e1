"""The clock: what freezes time from outside reaches tokens and logins that were set up before."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import freezegun
import pytest
import time_machine
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from jose import jwt

from fastapi_patterns import Claims, Database, OneTimeTokens, TokenCodec, TokenConfig, TokenError, make_current_user
from fastapi_patterns._clock import seconds, utc_now
from fastapi_patterns.auth import InMemoryTokenStore, LoginSessions
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore
from fastapi_patterns.security import InsecureLegacyTokens, RefreshPolicy, TokenExpiredError

Freeze = Callable[[datetime], AbstractContextManager[Any]]

# Not the time at which anybody runs this: the real clock gives another answer to each question below.
NOW = datetime(2040, 5, 17, 9, 30, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
SECRET = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
OLD_SECRET = "an-older-secret-of-the-tests-0123456789-abcdefghij"

# As applications do: made when the module is imported, in real time.
tokens = TokenCodec(TokenConfig(secret_key=SECRET, expires_delta=15 * MINUTE))
reading_old_tokens = TokenCodec(
    TokenConfig(secret_key=SECRET),
    also_accept=InsecureLegacyTokens(secret=OLD_SECRET, accept_until=NOW + DAY, is_access=lambda claims: True),
)
links = OneTimeTokens(SECRET, purpose="password-reset", expires_delta=MINUTE)
get_current_user = make_current_user(lambda claims: claims.sub, tokens=tokens)
app = FastAPI()


@app.get("/fresh")
async def fresh(user: Annotated[str, Depends(get_current_user.fresh(MINUTE))]) -> str:
    """Answer who has logged in lately."""
    return user


@pytest.fixture(
    params=[
        partial(time_machine.travel, tick=False),
        # Its stand-in for time.monotonic would stop event loops.
        partial(freezegun.freeze_time, real_asyncio=True),
    ],
    ids=["time-machine", "freezegun"],
)
def freeze(request: pytest.FixtureRequest) -> Freeze:
    """Give what freezes time at a moment."""
    freezer: Freeze = request.param
    return freezer


def test_the_clocks_agree(freeze: Freeze) -> None:
    """Both clocks stand at the frozen moment."""
    with freeze(NOW):
        assert utc_now() == NOW
        assert seconds() == NOW.timestamp()
    assert utc_now() < NOW


def test_tokens(freeze: Freeze) -> None:
    """A token is made at the frozen time and ends at it, to the second."""
    with freeze(NOW):
        token = tokens.encode({"sub": "ada"})
        assert tokens.decode(token).issued_at == NOW
    with freeze(NOW + 15 * MINUTE - SECOND):
        assert tokens.decode(token).sub == "ada"
    with freeze(NOW + 15 * MINUTE), pytest.raises(TokenExpiredError):
        tokens.decode(token)


def test_one_time_tokens(freeze: Freeze) -> None:
    """A link ends at the frozen time."""
    with freeze(NOW):
        link = links.issue("ada", state="hash")
        assert links.verify(link, state="hash").sub == "ada"
    with freeze(NOW + MINUTE), pytest.raises(TokenExpiredError):
        links.verify(link, state="hash")


def test_tokens_of_older_code(freeze: Freeze) -> None:
    """They are accepted until their date, as the frozen clock says."""
    token = jwt.encode({"sub": "ada", "exp": (NOW + 9 * DAY).timestamp()}, OLD_SECRET)
    with freeze(NOW):
        assert reading_old_tokens.decode(token).sub == "ada"
    with freeze(NOW + DAY), pytest.raises(TokenError):
        reading_old_tokens.decode(token)


def test_a_login_that_is_fresh(freeze: Freeze) -> None:
    """`.fresh(...)` asks the frozen clock."""
    with freeze(NOW):
        headers = {"Authorization": f"Bearer {tokens.encode({'sub': 'ada', 'auth_time': int(seconds())})}"}
        assert TestClient(app).get("/fresh", headers=headers).status_code == 200
    with freeze(NOW + 2 * MINUTE):
        answer = TestClient(app).get("/fresh", headers=headers)
    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("kind", ["memory", "sqlalchemy"])
def test_sessions(freeze: Freeze, kind: str, tmp_path: Any) -> None:
    """A session ends at the frozen time: when it is idle, and at the latest at its absolute end."""
    policy = RefreshPolicy(idle=2 * DAY, absolute=3 * DAY)

    async def active(_subject: str) -> dict[str, Any]:
        return {}

    database = Database(f"sqlite:///{tmp_path}/sessions.db")

    async def scenario() -> None:
        store: Any = InMemoryTokenStore()
        if kind == "sqlalchemy":
            store = SqlAlchemyTokenStore(database)
            await store.create_all()
        sessions = LoginSessions(store, tokens=tokens, policy=policy)
        with freeze(NOW):
            idle, used = await sessions.start("ada"), await sessions.start("ada")
        with freeze(NOW + DAY):
            used = await sessions.refresh(used.refresh_token, claims_of=active)
        with freeze(NOW + 2 * DAY):
            with pytest.raises(TokenError):
                await sessions.refresh(idle.refresh_token, claims_of=active)
            used = await sessions.refresh(used.refresh_token, claims_of=active)
            assert not await sessions.revoked(tokens.decode(used.access_token))
        with freeze(NOW + 3 * DAY), pytest.raises(TokenError):
            await sessions.refresh(used.refresh_token, claims_of=active)

    asyncio.run(scenario())
    database.engine.dispose()


def test_an_end_of_all_sessions_in_the_future_is_forgotten(freeze: Freeze) -> None:
    """What a test ended at a frozen later time does not date the logins of the tests after it."""

    async def scenario() -> None:
        sessions = LoginSessions(InMemoryTokenStore(), tokens=tokens)
        with freeze(NOW + DAY):
            await sessions.end_all("eve")
        with freeze(NOW):
            assert sessions.moment() == NOW
            claims = tokens.decode((await sessions.start("ada")).access_token)
            assert claims["auth_time"] == NOW.timestamp()
            await sessions.end_all("ada")
            again: Claims = tokens.decode((await sessions.start("ada")).access_token)
            assert not await sessions.revoked(again)

    asyncio.run(scenario())
