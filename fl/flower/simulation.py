"""A run in Flower's simulation on this machine, from Python: what `flwr run` does with the app in examples/flower."""

from __future__ import annotations

import warnings
from typing import Any

from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from fl.flower.client_app import app as client_app
from fl.flower.strategy import Strategy
from fl.ray_session import STORE_BYTES, prepare
from fl.run_folder import RunFolder
from radio.errors import PairzeroError


def simulate(folder: RunFolder, processes: int = 2, timeout_s: float = 600.0, say: Any = print) -> dict[str, Any]:
    """Carry a run to its end with its devices as virtual nodes in `processes` Ray actors; returns its summary.

    Raises what `fl.run.execute` raises."""
    problems: list[BaseException] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Any) -> None:
        try:
            Strategy(folder, wait_s=timeout_s, quiet=True, say=say).start(grid, timeout=timeout_s)
        except BaseException as problem:  # Flower would wrap it in its own
            problems.append(problem)

    backend: Any = {
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        "init_args": {
            "address": "local",
            "num_cpus": processes,
            "object_store_memory": STORE_BYTES,
            "log_to_driver": False,
            "configure_logging": False,
        },
    }
    prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_simulation(server, client_app, folder.experiment.learning.devices, backend_config=backend)
    if problems:
        raise problems[0]
    summary = folder.summary
    if summary is None:
        raise PairzeroError("Flower's simulation ended before the run did; its log says why")
    return summary
