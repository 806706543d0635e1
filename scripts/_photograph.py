"""Photographs the example service's docs page, and the built site in light and dark, into docs/_static.

Called by `scripts/screenshot --pages`, which brings the browser.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "_static"
SITE = ROOT / "docs" / "_build" / "html" / "explanation" / "stack-order.html"
sys.path.insert(0, str(ROOT))


def photograph() -> None:
    """Take all pictures."""
    from tests.browser.chromium import authorize, browser, open_docs, service

    with browser() as chromium, tempfile.TemporaryDirectory() as folder, service(Path(folder)) as url:
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport={"width": 1110, "height": 720}, color_scheme=scheme)
            page.goto(SITE.as_uri())
            page.screenshot(path=PICTURES / f"site-{scheme}.png")
        page = chromium.new_page(viewport={"width": 1000, "height": 620}, color_scheme="light")
        open_docs(page, url)
        authorize(page)
        page.screenshot(path=PICTURES / "docs-page.png", animations="disabled")


if __name__ == "__main__":
    photograph()
