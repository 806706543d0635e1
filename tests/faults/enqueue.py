"""Leaves tasks outside of a request: `python -m tests.faults.enqueue FIRST COUNT`."""

import asyncio
import sys

from tests.faults.task_app import queue, work


async def main(first: int, count: int) -> None:
    """Enqueue so many, some at a time."""
    async with queue:
        for number in range(first, first + count):
            work.enqueue(number)
            if number % 200 == 0:
                await queue.join()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
