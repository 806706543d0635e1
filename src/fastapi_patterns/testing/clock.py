"""`frozen_clock`: time stands still in a test and moves when the test says so, for token checks as for everything else.

time-machine replaces the system's clock in C, so it reaches whatever asks for the time in this process, however it was
imported. Monotonic clocks run on: event loops, timeouts and connection pools go on working.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import time_machine

__all__ = ["FrozenClock", "frozen_clock"]


class FrozenClock:
    """The time of one test; the fixture `frozen_clock` is one."""

    def __init__(self, traveller: "time_machine.Traveller") -> None:
        self._traveller = traveller

    @property
    def now(self) -> datetime:
        """The time, in UTC; a whole second when the test begins, since tokens are made and end at whole seconds."""
        return datetime.now(UTC)

    def tick(self, delta: float | timedelta) -> None:
        """Move the time forward.

        Args:
            delta: How far: seconds, or a timedelta.

        Raises:
            TypeError: It is neither.
            ValueError: It is negative, no number, or goes beyond the year 9999.
        """
        if isinstance(delta, bool) or not isinstance(delta, (int, float, timedelta)):
            raise TypeError(f"tick takes seconds or a timedelta; got {type(delta).__name__}")
        if not isinstance(delta, timedelta):
            if not math.isfinite(delta):
                raise ValueError(f"tick needs a number of seconds; got {delta}")
            try:
                delta = timedelta(seconds=delta)
            except OverflowError:
                raise ValueError(f"tick would go beyond the year 9999; got {delta} seconds") from None
        if delta < timedelta(0):
            raise ValueError(
                f"tick moves forward; got {delta}. To go back use move_to(frozen_clock.now - timedelta(...))"
            )
        try:
            moment = self.now + delta
        except OverflowError:
            raise ValueError(f"tick would go beyond the year 9999; got {delta}") from None
        self.move_to(moment)

    def move_to(self, moment: datetime) -> None:
        """Go to a moment, also to one in the past.

        Args:
            moment: A datetime with a time zone.

        Raises:
            TypeError: It is no datetime.
            ValueError: It has no time zone.
        """
        if not isinstance(moment, datetime):
            raise TypeError(f"move_to takes a datetime; got {type(moment).__name__}")
        if moment.utcoffset() is None:
            raise ValueError(
                f"move_to needs a datetime with a time zone, such as datetime(..., tzinfo=UTC); got {moment}"
            )
        # Not time-machine's move_to, which changes the process's time zone to the datetime's.
        self._traveller.shift(moment - self.now)

    def __repr__(self) -> str:
        return f"FrozenClock({self.now.isoformat()})"


@pytest.fixture
def frozen_clock() -> Iterator[FrozenClock]:
    """Freeze time from the beginning of the test: `frozen_clock.tick(60)`, `frozen_clock.move_to(datetime(...))`.

    It stands at the second in which the test began, before the test's other fixtures; after the test the real time is
    back.
    """
    try:
        import time_machine
    except ImportError:
        pytest.fail("frozen_clock needs time-machine: pip install 'fastapi-patterns[testing]'", pytrace=False)
    # A number: a datetime would change the process's time zone.
    with time_machine.travel(int(datetime.now(UTC).timestamp()), tick=False) as traveller:
        yield FrozenClock(traveller)
