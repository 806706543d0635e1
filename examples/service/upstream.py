"""A second, tiny application that the demo starts on loopback: the service that ours calls."""

import asyncio

from fastapi import FastAPI, HTTPException

app = FastAPI(title="Jokes")


@app.get("/joke")
async def joke(mode: str = "ok") -> dict[str, str]:
    """Answer at once, too late, or with a failure."""
    if mode == "slow":
        await asyncio.sleep(3)
    if mode == "down":
        raise HTTPException(500, "out of jokes")
    return {"joke": "A SQL query walks into a bar and asks two tables: may I join you?"}
