"""The compact form of RFC 7515, read strictly: three canonical base64url parts, two of them JSON objects.

Pure and without keys. Whatever is wrong leaves as `TokenMalformedError`.
"""

import binascii
import json
from typing import Any, Never

from fastapi_patterns.security.errors import TokenMalformedError

__all__ = ["decode_part", "encode_part", "parse_object", "split"]

_TO_STANDARD = str.maketrans("-_", "+/", "+/=")
# More nesting than any real claim set has, and far below what the parser's recursion can carry.
_MAX_BRACKETS = 256


def split(token: object, max_bytes: int) -> tuple[str, str, str]:
    """Split a compact token into its three parts, before any other work is done on it.

    Raises:
        TokenMalformedError: Not an ASCII string of exactly three parts within the size limit.
    """
    if not isinstance(token, str):
        raise TokenMalformedError(f"a token is a str, not {type(token).__name__}")
    if len(token) > max_bytes:
        raise TokenMalformedError(f"the token is longer than {max_bytes} bytes")
    parts = token.split(".", 3)
    if len(parts) != 3 or not token.isascii():
        raise TokenMalformedError("a token has three parts of ASCII text")
    return parts[0], parts[1], parts[2]


def encode_part(data: bytes) -> str:
    """Encode bytes as base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).decode().translate(_TO_URL)


_TO_URL = str.maketrans("+/", "-_", "=")


def decode_part(part: str) -> bytes:
    """Decode base64url, refusing padding, foreign characters and any spelling but the canonical one.

    Raises:
        TokenMalformedError: The text is not what `encode_part` gives for some bytes.
    """
    try:
        data = binascii.a2b_base64(part.translate(_TO_STANDARD) + "=" * (-len(part) % 4), strict_mode=True)
    except ValueError:
        raise TokenMalformedError("a part is not base64url") from None
    # Foreign characters that translate() dropped, and set trailing bits, show when it is encoded again.
    if encode_part(data) != part:
        raise TokenMalformedError("a part is not canonical base64url")
    return data


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse UTF-8 JSON that must be an object (RFC 8725 section 3.7) with unique names (RFC 7519 section 4).

    Raises:
        TokenMalformedError: Other encodings, duplicate names, NaN or Infinity, too much nesting, not an object.
    """
    if data.count(b"{") + data.count(b"[") > _MAX_BRACKETS:
        raise TokenMalformedError("the JSON is nested too deeply")
    try:
        value = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except ValueError:  # UnicodeDecodeError and JSONDecodeError among them
        raise TokenMalformedError("a part is not UTF-8 JSON") from None
    if not isinstance(value, dict):
        raise TokenMalformedError("a part is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise TokenMalformedError("a name stands twice in a JSON object")
    return values


def _no_constant(_name: str) -> Never:
    raise TokenMalformedError("NaN and Infinity are not JSON")
