"""Failures, scopes and freshness: what is configured is checked, and what is missing counts as no."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request, Security
from fastapi.testclient import TestClient

from fastapi_patterns import Claims, ConfigurationError, TokenCodec, TokenConfig, make_current_user
from fastapi_patterns.auth import Failure, Failures, bearer_token
from fastapi_patterns.auth import api_key_header as api_key

SECRET = "S3cr3t-of-the-tests-0123456789-abc"
NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
TOKENS = TokenCodec(TokenConfig(secret_key=SECRET), now=lambda: NOW)


def load(claims: Claims) -> str:
    """The subject is the user."""
    return claims.sub


def bearer(**claims: Any) -> dict[str, str]:
    """Headers with a token."""
    return {"Authorization": f"Bearer {TOKENS.encode({'sub': 7, **claims})}"}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Failure(200, "Fine"), "must be 400 to 599"),
        (lambda: Failure("401", "No"), "must be 400 to 599"),  # type: ignore[arg-type]
        (lambda: Failure(401, "No", {"X": 1}), "headers must be texts"),  # type: ignore[dict-item]
        (lambda: Failures(expired=(401, "No")), "expired must be a Failure"),  # type: ignore[arg-type]
        (lambda: make_current_user(load, tokens=TOKENS, token_url="x", sources=[bearer_token()]), "go into the source"),
        (lambda: make_current_user(load, tokens=TOKENS, revoked=True), "revoked must be a function"),  # type: ignore[call-overload]
        (lambda: make_current_user(load, tokens=TOKENS, is_active="x"), "is_active must be a function"),  # type: ignore[call-overload]
        (lambda: make_current_user(load, tokens=TOKENS).any_scope(), "needs the names of scopes"),
        (lambda: make_current_user(load, tokens=TOKENS).any_scope(""), "needs the names of scopes"),
        (lambda: make_current_user(load, tokens=TOKENS).fresh(timedelta(0)), "positive timedelta"),
        (lambda: make_current_user(load, tokens=TOKENS).fresh(60), "positive timedelta"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused(make: Any, problem: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=problem):
        make()


def test_a_challenge_of_the_applications_own_is_left_alone() -> None:
    """Whatever its case."""
    failures = Failures(missing=Failure(401, "No", {"www-authenticate": "Custom"}))
    app = FastAPI()

    @app.get("/me")
    async def me(user: Annotated[str, Depends(make_current_user(load, tokens=TOKENS, failures=failures))]) -> str:
        return user

    assert TestClient(app).get("/me").headers.get_list("WWW-Authenticate") == ["Custom"]


@pytest.mark.parametrize(
    ("auth_time", "status"),
    [
        (SECONDS - 299, 200),
        (SECONDS - 299.5, 200),
        (SECONDS + 299, 200),
        (SECONDS + 301, 401),
        (SECONDS * 1000, 401),
        (10**400, 401),
        (-1, 401),
        (SECONDS - 301, 401),
        (True, 401),
        ("soon", 401),
        (None, 401),
    ],
)
def test_a_login_must_be_fresh(auth_time: Any, status: int) -> None:
    """A token that does not say when the login was counts as old."""
    current = make_current_user(load, tokens=TOKENS)
    app = FastAPI()

    @app.get("/delete")
    async def delete(user: Annotated[str, Depends(current.fresh(timedelta(minutes=5), now=lambda: NOW))]) -> str:
        return user

    answer = TestClient(app).get("/delete", headers=bearer(auth_time=auth_time))
    assert answer.status_code == status
    if status == 401:
        assert answer.json() == {"detail": "Log in again to do this"}
        said = 'Bearer error="insufficient_user_authentication", max_age="300"'
        assert answer.headers["WWW-Authenticate"] == said


@pytest.mark.parametrize(("user_scopes", "status"), [(None, 403), (lambda _: ["read"], 200), (lambda _: [], 403)])
def test_a_key_has_the_scopes_of_its_user(user_scopes: Any, status: int) -> None:
    """It has none of its own; without `user_scopes` it has none at all, and no login to be fresh either."""
    current = make_current_user(
        load, tokens=TOKENS, sources=[api_key("X-Key", lambda key: key)], user_scopes=user_scopes
    )
    app = FastAPI()

    @app.get("/read")
    async def read(user: Annotated[str, Security(current, scopes=["read"])]) -> str:
        return user

    @app.get("/fresh")
    async def fresh(user: Annotated[str, Depends(current.fresh(timedelta(minutes=5)))]) -> str:
        return user

    client = TestClient(app)
    assert client.get("/read", headers={"X-Key": "k"}).status_code == status
    assert client.get("/fresh", headers={"X-Key": "k"}).status_code == 401


@pytest.mark.parametrize(("granted", "wildcards", "status"), [("*", True, 200), ("*", False, 403), ("a:*", True, 403)])
def test_wildcards_count_where_they_are_asked_for(granted: str, wildcards: bool, status: int) -> None:
    """And cover what they begin with only."""
    current = make_current_user(load, tokens=TOKENS, wildcard_scopes=wildcards)
    app = FastAPI()

    @app.get("/read")
    async def read(user: Annotated[str, Security(current, scopes=["ab:read"])]) -> str:
        return user

    assert TestClient(app).get("/read", headers=bearer(scope=granted)).status_code == status


def test_a_user_of_both_an_optional_and_a_required_parameter_is_required() -> None:
    """Whichever stands first, and whichever is lenient."""
    current = make_current_user(load, tokens=TOKENS)
    app = FastAPI()

    @app.get("/one")
    async def one(
        maybe: Annotated[str | None, Depends(current.optional)],
        lenient: Annotated[str | None, Depends(current.if_valid)],
        user: Annotated[str, Depends(current)],
    ) -> list[Any]:
        return [maybe, lenient, user]

    @app.get("/two")
    async def two(
        lenient: Annotated[str | None, Depends(current.if_valid)], user: Annotated[str, Depends(current)]
    ) -> list[Any]:
        return [lenient, user]

    client = TestClient(app)
    for path in ("/one", "/two"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer bad"}).status_code == 401
        assert client.get(path, headers=bearer()).status_code == 200


def test_two_current_users_in_one_route_are_told_apart() -> None:
    """Each has its own loader, and each is loaded once."""
    loaded: list[str] = []

    def load_name(claims: Claims) -> str:
        loaded.append("name")
        return f"user {claims.sub}"

    first, second = (make_current_user(each, tokens=TOKENS) for each in (load, load_name))
    app = FastAPI()

    @app.get("/both")
    async def both(
        one: Annotated[str, Depends(first)],
        two: Annotated[str, Security(second, scopes=["read"])],
        again: Annotated[str, Depends(second)],
    ) -> list[str]:
        return [one, two, again]

    answer = TestClient(app).get("/both", headers=bearer(scope="read"))
    assert answer.json() == ["7", "user 7", "user 7"]
    assert loaded == ["name"]


@pytest.mark.parametrize("sent", [{"X-Key": "wrong"}, bearer()])
def test_a_loader_that_says_no_lets_nobody_in(sent: dict[str, str]) -> None:
    """False is nobody, and True is a mistake of the application."""
    refusing, mistaken = (
        make_current_user(
            partial(bool_of_claims, answer),
            tokens=TOKENS,
            sources=[bearer_token(), api_key("X-Key", partial(bool_of, answer))],
        )
        for answer in (False, True)
    )
    app = FastAPI()

    @app.get("/no")
    async def no(user: Annotated[Any, Depends(refusing)]) -> Any:
        return user

    @app.get("/yes")
    async def yes(user: Annotated[Any, Depends(mistaken)]) -> Any:
        return user

    client = TestClient(app)
    assert client.get("/no", headers=sent).status_code == 401
    with pytest.raises(TypeError, match="it gave True"):
        client.get("/yes", headers=sent)


def bool_of_claims(answer: bool, claims: Claims) -> bool:
    """A loader of the same shape."""
    return answer and bool(claims)


def bool_of(answer: bool, key: str) -> bool:
    """The shape of the usual copies: `key == "right"`."""
    return answer and bool(key)


@pytest.mark.parametrize("sent", [{"X-Key": "wrong"}, bearer()])
def test_a_lambda_around_an_async_loader_is_awaited(sent: dict[str, str]) -> None:
    """A coroutine is no user."""

    async def nobody(_key: object) -> None:
        return None

    current = make_current_user(
        lambda claims: nobody(claims),
        tokens=TOKENS,
        sources=[bearer_token(), api_key("X-Key", lambda key: nobody(key))],
    )
    app = FastAPI()

    @app.get("/me", dependencies=[Depends(current)])
    async def me() -> str:
        return "secret"

    assert TestClient(app).get("/me", headers=sent).status_code == 401


def test_scopes_of_a_user_may_be_a_text() -> None:
    """Of names between blanks, and not of letters: one of them could be the wildcard."""
    current = make_current_user(load, tokens=TOKENS, user_scopes=lambda _: "items:* read", wildcard_scopes=True)
    app = FastAPI()

    @app.get("/{scope}")
    async def allowed(user: Annotated[str, Security(current, scopes=["admin:delete"])]) -> str:
        return user

    @app.get("/read/it")
    async def read(user: Annotated[str, Security(current, scopes=["read", "items:write"])]) -> str:
        return user

    client = TestClient(app)
    assert client.get("/delete", headers=bearer(scope="*")).status_code == 403
    assert client.get("/read/it", headers=bearer(scope="*")).status_code == 200


def test_a_copy_of_a_request_with_other_headers_is_another_request() -> None:
    """As a batch route makes them: what was loaded for the outer one is not for the inner."""
    current = make_current_user(load, tokens=TOKENS)
    app = FastAPI()
    inner: list[int] = []

    @app.get("/me")
    async def me(user: Annotated[str, Depends(current)]) -> str:
        return user

    @app.get("/batch")
    async def batch(request: Request, user: Annotated[str, Depends(current)]) -> str:
        async def send(message: Any) -> None:
            inner.append(message.get("status", 0))

        headers = [(b"authorization", b"Bearer nonsense")]
        scope = {**request.scope, "path": "/me", "raw_path": b"/me", "headers": headers}
        await app(scope, request.receive, send)
        return user

    assert TestClient(app).get("/batch", headers=bearer()).status_code == 200
    assert inner[0] == 401
