"""`python -m tests.vectors.run FILE`: run a file of vectors and print what got another verdict than it should.

The last line is `N cases, W wrong, F foreign exceptions`; the exit code is 0 only when both are 0.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from tests.vectors import run_tokens

__all__ = ["main"]


def _results(document: dict[str, Any]) -> list[Any]:
    cases = document.get("cases", [])
    if any("hash" in case for case in cases):
        return list(importlib.import_module("tests.vectors.run_passwords").run(cases))
    return list(run_tokens.run(document))


def main(path: str) -> int:
    """Run one file."""
    results = _results(json.loads(Path(path).read_text()))
    bad = [result for result in results if result.wrong or result.foreign]
    for result in bad:
        crash = f", {result.foreign}" if result.foreign else ""
        print(f"{result.id}: expected {result.expected}, got {result.got} in {result.seconds:.3f} s{crash}")
    wrong, foreign = sum(bool(result.wrong) for result in bad), sum(bool(result.foreign) for result in bad)
    print(f"{len(results)} cases, {wrong} wrong, {foreign} foreign exceptions")
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
