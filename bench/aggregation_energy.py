"""Modes that add energies or nothing: does the variance obey its formula, which mapping is best, what does a bench do?

Rows of `bench.aggregation`; everything at sample fidelity unless a note says otherwise. SNR is that of a full-scale tone at
mean gain in one complex sample; "error" is the rms error of the sum over full scale, K X.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from bench.table import Row
from radio.air import Air, AirPlan
from radio.energy import EnergyAir
from radio.energy_slot import energy_variance
from radio.fading import FadingKind
from radio.modes import open_air
from radio.streams import stream
from radio.surroundings import Surroundings, from_settings

MAPPINGS = ("signed", "augmented", "affine", "reed")


def place_of(devices: int, sample_snr_db: float, fading: FadingKind = "static") -> Surroundings:
    plain = from_settings(devices, 5, window=64, fading=fading)
    return replace(plain, noise_variance=10.0 ** (-sample_snr_db / 10.0))


def energy_air(place: Surroundings, mapping: str, window: int, pilot_window: int) -> EnergyAir:
    calibrated = place.channel.mean_power * 10.0 ** (place.receive_gain_db / 10.0)
    return EnergyAir(
        place.bank(place.medium()),
        place.seed,
        window=window,
        pilot_window=pilot_window,
        mapping="signed" if mapping == "reed" else mapping,  # type: ignore[arg-type]
        average_power=calibrated if mapping == "reed" else None,
        min_pilot_snr_db=0.0,
    )


def known_gains(place: Surroundings, air: EnergyAir, truncation: float = 0.0) -> AirPlan:
    """Equal powers by the round's true gains."""
    power = np.abs(place.channel.gains(0)) ** 2 * 10.0 ** (place.receive_gain_db / 10.0)
    state = replace(
        air.sound(0), gains=np.sqrt(power).astype(complex), gain_variance=np.zeros(place.devices), quality=power > 0.0
    )
    return air.mode.plan(state, 1.0, truncation=truncation)


def variance_rows(quick: bool) -> list[Row]:
    """Measured variance over the formula of pluto.md section 4, known gains."""
    points = [(5, 0.0, 512)]
    if not quick:
        points += [(1, 10.0, 512), (2, 10.0, 512), (5, -10.0, 512), (5, 20.0, 512), (8, 0.0, 4096), (50, 0.0, 512)]
    rows, worst = [], 0.0
    for devices, snr_db, window in points:
        trials = 200 if quick else 2000 if devices > 8 or window > 512 else 4000
        place = place_of(devices, snr_db)
        air = energy_air(place, "signed", window, 512)
        payloads = stream(1, "energy variance", devices, int(snr_db)).uniform(-1.0, 1.0, (devices, trials))
        got = air.aggregate(0, payloads, known_gains(place, air))
        assert not got.erased, got.reason
        powers = np.moveaxis(air.mapping.encode(payloads), 0, -1)
        formula = float(energy_variance(powers, place.noise_variance, air.window).sum(axis=-1).mean())
        measured = float(np.var(got.total - payloads.sum(axis=0)))
        gap = measured / formula - 1.0
        worst = max(worst, abs(gap))
        label = f"energy_variance[snr={snr_db:g}dB,K={devices},M={air.window}]"
        rows += [
            Row(label, measured, "X^2", f"{100 * gap:+.1f} %; {trials} sums"),
            Row(label.replace("variance", "variance_formula"), formula, "X^2"),
        ]
    note = f"worst of {len(points)} points, known gains; 0.1 is allowed"
    return [Row("energy_variance_gap", worst, "1", note), *rows]


@dataclass(frozen=True)
class MappingPoint:
    """Where mappings are compared, all at equal peak power and equal time on the air."""

    devices: int
    sample_snr_db: float
    gain_error: float = 0.0  # injected relative error of every |h|, drawn for each sum
    fading: FadingKind = "static"
    pilot_window: int = 4096

    @property
    def label(self) -> str:
        errors = f",h={100 * self.gain_error:g}%" if self.gain_error else ""
        return f"snr={self.sample_snr_db:g}dB,K={self.devices}{errors}{',rayleigh' if self.fading != 'static' else ''}"


def mapping_points() -> list[MappingPoint]:
    points = [MappingPoint(5, snr) for snr in (-10.0, 0.0, 10.0, 20.0)]
    points += [MappingPoint(k, 10.0) for k in (1, 2, 20)]
    points += [MappingPoint(5, 10.0, error) for error in (0.02, 0.1)]
    return [*points, MappingPoint(5, 20.0, fading="rayleigh")]


def mapping_error(point: MappingPoint, mapping: str, trials: int, window: int = 1024) -> float:
    place = place_of(point.devices, point.sample_snr_db, point.fading)
    air = energy_air(place, mapping, window, point.pilot_window)
    draws = stream(2, "mapping", point.label)
    still = point.fading == "static" and point.gain_error == 0.0
    plan = known_gains(place, air)
    errors = []
    for t in range(1 if still else trials):
        if point.fading != "static":
            plan = air.mode.plan(air.sound(t), 1.0, truncation=0.1)
        wrong = 1.0 + point.gain_error * draws.standard_normal(point.devices)
        payloads = draws.uniform(-1.0, 1.0, (point.devices, trials if still else 1))
        round_index = t if point.fading != "static" else 0
        got = air.aggregate(round_index, payloads, replace(plan, precoders=plan.precoders * np.minimum(wrong, 2.0)))
        if not got.erased:
            errors.append((got.total - payloads[plan.active].sum(axis=0)) / plan.active.sum())
    return float(np.sqrt(np.mean(np.square(np.concatenate(errors)))))


def mapping_rows(quick: bool) -> list[Row]:
    rows, margins = [], []
    points = [MappingPoint(3, 10.0)] if quick else mapping_points()
    for point in points:
        # With gains that stand still, calibrated averages are the gains: reed is signed.
        names = MAPPINGS if point.fading != "static" else MAPPINGS[:3]
        found = {m: mapping_error(point, m, 40 if quick else 400) for m in names}
        for name, value in found.items():
            rows.append(
                Row(f"energy_error[{name},{point.label}]", value, "of K X", "window 1024 in all slots together")
            )
        margins.append(20.0 * math.log10(min(found["augmented"], found["affine"]) / found["signed"]))
    note = f"error of the better of augmented and affine over signed's, worst of {len(points)} points; above 0: signed wins"
    return [Row("energy_signed_margin_db", min(margins), "dB", note), *rows]


def bench_errors(air: Air, rounds: int) -> tuple[float, int, int]:
    """rms error over the active devices' full scale (a wrong vote errs by 2), erased rounds, scalars."""
    errors, erased = [], 0
    for t in range(rounds):
        plan = air.mode.plan(air.sound(t), 1.0, truncation=0.05)
        payloads = stream(3, "bench payloads", t).uniform(-1.0, 1.0, (air.devices, 2))
        got = air.aggregate(t, payloads, plan)
        if got.erased:
            erased += 1
        else:
            errors.append((got.total - air.mode.outcome(payloads[plan.active])) / plan.active.sum())
    air.close()
    found = np.concatenate(errors) if errors else np.array([math.nan])
    return float(np.sqrt(np.mean(np.square(found)))), erased, found.size


def bench_rows(quick: bool) -> list[Row]:
    """Free-running radios of profile pluto-bench: +-20 ppm, starts 0 to 50 ms late, 16.4 ms a scalar, K = 5."""
    rows = []
    for mode in ("energy", "tdma", "vote"):
        squares, erased, scalars = [], 0, 0
        for seed in (1,) if quick else (1, 2, 3, 4):
            air = open_air(5, seed, mode=mode, profile="pluto-bench", window=2048 if quick else 16384)  # type: ignore[arg-type]
            error, missing, count = bench_errors(air, 1 if quick else 6)
            squares += [error**2] * count
            erased, scalars = erased + missing, scalars + count
        mean = float(np.mean(squares))
        note = f"profile pluto-bench, free-running clocks, late starts; {scalars} sums, {erased} rounds erased"
        if mode == "vote":
            rows.append(Row("vote_wrong_pluto_bench", 100.0 * mean / 4.0, "% of votes", note))
            continue
        note += "; 3 is allowed" if mode == "energy" else ""
        rows.append(Row(f"{mode}_error_pluto_bench", 100.0 * math.sqrt(mean), "% of full scale", note))
    return rows


def rows(quick: bool) -> list[Row]:
    """All rows; about half a minute, or a second when `quick`."""
    return bench_rows(quick) + variance_rows(quick) + mapping_rows(quick)
