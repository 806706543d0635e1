"""The gate against code that grew by mistake: how many instructions of bytecode a request runs."""

import pytest

from benchmarks.counts import CEILINGS, count, ratios


@pytest.fixture(scope="module")
def counted() -> dict[str, float]:
    """Each block, in bare requests."""
    return ratios()


@pytest.mark.parametrize("block", CEILINGS)
def test_no_block_runs_more_instructions_than_it_did(counted: dict[str, float], block: str) -> None:
    """Each stays below its ceiling, and near it: a ceiling that nothing reaches guards nothing."""
    assert 0.9 * CEILINGS[block] < counted[block] <= CEILINGS[block]


def test_more_work_is_more_instructions() -> None:
    """Twice the work runs twice the instructions, and another run as many as the first."""

    def add(times: int) -> None:
        for _ in range(times):
            pass

    once, twice = count(lambda: add(1000)), count(lambda: add(2000))
    assert twice / once == pytest.approx(2, abs=0.1)
    assert count(lambda: add(1000)) == once
