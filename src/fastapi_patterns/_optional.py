"""The one helper for a missing extra: a room that needs third-party packages asks for them by name first."""

from importlib.util import find_spec

from fastapi_patterns.exceptions import MissingExtraError

__all__ = ["require"]

# Where what is installed has another name than what is imported.
_DISTRIBUTIONS = {"jose": "python-jose", "argon2": "argon2-cffi"}


def require(*modules: str, extra: str, room: str, more: str = "") -> None:
    """Raise `MissingExtraError` unless every one of `modules` can be imported.

    Args:
        modules: Top-level import names, `"sqlalchemy"` for example.
        extra: The extra that installs them.
        room: The dotted name of the module that needs them.
        more: Another sentence for the message.

    Raises:
        MissingExtraError: At least one is not installed; the message holds the pip line.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        named = " and ".join(_DISTRIBUTIONS.get(module, module) for module in missing)
        raise MissingExtraError(
            f"{room} needs {named}. Install it with pip install 'fastapi-patterns[{extra}]'.{more and ' ' + more}",
            name=missing[0],
        )
