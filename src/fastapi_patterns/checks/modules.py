"""Which of the imported modules are the application's own."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["file_of", "is_foreign", "is_installed", "modules_of", "reading", "variables_of"]

_INSTALLED = ("site-packages", "dist-packages")
_PLACES = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib", "scripts"))
_OURS = os.path.join(Path(__file__).parent.parent, "")

_package: ContextVar[str] = ContextVar("package", default="")


@contextmanager
def reading(app_module: str) -> Iterator[None]:
    """Take the top package of a module for the application's own in here, also where it is installed."""
    token = _package.set(app_module.partition(".")[0])
    try:
        yield
    finally:
        _package.reset(token)


def is_foreign(module_name: str, file: str) -> bool:
    """Tell whether code is somebody else's: it is installed, and not with the application."""
    return module_name.partition(".")[0] != _package.get() and is_installed(file)


@cache
def is_installed(file: str) -> bool:
    """Tell whether a file came with Python, or with what pip has installed."""
    return file.startswith((*_PLACES, "<frozen ")) or any(part in file for part in _INSTALLED)


def variables_of(module: ModuleType) -> dict[str, Any]:
    """Give the globals of a module, without loading what is lazy."""
    found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    return found


def file_of(module: Any) -> str | None:
    """Give the file of a module; None for what has none."""
    if not issubclass(type(module), ModuleType):
        return None
    file = variables_of(module).get("__file__")
    return os.path.abspath(file) if isinstance(file, str) else None


def modules_of(app_module: str) -> Iterator[ModuleType]:
    """Give the imported modules of the application: those of its package, and what else lies in its folder.

    Tests are left out, unless the application is one of them.
    """
    package = app_module.partition(".")[0]
    app_file = file_of(sys.modules.get(app_module)) or ""
    root = _root(app_module, app_file) if app_file else None
    with_tests = _is_test(app_file, root)
    for name, module in sorted(sys.modules.items()):
        file = file_of(module)
        if file is None:
            continue
        beside = root is not None and file.startswith(root) and not file.startswith(_OURS) and not is_installed(file)
        if (name.partition(".")[0] == package or beside) and (with_tests or not _is_test(file, root)):
            yield module


def _root(app_module: str, file: str) -> str:
    """Give the folder one is in where the application is below it, or else the one it is imported from."""
    here = os.path.join(os.getcwd(), "")
    if file.startswith(here):
        return here
    folder = Path(file).parent
    inside = variables_of(sys.modules[app_module]).get("__package__")
    for _ in str(inside).split(".") if inside else ():
        folder = folder.parent
    return os.path.join(folder, "")


def _is_test(file: str, root: str | None) -> bool:
    *folders, name = file.removeprefix(root or "").split(os.sep)
    return "tests" in folders or name == "conftest.py" or name.startswith("test_") or name.endswith("_test.py")
