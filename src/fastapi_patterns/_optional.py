"""The one helper for a missing extra: a room that needs third-party packages asks for them by name first."""

from importlib.util import find_spec

from fastapi_patterns.exceptions import MissingExtraError

__all__ = ["require"]


def require(*modules: str, extra: str, room: str) -> None:
    """Raise `MissingExtraError` unless every one of `modules` can be imported.

    Args:
        modules: Top-level import names, `"sqlalchemy"` for example.
        extra: The extra that installs them.
        room: The dotted name of the module that needs them.

    Raises:
        MissingExtraError: At least one is not installed; the message holds the pip line.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"{room} needs {' and '.join(missing)}. Install it with pip install 'fastapi-patterns[{extra}]'.",
            name=missing[0],
        )
