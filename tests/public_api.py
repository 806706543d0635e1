"""Writes down the public API: names, kinds and signatures, read from the source so that every Python prints the same.

`python -m tests.public_api --write` renews `tests/public_api.txt`.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parent.parent / "src" / "fastapi_patterns"
SNAPSHOT = Path(__file__).parent / "public_api.txt"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_modules() -> Iterator[tuple[str, Path]]:
    """Give the modules that users import from: the rooms' `__init__` files and the top-level modules."""
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        if path.name == "__init__.py" or len(parts) == 1:
            yield ".".join(("fastapi_patterns", *(part for part in parts if part != "__init__"))), path


def exported(path: Path) -> list[str]:
    """Return the names in a module's `__all__`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(ast.literal_eval(node.value))
    return []


def definition(path: Path, name: str) -> ast.stmt | None:
    """Follow a name to the statement that defines it, through imports inside the package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name:
            if not _is_overload(node):
                return node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastapi_patterns"):
            if any(alias.name == name for alias in node.names):
                found = _path_of(str(node.module))
                return definition(found, name) if found else None
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == name:
                return node
    return None


def describe(module: str, name: str, node: ast.stmt | None) -> Iterator[str]:
    """Write a line for a name, and one for each public member of a class."""
    full = f"{module}.{name}"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield _signature(full, node)
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        yield f"class {full}({bases})"
        for member in node.body:
            if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if member.name == "__init__" or not member.name.startswith("_"):
                    kind = "@property " if "property" in [ast.unparse(d) for d in member.decorator_list] else ""
                    yield f"    {kind}{_signature(member.name, member)}"
            elif isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_"):
                yield f"    {ast.unparse(member)}"
    elif node is not None:
        yield f"{full} = ..."
    else:
        yield f"{full} (not found)"


def lines() -> list[str]:
    """Return the whole API, a line each."""
    written: list[str] = []
    for module, path in public_modules():
        for name in exported(path):
            written += describe(module, name, definition(path, name))
    return written


def _signature(name: str, node: Function) -> str:
    kind = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{kind}{name}({ast.unparse(node.args)}){returns}"


def _is_overload(node: ast.stmt) -> bool:
    return any(ast.unparse(decorator) == "overload" for decorator in getattr(node, "decorator_list", ()))


def _path_of(module: str) -> Path | None:
    base = SRC.joinpath(*module.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


if __name__ == "__main__":
    text = "\n".join(lines()) + "\n"
    if "--write" in sys.argv:
        SNAPSHOT.write_text(text)
    else:
        sys.stdout.write(text)
