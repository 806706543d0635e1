"""What a client may read of a failed validation. Pure: the rules over pydantic's error list.

Never `input`, `ctx` or `url`: pydantic's default answer echoes them, a password in a sibling field included.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["field_errors"]

# Their text comes from the application's validators or quotes the input; every other text is pydantic's own.
_MAY_ECHO = frozenset({"value_error", "assertion_error", "union_tag_invalid"})
# A shorter input is found by chance in any sentence.
_SHORTEST_ECHO = 3
_INSTEAD = "Invalid value"


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Turn pydantic's errors into `{"field": "body.items.0.price", "message": "..."}`.

    A message of the application's own validator is kept unless it repeats what the client sent.
    """
    return [{"field": _field(error), "message": _message(error)} for error in errors]


def _field(error: Mapping[str, Any]) -> str:
    location: Sequence[Any] = error.get("loc", ())
    if error.get("type") == "json_invalid":
        location = location[:1]  # the rest is an offset into the body, which is no field
    # A client chooses the keys of its JSON: a lone surrogate there must not break the answer's encoding.
    return ".".join(str(part) for part in location).encode("utf-8", "replace").decode()


def _message(error: Mapping[str, Any]) -> str:
    message = str(error.get("msg", _INSTEAD)).encode("utf-8", "replace").decode()
    if error.get("type") in _MAY_ECHO and any(leaf in message for leaf in _leaves(error.get("input"))):
        return _INSTEAD
    return message


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        if len(text) >= _SHORTEST_ECHO:
            yield text
