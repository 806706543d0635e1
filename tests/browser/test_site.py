"""The built site: it works from a folder without a network, and lists every page and every public name."""

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import CHROMIUM
from tests.public_api import exported, public_modules

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="run by scripts/test-browser, which brings the browser"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built for this test."""
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "docs", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return built


@pytest.fixture
def outside(page: "Page") -> list[str]:
    """What the page asks the network for, all of which it is refused."""
    asked: list[str] = []

    def refuse(route: "Route") -> None:
        asked.append(route.request.url)
        route.abort()

    page.context.set_offline(True)
    page.route(lambda url: not url.startswith(("file:", "data:")), refuse)
    return asked


def test_the_search_finds_a_page(page: "Page", site: Path, outside: list[str]) -> None:
    """A word in the box leads to the pages that have it, and a click to the page."""
    page.goto((site / "index.html").as_uri())
    page.locator("input.sidebar-search").fill("argon2id")
    page.locator("input.sidebar-search").press("Enter")
    found = page.locator("#search-results li a")
    found.get_by_text("Hash and verify passwords", exact=True).first.click()
    page.wait_for_url("**/how-to/passwords.html*")
    assert "argon2id" in page.locator("article").inner_text()
    assert outside == []


def test_the_search_finds_a_name_in_the_reference(page: "Page", site: Path, outside: list[str]) -> None:
    """A public name leads to its entry."""
    page.goto(f"{(site / 'search.html').as_uri()}?q=RequestLogConfig")
    page.locator("#search-results li a[href*='reference/middleware.html#']").first.click()
    page.wait_for_url("**/reference/middleware.html*#fastapi_patterns.middleware.RequestLogConfig")
    assert outside == []


def test_every_public_name_has_an_entry(site: Path) -> None:
    """Each name of a room's `__all__` can be linked to: under the room, or under the one that it is taken over from."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, page: page)
    entries = {name for kind, of_kind in inventory.items() if kind.startswith("py:") for name in of_kind}
    taken_over = {f"fastapi_patterns.{name}" for name in ("auth.stores", "exceptions")}
    missing = [
        f"{module}.{name}"
        for module, path in public_modules()
        if module != "fastapi_patterns"  # the front door only re-exports, and the reference names the rooms
        for name in exported(path)
        if not entries & {f"{place}.{name}" for place in (module, *taken_over)}
    ]
    assert missing == []


def test_a_name_in_a_page_leads_to_its_entry(page: "Page", site: Path, outside: list[str]) -> None:
    """The first mention of a public name in a page is a link to the reference."""
    page.goto((site / "how-to" / "background-tasks.html").as_uri())
    page.locator("article a", has_text="TaskQueue").first.click()
    page.wait_for_url("**/reference/tasks.html#fastapi_patterns.tasks.TaskQueue")
    assert page.locator("[id='fastapi_patterns.tasks.TaskQueue']").is_visible()
    assert outside == []


def test_llms_txt_lists_every_page(site: Path) -> None:
    """A program that reads it knows each page of the site, by an address that is there."""
    listed = re.findall(r"^- \[.+?\]\((\S+?)\)(?::|$)", (site / "llms.txt").read_text(), re.MULTILINE)
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").glob("*/*.md")]
    assert sorted(listed) == sorted(map(str, pages))
    assert [page for page in listed if not (site / page).is_file()] == []


def test_before_and_after_are_tabs(page: "Page", site: Path, outside: list[str]) -> None:
    """The home page shows one of the two at a time, without a script."""
    page.goto((site / "index.html").as_uri())
    before, after = page.get_by_text("get_current_admin"), page.get_by_text("make_current_user", exact=True)
    assert after.first.is_visible()
    assert not before.first.is_visible()
    page.get_by_text("Before", exact=True).click()
    assert before.first.is_visible()
    assert not after.first.is_visible()
    assert outside == []
