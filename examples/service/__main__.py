"""Serves the application with its own log format: `python -m examples.service --port 8000`."""

import argparse

import uvicorn

from examples.service.blocks import settings
from fastapi_patterns import configure_logging

parser = argparse.ArgumentParser(prog="python -m examples.service")
parser.add_argument("--port", type=int, default=8000)
port = parser.parse_args().port

configure_logging("json" if settings.log_format == "json" else "text")
uvicorn.run("examples.service.main:app", host="127.0.0.1", port=port, log_config=None)
