"""Files that people write: read, missing, broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from radio.errors import InputError
from radio.toml_file import read_toml


def test_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[b]\nc = [1, "\u00e9"]\n', encoding="utf-8")
    assert read_toml(tmp_path / "a.toml", "nothing there") == {"b": {"c": [1, "\u00e9"]}}


def test_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^nothing there; make one$"):
        read_toml(tmp_path / "a.toml", "nothing there; make one")


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe", None])
def test_not_readable_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / "a.toml").mkdir()
    else:
        (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.toml: not a readable TOML file: "):
        read_toml(tmp_path / "a.toml", "nothing there")
