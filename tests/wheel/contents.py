"""Checks what a wheel and an sdist contain; run by `scripts/test-wheel` with both paths."""

import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email import message_from_string
from pathlib import Path, PurePosixPath

from files import ROOT, names

INFO = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
SDIST = ("src", "tests", "examples", "docs", "benchmarks", "scripts", ".github")
SDIST_FILES = {
    *("PKG-INFO", ".gitignore", "pyproject.toml", "LICENSE"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
}
# A path of this machine in a file would tell about it, and make two builds differ.
MACHINE = [str(ROOT).encode(), str(Path.home()).encode() + b"/", sys.prefix.encode()]


def same(what: str, found: set[str], wanted: set[str]) -> None:
    """Fail with the difference."""
    assert found == wanted, f"{what}: too much {sorted(found - wanted)}, missing {sorted(wanted - found)}"


def no_machine_paths(what: str, files: dict[str, bytes]) -> None:
    """Fail if a file names a folder of this machine."""
    found = [(name, path.decode()) for name, data in files.items() for path in MACHINE if path in data]
    assert not found, f"{what}: {found}"


def check_wheel(files: dict[str, bytes], sources: set[str]) -> None:
    """A wheel has the package, all of it, and what pip needs to know; no tests."""
    (info,) = {PurePosixPath(name).parts[0] for name in files if not name.startswith("fastapi_patterns/")}
    assert info.endswith(".dist-info"), info
    package = {name.removeprefix("src/") for name in sources if name.startswith("src/")}
    assert {"fastapi_patterns/py.typed", "fastapi_patterns/.agents/skills/fastapi-patterns/SKILL.md"} <= package
    same("wheel", set(files), package | {f"{info}/{name}" for name in INFO})
    assert files[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    entries = ConfigParser()
    entries.read_string(files[f"{info}/entry_points.txt"].decode())
    assert {section: dict(entries[section]) for section in entries.sections()} == {
        "console_scripts": {"fastapi-patterns": "fastapi_patterns.cli:main"},
        "pytest11": {"fastapi_patterns": "fastapi_patterns.testing.plugin"},
    }
    metadata = message_from_string(files[f"{info}/METADATA"].decode())
    assert (metadata["License-Expression"], metadata["Requires-Python"]) == ("MIT", ">=3.11")
    no_machine_paths("wheel", files)


def check_sdist(files: dict[str, bytes], sources: set[str]) -> None:
    """An sdist has the sources, the tests and the docs, and nothing that lies about beside them."""
    wanted = {name for name in sources if PurePosixPath(name).parts[0] in SDIST}
    same("sdist", set(files), wanted | SDIST_FILES)
    no_machine_paths("sdist", files)


def main(wheel_path: str, sdist_path: str) -> None:
    """Check both."""
    with zipfile.ZipFile(wheel_path) as wheel:
        in_wheel = {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(sdist_path) as sdist:
        members = [member for member in sdist.getmembers() if not member.isdir()]
        assert all(member.isfile() for member in members), "a link in the sdist"
        assert not any(member.uname or member.gname or member.uid or member.gid for member in members), "an owner"
        in_sdist = {member.name.split("/", 1)[1]: sdist.extractfile(member).read() for member in members}
    sources = names()
    check_wheel(in_wheel, sources)
    check_sdist(in_sdist, sources)
    print(f"contents: {len(in_wheel)} files in the wheel, {len(in_sdist)} in the sdist")


main(*sys.argv[1:])
