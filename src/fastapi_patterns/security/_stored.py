"""What every scheme says of a stored hash: how to check it, and how to spend the time that a check takes.

Work is counted in units of a scheme's own that its time is proportional to (rounds, or memory times passes). That makes
the rest computable when a check was cheaper than the costliest of its kind.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["FILLER", "Spend", "Stored", "powers"]

# Works as long as so many units take, for a password of so many bytes.
Spend = Callable[[int, int], None]

# A password for work whose result nobody reads.
FILLER = b"a password that nobody has"


class Stored(NamedTuple):
    """A hash that was understood and that is affordable.

    Args:
        kind: What the work is counted in; two hashes of one kind have comparable work.
        work: How much checking it takes.
        verify: Gives the verdict on a password's bytes, or None without having done the work.
        spend: Does so much work for nothing.
    """

    kind: str
    work: int
    verify: Callable[[bytes], bool | None]
    spend: Spend


def powers(work: int, least: int) -> Iterator[int]:
    """Give the exponents of the powers of two, `2**least` and more, that make up `work`; what is less is left out."""
    for exponent in range(work.bit_length() - 1, least - 1, -1):
        if work >> exponent & 1:
            yield exponent
