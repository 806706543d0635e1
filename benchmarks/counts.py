"""How many instructions of Python's bytecode a request runs: the same on every machine, so that CI can compare it.

Work inside of C (hashing, JSON, regular expressions) does not count, nor does waiting: it is a gate against code that
grew by mistake, beside the times that the other suites measure. `python -m benchmarks.counts` prints the table.
"""

import asyncio
import io
import secrets
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from benchmarks.in_process import requests_to
from fastapi_patterns import (
    AppException,
    Claims,
    RequestLogConfig,
    RequestLogMiddleware,
    TokenCodec,
    TokenConfig,
    install_error_handlers,
    install_stack,
    make_current_user,
)
from fastapi_patterns.logs import JsonLines

__all__ = ["CEILINGS", "count", "ratios"]

# Times a bare GET /ping: what was counted on Python 3.11 and 3.13 with FastAPI 0.165, and a twentieth for other
# versions of it. A change that passes one says in its commit what the request gets for that.
CEILINGS = {
    "request log": 1.33,
    "whole stack": 1.44,
    "whole stack and a user": 2.17,
    "AppException": 1.09,
    "validation error": 1.48,
}


class Body(BaseModel):
    """A body that fails to validate."""

    email: str
    age: int


def ratios() -> dict[str, float]:
    """Give what a request costs with each block, in bare requests."""
    loop = asyncio.new_event_loop()
    try:
        floor, *others = (count(subject) for subject in _subjects(loop).values())
    finally:
        loop.close()
    return {name: each / floor for name, each in zip(CEILINGS, others, strict=True)}


def count(work: Callable[[], object]) -> int:
    """Count the instructions that a call runs in this thread, once it is warm."""
    counted = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal counted
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()  # Python 3.13 sends the events of a function from its second call on
        counted = 0
        work()
    finally:
        sys.settrace(before)
    return counted


def _subjects(loop: asyncio.AbstractEventLoop) -> dict[str, Callable[[], object]]:
    tokens = TokenCodec(TokenConfig(secret_key=secrets.token_urlsafe(64)))

    async def load_user(claims: Claims) -> int:
        return claims.int_sub

    user = Depends(make_current_user(load_user, tokens=tokens, token_url="login"))
    logged, handled = _app(), _app()
    logged.add_middleware(RequestLogMiddleware, config=_to_memory())
    install_error_handlers(handled)
    body = {"method": "POST", "content": b'{"email": 7}', "status": 422}
    bearer = {"authorization": f"Bearer {tokens.encode({'sub': 1})}"}
    return {
        "floor": requests_to(loop, _app(), "/ping"),
        "request log": requests_to(loop, logged, "/ping"),
        "whole stack": requests_to(loop, _stacked(_app()), "/ping"),
        "whole stack and a user": requests_to(loop, _stacked(_app(user)), "/ping", headers=bearer),
        "AppException": requests_to(loop, handled, "/taken", status=409),
        "validation error": requests_to(loop, handled, "/validate", **body),  # type: ignore[arg-type]
    }


def _app(user: Any = None) -> FastAPI:
    app = FastAPI()

    @app.get("/ping", dependencies=[] if user is None else [user])
    async def ping() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/taken")
    async def taken() -> None:
        raise AppException(409, "taken")

    @app.post("/validate")
    async def validate(body: Body) -> None:
        return None

    return app


def _stacked(app: FastAPI) -> FastAPI:
    install_stack(app, allow_origins=["https://app.example"], request_log=_to_memory())
    return app


def _to_memory() -> RequestLogConfig:
    return RequestLogConfig(sink=JsonLines(io.BytesIO()))


def main() -> int:
    """Print the table; non-zero where a ceiling is passed."""
    found = ratios()
    for name, ratio in found.items():
        print(f"{name:<24} {ratio:5.2f} x  of {CEILINGS[name]:.2f}")
    return 1 if any(ratio > CEILINGS[name] for name, ratio in found.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
