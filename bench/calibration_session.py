"""Whether a session's recommendation is right: its mode, the error it expects of a run, and the radio time it takes.

Rows of `python -m bench.calibration`. Stations are simulated radios with impairments drawn at random; what a recommendation
is held against was measured apart from it, with other public sums, or in a real run of the demo's model.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import Row
from calibration.expectation import measured
from calibration.loopback_rig import LoopbackRig
from calibration.recommend import CANDIDATES, recommend
from calibration.rig import Rig
from calibration.session import Session, in_order
from calibration.stand import Stand, at_station, on_loopback
from calibration.step import Step
from calibration.steps.alignment import Alignment
from calibration.steps.known_scalar import KnownScalar, try_mode
from calibration.trial import Sweep
from radio.cell import SampledMode
from radio.emulator.server import serve
from radio.fading import Fading
from radio.impairments import Impairments
from radio.station import StationFile
from radio.streams import stream
from radio.surroundings import Surroundings

SEED = 88
STATIONS = 60
JUDGED = Sweep(16384, 4096, 16, 3)  # of each mode, to tell which is better; a run has one or a few sums a round
FIVE = 5
RUNS: tuple[dict[str, Any], ...] = (  # the experiment's air; a run sends 8 numbers a round in the recommended mode
    {"radio.profile": "pluto-bench", "radio.shared_clock": True},
    {"radio.profile": "pluto-bench"},
    {"radio.profile": "textbook"},
    {
        "radio.profile": "none",
        "radio.fading": "static",
        "radio.offset_hz": 0.0,
        "radio.snr_db": 15.0,
        "radio.window": 4096,
    },
)
RUN_ROUNDS = 60


def place(draw: int) -> Surroundings:
    """A station: two to six devices with one clock or clocks of their own, in the noise or far above it, still or moving."""
    draws = stream(SEED, "stations", draw)
    devices = int(draws.integers(2, 7))
    moving = draws.random() < 0.3
    channel = Fading(
        devices,
        draw,
        "rician" if moving else "static",
        rician_k_db=float(draws.uniform(3.0, 15.0)),
        path_loss_db=[float(x) for x in draws.uniform(0.0, 12.0, devices)],
        doppler_hz=float(10.0 ** draws.uniform(-1.5, 0.7)) if moving else 0.0,
        round_s=1.0 if moving else 0.0,
    )
    impairments = Impairments(
        oscillator_ppm=20.0,
        drift_ppm_per_s=0.02,
        shared_clock=bool(draws.random() < 0.75),
        phase_noise_deg=float(10.0 ** draws.uniform(-1.0, 1.0)),
        linewidth_hz=float(10.0 ** draws.uniform(-4.0, 0.0)) if draws.random() < 0.5 else 0.0,
        start_jitter_s=2e-3,
        gain_step_db=0.25,
        gain_error_db=0.05,
        iq_gain_db=0.1,
        iq_phase_deg=0.5,
        lo_leakage_dbfs=-45.0,
        dc_offset_dbfs=-40.0,
    )
    noise = float(channel.mean_power.mean()) / 10.0 ** (draws.uniform(-15.0, 30.0) / 10.0)
    return Surroundings(channel, noise, draw, dac_bits=12, adc_bits=12, impairments=impairments)


@dataclass(frozen=True)
class Judgement:
    """`errors`: mean squared, of each mode, measured apart from the session; inf where it does not work. `chosen` by it."""

    chosen: str | None
    errors: dict[str, float]

    @property
    def right(self) -> bool:
        best = min(self.errors, key=lambda mode: self.errors[mode])
        return self.chosen == (best if math.isfinite(self.errors[best]) else None)


def judge(draw: int, sweeps: dict[SampledMode, Sweep] | None, judged: Sweep) -> Judgement:
    """One station: a session's recommendation, and then both modes tried for themselves."""
    where = place(draw)
    facts = KnownScalar(sweeps).run(LoopbackRig(where), {}).facts
    advised = recommend({"known_scalar": facts}, 0.0)
    errors = {}
    for mode in CANDIDATES:
        rig = LoopbackRig(replace(where, seed=where.seed + 100_000))
        errors[mode] = math.inf
        if mode == "energy" or rig.shared_clock:
            trial = try_mode(rig, mode, judged, seed=SEED + draw)
            errors[mode] = trial.mse()[0] if trial.works and trial.total else math.inf
    return Judgement(None if advised is None else advised.mode, errors)


def mode_row(quick: bool) -> Row:
    small: dict[SampledMode, Sweep] = {"coherent": Sweep(1024, 1024, 3, 2), "energy": Sweep(2048, 1024, 3, 2)}
    count = 2 if quick else STATIONS
    done = [judge(k, small if quick else None, Sweep(2048, 1024, 3, 2) if quick else JUDGED) for k in range(count)]
    chosen = {mode: sum(one.chosen == mode for one in done) for mode in (*CANDIDATES, None)}
    both = sum(all(map(math.isfinite, one.errors.values())) for one in done)
    note = (
        f"of {count} stations: {chosen['coherent']} coherent, {chosen['energy']} energy, {chosen[None]} neither; {both} could "
        "do both; 95 are wanted"
    )
    return Row("mode_right", 100.0 * float(np.mean([one.right for one in done])), "%", note)


def gap_db(settings: dict[str, Any]) -> float:
    """Aggregation error of a run with a profile, over what the profile expects of it."""
    from fl.config import load
    from fl.run import execute
    from fl.run_folder import create
    from fl.shipped import default_experiment
    from fl.surroundings import described, surroundings_of

    small = {"task.examples_per_device": 50, "task.test_examples": 20, "learning.batch": 2, "learning.perturbations": 8}
    rounds = {"learning.rounds": RUN_ROUNDS, "run.evaluate_every": 1000}

    def made(changes: dict[str, Any]) -> Any:
        wanted = settings | small | rounds | changes
        return load(default_experiment(), [f"{key}={_toml(value)}" for key, value in wanted.items()])

    steps: list[Step] = [KnownScalar()]
    with tempfile.TemporaryDirectory() as folder:
        experiment = made({})
        session = Path(folder) / "session"
        with on_loopback(surroundings_of(experiment), described(experiment), "bench") as stand:
            profile = Session(session, stand, steps).run()
        advised = profile.recommendation
        assert advised is not None, "these stations carry known sums"
        experiment = made(advised.settings)
        summary = execute(create(Path(folder) / "run", experiment, profile=session), quiet=True)
        return float(summary["aggregate_nmse_db"] - summary["expected_nmse_db"])


def _quick_gap_db() -> float:
    """Without a model: known sums against what earlier ones let expect."""
    sweeps: dict[SampledMode, Sweep] = {"energy": Sweep(2048, 1024, 3, 2)}
    first = measured({"known_scalar": KnownScalar(sweeps).run(LoopbackRig(place(0)), {}).facts}, "energy")
    again = try_mode(LoopbackRig(place(0)), "energy", sweeps["energy"], seed=SEED)
    return 10.0 * math.log10(again.mse()[0] / first.at(2048).of(first.devices)) if first is not None else math.nan


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def gap_row(quick: bool) -> Row:
    gaps = [_quick_gap_db()] if quick else [gap_db(settings) for settings in RUNS]
    each = ", ".join(f"{gap:+.2f}" for gap in gaps)
    note = f"largest of {len(gaps)} runs of {RUN_ROUNDS} rounds, 8 sums each ({each} dB, measured over expected); 1 is allowed"
    return Row("prediction_gap_db", max(map(abs, gaps)), "dB", note)


def radio_row(quick: bool) -> Row:
    """Of a standard session with five devices; in quick mode of two small steps on simulated radios."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stand: Stand
        steps: Sequence[Step]
        if quick:
            stand = stack.enter_context(on_loopback(place(0), {}, "quick"))
            steps = [Alignment(window=1024), KnownScalar({"energy": Sweep(2048, 1024, 2, 2)})]
        else:
            units = stack.enter_context(serve(FIVE + 1, clock="shared", seed=SEED, host="127.0.0.1", port=0))
            stand = stack.enter_context(at_station(station(units.uris), None))
            steps = in_order()
        assert isinstance(stand.rig, Rig)
        Session(Path(folder), stand, steps).run()
        took = stand.rig.radio_s
    note = (
        f"{len(steps)} steps, {FIVE} virtual Plutos, 1 MS/s, starts up to 50 ms late; 120 are allowed, drift not in it"
    )
    return Row("session_radio_s", took, "s", note)


def station(uris: Sequence[str]) -> StationFile:
    """With a Pluto's ordinary ring of four blocks."""
    receiver, *devices = uris
    return StationFile.model_validate(
        {
            "station": {"clock": "shared", "lo_hz": 915e6, "receive_gain_db": 13, "transmit_gain_db": -10},
            "permit": {"band_hz": [902e6, 928e6], "max_eirp_dbm": 10, "duty": 1},
            "receiver": {"uri": receiver},
            "device": [{"uri": uri} for uri in devices],
        }
    )


def rows(quick: bool) -> list[Row]:
    return [mode_row(quick), gap_row(quick), radio_row(quick)]
