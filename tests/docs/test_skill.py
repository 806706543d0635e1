"""The skill for coding agents, which the wheel carries: its names exist, its code is an application that passes."""

import ast
import re
from importlib import import_module
from pathlib import Path

from markdown_it import MarkdownIt

from tests.docs.projects import run_pytest
from tests.public_api import SNAPSHOT

ROOT = Path(__file__).parent.parent.parent
SKILL = ROOT / "src/fastapi_patterns/.agents/skills/fastapi-patterns/SKILL.md"
TEXT = SKILL.read_text()
TOKENS = MarkdownIt().enable("table").parse(TEXT.split("---\n", 2)[2])
# What it names that is not ours.
FOREIGN = {"BaseHTTPMiddleware", "CORSMiddleware", "HTTPException", "JSONResponse"}
FOREIGN |= {"SECRET_KEY", "commit", "conftest.py", "dependency_overrides", "flush", "sessionmaker"}


def _blocks(language: str) -> list[str]:
    return [token.content for token in TOKENS if token.type == "fence" and token.info == language]


def _inline_code() -> list[str]:
    children = [child for token in TOKENS for child in token.children or ()]
    return [child.content for child in children if child.type == "code_inline"]


def _defined() -> set[str]:
    """The functions, methods and classes of the package: fixtures and inherited members are in no listing."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "src").rglob("*.py")]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)}


def test_the_front_matter_is_a_skills() -> None:
    """It is named like its folder, and its description says in one line what it does and when to use it."""
    front = TEXT.split("---\n", 2)[1]
    name, description = (line.split(": ", 1) for line in front.splitlines())
    assert name == ["name", SKILL.parent.name]
    assert description[0] == "description"
    assert "Use when" in description[1]
    assert len(description[1]) <= 1024
    assert ": " not in description[1], "a colon would end the value in YAML"


def test_every_name_exists() -> None:
    """What stands in backticks is in the public API, is a fixture, or is of another package."""
    assigned = {
        target.id
        for block in _blocks("python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    known = set(re.findall(r"\w+", SNAPSHOT.read_text())) | _defined() | FOREIGN
    unknown = []
    for code in _inline_code():
        if re.fullmatch(r"fastapi_patterns(\.\w+)+", code):
            import_module(code)
        elif re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", code) and code not in FOREIGN:
            first, *rest = code.removesuffix("()").split(".")
            parts = rest if first in assigned and rest else [first, *rest]
            unknown += [code for part in parts if part not in known]
    assert unknown == []
    for module, name in re.findall(r"`from ([\w.]+) import (\w+)`", TEXT):
        assert hasattr(import_module(module), name)


def test_every_page_exists() -> None:
    """The pages that it points to are in the documentation."""
    pages = re.findall(r"docs/[\w/-]+\.md", TEXT)
    assert len(pages) > 15
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_its_code_is_an_application_with_passing_tests(tmp_path: Path) -> None:
    """The blocks, saved as the files that they are, pass through the plugin."""
    (configuration,) = _blocks("toml")
    (tmp_path / "pyproject.toml").write_text(configuration)
    names = ("app.py", "conftest.py", "test_app.py")
    for name, block in zip(names, _blocks("python"), strict=True):
        (tmp_path / name).write_text(block)
    ran = run_pytest(tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout
