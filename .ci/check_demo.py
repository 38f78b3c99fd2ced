"""Check the summary of `make demo` against what the README promises. Usage: check_demo.py summary.json"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KEYS = (
    "accuracy",
    "chance_floor",
    "rounds",
    "epsilon",
    "delta",
    "zero_shot_accuracy",
    "bow_accuracy",
    "train_s",
    "aggregate_nmse_db",
    "peak_rss_mib",
    "params_digest",
)

path = Path(sys.argv[1])
summary = json.loads(path.read_text(encoding="utf-8"))
missing = [key for key in KEYS if summary.get(key) is None]
if missing:
    sys.exit(f"{path}: no value for {', '.join(missing)}")

accuracy, zero_shot, epsilon, delta = (summary[key] for key in ("accuracy", "zero_shot_accuracy", "epsilon", "delta"))
promises = {
    f"accuracy {accuracy:.3f} >= 0.75": accuracy >= 0.75,
    f"accuracy {accuracy:.3f} >= zero-shot {zero_shot:.3f} + 0.15": accuracy >= zero_shot + 0.15,
    f"epsilon {epsilon:.3f} <= 8": epsilon <= 8,
    f"delta {delta:g} <= 1e-5": delta <= 1e-5,
    "report.html is there": (path.parent / "report.html").is_file(),
}
for promise, kept in promises.items():
    print(f"{'ok    ' if kept else 'BROKEN'} {promise}")
sys.exit(0 if all(promises.values()) else 1)
