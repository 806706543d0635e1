"""How a route's own HTTPException is documented, until a renderer for all errors says otherwise."""

from typing import Any

__all__ = ["DETAIL", "detail_response"]

DETAIL = {
    "title": "ErrorDetail",
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"title": "Detail"}},
}
"""The body that FastAPI gives a HTTPException."""


def detail_response(description: str) -> dict[str, Any]:
    """Document a response with that body, for `responses=`."""
    return {"description": description, "content": {"application/json": {"schema": DETAIL}}}
