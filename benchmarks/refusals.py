"""`python -m benchmarks.refusals [--write]`: tries what must be refused, with us and with other packages.

It prints the tables of the docs page "What we refuse, and why", or writes them into the page, between its markers.
"""

import argparse
import platform
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.refusals_libraries import LIBRARIES, Library
from benchmarks.refusals_rules import GROUPS, Group, Rule

__all__ = [
    "ACCEPTED",
    "PAGE",
    "REFUSED",
    "blocks",
    "cells",
    "installed",
    "outcome",
    "python_version",
    "tables",
    "versions",
]

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "what-we-refuse.md"

REFUSED = "refused"
ACCEPTED = "accepted"
IF_ASKED = "refused if asked"
_WARNED = "accepted, with a warning"
_WRONG = "wrong exception"
_LACKS = "not offered"
# What a package says of a weak key, when it goes on with it.
_KEY_WARNINGS = ("InsecureKeyLengthWarning", "SecurityWarning")

Columns = Mapping[str, Mapping[str, str]]


def outcome(library: Library, rule: Rule) -> str:
    """Try a rule with a package: as its documentation says and, if that accepts, with all that it offers."""
    if rule.algorithm in library.lacks:
        return _LACKS
    found = _attempt(library, rule, asked=False)
    if found.startswith(ACCEPTED) and _attempt(library, rule, asked=True) == REFUSED:
        return IF_ASKED
    return found


def _attempt(library: Library, rule: Rule, *, asked: bool) -> str:
    setup, token = rule.make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            decode = library.decoder(replace(setup, asked=asked))
        except ImportError:
            raise
        except Exception:
            return REFUSED  # whoever starts the application sees it, in whatever words
        try:
            decode(token)
        except library.errors():
            return REFUSED
        except Exception as error:
            return REFUSED if rule.of_the_key else f"{_WRONG} (`{type(error).__name__}`)"
    warned = [each for each in caught if each.category.__name__ in _KEY_WARNINGS and "EdDSA" not in str(each.message)]
    return _WARNED if warned else ACCEPTED


def installed(library: Library) -> str | None:
    """Give the version of a package, or None where it is not installed."""
    try:
        return version(library.distribution)
    except PackageNotFoundError:
        return None


def versions() -> str:
    """Say what the tables were made with."""
    found = [f"{library.name} {installed(library)}" for library in LIBRARIES[1:]]
    return f"Tried with {', '.join(found)} and cryptography {version('cryptography')} on Python {python_version()}."


def python_version() -> str:
    """Give the version of Python that a table depends on."""
    return ".".join(platform.python_version_tuple()[:2])


def tables(columns: Columns) -> dict[str, str]:
    """Lay out the table of each group.

    Args:
        columns: What was found, by package and by rule.
    """
    return {group.name: _table(group, columns) for group in GROUPS}


def _table(group: Group, columns: Columns) -> str:
    lines = [f"| what is tried | source | {' | '.join(columns)} |", f"|---|---|{'---|' * len(columns)}"]
    for rule in group.rules:
        cells = [_marked(column[rule.text], accepted=group.accepted) for column in columns.values()]
        lines.append(f"| {rule.text} | {rule.source} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _marked(cell: str, *, accepted: bool) -> str:
    """Make what is not as it should be stand out."""
    good = ACCEPTED if accepted else REFUSED
    return cell if cell in (good, IF_ASKED, _LACKS) else f"**{cell}**"


def blocks(page: str) -> dict[str, str]:
    """Find what stands between the markers of a page, by name."""
    return dict(re.findall(r"<!-- refusals: (\S+) -->\n\n?(.*?)\n*<!-- end -->", page, re.DOTALL))


def cells(text: str) -> dict[str, dict[str, str]]:
    """Read tables back: what they say, by package and by rule."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    head = rows[0][2:]
    found: dict[str, dict[str, str]] = {name: {} for name in head}
    for row in rows:
        if row[2:] != head:
            for name, cell in zip(head, row[2:], strict=True):
                found[name][row[0]] = cell.strip("*")
    return found


def _written(page: str, contents: Mapping[str, str]) -> str:
    for name, content in contents.items():
        marked = re.compile(rf"(<!-- refusals: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, count = marked.subn(lambda match, text=content: match[1] + f"\n{text}\n\n" + match[2], page)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the page must have the markers of {name!r} once; it has {count}")
    return page


def main(arguments: list[str] | None = None) -> int:
    """Try everything; non-zero when ours is not as it should be, or a package is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusals", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    asked = parser.parse_args(arguments)
    missing = [library.name for library in LIBRARIES if installed(library) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}; the dependency group bench has them", file=sys.stderr)
        return 2
    rules = [rule for group in GROUPS for rule in group.rules]
    columns = {library.name: {rule.text: outcome(library, rule) for rule in rules} for library in LIBRARIES}
    contents = {"versions": versions(), **tables(columns)}
    if asked.write:
        PAGE.write_text(_written(PAGE.read_text(), contents))
    else:
        print("\n\n".join(contents.values()))
    ours = columns[LIBRARIES[0].name]
    wanted = {rule.text: ACCEPTED if group.accepted else REFUSED for group in GROUPS for rule in group.rules}
    return 0 if ours == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
