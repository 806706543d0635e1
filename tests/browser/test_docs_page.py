"""The docs page as a person uses it: Authorize with a password, then call a protected route."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM, ASSETS = os.environ.get("CHROMIUM"), os.environ.get("SWAGGER_UI")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and ASSETS), reason="run by scripts/test-browser, which brings the browser"),
]

ADA = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The example service under uvicorn, with one account."""
    import httpx2

    from examples.service.demo import free_port, process, wait_until_up

    port = free_port()
    environment = {
        **os.environ,
        "SECRET_KEY": secrets.token_urlsafe(64),
        "DATABASE_URL": f"sqlite:///{tmp_path}/service.db",
    }
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "examples.service", "--port", str(port)]
    with process(command, environment, tmp_path / "service.log") as running:
        assert isinstance(running, subprocess.Popen)
        assert wait_until_up(f"{url}/health", running), (tmp_path / "service.log").read_text()
        assert httpx2.post(f"{url}/auth/register", json=ADA).status_code == 201
        yield url


def test_authorize_with_a_password_and_call_me(service: str) -> None:
    """The Authorize button logs in, and `Try it out` on /me then answers with the user and no hash."""
    from playwright.sync_api import Route, sync_playwright

    assert ASSETS is not None

    def serve_asset(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[-1]
        found = Path(ASSETS) / name
        if found.is_file():
            route.fulfill(path=found)
        else:
            route.fulfill(status=204)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        page = browser.new_page()
        page.set_default_timeout(20_000)  # milliseconds
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.route(lambda url: not url.startswith(service), serve_asset)
        page.goto(f"{service}/docs")

        page.click("button.authorize")
        page.fill("#oauth_username, input[name=username]", ADA["email"])
        page.fill("#oauth_password, input[name=password]", ADA["password"])
        page.click(".auth-btn-wrapper button.authorize")
        page.wait_for_selector(".auth-container >> text=Logout")
        page.click(".auth-btn-wrapper button.btn-done")

        page.click("#operations-accounts-me_me_get .opblock-summary-control")
        page.click("#operations-accounts-me_me_get .try-out__btn")
        page.click("#operations-accounts-me_me_get button.execute")
        page.wait_for_selector("#operations-accounts-me_me_get .live-responses-table .response")
        row = page.locator("#operations-accounts-me_me_get .live-responses-table .response")
        answer = row.inner_text()
        browser.close()

    assert "200" in answer
    assert ADA["email"] in answer
    assert "password_hash" not in answer
    assert problems == []
