"""`scripts/bench [--quick] [--only SUITE] [--json FILE]`: runs the suites and prints ratios."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import auth, database, imports, middleware, passwords, tokens
from benchmarks.harness import Result, measure
from benchmarks.report import conditions, table

SUITES = {
    "auth": auth.suite,
    "database": database.suite,
    "imports": imports.suite,
    "middleware": middleware.suite,
    "passwords": passwords.suite,
    "tokens": tokens.suite,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; non-zero when a subject could not run."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Benchmarks, as ratios to a stated floor.")
    parser.add_argument("--quick", action="store_true", help="a fifth of the rounds: a first look")
    parser.add_argument("--only", choices=sorted(SUITES), metavar="SUITE", help=f"one of: {', '.join(sorted(SUITES))}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results as JSON")
    asked = parser.parse_args(arguments)

    print(conditions(), flush=True)
    results: list[Result] = []
    for name, make in SUITES.items():
        if asked.only in (None, name):
            suite = make()
            found = measure(suite, quick=asked.quick)
            print(table(suite, found), flush=True)
            results += found
    if asked.json is not None:
        asked.json.write_text(json.dumps([result.row() for result in results], indent=2) + "\n")
    return 1 if any(result.error for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
