"""Run in the folder of an application, before or after a change: prints as JSON what its log and its answers say.

The application is `main:app`. It has GET /ping, which writes a line, and GET /broken, which raises.
"""

import json
import os
import sys
import tempfile
import warnings
from typing import Any

warnings.simplefilter("ignore")

ID = "0123456789abcdef0123456789abcdef"


def main() -> None:
    """Ask, and print."""
    sys.path.insert(0, os.getcwd())
    printed = os.dup(1)
    with tempfile.TemporaryFile() as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        facts = seen(log)
    os.write(printed, json.dumps(facts).encode())


def seen(log: Any) -> dict[str, Any]:
    """Send requests, and read what was written meanwhile."""
    from fastapi.testclient import TestClient
    from main import app  # type: ignore[import-not-found]

    facts: dict[str, Any] = {}
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/ping", "/broken"):
            for sent in (None, ID):
                at = os.fstat(log.fileno()).st_size
                answer = client.get(path, headers={} if sent is None else {"X-Request-ID": sent})
                sys.stdout.flush()
                written = os.pread(log.fileno(), 1_000_000, at).decode()
                found = answer.headers.get("x-request-id")
                what = f"{path}, {'an id was sent' if sent else 'no id was sent'}"
                lines = [line for line in written.splitlines() if found and found in line]
                facts[what] = {
                    "status": answer.status_code,
                    "the answer has the id": found is not None and (sent is None or found == sent),
                    "lines with the id": len(lines),
                    "tracebacks": written.count("Traceback (most recent call last)"),
                }
    return facts


main()
