"""A psycopg connection that gives up on a server out of reach.

`statement_timeout` is the server's: when the network between stops, nobody tells the client, and libpq waits for ever.
"""

import time
from collections.abc import Callable, Generator
from typing import Any

__all__ = ["bounded_connect"]

# Seconds between looks at the clock: a fiftieth of the limit, so that the limit is kept, and not more than psycopg's.
_LONGEST_INTERVAL_S = 0.1


def bounded_connect(limit_s: float) -> Callable[..., Any]:
    """Return a `connect` whose connections wait for an answer no longer than `limit_s` seconds."""
    import psycopg

    interval_s = min(_LONGEST_INTERVAL_S, limit_s / 50)

    class BoundedConnection(psycopg.Connection[Any]):
        def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
            return super().wait(self._bounded(gen), interval=interval_s)

        def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            ends = time.monotonic() + limit_s
            ready = None
            while True:
                try:
                    ready = yield gen.send(ready)
                except StopIteration as stopped:
                    return stopped.value
                if not ready and time.monotonic() > ends:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server did not answer in time")

    return BoundedConnection.connect
