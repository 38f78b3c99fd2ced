"""The comparison of algorithms runs quickly, with no file of the tests, and reports every one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.algorithms", "--quick", "--json", str(tmp_path / "out.json"), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_every_algorithm_has_its_four_rows(tmp_path: Path) -> None:
    from fl.baselines.harness import PRESETS

    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    rows = {row["name"]: row for row in written["rows"]}
    assert written["bench"] == "algorithms" and written["quick"] is True
    assert set(rows) == {f"{n}_{what}" for n in PRESETS for what in ("loss", "accuracy", "forwards", "uplink")}
    # one round of two devices with batches of four: a scalar over the air, a gradient of d numbers, or its 32 d bits
    size = 4096 + 2 * 32
    assert (rows["pairzero_uplink"]["value"], rows["pairzero_uplink"]["unit"]) == (1, "channel uses")
    assert (rows["fedsgd-ota_uplink"]["value"], rows["fedsgd-ota_uplink"]["unit"]) == (size, "channel uses")
    assert (rows["fedsgd_uplink"]["value"], rows["fedsgd_uplink"]["unit"]) == (2 * size * 32, "bit")
    assert rows["mezo_forwards"]["value"] == 2 * 2 * 4


def test_only_those_asked_for_run_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "--only", "mezo,fedsgd")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert {row["name"].partition("_")[0] for row in rows} == {"mezo", "fedsgd"}
    assert (again := run(tmp_path, "--only", "mezo,fedprox")).returncode == 2
    assert "fedprox: not known; allowed: pairzero" in again.stderr
