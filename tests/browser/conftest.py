"""What the browser's tests share: one browser and one service for a module, a page for each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import TIMEOUT_MS, browser, service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """A headless Chromium."""
    with browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example service under uvicorn, with one account."""
    folder: Path = tmp_path_factory.mktemp("service")
    with service(folder) as url:
        yield url


@pytest.fixture
def page(chromium: "Browser") -> Iterator["Page"]:
    """A page of its own."""
    opened = chromium.new_page()
    opened.set_default_timeout(TIMEOUT_MS)
    yield opened
    opened.close()
