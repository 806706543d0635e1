"""What a rule reports."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["ORDER", "Finding", "Severity"]

Severity = Literal["info", "warning", "error"]
ORDER: tuple[Severity, ...] = ("info", "warning", "error")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        rule: Its id, such as `FP201`; the documentation has a section on each.
        severity: `error`, `warning` or `info`.
        place: File and line, or what of the application it is about.
        why: What goes wrong, in one sentence.
        mend: What to write instead.
    """

    rule: str
    severity: Severity
    place: str
    why: str
    mend: str

    def __str__(self) -> str:
        """Write it in two lines, as the command does."""
        return f"{self.place}: {self.rule} {self.severity}: {self.why}\n    {self.mend}"
