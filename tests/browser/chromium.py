"""A headless Chromium, the example service, and its docs page with the assets served from a folder."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

CHROMIUM, ASSETS = os.environ.get("CHROMIUM"), os.environ.get("SWAGGER_UI")
ADA = {"email": "ada@example.com", "name": "Ada", "password": "correct horse battery staple"}
TIMEOUT_MS = 20_000


@contextmanager
def browser() -> Iterator["Browser"]:
    """Start the browser that CHROMIUM names."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        try:
            yield launched
        finally:
            launched.close()


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """Serve the example service under uvicorn, with one account; gives its URL."""
    import httpx2

    from examples.service.demo import free_port, process, wait_until_up

    port = free_port()
    environment = {
        **os.environ,
        "SECRET_KEY": secrets.token_urlsafe(64),
        "DATABASE_URL": f"sqlite:///{folder}/service.db",
    }
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "examples.service", "--port", str(port)]
    with process(command, environment, folder / "service.log") as running:
        assert isinstance(running, subprocess.Popen)
        assert wait_until_up(f"{url}/health", running), (folder / "service.log").read_text()
        assert httpx2.post(f"{url}/auth/register", json=ADA).status_code == 201
        yield url


def open_docs(page: "Page", url: str) -> None:
    """Open the service's stock docs page; what it takes from a CDN comes from SWAGGER_UI, the rest is empty."""
    assert ASSETS is not None

    def serve_asset(route: "Route") -> None:
        found = Path(ASSETS) / route.request.url.rsplit("/", 1)[-1]
        if found.is_file():
            route.fulfill(path=found)
        else:
            route.fulfill(status=204)

    page.route(lambda address: not address.startswith(url), serve_asset)
    page.goto(f"{url}/docs")


def authorize(page: "Page") -> None:
    """Press Authorize and log in with Ada's password; leaves the dialogue open."""
    page.click("button.authorize")
    page.fill("#oauth_username, input[name=username]", ADA["email"])
    page.fill("#oauth_password, input[name=password]", ADA["password"])
    page.click(".auth-btn-wrapper button.authorize")
    page.wait_for_selector(".auth-container >> text=Logout")
