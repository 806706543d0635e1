"""The console form: for the eyes of a developer, never for a program."""

import logging
import os
import sysconfig
import traceback
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import fastapi_patterns
from fastapi_patterns._scrub import scrub
from fastapi_patterns.logs._text import bounded, escaped
from fastapi_patterns.logs.formatters import is_request

__all__ = ["ConsoleFormatter"]

_RESET, _BOLD, _DIM = "\x1b[0m", "\x1b[1m", "\x1b[2m"
_RED, _GREEN, _YELLOW, _BLUE, _CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[36m"
_OF_LEVEL = {"DEBUG": _DIM, "INFO": _BLUE, "WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _BOLD + _RED}
_SLOW_S = 1.0


class ConsoleFormatter(logging.Formatter):
    """`12:43:29 POST /notes/7                      201   4.3 ms  c9269e20`, in colour.

    Tracebacks show the application's own frames and one line for each run of frames from libraries, with a count.

    Args:
        stream: Where the lines go; colours are used where it is a terminal. The environment's `NO_COLOR` switches them
            off, `FORCE_COLOR` on.
        colours: Decide it here instead.
    """

    def __init__(self, *, stream: TextIO | None = None, colours: bool | None = None) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._colours = _wanted(stream) if colours is None else colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line, and a folded traceback below it."""
        time = self._paint(_DIM, self.formatTime(record, self.datefmt))
        line = self._request(record) if is_request(record) else self._plain(record)
        request_id = getattr(record, "request_id", None)
        if request_id:
            line += "  " + self._paint(_DIM, escaped(str(request_id))[:8])
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + self._traceback(record.exc_info[1])
        return f"{time} {line}"

    def _request(self, record: logging.LogRecord) -> str:
        arguments: Any = record.args  # method, path, seconds and outcome: what the text form prints too
        method, path, seconds, status = arguments
        colour = _GREEN if status < 300 else _CYAN if status < 400 else _YELLOW if status < 500 else _RED
        if status >= 1000:  # the close code of a websocket
            colour = _GREEN if status in (1000, 1001) else _YELLOW
        took = f"{seconds * 1000:8.1f} ms" if seconds < _SLOW_S else f"{seconds:8.2f} s "
        return (
            f"{self._paint(_BOLD, f'{escaped(method):<7}')} {bounded(escaped(path), 200):<40} "
            f"{self._paint(colour, f'{status:>4d}')} {self._paint(_YELLOW if seconds >= _SLOW_S else _DIM, took)}"
        )

    def _plain(self, record: logging.LogRecord) -> str:
        level = self._paint(_OF_LEVEL.get(record.levelname, _BOLD), f"{record.levelname:<7}")
        return f"{level} {self._paint(_DIM, record.name)} {bounded(escaped(record.getMessage()))}"

    def _traceback(self, error: BaseException) -> str:
        chain = traceback.TracebackException.from_exception(scrub(error))
        return "\n".join(self._chain(chain))

    def _chain(self, shown: traceback.TracebackException) -> list[str]:
        lines = []
        before = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)
        if before is not None:
            how = "and because of it" if shown.__cause__ is not None else "and while this was handled"
            lines += [*self._chain(before), self._paint(_DIM, f"  ... {how}:")]
        hidden = 0
        for frame in shown.stack:
            if frame.filename.startswith(_libraries()) or frame.filename.startswith("<frozen"):
                hidden += 1
                continue
            lines += [*self._folded(hidden), *self._frame(frame)]
            hidden = 0
        lines += self._folded(hidden)
        text = "".join(shown.format_exception_only()).rstrip("\n")
        lines += [self._paint(_BOLD + _RED, "  " + bounded(escaped(part))) for part in text.split("\n")]
        for each in shown.exceptions or ():
            lines += ["  |" + line for line in self._chain(each)]
        return lines

    def _frame(self, frame: traceback.FrameSummary) -> list[str]:
        place = f"  {_relative(frame.filename)}:{frame.lineno}"
        return [f"{self._paint(_CYAN, place)} in {frame.name}", f"    {escaped(frame.line or '')}"]

    def _folded(self, hidden: int) -> list[str]:
        return [self._paint(_DIM, f"  ... {hidden} library frame(s)")] if hidden else []

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text


def _wanted(stream: TextIO | None) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or bool(stream is not None and stream.isatty())


@cache
def _libraries() -> tuple[str, ...]:
    """The folders of code that is not the application's: the standard library, what is installed, and this package."""
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders.append(str(Path(fastapi_patterns.__file__).parent))
    return tuple(f"{Path(folder).resolve()}{os.sep}" for folder in folders)


def _relative(filename: str) -> str:
    try:
        return str(Path(filename).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return filename
