"""Prints what was measured, with the conditions under which it was."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.harness import Result, Suite

__all__ = ["conditions", "table"]

_PACKAGES = (
    "fastapi-patterns",
    "fastapi",
    "starlette",
    "pydantic",
    "sqlalchemy",
    "python-jose",
    "httpx2",
    "argon2-cffi",
    "bcrypt",
)


def conditions() -> str:
    """Describe the machine, the Python and the packages."""
    packages = []
    for name in _PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{platform.python_implementation()} {platform.python_version()} on {_cpu()}, {os.cpu_count()} cores\n"
        + ", ".join(packages)
    )


def table(suite: Suite, results: Sequence[Result]) -> str:
    """Lay out a suite's results, a case at a time."""
    lines = []
    for case in suite.cases:
        lines += ["", f"{suite.name}: {case.name}", f"  floor: {case.floor}"]
        for result in (found for found in results if found.case == case.name):
            if result.error is not None or result.ratio is None or result.seconds is None:
                lines.append(f"  {result.subject:<42} could not run: {result.error}")
            else:
                spread = f"± {result.spread:.2f}"
                lines.append(f"  {result.subject:<42} {result.ratio:7.2f} x  {spread:<8} {_duration(result.seconds)}")
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:8.2f} {unit}"
    return f"{seconds / 1e-9:8.2f} ns"


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
