"""Private data sets go by keyed digests."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from privacy.identity import KEY_FILE, keyed_digest
from radio.errors import InputError


def test_it_is_hmac_sha256_under_a_key_that_only_the_owner_reads(tmp_path):
    folder = tmp_path / "ledgers"
    found = keyed_digest(folder, "ab" * 32)
    key = (folder / KEY_FILE).read_bytes()
    assert len(key) == 32
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert found == hmac.new(key, b"ab" * 32, hashlib.sha256).hexdigest()
    assert keyed_digest(folder, "ab" * 32) == found


def test_another_folder_gives_another_name(tmp_path):
    assert keyed_digest(tmp_path / "a", "ab" * 32) != keyed_digest(tmp_path / "b", "ab" * 32)


def test_a_damaged_key_is_refused(tmp_path):
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(InputError, match="5 bytes, 32 expected"):
        keyed_digest(tmp_path, "ab" * 32)


def test_a_lost_key_gives_no_fresh_budget(tmp_path):
    name = keyed_digest(tmp_path, "data")
    (tmp_path / f"{name}.jsonl").write_text("")
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(InputError, match="is missing, and the 1 ledgers beside it"):
        keyed_digest(tmp_path, "data")
    assert not (tmp_path / KEY_FILE).exists()
