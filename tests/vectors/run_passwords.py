"""Runs password vectors: `{"id", "hash", "expect", and one of "password", "password_hex", "password_gen"}`.

`expect` is true, false, or anything else where only nothing foreign may leave. Parameters are cheap: they have no
say in a verdict.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi_patterns.exceptions import PatternsError
from fastapi_patterns.security import Argon2Params, PasswordHasher
from tests.vectors.result import Result

__all__ = ["run"]

_MAX_SECONDS = 2.0


def run(cases: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Give each case to a hasher of its own, so that none pays for the kinds of the others."""
    return [_judge(case) for case in cases]


def _judge(case: Mapping[str, Any]) -> Result:
    expected = case["expect"] if case["expect"] in (True, False) else None
    wanted = "a verdict" if expected is None else str(expected)
    hasher = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)
    started = time.process_time()
    try:
        got: bool | None = hasher.verify(_password(case), case["hash"])
    except PatternsError:
        got = False
    except Exception as error:
        return Result(id=case["id"], expected=wanted, got=type(error).__name__, wrong=False, foreign=True)
    took = time.process_time() - started
    if took > _MAX_SECONDS:
        return Result(id=case["id"], expected=wanted, got=f"{got} after {took:.1f} s", wrong=True)
    wrong = got is not expected if expected is not None else not isinstance(got, bool)
    return Result(id=case["id"], expected=wanted, got=str(got), wrong=wrong)


def _password(case: Mapping[str, Any]) -> Any:
    if "password_hex" in case:
        return bytes.fromhex(case["password_hex"])
    if "password_gen" in case:
        return case["password_gen"]["unit"] * case["password_gen"]["n"]
    return case["password"]
