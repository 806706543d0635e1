"""What the tests of rules share."""

import importlib
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

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
