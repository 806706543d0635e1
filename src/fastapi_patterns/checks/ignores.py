"""Comments that ignore a rule: `# patterns: ignore[RULE]`."""

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi_patterns.checks.source import line_of, module_tree

__all__ = ["is_ignored"]

_IGNORE = re.compile(r"#\s*patterns:\s*ignore\[([A-Z0-9,\s]+)\]")


class _Comment(NamedTuple):
    rules: list[str]
    alone: bool


def is_ignored(rule: str, place: str) -> bool:
    """Tell whether a comment ignores a rule at a place: in its statement, or alone in the line above."""
    shown, line = line_of(place)
    file = os.path.abspath(shown)
    comments = {at: each for at, each in (_comments(file) if line else {}).items() if rule in each.rules}
    if not comments:
        return False
    lines = _lines_about(file, line)
    above = {each for each in (line - 1, min(lines) - 1) if each in comments and comments[each].alone}
    return bool(above or lines & comments.keys())


@cache
def _comments(file: str) -> dict[int, _Comment]:
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(Path(file).read_bytes()).readline))
    except (OSError, SyntaxError, ValueError, tokenize.TokenError):
        return {}
    return {
        token.start[0]: _Comment(re.split(r"[\s,]+", match[1]), not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT and (match := _IGNORE.search(token.string))
    }


def _lines_about(file: str, line: int) -> set[int]:
    """Give the lines of what begins at a line, and the first and the last one of the statement around it."""
    lines = {line}
    tree = module_tree(file)
    for node in () if tree is None else ast.walk(tree):
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        body = list(_body(node))
        if body:  # its head alone
            first = min([first, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            last = max(first, min(body) - 1)
            if first <= line <= last:
                lines.update(range(first, last + 1))
        elif first == line:
            lines.update(range(first, last + 1))
        elif isinstance(node, ast.stmt) and first < line <= last:
            lines.update((first, last))
    return lines


def _body(node: ast.AST) -> Iterator[int]:
    """Give the first lines in what a compound statement holds."""
    held = getattr(node, "body", None) or getattr(node, "cases", None)
    for each in held[:1] if isinstance(held, list) and not isinstance(node, ast.Module) else ():
        yield from (inner.lineno for inner in ast.walk(each) if isinstance(inner, ast.stmt | ast.expr | ast.pattern))
