"""Names the files of the project: what git knows or would take, or in a copy without git all that is no by-product."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BY_PRODUCTS = ("__pycache__", "_build", "dist")


def names() -> set[str]:
    """List them, relative to the project."""
    if (ROOT / ".git").exists():
        listing = [
            "git",
            "-c",
            f"safe.directory={ROOT}",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
        return {name for name in listed if name and (ROOT / name).is_file()}
    return {str(path.relative_to(ROOT)) for path in _files(ROOT)}


def _files(folder: Path) -> list[Path]:
    found = []
    for path in folder.iterdir():
        hidden = path.name.startswith(".") and path.name not in (".github", ".gitignore", ".ci", ".agents")
        if hidden or path.name in BY_PRODUCTS or path.name.endswith(".egg-info"):
            continue
        found += _files(path) if path.is_dir() else [path]
    return found


if __name__ == "__main__":
    sys.stdout.write("".join(f"{name}\0" for name in sorted(names())))
