"""Reads the plugin's settings: names such as `package.module:app`, with errors that say what to write."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["load", "load_application", "raises_server_exceptions", "serves_in_process", "setting"]

_APPLICATION = pytest.StashKey["FastAPI"]()
_MARKER_OPTIONS: dict[str, tuple[Any, ...]] = {
    "raise_server_exceptions": (True, False),
    "server": ("thread", "process"),
}


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


def load_application(config: pytest.Config) -> "FastAPI":
    """Import the application that `fastapi_app` names, or make it, once.

    Raises:
        pytest.UsageError: It is no application.
    """
    from fastapi import FastAPI

    if _APPLICATION in config.stash:
        return config.stash[_APPLICATION]
    found = load(config, "fastapi_app")
    if not isinstance(found, FastAPI) and callable(found):
        found = found()
    if not isinstance(found, FastAPI):
        raise pytest.UsageError(f"fastapi_app must name a FastAPI application or a factory; got {type(found).__name__}")
    config.stash[_APPLICATION] = found
    return found


def raises_server_exceptions(request: pytest.FixtureRequest) -> bool:
    """Tell whether the test's client raises what the application does not answer; otherwise it is a 500.

    Raises:
        pytest.UsageError: The marker has an option that there is not.
    """
    return bool(_marked(request, "raise_server_exceptions"))


def serves_in_process(request: pytest.FixtureRequest) -> bool:
    """Tell whether the test's server is a process of its own; otherwise it is a thread.

    Raises:
        pytest.UsageError: The marker has an option that there is not.
    """
    return bool(_marked(request, "server") == "process")


def _marked(request: pytest.FixtureRequest, option: str) -> Any:
    options = {name: values[0] for name, values in _MARKER_OPTIONS.items()}
    for marker in reversed(list(request.node.iter_markers("fastapi"))):
        if marker.args or not set(marker.kwargs) <= set(options):
            raise pytest.UsageError(
                f"@pytest.mark.fastapi takes {', '.join(options)} by name; see {request.node.nodeid}"
            )
        options |= marker.kwargs
    values = _MARKER_OPTIONS[option]
    if options[option] not in values:
        wanted = " or ".join(repr(value) for value in values)
        raise pytest.UsageError(
            f"@pytest.mark.fastapi({option}=...) must be {wanted}; got {options[option]!r} in {request.node.nodeid}"
        )
    return options[option]
