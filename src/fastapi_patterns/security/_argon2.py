"""argon2 of every kind, through argon2-cffi; affordable hashes only.

A malformed text gives None. Nothing here raises on what is stored or sent.
"""

import os

from argon2 import Type, extract_parameters, low_level
from argon2 import exceptions as argon2_errors

from fastapi_patterns.security._stored import FILLER, Stored
from fastapi_patterns.security.password_params import Argon2Params

__all__ = ["needs_update", "own", "parse", "write"]

SALT_BYTES, TAG_BYTES, _VERSION = 16, 32, 19
# What a stored hash may ask for: half a GiB at a time and 1 GiB in all its passes, which take about a second. Without a
# limit one bad row costs gigabytes (m=4194304 takes 4.1 GiB). Each pass and lane also costs four threads.
_MAX_MEMORY_KIB, _MAX_WORK, _MAX_PASSES, _MAX_LANES = 512 * 1024, 1024 * 1024, 16, 16
_EMPTY_SALT, _EMPTY_TAG = "A" * 22, "A" * 43


def write(password: bytes, params: Argon2Params) -> str:
    """Hash a password with argon2id and a fresh salt."""
    salt = os.urandom(SALT_BYTES)
    return low_level.hash_secret(
        password, salt, params.time_cost, params.memory_cost, params.parallelism, TAG_BYTES, Type.ID
    ).decode()


def own(params: Argon2Params) -> Stored:
    """Describe what a hasher with these parameters writes; it verifies nothing."""
    return Stored(
        _kind(params.parallelism),
        params.memory_cost * params.time_cost,
        lambda password: None,
        lambda work, length: _spend(work, params.time_cost, params.parallelism),
    )


def parse(text: str, params: Argon2Params | None) -> Stored | None:
    """Take apart a hash in argon2's own form; None for what is malformed or asks for more than the limits.

    Args:
        text: The hash.
        params: What the hasher writes: that much is always affordable.
    """
    try:
        asked = extract_parameters(text)
    except Exception:  # InvalidHash, and ValueError or KeyError on texts that nearly are one
        return None
    memory, passes, lanes = asked.memory_cost, asked.time_cost, asked.parallelism
    least = (1, 1, 1) if params is None else (params.memory_cost, params.time_cost, params.parallelism)
    affordable = (
        0 < memory <= max(_MAX_MEMORY_KIB, least[0])
        and 0 < passes <= max(_MAX_PASSES, least[1])
        and 0 < lanes <= max(_MAX_LANES, least[2])
        and memory * passes <= max(_MAX_WORK, least[0] * least[1])
    )
    if not affordable:
        return None
    return Stored(
        _kind(lanes),
        memory * passes,
        lambda password: _verify(text, password, asked.type),
        lambda work, length: _spend(work, passes, lanes),
    )


def needs_update(text: str, params: Argon2Params) -> bool:
    """Tell whether a hash is of another form than `write` writes, or cheaper in memory or passes."""
    if not text.startswith("$argon2id$"):
        return True
    try:
        found = extract_parameters(text)
    except Exception:  # see `parse`
        return True
    cost, wanted = (found.memory_cost, found.time_cost), (params.memory_cost, params.time_cost)
    return (
        cost[0] < wanted[0]
        or cost[1] < wanted[1]
        or (cost == wanted and found.parallelism != params.parallelism)
        or (found.version, found.salt_len >= SALT_BYTES, found.hash_len >= TAG_BYTES) != (_VERSION, True, True)
    )


def _kind(lanes: int) -> str:
    """Name the kind: lanes run at once where there are cores, so the same memory takes another time."""
    return f"argon2 on {lanes}"


def _verify(text: str, password: bytes, variant: Type) -> bool | None:
    try:
        return low_level.verify_secret(text.encode(), password, variant)
    except argon2_errors.VerifyMismatchError:
        return False
    except Exception:  # a damaged hash: VerificationError, and whatever the C library makes of it
        return None


def _spend(work: int, passes: int, lanes: int) -> None:
    # Less memory than argon2's own least is refused at once, and is too little to be missed.
    text = f"$argon2id$v=19$m={work // passes},t={passes},p={lanes}${_EMPTY_SALT}${_EMPTY_TAG}"
    _verify(text, FILLER, Type.ID)
