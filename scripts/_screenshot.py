"""Draws what `configure_logging("console")` prints into docs/_static/console.svg; times and ids are fixed.

The lines are the formatter's own, for real requests to the example application. Called by scripts/screenshot.
"""

import io
import logging
import os
import re
import sys
import time
from contextlib import redirect_stderr
from itertools import chain, count, repeat
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "_static" / "console.svg"
# Method, path, seconds that it seems to take.
REQUESTS = (
    ("GET", "/stock/tea", 0.0021),
    ("POST", "/orders?name=tea", 0.0043),
    ("GET", "/stock/sugar", 0.0012),
    ("POST", "/orders?name=coffee", 0.0038),
    ("GET", "/report", 1.42),
    ("GET", "/stock/salt", 0.0057),
    ("GET", "/stock/tea", 0.0019),
)


class Clock:
    """Stands still until it is told how long the next request takes."""

    def __init__(self) -> None:
        self.next_request(0)

    def next_request(self, seconds: float) -> None:
        """Read 0 once, at the start, and `seconds` after it."""
        self._values = chain([0.0], repeat(seconds))

    def __call__(self) -> float:
        """Give the time in seconds."""
        return next(self._values)


class FixedTime(logging.Filter):
    """Gives all records the same moment of the day, a second later for each."""

    _seconds = count(12 * 3600 + 43 * 60 + 29)

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the record's time; lets every record pass."""
        record.created = float(next(self._seconds))
        return True


def printed() -> str:
    """Return what the console shows, with its colours."""
    os.environ.update(LOG_FORMAT="console", FORCE_COLOR="1")
    os.environ.pop("NO_COLOR", None)
    os.chdir(ROOT)  # paths in tracebacks are relative to where the program was started
    sys.path.insert(0, str(ROOT))
    from fastapi.testclient import TestClient

    from examples.json_and_console.app import make_app
    from fastapi_patterns import RequestLogConfig

    clock = Clock()
    ids = (f"{0xC9269E20B971 * number % 2**48:012x}" for number in count(1))
    app = make_app(RequestLogConfig(clock=clock, new_request_id=lambda: next(ids)))
    with redirect_stderr(io.StringIO()) as shown, TestClient(app, raise_server_exceptions=False) as client:
        (handler,) = (one for one in logging.getLogger().handlers if one.get_name() == "fastapi_patterns")
        handler.addFilter(FixedTime())
        if handler.formatter is not None:
            handler.formatter.converter = time.gmtime  # type: ignore[assignment, unused-ignore]
        for method, path, seconds in REQUESTS:
            clock.next_request(seconds)
            client.request(method, path)
    return shown.getvalue()


def drawn(lines: str) -> str:
    """Draw the lines as SVG. No font is loaded from the network."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(lines), end="")
    template = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    svg = console.export_svg(title="LOG_FORMAT=console", code_format=template, unique_id="console")
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    text = printed()
    if "--text" in sys.argv[1:]:
        print(re.sub(r"\x1b\[[0-9;]*m", "", text), end="")
    else:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(drawn(text))
        print(f"Wrote {PICTURE.relative_to(ROOT)}")
