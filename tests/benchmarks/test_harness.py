"""The harness computes what it says, with a clock that the test moves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.harness import OURS, Case, Suite, measure, ratios

ROOT = Path(__file__).parent.parent.parent


class FakeClock:
    """Time that passes only when a subject says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []

    def __call__(self) -> float:
        return self.now

    def subject(self, name: str, takes: float) -> object:
        """Make a subject that takes this long."""

        def run() -> None:
            self.now += takes
            self.ran.append(name)

        return run


def _suite(clock: FakeClock, **takes: float) -> Suite:
    subjects = {name: clock.subject(name, seconds) for name, seconds in takes.items()}
    return Suite("example", [Case("a case", "nothing", subjects, rounds=5, min_sample_s=0.0)])  # type: ignore[arg-type]


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """One slow round changes neither the median nor, much, the spread."""
    ratio, spread = ratios([2.0, 2.2, 40.0, 1.8, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert ratio == 2.0
    assert spread == pytest.approx(0.2)


def test_rounds_are_paired_with_their_own_floor() -> None:
    """When the whole machine slows down, the ratio stays."""
    assert ratios([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == (2.0, 0.0)


def test_subjects_are_measured_against_the_floor() -> None:
    """Each subject's figure is its own time over the floor's."""
    clock = FakeClock()
    results = {
        result.subject: result for result in measure(_suite(clock, floor=1.0, ours=3.0), clock=clock, shuffle=list.sort)
    }
    assert results["ours"].ratio == 3.0
    assert results["ours"].seconds == 3.0
    assert results["floor"].ratio == 1.0


def test_subjects_take_turns() -> None:
    """A round measures every subject once before the next round begins."""
    clock = FakeClock()
    measure(_suite(clock, floor=1.0, ours=1.0, peer=1.0), clock=clock, shuffle=list.sort)
    rounds = clock.ran[-15:]
    assert [rounds[start : start + 3] for start in range(0, 15, 3)] == [["floor", "ours", "peer"]] * 5


def test_short_subjects_are_repeated() -> None:
    """A sample is long enough to be measured: a fast subject runs several times in it."""
    clock = FakeClock()
    subjects = {"floor": clock.subject("floor", 0.001)}
    suite = Suite("example", [Case("a case", "nothing", subjects, rounds=5, min_sample_s=0.01)])  # type: ignore[arg-type]
    (result,) = measure(suite, clock=clock)
    assert result.seconds == pytest.approx(0.001)
    assert clock.ran.count("floor") >= 5 * 10


def test_a_subject_that_fails_is_reported() -> None:
    """One peer that cannot run does not take the others with it."""

    def broken() -> None:
        raise RuntimeError("not installed")

    clock = FakeClock()
    subjects = {"floor": clock.subject("floor", 1.0), "peer": broken}
    suite = Suite("example", [Case("a case", "nothing", subjects, rounds=3, min_sample_s=0.0)])  # type: ignore[arg-type]
    floor, peer = measure(suite, clock=clock)
    assert floor.ratio == 1.0
    assert peer.ratio is None
    assert peer.error == "RuntimeError: not installed"


def test_a_case_needs_a_floor() -> None:
    """A case without a floor is refused when it is made."""
    with pytest.raises(ValueError, match="has no subject 'floor'"):
        Case("a case", "nothing", {"ours": lambda: None})


def test_ours_has_one_name_in_every_case() -> None:
    """Whoever reads the JSON finds our rows by `"subject": "fastapi-patterns"`, one a case, and no case twice."""
    code = (
        "import json; from benchmarks.__main__ import SUITES; made = {name: SUITES[name]() for name in SUITES}; "
        "print(json.dumps([[name, case.name, list(case.subjects)] for name in made for case in made[name].cases]))"
    )
    cases = json.loads(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True))
    assert {suite for suite, _, _ in cases} == set(command.SUITES)
    assert all([subject for subject in subjects if OURS in subject] == [OURS] for _, _, subjects in cases)
    assert len({case for _, case, _ in cases}) == len(cases)


def test_json_holds_the_agreed_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` writes a list of rows with exactly the members that readers rely on."""
    clock = FakeClock()
    monkeypatch.setattr(command, "SUITES", {"example": lambda: _suite(clock, floor=1.0, ours=2.0)})
    monkeypatch.setattr(command, "measure", lambda suite, quick: measure(suite, quick=quick, clock=clock))
    assert command.main(["--quick", "--json", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"suite": "example", "case": "a case", "subject": "floor", "ratio": 1.0, "against": "floor", "spread": 0.0},
        {"suite": "example", "case": "a case", "subject": "ours", "ratio": 2.0, "against": "floor", "spread": 0.0},
    ]
    assert "floor: nothing" in capsys.readouterr().out
