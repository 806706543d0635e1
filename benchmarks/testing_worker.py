"""A pytest run that waits: for each line that it reads it runs one test, set-up and tear-down included, and answers.

`python -m benchmarks.testing_worker FOLDER`. So tests of several projects can take turns, without the start of a
process in what is measured. Only the plugins that the case is about are loaded.
"""

import os
import sys
from typing import Any, TextIO

import pytest

__all__: list[str] = []

_PLUGINS = ("anyio.pytest_plugin", "fastapi_patterns.testing.plugin")


class OneByOne:
    """Runs the tests in a circle, as often as it is asked to.

    Args:
        asked: A line for each test; ends with the run.
        answered: `ok` or `failed`.
    """

    def __init__(self, asked: TextIO, answered: TextIO) -> None:
        self._asked, self._answered = asked, answered
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run one test a line. The next one is always named, so that what lives for a whole run does."""
        items = session.items
        for number, _ in enumerate(self._asked):
            item, following = items[number % len(items)], items[(number + 1) % len(items)]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            print("failed" if self._failed else "ok", file=self._answered, flush=True)
        items[0].session._setupstate.teardown_exact(None)
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember a failure: what it takes is no time of a test."""
        self._failed = self._failed or report.failed


def main(folder: str) -> int:
    """Run the project in a folder. pytest has the standard streams for itself, and its output goes to a file."""
    asked, answered = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    output = os.open(os.path.join(folder, "output.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.chdir(folder)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = [argument for name in _PLUGINS for argument in ("-p", name)]
    return int(pytest.main(["-p", "no:cacheprovider", *options, folder], plugins=[OneByOne(asked, answered)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
