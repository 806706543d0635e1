"""`python -m tests.vectors.run FILE`: every case of a file through the public API, in its default strictness.

Lists the wrong ones, ends with `N cases, W wrong, F foreign exceptions`, and exits with 1 unless both are 0.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.vectors.result import Result


def run(document: Mapping[str, Any]) -> list[Result]:
    """Give the cases to the runner of their form: what has a hash is a password, all else a token."""
    cases = document["cases"]
    if any("hash" in case for case in cases):
        from tests.vectors import run_passwords

        return run_passwords.run(cases)
    from importlib import import_module

    found: list[Result] = import_module("tests.vectors.run_tokens").run(document)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run one file and print what is wrong."""
    if len(arguments) != 1:
        print("usage: python -m tests.vectors.run FILE", file=sys.stderr)
        return 2
    results = run(json.loads(Path(arguments[0]).read_text()))
    for result in results:
        if result.wrong or result.foreign:
            print(f"{result.id}: expected {result.expected}, got {result.got}")
    wrong, foreign = sum(result.wrong for result in results), sum(result.foreign for result in results)
    print(f"{len(results)} cases, {wrong} wrong, {foreign} foreign exceptions")
    return 1 if wrong or foreign else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
