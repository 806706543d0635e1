"""What a new password hash costs: argon2id or bcrypt, as named profiles or in numbers of one's own.

Numbers below what OWASP recommends fail at start-up, unless they are said to be for tests only.

Source: OWASP Password Storage Cheat Sheet; RFC 9106 section 4; ASVS 5.0 11.4.2 and appendix C.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security._checks import are_integers

__all__ = ["Argon2Params", "BcryptParams"]

# OWASP's five options for argon2id take (memory in KiB, passes) to be of equal strength.
_OWASP_ARGON2 = ((47104, 1), (19456, 2), (12288, 3), (9216, 4), (7168, 5))
_OWASP_BCRYPT_ROUNDS = 10
_MAX_UINT32 = 2**32 - 1
# More would make each login a way to stop the service. 2 GiB is the first recommended option of RFC 9106 section 4; 15
# rounds take two seconds.
_MAX_MEMORY_KIB, _MAX_ROUNDS = 2 * 1024 * 1024, 15


@dataclass(frozen=True, kw_only=True)
class Argon2Params:
    """The cost of an argon2id hash. The default is `Argon2Params.RFC9106`.

    Profiles: `RFC9106`, the second recommended option of its section 4 (64 MiB, 3 passes, 4 lanes; about a tenth of a
    second); `OWASP`, the least that OWASP recommends (19 MiB, 2 passes, 1 lane), for machines with little memory;
    `FOR_TESTS_ONLY`, which takes microseconds and protects nothing.

    Args:
        time_cost: Passes over the memory.
        memory_cost: Memory of one call in KiB; 2 GiB at most.
        parallelism: Lanes.
        for_tests_only: Allow what is weaker than OWASP's least.

    Raises:
        ConfigurationError: A number is out of argon2's range, or weaker than OWASP's least.
    """

    time_cost: int = 3
    memory_cost: int = 65536
    parallelism: int = 4
    for_tests_only: bool = False

    RFC9106: ClassVar["Argon2Params"]
    OWASP: ClassVar["Argon2Params"]
    FOR_TESTS_ONLY: ClassVar["Argon2Params"]

    def __post_init__(self) -> None:
        got = f"time_cost={self.time_cost!r}, memory_cost={self.memory_cost!r}, parallelism={self.parallelism!r}"
        in_range = (
            are_integers(self.time_cost, self.memory_cost, self.parallelism)
            and 1 <= self.time_cost <= _MAX_UINT32
            and 1 <= self.parallelism < 2**24
            and 8 * self.parallelism <= self.memory_cost <= _MAX_MEMORY_KIB
        )
        if not in_range:
            raise ConfigurationError(
                "argon2 needs time_cost >= 1, parallelism >= 1, memory_cost (KiB) >= 8 * parallelism and at most "
                f"{_MAX_MEMORY_KIB}, which is 2 GiB, all integers; got {got}"
            )
        strong = any(self.memory_cost >= memory and self.time_cost >= passes for memory, passes in _OWASP_ARGON2)
        if not strong and not self.for_tests_only:
            raise ConfigurationError(
                f"argon2id needs at least memory_cost=19456 (KiB) with time_cost=2, or another of OWASP's options; got "
                f"{got}. Use Argon2Params.OWASP, or in tests Argon2Params.FOR_TESTS_ONLY."
            )


Argon2Params.RFC9106 = Argon2Params()
Argon2Params.OWASP = Argon2Params(time_cost=2, memory_cost=19456, parallelism=1)
Argon2Params.FOR_TESTS_ONLY = Argon2Params(time_cost=1, memory_cost=8, parallelism=1, for_tests_only=True)


@dataclass(frozen=True, kw_only=True)
class BcryptParams:
    """The form and cost of a bcrypt hash, where another program must read the table or argon2 cannot run.

    Profiles: `DEFAULT` (`bcrypt_sha256`, 12 rounds) and `FOR_TESTS_ONLY`.

    Args:
        scheme: `"bcrypt_sha256"` writes passlib's form (`$bcrypt-sha256$v=2,...`) and takes passwords of any length;
            `"bcrypt"` writes `$2b$`, which every language reads, and refuses more than 72 bytes and NUL.
        rounds: The cost as a power of two, 4 to 15. 12 takes about a quarter of a second, and each one more doubles it.
        for_tests_only: Allow fewer rounds than 10, OWASP's least.

    Raises:
        ConfigurationError: The scheme is unknown or the rounds are out of range.
    """

    scheme: Literal["bcrypt_sha256", "bcrypt"] = "bcrypt_sha256"
    rounds: int = 12
    for_tests_only: bool = False

    DEFAULT: ClassVar["BcryptParams"]
    FOR_TESTS_ONLY: ClassVar["BcryptParams"]

    def __post_init__(self) -> None:
        if self.scheme not in ("bcrypt_sha256", "bcrypt"):
            raise ConfigurationError(f'scheme must be "bcrypt_sha256" or "bcrypt"; got {self.scheme!r}')
        if not are_integers(self.rounds) or not 4 <= self.rounds <= _MAX_ROUNDS:
            raise ConfigurationError(f"bcrypt needs 4 to {_MAX_ROUNDS} rounds; got rounds={self.rounds!r}")
        if self.rounds < _OWASP_BCRYPT_ROUNDS and not self.for_tests_only:
            raise ConfigurationError(
                f"bcrypt needs at least {_OWASP_BCRYPT_ROUNDS} rounds; got rounds={self.rounds}. "
                "In tests use BcryptParams.FOR_TESTS_ONLY."
            )


BcryptParams.DEFAULT = BcryptParams()
BcryptParams.FOR_TESTS_ONLY = BcryptParams(rounds=4, for_tests_only=True)
