"""Runs the tests of a project that was put together from a page."""

import os
import subprocess
import sys
from pathlib import Path


def run_pytest(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder as its reader would: without anything of this run, warnings being errors."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_")) and name not in ("SECRET_KEY", "DATABASE_URL")
    }
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio", "-p", "no:schemathesis"]
    return subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
