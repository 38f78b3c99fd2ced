"""`station.toml` and `radios.json` of a run's folder: the station it runs on, and which radios those were, how set, how warm."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fl.run_folder import write_json

RADIOS = "radios.json"


class StationLog:
    """One session (a start or a resumption) of a run on a station; written at its begin and its end.

    Args:
        run: the run folder.
        air: the air in a few words.
        note: what of the experiment does not apply, `fl.station.not_used`.
        found: metadata of the open station, `radio.station.OpenStation.metadata`; None where it could not be read.
    """

    def __init__(self, run: Path, air: str, note: str, found: dict[str, Any] | None) -> None:
        self._path = run / RADIOS
        self._session = {"air": air, "note": note, "opened": _now(), "begin": found, "closed": None, "end": None}
        self._earlier = sessions_of(run)
        self._write()

    def end(self, found: dict[str, Any] | None) -> None:
        """The same metadata once more, before the radios are closed."""
        self._session |= {"closed": _now(), "end": found}
        self._write()

    def _write(self) -> None:
        write_json(self._path, {"sessions": [*self._earlier, self._session]})


def sessions_of(run: Path) -> list[dict[str, Any]]:
    """All sessions of a run; none for a run on the loopback, or a file that cannot be read."""
    try:
        return list(json.loads((run / RADIOS).read_text(encoding="utf-8"))["sessions"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
