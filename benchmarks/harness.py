"""Measures subjects side by side and reports ratios to a floor.

On a shared machine absolute times say little and drift within a run. So every round measures each subject once, in
shuffled order, and the figure is the median over rounds of (subject / floor of the same round); the spread is the
interquartile range of those ratios.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["OURS", "Case", "Result", "Suite", "measure", "ratios"]

OURS = "fastapi-patterns"
FLOOR = "floor"

Subject = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Case:
    """One thing that is compared.

    Args:
        name: What is done.
        floor: The least work that could do it, in words.
        subjects: Functions by name; `"floor"` must be among them, ours is called `"fastapi-patterns"`.
        rounds: How often each subject is measured.
        min_sample_s: A sample repeats its subject until it takes at least this long.
    """

    name: str
    floor: str
    subjects: Mapping[str, Subject]
    rounds: int = 15
    min_sample_s: float = 0.02

    def __post_init__(self) -> None:
        if FLOOR not in self.subjects:
            raise ValueError(f"case {self.name!r} has no subject {FLOOR!r}")


@dataclass(frozen=True)
class Suite:
    """Cases that belong together."""

    name: str
    cases: Sequence[Case]


@dataclass(frozen=True)
class Result:
    """What was measured of one subject: its ratio to the floor, or why it could not run.

    Attributes:
        suite: Where it was measured.
        case: And in which case of it.
        subject: What was measured.
        ratio: Its time over the floor's, the median over the rounds.
        spread: The interquartile range of that.
        seconds: Its time, the median over the rounds.
        error: Why it could not run.
        against: What counts as the floor.
        floor: That in words.
        shown: More figures, in words.
    """

    suite: str
    case: str
    subject: str
    ratio: float | None
    spread: float | None
    seconds: float | None
    error: str | None = None
    against: str = FLOOR
    floor: str = ""
    shown: str = ""

    def row(self) -> dict[str, object]:
        """Return what `--json` writes."""
        return {
            "suite": self.suite,
            "case": self.case,
            "subject": self.subject,
            "ratio": self.ratio,
            "against": self.against,
            "spread": self.spread,
        }


def measure(
    suite: Suite,
    *,
    quick: bool = False,
    clock: Clock = time.perf_counter,
    shuffle: Callable[[list[str]], None] = random.shuffle,
) -> list[Result]:
    """Measure every case of a suite; a subject that raises is reported and the others go on."""
    results: list[Result] = []
    for case in suite.cases:
        errors, repeats = _calibrate(case, clock)
        rounds = max(3, case.rounds // 10) if quick else case.rounds
        samples: dict[str, list[float]] = {name: [] for name in repeats}
        for _ in range(rounds if FLOOR in repeats else 0):
            order = list(repeats)
            shuffle(order)
            for name in order:
                samples[name].append(_sample(case.subjects[name], repeats[name], clock))
        results += _results(suite.name, case, samples, errors)
    return results


def ratios(samples: Sequence[float], floor: Sequence[float]) -> tuple[float, float]:
    """Return the median of the per-round ratios, and their interquartile range."""
    each = [sample / least for sample, least in zip(samples, floor, strict=True)]
    if len(each) < 2:
        return each[0], 0.0
    quarters = statistics.quantiles(each, n=4, method="inclusive")
    return statistics.median(each), quarters[2] - quarters[0]


def _calibrate(case: Case, clock: Clock) -> tuple[dict[str, str], dict[str, int]]:
    """Find how often each subject must run in a sample; the first call also warms it up."""
    errors: dict[str, str] = {}
    repeats: dict[str, int] = {}
    for name, subject in case.subjects.items():
        try:
            subject()
            count = 1
            while _sample(subject, count, clock) * count < case.min_sample_s and count < 1_000_000:
                count *= 2
            repeats[name] = count
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return errors, repeats


def _sample(subject: Subject, repeats: int, clock: Clock) -> float:
    started = clock()
    for _ in range(repeats):
        subject()
    return (clock() - started) / repeats


def _results(suite: str, case: Case, samples: Mapping[str, list[float]], errors: Mapping[str, str]) -> list[Result]:
    results = []
    for name in case.subjects:
        if name in errors:
            results.append(Result(suite, case.name, name, None, None, None, errors[name]))
        elif FLOOR in errors:
            results.append(Result(suite, case.name, name, None, None, None, "the floor could not run"))
        else:
            ratio, spread = ratios(samples[name], samples[FLOOR])
            seconds = statistics.median(samples[name])
            results.append(Result(suite, case.name, name, ratio, spread, seconds, floor=case.floor))
    return results
