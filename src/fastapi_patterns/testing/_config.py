"""Reads the plugin's settings: names such as `package.module:app`, with errors that say what to write."""

from importlib import import_module
from typing import Any

import pytest

__all__ = ["load", "setting"]


def setting(config: pytest.Config, name: str) -> str:
    """Return an option of the pytest configuration as text, empty when it is not set."""
    return str(config.getini(name) or "").strip()


def load(config: pytest.Config, name: str) -> Any:
    """Import what an option names.

    Raises:
        pytest.UsageError: The option is not of the form `package.module:name`, or there is no such thing.
    """
    text = setting(config, name)
    module_name, _, attribute = text.partition(":")
    if not module_name or not attribute:
        raise pytest.UsageError(f"{name} must look like 'package.module:name'; got {text!r}")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something inside the application's own imports is missing
        raise pytest.UsageError(
            f"{name} = {text!r}: there is no module {error.name!r}. "
            "Is the project's folder importable? Set pythonpath = ['.'] in the pytest configuration."
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise pytest.UsageError(f"{name} = {text!r}: the module has no {attribute!r}") from None
