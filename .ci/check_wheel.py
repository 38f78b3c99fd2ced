"""Check that a wheel carries what an installed `pairzero run` needs besides Python code. Usage: check_wheel.py WHEEL"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

root = Path(__file__).resolve().parents[1]
with zipfile.ZipFile(sys.argv[1]) as wheel:
    packed = set(wheel.namelist())

folders = ("radio", "privacy", "calibration", "fl", "examples")
files = (path for folder in folders for path in (root / folder).rglob("*"))
here = {path.relative_to(root).as_posix() for path in files if path.is_file() and "__pycache__" not in path.parts}
wanted = {f"fl/{name}" if name.startswith("examples/") else name for name in here}
missing = sorted(wanted - packed)
if missing:
    sys.exit(f"{sys.argv[1]} lacks {', '.join(missing)}")
print(f"ok     {len(wanted)} files of the repository are in the wheel")
