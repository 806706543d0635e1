"""What the tests of rules share: one module that is imported and checked, or a folder of them."""

import importlib
import itertools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from fastapi_patterns.checks import Finding, check_app

_numbers = itertools.count()
Check = Callable[..., list[Finding]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Write an application, import it, and find what breaks a rule."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def check(rule: str, code: str, **options: list[str]) -> list[Finding]:
        name = f"checked_{next(_numbers)}"
        made.append(name)
        (tmp_path / f"{name}.py").write_text(
            f"from typing import Annotated\nfrom fastapi import *\napp = FastAPI()\n{code}\n"
        )
        with warnings.catch_warnings(action="ignore"):  # the code is deprecated on purpose
            module = importlib.import_module(name)
        return [found for found in check_app(module.app, name, **options) if found.rule == rule]

    yield check
    for name in made:
        sys.modules.pop(name, None)


class Project:
    """A folder that one is in, with modules in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, **files: str | bytes) -> None:
        """Write modules; `core__config` is `core/config.py`."""
        for name, code in files.items():
            path = self.folder / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(code if isinstance(code, bytes) else code.encode())
        importlib.invalidate_caches()

    def check(self, rule: str, module: str = "main") -> list[Finding]:
        """Import a module, and find what breaks a rule in its `app`."""
        with warnings.catch_warnings(action="ignore"):  # what is wrong on purpose
            app = importlib.import_module(module).app
        return [found for found in check_app(app, module) if found.rule == rule]

    def lines(self, rule: str, code: str) -> tuple[list[str], list[str]]:
        """Give the lines of code that say `# found`, and those in which something is found."""
        self.write(main=f"from fastapi import FastAPI\napp = FastAPI()\n{code}")
        written = (self.folder / "main.py").read_text().split("\n")
        found = [written[int(each.place.rpartition(":")[2]) - 1] for each in self.check(rule)]
        return [line for line in written if "# found" in line], found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder of its own, in which modules may have any name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    with patch.dict(os.environ):  # the code may write there
        yield Project(tmp_path)
    own = [name for name in set(sys.modules) - before if any(str(tmp_path) in place for place in _places(name))]
    for name in own:
        del sys.modules[name]


def _places(module: str) -> list[str]:
    """Give where a module is; a folder without a file has a path."""
    names = getattr(sys.modules[module], "__dict__", {})
    return [str(names.get("__file__")), *map(str, names.get("__path__", ()))]
