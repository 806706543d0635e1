"""A session in cookies, as a browser has it."""

import pytest
from fastapi.testclient import TestClient

from examples.cookies.app import ADA, tokens

HERE = {"Origin": "https://shop.example"}  # what a browser adds by itself


@pytest.fixture(autouse=True)
def empty_cart() -> None:
    """Each test begins with an empty cart."""
    ADA.cart.clear()


def log_in(client: TestClient) -> dict[str, str]:
    """Log in, and return the headers that the page's script sends."""
    answer = client.post("/auth/login", data={"username": "ada", "password": "correct horse"}, headers=HERE)
    assert answer.status_code == 200
    assert sorted(answer.json()) == ["expires_in", "token_type"]
    return {**HERE, "X-CSRF-Token": client.cookies["csrf_token"]}


def test_the_page_reads_and_writes(client: TestClient) -> None:
    """Reading takes the cookie alone; writing, origin and CSRF token as well."""
    headers = log_in(client)
    assert client.get("/cart").json() == []
    assert client.post("/cart/tea", headers=headers).json() == ["tea"]


def test_another_site_gets_nothing(client: TestClient) -> None:
    """It can send the cookie, and neither the origin nor the token."""
    headers = log_in(client)
    for wrong in ({"Origin": "https://evil.example"}, HERE, {**headers, "Origin": "null"}, {"X-CSRF-Token": "x"}):
        answer = client.post("/cart/tea", headers=wrong)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Cross-site request refused"})
    assert ADA.cart == []
    foreign = {"Origin": "https://evil.example"}
    form = {"username": "ada", "password": "correct horse"}
    for path in ("/auth/login", "/auth/refresh", "/auth/logout"):
        assert client.post(path, data=form, headers=foreign).status_code == 403


def test_the_session_is_refreshed_and_ended(client: TestClient) -> None:
    """The new cookies take the place of the old ones, and the logout takes all away."""
    log_in(client)
    before = client.cookies["__Host-session"]
    assert client.post("/auth/refresh", headers=HERE).status_code == 200
    assert client.cookies["__Host-session"] != before
    assert client.get("/cart").status_code == 200
    assert client.post("/auth/logout", headers=HERE).status_code == 204
    assert not client.cookies
    assert client.get("/cart").status_code == 401


def test_a_program_sends_a_header_and_no_csrf_token(client: TestClient) -> None:
    """No browser adds such a header by itself."""
    headers = {"Authorization": f"Bearer {tokens.encode({'sub': 1})}"}
    assert client.post("/cart/tea", headers=headers).json() == ["tea"]


def test_the_page_is_there(client: TestClient) -> None:
    """With its script."""
    assert "/client.js" in client.get("/").text
    assert "javascript" in client.get("/client.js").headers["content-type"]
