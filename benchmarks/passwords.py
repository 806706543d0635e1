"""What the hasher adds to argon2-cffi and bcrypt, and whether a failed login tells who exists.

`python -m benchmarks.passwords` prints, beside the ratios, the peak memory of 40 logins at once, each way in a process
of its own.
"""

import asyncio
import resource
import subprocess
import sys
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from typing import Any

import argon2
import bcrypt

from benchmarks.harness import OURS, Case, Suite, measure
from benchmarks.report import conditions, table
from fastapi_patterns.security import Argon2Params, BcryptParams, PasswordHasher

__all__ = ["suite"]

_PASSWORD, _WRONG = "correct horse battery staple", "incorrect horse battery staple"
_RAW = _PASSWORD.encode()
_LOGINS = 40
# Machines that are shared give spikes; short calls, many times, give a median that stands still.
_PROBES = 200


def suite() -> Suite:
    """Make the cases: hashing and verifying over the raw libraries, and failed logins of who exists and who not."""
    return Suite("passwords", [*_overhead(), *_unknown_users()])


def _overhead() -> list[Case]:
    ours, raw = PasswordHasher(), argon2.PasswordHasher(3, 65536, 4)
    quick, quick_raw = PasswordHasher(Argon2Params.FOR_TESTS_ONLY), argon2.PasswordHasher(1, 8, 1)
    stored, quick_stored = raw.hash(_RAW), quick_raw.hash(_RAW)
    blowfish = bcrypt.hashpw(_RAW, bcrypt.gensalt(12)).decode()
    return [
        Case(
            "hash with argon2id, 64 MiB",
            "argon2-cffi with the same parameters",
            {
                "floor": lambda: raw.hash(_RAW),
                OURS: lambda: ours.hash(_PASSWORD),
                "pwdlib": _peer(_pwdlib, lambda hasher: hasher.hash(_PASSWORD)),
                "passlib": _peer(_passlib, lambda hasher: hasher.hash(_PASSWORD)),
            },
        ),
        Case(
            "verify with argon2id, 64 MiB",
            "argon2-cffi",
            {
                "floor": lambda: raw.verify(stored, _RAW),
                OURS: lambda: ours.verify(_PASSWORD, stored),
                "pwdlib": _peer(_pwdlib, lambda hasher: hasher.verify(_PASSWORD, stored)),
                "passlib": _peer(_passlib, lambda hasher: hasher.verify(_PASSWORD, stored)),
            },
        ),
        Case(
            "verify with bcrypt, 12 rounds",
            "bcrypt.checkpw",
            {
                "floor": lambda: bcrypt.checkpw(_RAW, blowfish.encode()),
                OURS: lambda: ours.verify(_PASSWORD, blowfish),
                "pwdlib": _peer(_pwdlib, lambda hasher: hasher.verify(_PASSWORD, blowfish)),
            },
        ),
        Case(
            "verify with argon2id, 8 KiB: what is added, in microseconds",
            "argon2-cffi with parameters that cost nothing",
            {
                "floor": lambda: quick_raw.verify(quick_stored, _RAW),
                OURS: lambda: quick.verify(_PASSWORD, quick_stored),
                "pwdlib": _peer(_pwdlib, lambda hasher: hasher.verify(_PASSWORD, quick_stored)),
                "passlib": _peer(_passlib, lambda hasher: hasher.verify(_PASSWORD, quick_stored)),
            },
            rounds=60,
        ),
    ]


def _unknown_users() -> list[Case]:
    alone, moving = PasswordHasher(Argon2Params.OWASP), PasswordHasher(Argon2Params.OWASP)
    stored = alone.hash(_PASSWORD)
    older = PasswordHasher(BcryptParams(scheme="bcrypt", rounds=10)).hash(_PASSWORD)
    return [
        Case(
            "a failed login of who does not exist",
            "a wrong password of a known user; 1.00 x tells nothing",
            {
                "floor": lambda: alone.verify(_WRONG, stored),
                OURS: lambda: alone.verify(_WRONG, None),
                "the same, with 5,000 characters": lambda: alone.verify("x" * 5000, None),
            },
            rounds=_PROBES,
            min_sample_s=0,
        ),
        Case(
            "a failed login of who does not exist, while bcrypt hashes are left",
            "a wrong password of a user whose hash is argon2id",
            {
                "floor": lambda: moving.verify(_WRONG, stored),
                OURS: lambda: moving.verify(_WRONG, None),
                "the same, a user whose hash is bcrypt": lambda: moving.verify(_WRONG, older),
                "pwdlib, a user whose hash is bcrypt": _peer(_pwdlib, lambda hasher: hasher.verify(_WRONG, older)),
            },
            rounds=_PROBES // 4,
            min_sample_s=0,
        ),
    ]


def _pwdlib() -> Any:
    package, hashers = import_module("pwdlib"), "pwdlib.hashers"
    argon2id = import_module(f"{hashers}.argon2").Argon2Hasher(time_cost=3, memory_cost=65536, parallelism=4)
    return package.PasswordHash((argon2id, import_module(f"{hashers}.bcrypt").BcryptHasher()))


def _passlib() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from passlib.context import CryptContext

        context = CryptContext(
            ["argon2"], argon2__time_cost=3, argon2__memory_cost=65536, argon2__parallelism=4, argon2__type="ID"
        )
        context.dummy_verify()  # loads the backend, which warns
    return context


def _peer(make: Callable[[], Any], use: Callable[[Any], object]) -> Callable[[], object]:
    """Make a peer when it is first measured: one that is not installed is a subject that could not run."""
    made = cache(make)
    return lambda: use(made())


def peak_memory(way: str) -> float:
    """Return the MiB that 40 logins at once take over one that is done, in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.passwords", way], capture_output=True, text=True, check=True
    )
    return float(ran.stdout)


def _forty_logins(way: str) -> float:
    ours, raw = PasswordHasher(), argon2.PasswordHasher(3, 65536, 4)
    stored = raw.hash(_PASSWORD)

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "averify": lambda: ours.averify(_PASSWORD, stored),
        "verify in threads": lambda: asyncio.to_thread(ours.verify, _PASSWORD, stored),
        "argon2-cffi in threads": lambda: asyncio.to_thread(raw.verify, stored, _PASSWORD),
    }

    async def together() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_LOGINS))  # as many as FastAPI has
        await asyncio.gather(*(ways[way]() for _ in range(_LOGINS)))

    before = _settled()
    asyncio.run(together())
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def _settled() -> int:
    """Return the KiB that the process has now, not at its peak."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def main(arguments: list[str]) -> None:
    """Print everything, or the figure of one way of logging in."""
    if arguments:
        print(_forty_logins(arguments[0]))
        return
    made = suite()
    print(conditions())
    print(table(made, measure(made)))
    print(f"\npasswords: peak memory of {_LOGINS} logins at once, 64 MiB each")
    for way in ("averify", "verify in threads", "argon2-cffi in threads"):
        print(f"  {way:<42} {peak_memory(way):7.0f} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
