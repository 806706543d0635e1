"""The request's context: one value a request, never another's."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from fastapi_patterns.context import get_request_id, request_context, response_started


def test_outside_a_request_there_is_no_id() -> None:
    """Scripts and start-up code see None."""
    assert get_request_id() is None


def test_a_block_has_its_id_and_gives_it_back() -> None:
    """Nested blocks restore the outer id, also after an error."""
    with request_context("outer"):
        try:
            with request_context("inner"):
                assert get_request_id() == "inner"
                raise ValueError
        except ValueError:
            assert get_request_id() == "outer"
    assert get_request_id() is None


def test_tasks_and_threads_keep_apart() -> None:
    """Each task sees its own id although they run at the same time, and a thread of its own sees none."""

    async def one(name: str) -> str | None:
        with request_context(name):
            await asyncio.sleep(0)
            return get_request_id()

    async def all_at_once() -> list[str | None]:
        return await asyncio.gather(*(one(str(number)) for number in range(20)))

    assert asyncio.run(all_at_once()) == [str(number) for number in range(20)]
    with request_context("here"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(get_request_id).result() is None


def test_copies_of_a_scope_share_the_mark() -> None:
    """Routers copy the scope: the mark that the middleware sets is seen below."""
    scope: dict[str, object] = {}
    above = response_started(scope)
    below = response_started(dict(scope))
    assert not below.is_set()
    above.set()
    assert below.is_set()
