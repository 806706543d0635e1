"""The page of figures says what was measured, and no more."""

from benchmarks.page import PAGE, README, figures, front, whole, written
from benchmarks.targets import TARGETS, outcomes


def test_the_page_is_made_of_the_kept_figures() -> None:
    """Nothing in it was written by hand or is of another run; nor in the README."""
    conditions, rows = figures()
    for file, lines in ((PAGE, whole(conditions, rows)), (README, front(rows))):
        assert written(file.read_text(), lines) == file.read_text()


def test_every_target_is_measured() -> None:
    """No target is left out, whether it is reached or not."""
    _, rows = figures()
    assert [target for target, _, _ in outcomes(rows)] == list(TARGETS)


def test_a_missed_target_is_said() -> None:
    """In one direction and in the other."""
    of = {"suite": "http", "case": "5 calls"}
    rows = [
        {**of, "subject": "fastapi-patterns", "ratio": 2.0},
        {**of, "subject": "a client for each call", "ratio": 20.0},
    ]
    ((target, figure, is_reached),) = outcomes(rows)
    assert (target.limit, figure, is_reached) == (15, 10.0, False)
    log = {"suite": "middleware", "case": "request log as JSON and id, direct sink", "subject": "fastapi-patterns"}
    assert [reached for _, _, reached in outcomes([{**log, "ratio": 1.15}])] == [True]
    assert [reached for _, _, reached in outcomes([{**log, "ratio": 1.16}])] == [False]


def test_the_pictures_are_there() -> None:
    """Small files that a browser draws in its own font, with the bars of this package among them."""
    for name in ("requests", "tokens", "growth"):
        drawn = PAGE.with_name(f"performance-{name}.svg").read_text()
        assert f"(performance-{name}.svg)" in PAGE.read_text()
        assert "<text" in drawn
        assert len(drawn) < 100_000
