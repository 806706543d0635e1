"""`scripts/bench [--quick] [--only SUITE] [--json FILE] [--soak]`: runs the suites and prints ratios."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import auth, database, growth, http, imports, load, middleware, passwords, tasks, testing, tokens
from benchmarks.harness import Result, measure
from benchmarks.page import FIGURES
from benchmarks.report import conditions, table
from benchmarks.targets import outcomes

SUITES = {
    "auth": auth.suite,
    "database": database.suite,
    "growth": growth.suite,
    "http": http.suite,
    "imports": imports.suite,
    "middleware": middleware.suite,
    "passwords": passwords.suite,
    "tasks": tasks.suite,
    "testing": testing.suite,
    "tokens": tokens.suite,
}


# Their peers cannot be installed beside those of the others.
APART = ("auth", "load")


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; non-zero when a subject could not run, or a soak has shown growth."""
    known = sorted([*SUITES, "load"])
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Benchmarks, as ratios to a stated floor.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds: a first look")
    parser.add_argument("--only", choices=known, metavar="SUITE", help=f"one of: {', '.join(known)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    parser.add_argument("--write", action="store_true", help="renew the figures in the documentation")
    parser.add_argument("--soak", action="store_true", help="ten minutes of load: memory and open files must not grow")
    parser.add_argument("--part", choices=["here", "apart"], help=argparse.SUPPRESS)  # of two, in two environments
    asked = parser.parse_args(arguments)

    print(conditions(), flush=True)
    if asked.soak:
        return 0 if load.soak(quick=asked.quick) else 1
    names = [asked.only] if asked.only else [name for name in known if (name in APART) is (asked.part == "apart")]
    results = [result for name in names for result in _measured(name, quick=asked.quick)]
    print(_reached([result.row() for result in results]))
    if asked.json is not None:
        _add(asked.json, [result.row() for result in results], is_second=asked.part == "apart")
    if asked.write:
        _renew(names, [asdict(result) for result in results])
    return 1 if any(result.error for result in results) else 0


def _add(file: Path, rows: list[dict[str, object]], *, is_second: bool) -> None:
    """Write rows, behind those of the first part where this is the second."""
    before = json.loads(file.read_text()) if is_second else []
    file.write_text(json.dumps([*before, *rows], indent=1) + "\n")


def _renew(suites: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Put rows into the figures of the documentation, in place of those that these suites have there."""
    parts = json.loads(FIGURES.read_text()) if FIGURES.exists() else []
    for part in parts:
        part["results"] = [row for row in part["results"] if row["suite"] not in suites]
    parts = [part for part in parts if part["results"]] + [{"conditions": conditions(), "results": rows}]
    FIGURES.write_text(json.dumps(parts, indent=1) + "\n")


def _reached(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["", "targets"]
    for target, figure, is_reached in outcomes(rows):
        word = "at least" if target.over else "at most"
        mark = "" if is_reached else "   NOT REACHED"
        lines.append(f"  {target.what:<62} {figure:6.2f}   {word} {target.limit:g}{mark}")
    return "\n".join(lines)


def _measured(name: str, *, quick: bool) -> list[Result]:
    if name == "load":
        return load.run(quick=quick)
    suite = SUITES[name]()
    found = measure(suite, quick=quick)
    print(table(suite, found), flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
