"""Checks what a wheel and an sdist contain; run by `scripts/test-wheel` with both paths."""

import sys
import tarfile
import zipfile

wheel_path, sdist_path = sys.argv[1:]
with zipfile.ZipFile(wheel_path) as wheel:
    names = wheel.namelist()
    tops = {name.split("/")[0] for name in names}
    entry_points = next(wheel.read(name).decode() for name in names if name.endswith("entry_points.txt"))
assert all(top == "fastapi_patterns" or top.endswith(".dist-info") for top in tops), tops
assert "fastapi_patterns/py.typed" in names
assert any(name.endswith("licenses/LICENSE") for name in names), names
assert not any("__pycache__" in name or "/tests/" in name for name in names)
assert "fastapi_patterns = fastapi_patterns.testing.plugin" in entry_points

with tarfile.open(sdist_path) as sdist:
    members = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
for needed in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "src/fastapi_patterns/__init__.py", "tests"):
    assert any(member == needed or member.startswith(f"{needed}/") for member in members), needed
assert not any(member.startswith(".venv") or member.endswith((".db", ".pyc")) for member in members)
print(f"contents: {len(names)} files in the wheel, {len(members)} in the sdist")
