"""Prints the lowest declared version of each direct dependency, as pip requirements: `fastapi==0.121.0`."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
wanted = list(project["dependencies"])
for extra in sys.argv[1:]:
    wanted += [line for line in project["optional-dependencies"][extra] if not line.startswith("fastapi-patterns[")]
pins = dict.fromkeys(re.sub(r">=", "==", line) for line in wanted)
print("\n".join(pins))
