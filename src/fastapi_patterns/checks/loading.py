"""Imports the application that a command is about."""

import inspect
import os
import sys
import traceback
from functools import partial
from importlib import import_module
from operator import attrgetter
from types import TracebackType
from typing import Any

from fastapi import FastAPI
from pydantic import ValidationError

from fastapi_patterns.checks.modules import is_installed
from fastapi_patterns.checks.source import place_of
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["load_app"]


def load_app(name: str) -> FastAPI:
    """Import `package.module:app`, from the folder one is in or its `src`; a function there is called.

    Raises:
        ConfigurationError: There is no such module or no application in it, or its code fails.
    """
    module_name, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    if os.path.isdir("src"):
        sys.path.append(os.path.abspath("src"))
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise ConfigurationError(f"there is no module {missing!r} here") from None
        raise _failed(f"importing {module_name}", error) from error
    found: Any
    try:
        found = attrgetter(attribute)(module)
    except AttributeError:
        found = None
    try:
        app = _below(found() if _makes_one(found) else found)
    except (Exception, SystemExit) as error:
        raise _failed(f"calling {name}", error) from error
    if app is None:
        raise ConfigurationError(
            f"{name} is no FastAPI application, nor a function without arguments that makes one; where it holds one, "
            "name that"
        )
    return app


def _makes_one(found: Any) -> bool:
    """Tell whether it is a function that can be called as it is."""
    if not (inspect.isroutine(found) or isinstance(found, partial)) or inspect.iscoroutinefunction(found):
        return False
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True


def _below(found: Any) -> FastAPI | None:
    """Give the FastAPI application below the middleware that is wrapped around it."""
    for _ in range(100):
        if found is None or isinstance(found, FastAPI):
            return found
        found = getattr(found, "app", None)
    return None


def _failed(what: str, error: BaseException) -> ConfigurationError:
    """Say in one line what failed, and below it where in the application."""
    text = str(error)
    if isinstance(error, ValidationError):  # as it is it has lines on lines, with what settings were read
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        text = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems)
    line = f"{what} failed: {type(error).__name__}: {' '.join(text.split())}".rstrip(": ")
    return ConfigurationError(line + _last_own_line(error.__traceback__))


def _last_own_line(trace: TracebackType | None) -> str:
    frames = [
        each
        for each in traceback.extract_tb(trace)
        if each.filename != __file__ and not each.filename.startswith("<") and not is_installed(each.filename)
    ]
    return f"\n    {place_of(frames[-1].filename, frames[-1].lineno or 0)}: {frames[-1].line}" if frames else ""
