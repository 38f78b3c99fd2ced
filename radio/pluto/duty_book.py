"""One unit's time on the air on file, so that a second run, or one that is resumed, knows what the first has used.

A file for each serial number in `$XDG_STATE_HOME/pairzero/duty`. Times in it are of the wall clock, because a monotonic one
may begin anew with the computer.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from radio.errors import InputError

Span = tuple[float, float, float]  # first start, last stop, seconds between them on the air


def duty_folder() -> Path:
    """The user's own, for all runs."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "pairzero" / "duty"


class DutyBook:
    """See the module.

    Args:
        identity: the unit's serial number, or what else is known of it.
        folder: default: `duty_folder()`.
    """

    def __init__(self, identity: str, folder: Path | None = None) -> None:
        self.path = (folder or duty_folder()) / f"{re.sub(r'[^A-Za-z0-9._-]', '_', identity)}.json"

    def read(self) -> list[Span]:
        """Nothing where there is no file. Raises InputError for a file that cannot be read, which may mean anything."""
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))["on_air"]
            spans = [(float(start), float(stop), float(spent)) for start, stop, spent in rows]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: the unit's time on the air cannot be read ({error}); wait for one duty period, then delete "
                "the file"
            ) from None
        if not all(math.isfinite(x) for span in spans for x in span):
            raise InputError(
                f"{self.path}: a time on the air is not finite; wait for one duty period, then delete the file"
            )
        return spans

    def write(self, spans: Iterable[Span]) -> None:
        """In place of what was there, whole or not at all. Raises InputError where that is impossible."""
        text = json.dumps({"on_air": [[round(x, 6) for x in span] for span in spans]})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            try:
                with open(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                os.replace(name, self.path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            raise InputError(
                f"{self.path}: the unit's time on the air cannot be written ({error.strerror}), and a limited duty must be "
                "counted; make the folder writable, or name another one with XDG_STATE_HOME"
            ) from None
