"""What came of one case."""

from dataclasses import dataclass

__all__ = ["Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One case's verdict beside the expected one; a foreign exception is not also counted as wrong."""

    id: str
    expected: str
    got: str
    wrong: bool
    foreign: bool = False
