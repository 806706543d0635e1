"""House rules over the source itself: docstrings, sizes, and what must not stand there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "fastapi_patterns"
MODULES = sorted(SRC.rglob("*.py"))

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _public(body: list[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            if not any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list):
                yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_public_names_have_docstrings(path: Path) -> None:
    """Every module, public function, class and method says what it does."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module says nothing"
    assert [node.name for node in _public(tree.body) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    """A module fits into 400 lines and a function into 70."""
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno <= 70, node.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_the_library_neither_asserts_nor_prints(path: Path) -> None:
    """`assert` vanishes under -O, and output is the application's."""
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), node.lineno
        assert not (isinstance(node, ast.Call) and ast.unparse(node.func) == "print"), ast.unparse(node)


def test_rooms_do_not_import_each_other() -> None:
    """Only `auth` leans on `security`; the stack and the plugin may use every room."""
    rooms = {"auth", "db", "errors", "http", "middleware", "security", "tasks"}
    found = set()
    for path in MODULES:
        room = path.relative_to(SRC).parts[0]
        if room not in rooms:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastapi_patterns."):
                other = str(node.module).split(".")[1]
                if other in rooms - {room}:
                    found.add((room, other))
    assert found == {("auth", "security")}
