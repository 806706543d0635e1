"""Log output as text, JSON or for a developer's console, with the request id on every line. Nothing happens on import.

`configure_logging` is one explicit call. An application with a logging set-up of its own (structlog, loguru,
dictConfig) leaves it out and takes the parts it wants. Needs no extra; JSON is written by orjson where it is installed.
"""

from fastapi_patterns.logs.console import ConsoleFormatter
from fastapi_patterns.logs.formatters import JsonFormatter, RequestContextFilter, TextFormatter
from fastapi_patterns.logs.json_lines import JsonLines
from fastapi_patterns.logs.setup import configure_logging

__all__ = [
    "ConsoleFormatter",
    "JsonFormatter",
    "JsonLines",
    "RequestContextFilter",
    "TextFormatter",
    "configure_logging",
]
