"""pAirZero over Flower: a Strategy for its ServerApps and a ClientApp for its nodes (extra `flower`).

Flower reports its use to its makers unless FLWR_TELEMETRY_ENABLED=0 is in the environment.  Importing this package switches
that off for the process; Flower's own commands (flwr, flower-superlink, flower-supernode) are up before that, and need it
in theirs.
"""

from __future__ import annotations

import os
import sys

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of its simulation, which `flwr run` starts
if (_loaded := sys.modules.get("flwr.supercore.telemetry")) is not None:  # it has read the environment already
    _loaded.FLWR_TELEMETRY_ENABLED = "0"  # type: ignore[attr-defined]
