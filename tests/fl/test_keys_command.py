"""`pairzero keys`: init, enroll, list and revoke from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fl.cli import app
from radio.errors import InputError

runner = CliRunner()


def call(*words: str) -> str:
    result = runner.invoke(app, ["keys", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_four_commands(tmp_path: Path) -> None:
    option = ("--keys", str(tmp_path / "keys"))
    assert "pairzero keys enroll NAME --keys" in call("init", *option)
    assert "no device is enrolled" in call("list", *option)
    assert str(tmp_path / "keys" / "devices" / "bench-1") in call("enroll", "bench-1", *option)
    assert call("list", *option).startswith("bench-1 ") and "secret key is here" in call("list", *option)
    assert "pairzero keys enroll bench-1" in call("revoke", "bench-1", *option)
    assert "no device is enrolled" in call("list", *option)


def test_the_default_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    call("init")
    assert (tmp_path / "pairzero" / "keys" / "server.key_secret").exists()


def test_errors_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pairzero keys init"):
        call("enroll", "bench-1", "--keys", str(tmp_path))
