"""The application: `uvicorn examples.service.main:app` with SECRET_KEY in the environment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from examples.service import accounts, logins, notes
from examples.service.blocks import database, settings, tasks, upstream
from fastapi_patterns import install_stack


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables; the resources of the stack are open already."""
    database.create_all()
    yield


app = FastAPI(title="Notes", lifespan=lifespan)
install_stack(app, allow_origins=settings.allow_origins, resources=[database, upstream, tasks])
app.include_router(logins.router)
app.include_router(accounts.router, tags=["accounts"])
app.include_router(notes.router, tags=["notes"])


@app.get("/health")
async def health() -> dict[str, Any]:
    """Tell that the process serves."""
    return {"status": "ok"}
