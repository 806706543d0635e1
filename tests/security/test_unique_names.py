"""A JSON object is read exactly when it is whole and its names are unique, however it is spelled."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_patterns.security import _compact
from fastapi_patterns.security.errors import TokenMalformedError

TEXTS = st.text(alphabet='ab,:{}[]" \\é', max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " : "), ("\n,\t", ":")])


def _write(members: list[tuple[str, Any]], separators: tuple[str, str]) -> str:
    comma, colon = separators
    written = [f"{json.dumps(name)}{colon}{json.dumps(value, separators=separators)}" for name, value in members]
    return "{" + comma.join(written) + "}"


@given(st.lists(st.tuples(TEXTS, VALUES), max_size=6), SEPARATORS, st.sampled_from(["", " ", "\n", "\t\r "]))
def test_an_object_is_read_exactly_when_its_names_are_unique(
    members: list[tuple[str, Any]], separators: tuple[str, str], around: str
) -> None:
    """Whatever its strings hold and however it is spaced."""
    data = f"{around}{_write(members, separators)}{around}".encode()
    if len({name for name, _ in members}) == len(members):
        assert _compact.parse_object(data) == dict(members)
    else:
        with pytest.raises(TokenMalformedError, match="twice"):
            _compact.parse_object(data)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1,"a":"x,y"}',
        '{"a":",","a":","}',
        '{"a":1 , "a" : 2 }',
        '{"a":1,"\\u0061":2}',
        '{"b":{"a":1,"a":2}}',
        '{"b":[{"a":1,"a":2}]}',
        '{"a":"{","a":"["}',
    ],
)
def test_a_second_member_is_never_hidden(text: str) -> None:
    """Not by commas in strings, escapes, blanks or depth."""
    with pytest.raises(TokenMalformedError):
        _compact.parse_object(text.encode())


@pytest.mark.parametrize(
    "text",
    ['{"a":1}x', '{"a":1},', '{"a":1}{', '{"a":1,}', '{"a":NaN}', '{"a":1', "{,}", '\f{"a":1}', '{"a":1}\u00a0', ""],
)
def test_what_stands_around_an_object_is_refused(text: str) -> None:
    """An object is the whole text, but for blanks."""
    with pytest.raises(TokenMalformedError):
        _compact.parse_object(text.encode())
