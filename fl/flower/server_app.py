"""The ServerApp: an experiment file and a run folder from the app's run config, carried by `fl.flower.strategy.Strategy`.

Run config: `experiment` (file; "" is the shipped demo), `set` (settings to change, `section.key=value`, separated by blanks),
`out` (run folder; one that holds a run is continued), `ledgers` ("server" or "nodes"), `timeout` and `wait` (seconds),
`quiet`.  Paths count from the working directory of the process that Flower starts, so absolute ones are best.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fl import run_folder
from fl.config import load
from fl.flower.strategy import Strategy
from fl.run_folder import RunFolder
from fl.shipped import default_experiment
from radio.errors import InputError

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Begin the run or continue it, to its end."""
    strategy_of(context.run_config).start(grid, timeout=float(context.run_config.get("timeout", 600.0)))


def strategy_of(config: Any) -> Strategy:
    """Raises InputError where the run config makes no sense."""
    ledgers = str(config.get("ledgers", "server"))
    if ledgers not in ("server", "nodes"):
        raise InputError(f'ledgers = {ledgers!r} in the run config; allowed: "server", "nodes"')
    return Strategy(
        _folder(config),
        at_nodes=ledgers == "nodes",
        wait_s=float(config.get("wait", 120.0)),
        quiet=bool(config.get("quiet", False)),
    )


def _folder(config: Any) -> RunFolder:
    named = str(config.get("experiment", ""))
    experiment = load(Path(named) if named else default_experiment(), shlex.split(str(config.get("set", ""))), print)
    out = Path(str(config.get("out", "")) or f"runs/flower-{experiment.run.name}")
    if not run_folder.is_run(out):
        return run_folder.create(out, experiment)
    found = run_folder.open_run(out)
    if found.experiment.digest() != experiment.digest():
        raise InputError(f"{out.resolve()} holds a run of another experiment; name another `out` in the run config")
    return found
