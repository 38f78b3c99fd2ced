"""One experiment over three transports: are the weights the same, how fast are rounds, and what do 10,000 devices cost?

    python -m bench.transports [--quick] [--json FILE]

In one process, over Ray (2 actors) and in Flower's simulation (2 actors): whole private runs, reproducible, of a toy OPT of
width 32 at symbol fidelity.  The time of a round is the median of its slots but the first; starting Ray (some seconds) and
greeting Flower's nodes are not in it.  Flower's round is three exchanges with every node (measure, arm, fire), Ray's three
calls of two actors.  Every run has a process of its own (`--quick`: none has).  Needs the extras ray and flower.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.scaling import DATA, measured
from bench.table import Row, publish
from bench.toy import experiment, toy_model

TRANSPORTS = ("in process", "ray", "flower")


def run(transport: str, devices: int, rounds: int, model: Path) -> dict[str, Any]:
    """One run's digest, and seconds a round."""
    from fl.diagnostics import read_diagnostics
    from fl.run import Actors, execute
    from fl.run_folder import create

    with tempfile.TemporaryDirectory() as folder:
        made = create(Path(folder) / "run", experiment(model, devices, rounds, reproducible=True))
        if transport == "flower":
            from fl.flower.simulation import simulate

            summary = simulate(made)
        else:
            summary = execute(made, quiet=True, actors=Actors(2) if transport == "ray" else None)
        seconds = [line["seconds"] for line in read_diagnostics(made.path)]
    return {"digest": summary["params_digest"], "round_s": statistics.median(seconds[1:] or seconds)}


def in_a_process(transport: str, devices: int, rounds: int, model: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "bench.transports", "--one", transport, str(devices), str(rounds), str(model)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{transport} with K = {devices} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(quick: bool) -> list[Row]:
    transports = TRANSPORTS[:2] if quick else TRANSPORTS  # Flower's simulation takes half a minute to start
    few, many = (4, 4) if quick else (8, 512)
    with tempfile.TemporaryDirectory() as folder:
        model = toy_model(Path(folder))
        look = run if quick else in_a_process
        done = {name: look(name, few, 3 if quick else 4, model) for name in transports}
        digests = {name: one["digest"] for name, one in done.items()}
        if not quick:  # Flower's rounds take seconds, so fewer of them
            done = {name: in_a_process(name, many, 3 if name == "flower" else 21, model) for name in transports}
        speed = {name: one["round_s"] for name, one in done.items()}
        least, most = 10, 10_000
        memory = {}
        if not quick:  # bench.scaling has the same in small
            memory = {devices: measured(devices, DATA // devices, 2, model)["rss_mib"] for devices in (least, most)}
    rows = [
        Row(
            "digests_equal",
            float(len(set(digests.values())) == 1),
            "",
            f"K = {few}, {', '.join(digests)}: {next(iter(digests.values()))[:16]}",
        )
    ]
    rows += [
        Row(f"rounds_per_s_{name.replace(' ', '_')}_k{many}", 1.0 / seconds, "1/s", "")
        for name, seconds in speed.items()
    ]
    if not quick:
        rows.append(Row("ray_over_flower_k512", speed["flower"] / speed["ray"], "x", "rounds a second, 2 actors each"))
        examples = f"{DATA:,} examples in both, in one process"
        rows.append(Row(f"rss_k{most}_over_k{least}", memory[most] / memory[least], "", examples))
    rows += [Row(f"rss_k{devices}", found, "MiB", "peak of the process") for devices, found in memory.items()]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        transport, devices, rounds, model = arguments.one
        print("\n" + json.dumps(run(transport, int(devices), int(rounds), Path(model))))
        return
    publish("transports", measure(arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
