"""The compact form of RFC 7515, read strictly: three canonical base64url parts, two of them JSON objects.

Pure and without keys. Whatever is wrong leaves as `TokenMalformedError`.
"""

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Never

from fastapi_patterns.security.errors import TokenMalformedError

__all__ = ["decode_part", "dump", "encode_part", "parse_object", "split"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
# What completes a part of this length (modulo 4), and the last characters it may have: those whose unused bits are
# zero, so that bytes have one spelling (RFC 4648 section 3.5). No part is 1 modulo 4 characters long.
_ENDINGS: tuple[tuple[bytes, frozenset[int]], ...] = (
    (b"", frozenset(_ALPHABET)),
    (b"", frozenset()),
    (b"==", frozenset(_ALPHABET[::16])),
    (b"=", frozenset(_ALPHABET[::4])),
)
# More nesting than any real claim set has, and far below what the parser's recursion can carry.
_MAX_NESTING = 128
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def split(token: object, max_bytes: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Split a compact token into header, payload and signature, before any other work is done on it.

    Returns:
        The three parts, and the first two as they were signed.

    Raises:
        TokenMalformedError: Not three parts of base64url's characters within the size limit.
    """
    if not isinstance(token, str):
        raise TokenMalformedError(f"a token is a str, not {type(token).__name__}")
    if len(token) > max_bytes:
        raise TokenMalformedError(f"the token is longer than {max_bytes} bytes")
    # Any character beyond ASCII turns into "?", which is refused with the other foreign ones.
    raw = token.encode("ascii", "replace")
    if raw.translate(None, _ALPHABET) != b"..":
        raise TokenMalformedError("a token has three parts of base64url")
    header, payload, signature = raw.split(b".")
    return header, payload, signature, raw[: -len(signature) - 1]


def encode_part(data: bytes) -> bytes:
    """Encode bytes as base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=")


def decode_part(part: bytes) -> bytes:
    """Decode a part that `split` gave, refusing any spelling but the canonical one.

    Raises:
        TokenMalformedError: The text is not what `encode_part` gives for some bytes.
    """
    padding, last = _ENDINGS[len(part) % 4]
    if part and part[-1] not in last:
        raise TokenMalformedError("a part is not canonical base64url")
    return binascii.a2b_base64(part.translate(_TO_STANDARD) + padding)


def _nesting(data: bytes) -> int:
    """Tell how deep brackets are nested, without those inside strings."""
    depth = deepest = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise TokenMalformedError("a name stands twice in a JSON object")
    return values


def _no_constant(_name: str) -> Never:
    raise TokenMalformedError("NaN and Infinity are not JSON")


# `raw_decode` with the blanks of RFC 8259 section 2 taken off first: `decode` looks for them with regular expressions.
_BLANKS = " \t\n\r"
_parse = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).raw_decode
_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse UTF-8 JSON that must be an object (RFC 8725 section 3.7) with unique names (RFC 7519 section 4).

    Raises:
        TokenMalformedError: Other encodings, half characters (`\\ud800`), duplicate names, NaN or Infinity, too much
            nesting, not an object.
    """
    if data.count(b"{") + data.count(b"[") > _MAX_NESTING and _nesting(data) > _MAX_NESTING:
        raise TokenMalformedError("the JSON is nested too deeply")
    try:
        text = data.decode().strip(_BLANKS)
        value, end = _parse(text)
        if b"\\u" in data:
            _write(value).encode()  # half of a surrogate pair would fail later, in a database
    except (ValueError, RecursionError):  # UnicodeError and JSONDecodeError among them
        raise TokenMalformedError("a part is not UTF-8 JSON") from None
    if end != len(text) or type(value) is not dict:
        raise TokenMalformedError("a part is not a JSON object")
    return value


def dump(values: Mapping[str, Any]) -> bytes:
    """Write JSON, the way that takes the fewest bytes.

    Raises:
        ValueError: A value is not JSON, not finite, or not valid Unicode. The message does not repeat it.
    """
    try:
        return _write(values).encode()
    except (TypeError, ValueError, RecursionError):
        pass  # Not chained: the cause may quote a claim's value.
    names = [name for name, value in values.items() if not _is_json(name, value)]
    got = f"; {names[0]!r} is not (it is a {type(values[names[0]]).__name__})" if names else ""
    raise ValueError(f"every claim must be a JSON value with finite numbers and valid Unicode{got}")


def _is_json(name: str, value: object) -> bool:
    try:
        return bool(_write({name: value}).encode())
    except (TypeError, ValueError, RecursionError):
        return False
