"""Names for private data sets that tell outsiders nothing.

A plain digest of private examples is a function of them: whoever knows all but one can test a guess for the last.  So the
folder of ledgers holds a random key, readable by its owner only, and data sets go by their digest under that key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from radio.errors import InputError

KEY_FILE = "identity.key"


def keyed_digest(folder: Path, digest: str) -> str:
    """HMAC-SHA-256 (hex) of a data digest under the folder's key, which is made on first use."""
    return hmac.new(_key(folder), digest.encode(), hashlib.sha256).hexdigest()


def _key(folder: Path) -> bytes:
    file = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.is_file() and (kept := len(list(folder.glob("*.jsonl")))):
            # Under a new key the same data would have another name, and a budget that nothing was spent of.
            raise InputError(
                f"{file} is missing, and the {kept} ledgers beside it are known by it alone; restore it from a copy, or name "
                "another privacy.ledger for data that was never used"
            )
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = file.read_bytes()
        else:
            key = os.urandom(32)
            with os.fdopen(handle, "wb") as sink:
                sink.write(key)
                sink.flush()
                os.fsync(sink.fileno())
    except OSError as problem:
        raise InputError(
            f"cannot use the ledger folder {folder}: {problem.strerror}; name another privacy.ledger"
        ) from None
    if len(key) != 32:
        raise InputError(
            f"{file} is damaged ({len(key)} bytes, 32 expected); restore it, or its ledgers are lost to all runs"
        )
    return key
