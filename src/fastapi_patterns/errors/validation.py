"""What a client may read of a failed validation. Pure: the rules over pydantic's error list.

Never `input`, `ctx` or `url`: pydantic's default answer echoes them, a password in a sibling field included.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic_core import core_schema

__all__ = ["close_reason", "field_errors"]

# The texts that are pydantic's own. Every other one, a PydanticCustomError's among them, comes from the application's
# validators or quotes the input.
_OWN_TEXT = frozenset(get_args(core_schema.ErrorType)) - {
    "assertion_error",
    "get_attribute_error",
    "import_error",
    "iteration_error",
    "mapping_type",
    "union_tag_invalid",
    "value_error",
}
# A shorter input is found by chance in any sentence.
_SHORTEST_ECHO = 3
_INSTEAD = "Invalid value"
# A close frame holds 125 bytes, two of which are the code (RFC 6455 section 5.5).
_LONGEST_REASON = 123


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Turn pydantic's errors into `{"field": "body.items.0.price", "message": "...", "pointer": "#/items/0/price"}`.

    The pointer (RFC 6901) is there for fields of a body. A message of the application's own validator is kept unless it
    repeats what the client sent.
    """
    found = []
    for error in errors:
        location = _location(error)
        field = ".".join(location)
        entry = {"field": field, "message": _message(error)}
        if location and location[0] == "body":
            if "/" in field or "~" in field:
                location = [part.replace("~", "~0").replace("/", "~1") for part in location]
            entry["pointer"] = "/".join(["#", *location[1:]])
        found.append(entry)
    return found


def close_reason(errors: Iterable[Mapping[str, Any]]) -> str:
    """Say in the 123 bytes of a WebSocket's close frame which field failed first, and why; never what was sent."""
    first = next(iter(field_errors(errors)), None)
    reason = "Invalid request" if first is None else f"{first['field']}: {first['message']}"
    return reason.encode()[:_LONGEST_REASON].decode(errors="ignore")


def _location(error: Mapping[str, Any]) -> list[str]:
    location: Sequence[Any] = error.get("loc", ())
    if error.get("type") == "json_invalid" and "input" in error and error["input"] == {}:
        location = location[:1]  # FastAPI's own: the rest is an offset into the body, which is no field
    return [_encodable(part) if isinstance(part, str) else str(part) for part in location]


def _encodable(text: str) -> str:
    # A client chooses the keys of its JSON: a lone surrogate there must not break the answer's encoding.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _message(error: Mapping[str, Any]) -> str:
    message = str(error.get("msg", _INSTEAD))
    if error.get("type") not in _OWN_TEXT and _repeats(message, error.get("input")):
        return _INSTEAD
    return _encodable(message)


def _repeats(message: str, value: Any) -> bool:
    said = message.casefold()  # validators trim, fold and quote
    for leaf in _leaves(value):
        text = leaf.strip().casefold()
        if len(text) >= _SHORTEST_ECHO and (text in said or repr(text)[1:-1] in said):
            return True
    return False


def _leaves(value: Any) -> Iterator[str]:
    waiting = [value]  # no recursion: a client's body may be nested deeper than the interpreter's stack
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, Mapping):
            waiting.extend(inner.values())
        elif isinstance(inner, (list, tuple, set, frozenset)):
            waiting.extend(inner)
        elif inner is not None and not isinstance(inner, bool):
            yield inner.decode("utf-8", "replace") if isinstance(inner, bytes) else str(inner)
