"""Turns what an application put into an error into JSON values, whatever it is. Pure.

Unknown objects become null, never their attributes or their text: a row or an exception there would carry what no
client may read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from fastapi.encoders import ENCODERS_BY_TYPE, jsonable_encoder
from pydantic import BaseModel

__all__ = ["json_value"]

_KNOWN = tuple(ENCODERS_BY_TYPE)
_DEEPEST = 100


def json_value(value: Any, *, above: tuple[int, ...] = ()) -> Any:
    """Return the value as JSON has it: dates, UUIDs and models as FastAPI writes them; NaN and the unknown as null."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if id(value) in above or len(above) > _DEEPEST:
        return None
    within = (*above, id(value))
    if isinstance(value, BaseModel):
        return json_value(_encoded(value), above=within)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_value(getattr(value, field.name, None), above=within) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): json_value(inner, above=within) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(inner, above=within) for inner in value]
    # What the encoder makes of a type that it knows is text, a number or a list of either.
    return json_value(_encoded(value), above=within) if isinstance(value, _KNOWN) else None


def _encoded(value: Any) -> Any:
    try:
        return jsonable_encoder(value)
    except Exception:  # an encoder's failure, of whatever kind, must not replace the answer that is being made
        return None


def _key(key: Any) -> str:
    encoded = json_value(key)
    return encoded if isinstance(encoded, str) else json.dumps(encoded)
