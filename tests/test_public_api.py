"""The public API only changes on purpose."""

import difflib

from tests.public_api import SNAPSHOT, lines


def test_the_public_api_is_the_written_one() -> None:
    """A changed public name or signature shows here until the snapshot is renewed."""
    was, now = SNAPSHOT.read_text().splitlines(), lines()
    changes = "\n".join(difflib.unified_diff(was, now, "written down", "in the source", lineterm="", n=0))
    assert was == now, f"renew it with `python -m tests.public_api --write`, and say why:\n{changes}"


def test_every_public_name_has_a_definition() -> None:
    """Each name in an `__all__` leads to a function, a class or a value in the source."""
    assert [
        line for line in lines() if line.endswith("(not found)") and not line.endswith("__version__ (not found)")
    ] == []
