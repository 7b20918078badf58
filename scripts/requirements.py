"""Prints what the extras named by the arguments need, one requirement a line: `requirements.py operator report`."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
needed = [*project["dependencies"], *(each for name in sys.argv[1:] for each in project["optional-dependencies"][name])]
print("\n".join(needed))
