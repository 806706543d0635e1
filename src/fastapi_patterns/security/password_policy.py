"""Which new passwords are taken: long enough, not a common or a leaked one, not built on the user's own name.

No rules of composition, no expiry, no upper limit below what can be hashed: they make passwords worse.
Ask the policy where a password is chosen, never where it is verified.

Source: ASVS 5.0 6.2.1, 6.2.4, 6.2.5, 6.2.9, 6.2.11 and 6.2.12; NIST SP 800-63B-4 3.1.1.2.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security._checks import are_integers, is_async
from fastapi_patterns.security._text import MAX_PASSWORD_CHARS, Secret, encode, reveal
from fastapi_patterns.security.errors import PasswordError

__all__ = ["PasswordPolicy"]

_LEAST_CHARS = 8
# Shorter words are in too many passwords by chance.
_LEAST_WORD_CHARS = 4


@dataclass(frozen=True, kw_only=True)
class PasswordPolicy:
    """What a new password must hold to. Characters are Unicode code points, not bytes.

    Args:
        min_length: Characters. 15 is what ASVS and NIST ask of a password that stands alone; 8 is the least.
        blocklist: Common passwords in lower case, and words of the application's own; a set, or anything with `in`.
        is_breached: Asks a list of leaked passwords. Called last, with the password; what it raises goes to the caller,
            who decides whether a list that cannot be reached refuses everybody.

    Raises:
        ConfigurationError: `min_length` is below 8 or above 4,096, `blocklist` has no `in` that can be asked again, or
            `is_breached` is no plain function.
    """

    min_length: int = 15
    blocklist: Container[str] = field(default=frozenset(), repr=False)
    is_breached: Callable[[str], bool] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not are_integers(self.min_length) or not _LEAST_CHARS <= self.min_length <= MAX_PASSWORD_CHARS:
            raise ConfigurationError(
                f"min_length must be at least {_LEAST_CHARS} characters (ASVS 5.0 6.2.1) and at most "
                f"{MAX_PASSWORD_CHARS}; got {self.min_length!r}"
            )
        if isinstance(self.blocklist, str):
            raise ConfigurationError("blocklist must be a set of passwords, not one text: `in` would find its parts")
        if not hasattr(self.blocklist, "__contains__") or isinstance(self.blocklist, Iterator):
            raise ConfigurationError(
                "blocklist must be a set of passwords, or anything with `in`; a file or an iterator is read once: "
                "use set(line.strip() for line in file)"
            )
        if self.is_breached is not None and (not callable(self.is_breached) or is_async(self.is_breached)):
            raise ConfigurationError(
                "is_breached must be a function of the password that gives True or False, and no async one: "
                "check the policy without it, and await yours after that"
            )

    def check(self, password: str | Secret, *, words: Iterable[str | None] = ()) -> None:
        """Refuse a password that is not good enough.

        Args:
            password: The new password, as it came.
            words: What is known of the user: name, e-mail address, the service's name. An address counts as its two
                halves too. A password of which fewer than 8 characters are left without one of them is refused.

        Raises:
            PasswordError: The text is for the user, and holds neither the password nor a word.
            TypeError: The password is no text.
        """
        password = reveal(password)
        if not isinstance(password, str):
            raise TypeError(f"a new password is a str or SecretStr; got {type(password).__name__}")
        if encode(password) is None:
            raise PasswordError(f"Use a password of readable text of at most {MAX_PASSWORD_CHARS} characters.")
        if len(password) < self.min_length:
            raise PasswordError(f"Use a password of at least {self.min_length} characters.")
        folded = password.casefold()
        if password in self.blocklist or folded in self.blocklist:
            raise PasswordError("This password is one of the most common ones. Use another.")
        if any(len(folded.replace(word, "")) < _LEAST_CHARS for word in _parts(words) if word in folded):
            raise PasswordError("This password is built on your name or address. Use another.")
        if self.is_breached is not None and self.is_breached(password):
            raise PasswordError("This password is in a list of leaked ones. Use another.")


def _parts(words: Iterable[str | None]) -> set[str]:
    """Fold the words and the halves of addresses, and leave out what is short."""
    listed = [words] if isinstance(words, str) else words
    folded = {word.strip().casefold() for word in listed if word}
    halves = {half for word in folded for half in word.split("@")}
    return {word for word in folded | halves if len(word) >= _LEAST_WORD_CHARS}
