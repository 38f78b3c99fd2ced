"""How often a session's stated intervals contain what is true, and how wide they are for what could be known.

Stations with hidden impairments (`bench.calibration_truth`), through the steps of a session: on loopback radios, and on
virtual Plutos behind pyadi-iio. A quantity that a step only bounds ("below -60 dB") is covered where the bound holds, and has
no width.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.calibration_truth import (
    DB,
    DEVICES,
    LATEST_START_S,
    Truth,
    hidden_profile,
    hidden_surroundings,
    loopback_truth,
    pluto_truth,
)
from bench.table import Row
from calibration.finding import Estimate
from calibration.loopback_rig import LoopbackRig
from calibration.rig import Rig
from calibration.station_rig import station_rig
from calibration.step import Step
from calibration.steps.carrier import Carrier
from calibration.steps.channel import Channel
from calibration.steps.environment import Environment
from calibration.steps.front_end import STRAIGHT, WINDOW, FrontEnd
from calibration.steps.power_sweep import PowerSweep
from radio.emulator.server import serve
from radio.station import StationFile, open_station

DRAWS = 100
PILOT = 8192  # samples of a level, `calibration.probe.probe_for`
SECONDS = 600.0  # of one core, for the virtual Plutos
STEPS: tuple[Step, ...] = (Environment(), Carrier(), PowerSweep(), FrontEnd(), Channel(span_s=1.0))

Summary = dict[str, tuple[float, float, int]]
Judgement = tuple[str, bool, float]  # quantity, covered, width of the interval over that of an efficient estimator


def measured(rig: Rig) -> dict[str, Mapping[str, Any]]:
    """Facts of every step."""
    known: dict[str, Mapping[str, Any]] = {}
    for step in STEPS:
        known[step.name] = step.run(rig, known).facts
    return known


def judged(truth: Truth, known: Mapping[str, Mapping[str, Any]]) -> Iterator[Judgement]:
    """Every quantity of one station."""
    carrier, sweep, mixers, channel = (
        known[name]["device"] for name in ("carrier", "power_sweep", "front_end", "channel")
    )
    noise, front = truth.noise_variance, known["front_end"]
    floor = Estimate(known["environment"]["noise_floor_dbfs"], known["environment"]["noise_floor_error_db"])
    yield _one("noise floor", floor, 10.0 * math.log10(noise), 0.5 * DB / math.sqrt(Environment().samples))
    line = truth.line_bound(WINDOW)
    assert truth.impairments.dc_offset_dbfs is not None
    dc = 10.0 ** (truth.impairments.dc_offset_dbfs / 20.0)
    yield from _level("DC offset", front, "dc", dc, line)
    heard = [
        truth.level(k, STRAIGHT * sweep[k]["linear_amplitude"]) for k in range(len(mixers)) if mixers[k]["told_apart"]
    ]
    if heard:
        mixer = truth.receive_mixer
        image = abs(mixer.nu / mixer.mu)
        yield from _level("receiver's image", front, "image", image, line / math.sqrt(sum(a**2 for a in heard)))
    for k in range(len(mixers)):
        at_s = carrier[k]["at_s"]
        offset = Estimate(carrier[k]["offset_hz"], carrier[k]["offset_error_hz"])
        yield _one("carrier offset", offset, truth.offset_hz(k, at_s), truth.offset_bound_hz(k, Carrier().samples))
        drift = Estimate(carrier[k]["drift_hz_per_s"], carrier[k]["drift_error_hz_per_s"])
        yield _one(
            "carrier drift", drift, truth.drift_hz_per_s(k, at_s), truth.drift_bound_hz_per_s(k, Carrier().samples)
        )
        yield from _sweep(truth, k, sweep[k])
        amplitude = STRAIGHT * sweep[k]["linear_amplitude"]
        mixer, tone = truth.mixers[k], truth.level(k, amplitude)
        if mixers[k]["told_apart"]:
            yield from _level("transmitter's image", mixers[k], "image", abs(mixer.nu / mixer.mu), line / tone)
        leak = abs(mixer.leak / mixer.mu) / truth.drive
        shared = 1.0 if mixers[k]["told_apart"] else math.sqrt(2.0)  # of two captures, one of them idle
        yield from _level("LO leakage", mixers[k], "leak", leak, shared * line * amplitude / tone)
        gain = Estimate(channel[k]["gain_dbfs"], channel[k]["gain_error_db"])
        bound = DB * truth.line_bound(PILOT) / truth.level(k, channel[k]["amplitude"])
        yield _one("channel gain", gain, 20.0 * math.log10(truth.gain(k)), bound)


def _sweep(truth: Truth, k: int, fact: Mapping[str, Any]) -> Iterator[Judgement]:
    amplitudes = np.array(fact["amplitude"])
    curve = truth.curve(k, amplitudes, PILOT)
    point = truth.compression_dbfs(k)
    if "compression_dbfs" in fact:
        best = curve.compression_dbfs
        stated = Estimate(fact["compression_dbfs"], fact["compression_error_db"])
        yield _one("compression", stated, point, math.nan if best is None else best.standard_error)
    else:
        yield "compression", point > fact["compression_above_dbfs"], math.nan
    settings = (fact["attenuator_db"], fact["attenuator_error_db"], fact["attenuator_error_error_db"])
    for setting, value, error in zip(*settings, strict=True):
        bound = truth.attenuator_bound_db(k, setting, amplitudes, PILOT)
        yield _one("attenuator error", Estimate(value, error), truth.attenuator_error_db(k, setting), bound)


def _one(quantity: str, stated: Estimate, truth: float, bound: float) -> Judgement:
    return quantity, bool(stated.covers(truth)), stated.standard_error / bound


def _level(quantity: str, fact: Mapping[str, Any], key: str, truth: float, bound: float) -> Iterator[Judgement]:
    """Of a magnitude; `bound` on the standard error of one of its real dimensions."""
    truth_db = 20.0 * math.log10(truth)
    if f"{key}_below_db" in fact:
        yield quantity, truth_db < fact[f"{key}_below_db"], math.nan
    else:
        yield _one(quantity, Estimate(fact[f"{key}_db"], fact[f"{key}_error_db"]), truth_db, DB * bound / truth)


def loopback(draw: int) -> list[Judgement]:
    """Station `draw` as loopback radios."""
    rig = LoopbackRig(hidden_surroundings(draw))
    return list(judged(loopback_truth(rig), measured(rig)))


def plutos(draw: int) -> list[Judgement]:
    """Station `draw` as virtual Plutos behind pyadi-iio."""
    place = hidden_profile(draw)
    with serve(DEVICES + 1, profile=place, seed=draw, host="127.0.0.1", port=0) as units:
        *devices, receiver = units.uris
        station = {
            "lo_hz": 915e6, "receive_gain_db": 22, "transmit_gain_db": 0, "start_lag_s": LATEST_START_S + 1e-3,
            "kernel_blocks": 1, "block_samples": 4096, "timeout_s": 30,
        }  # fmt: skip
        file = StationFile.model_validate(
            {
                "station": station,
                "permit": {"band_hz": [914.4e6, 915.6e6], "max_eirp_dbm": 10, "duty": 1},
                "receiver": {"uri": receiver},
                "device": [{"uri": uri} for uri in devices],
            }
        )
        with open_station(file) as opened:
            rig = station_rig(opened)
            return list(judged(pluto_truth(rig, units), measured(rig)))


def summarised(stations: list[list[Judgement]]) -> Summary:
    """By quantity: covered fraction, median width over the efficient one, and of how many intervals."""
    covered: dict[str, list[bool]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    for station in stations:
        for quantity, inside, ratio in station:
            covered[quantity].append(inside)
            ratios[quantity].append(ratio)
    return {
        quantity: (
            float(np.mean(inside)),
            float(np.nanmedian(ratios[quantity])) if np.isfinite(ratios[quantity]).any() else math.nan,
            len(inside),
        )
        for quantity, inside in covered.items()
    }


def rows(quick: bool) -> list[Row]:
    """`coverage` and `interval_over_crb`: the worst quantity on either kind of radios; then each quantity on each."""
    simulated = [loopback(draw) for draw in range(3 if quick else DRAWS)]
    served, begin = [], time.process_time()
    for draw in range(1 if quick else DRAWS):
        served.append(plutos(draw))
        if time.process_time() - begin > SECONDS:
            break
    found = {"loopback": summarised(simulated), "plutos": summarised(served)}
    counts = f"{len(simulated)} loopback stations and {len(served)} of virtual Plutos, {DEVICES} devices each"
    least = {kind: min(one.items(), key=lambda item: item[1][0]) for kind, one in found.items()}
    widest = {kind: max(one.items(), key=lambda item: np.nan_to_num(item[1][1])) for kind, one in found.items()}
    coverage = "; ".join(f"{kind}: {_listed(one, 0)}" for kind, one in found.items())
    ratio = "; ".join(f"{kind}: {_listed(one, 1)}" for kind, one in found.items())
    return [
        Row("coverage", min(one[1][0] for one in least.values()), "", f"{counts}; target 0.9. {coverage}"),
        Row("interval_over_crb", max(one[1][1] for one in widest.values()), "", f"{counts}; target 3. {ratio}"),
        *_details(found),
    ]


def _listed(summary: Summary, place: int) -> str:
    return ", ".join(f"{quantity} {figures[place]:.2f}" for quantity, figures in summary.items())


def _details(found: Mapping[str, Summary]) -> list[Row]:
    made = []
    for kind, summary in found.items():
        for quantity, (covered, ratio, count) in summary.items():
            made.append(Row(f"coverage[{kind},{quantity}]", covered, "", f"{count} intervals"))
            made.append(Row(f"interval_over_crb[{kind},{quantity}]", ratio, ""))
    return made
