"""What comes with an installation."""

from __future__ import annotations

from pathlib import Path

from radio.errors import InputError


def default_experiment() -> Path:
    """The shipped `examples/demo.toml`: inside the package when installed, beside it in a checkout."""
    here = Path(__file__).parent
    for folder in (here / "examples", here.parent / "examples"):
        if (folder / "demo.toml").is_file():
            return folder / "demo.toml"
    raise InputError("examples/demo.toml is missing from this installation; name an experiment file")
