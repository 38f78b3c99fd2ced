"""What installing pAirZero brings: the engines beyond one machine only with their extras."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINES = ("ray", "flwr", "accelerate")


def names(requirements: list[str]) -> set[str]:
    return {r.replace("[", " ").replace(">", " ").replace("=", " ").split()[0].lower() for r in requirements}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_base_installation_pulls_no_engine(project: dict) -> None:
    assert not names(project["dependencies"]) & set(ENGINES)
    assert not names(project["optional-dependencies"]["test"]) & set(ENGINES)  # `make` installs it
    assert "accelerate" in names(project["optional-dependencies"]["large"])
    assert "ray" in names(project["optional-dependencies"]["ray"])
    assert "flwr" in names(project["optional-dependencies"]["flower"])


def test_every_requirement_has_a_tested_version(project: dict) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    wanted = names(project["dependencies"]).union(*map(names, project["optional-dependencies"].values()))
    assert wanted <= pinned


def test_neither_the_command_line_nor_a_run_imports_an_engine() -> None:
    code = f"import sys, fl.cli, fl.run, fl.session, fl.sweep, fl.ray_crew; print([m for m in {ENGINES[:2]} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
