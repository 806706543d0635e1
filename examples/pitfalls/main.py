"""The usual main.py."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from examples.pitfalls.deps import get_current_user, get_db, get_items


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start and end."""
    yield


app = FastAPI(debug=True, lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
app.add_middleware(CORSMiddleware, allow_origins="https://app.example")
app.add_middleware(CORSMiddleware, allow_origins=["https://app.example/"], allow_origin_regex="https://.*example.com")


@app.middleware("http")
async def log_requests(request: Request, call_next: Any) -> Any:
    """Log each request."""
    return await call_next(request)


@app.exception_handler(ValueError)
async def value_error(request: Request, exc: ValueError) -> JSONResponse:
    """Tell the client what went wrong."""
    return JSONResponse({"detail": str(exc)}, status_code=400)


@app.on_event("startup")
def create_tables() -> None:
    """Create the tables, one believes."""


@app.get("/me")
def me(user: Annotated[Any, Depends(get_current_user)]) -> Any:
    """The one route that is protected."""
    return user


@app.post("/items")
def create(  # type: ignore[no-untyped-def]  # the trap
    item: dict[str, str],
    db: Annotated[Session, Depends(get_db)],
    items: Annotated[list[str], Depends(get_items)],
    tasks: BackgroundTasks,
):
    """Anybody may do this."""
    tasks.add_task(send_mail)


def send_mail() -> None:
    """Wait for a server."""
    httpx2.post("https://mail.example")


@app.get("/slow")
async def slow() -> Any:
    """Every other request waits for this one."""
    time.sleep(1)  # noqa: ASYNC251  # the trap
    async with httpx2.AsyncClient() as client:
        return (await client.get("https://api.example")).json()
