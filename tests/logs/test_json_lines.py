"""The direct sink: whole lines, in batches, nothing lost at an ordinary end."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from fastapi_patterns import ConfigurationError
from fastapi_patterns.logs import JsonLines


def test_a_line_is_one_json_object() -> None:
    """Time, level, logger, text and fields; outside an event loop it is written at once."""
    stream = io.BytesIO()
    JsonLines(stream)(
        logging.INFO, "GET / - 0.001s 200", {"request_id": "request-1", "odd": object, "esc": "\x1b\u2028"}
    )
    line = stream.getvalue().decode()
    written = json.loads(line)
    assert line.endswith("\n")
    assert "\x1b" not in line
    assert "\u2028" not in line
    assert (written["level"], written["logger"]) == ("INFO", "fastapi_patterns.request")
    assert (written["message"], written["request_id"]) == ("GET / - 0.001s 200", "request-1")


def test_lines_are_gathered() -> None:
    """In an event loop they are written together: when there are enough, or after a while."""
    stream = io.BytesIO()

    async def write() -> list[int]:
        sink = JsonLines(stream, max_lines=3, flush_after_s=0.001)
        counts = []
        for number in range(4):
            sink(logging.INFO, str(number), {})
            counts.append(stream.getvalue().count(b"\n"))
        loop = asyncio.get_running_loop()
        waited = asyncio.Event()
        loop.call_later(0.01, waited.set)
        await waited.wait()
        return [*counts, stream.getvalue().count(b"\n")]

    assert asyncio.run(write()) == [0, 0, 3, 3, 4]
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["0", "1", "2", "3"]


def test_levels_have_their_names() -> None:
    """The usual ones, and one of the application's own."""
    stream = io.BytesIO()
    sink = JsonLines(stream)
    for level in (logging.WARNING, logging.ERROR, 25):
        sink(level, "", {})
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == ["WARNING", "ERROR", "Level 25"]


def test_an_ordinary_end_writes_what_was_gathered() -> None:
    """The process ends before the time is up: the lines are there, on standard output by default."""
    code = (
        "import asyncio; from fastapi_patterns.logs import JsonLines; sink = JsonLines(flush_after_s=3600)\n"
        "async def main(): sink(20, 'one', {}); sink(20, 'two', {})\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [json.loads(line)["message"] for line in done.stdout.splitlines()] == ["one", "two"]


@pytest.mark.parametrize("options", [{"flush_after_s": 0}, {"max_lines": 0}])
def test_numbers_are_positive(options: dict[str, Any]) -> None:
    """With words."""
    with pytest.raises(ConfigurationError, match="must be positive"):
        JsonLines(**options)
