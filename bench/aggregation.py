"""Does an aggregate err as much as theory says?  Sweeps of SNR, devices, residual error and window, beside the closed forms.

    python -m bench.aggregation [--quick] [--json FILE]

Coherent rows run every waveform through converters and receiver (sample fidelity).  NMSE is the mean squared error of a sum
over K E[p^2]; SNR is per received scalar at full scale.  The closed form is `radio.symbol_coherent.coherent_mse`, the bound
its noise term alone (Cramer-Rao, known gains).  Energy rows: `bench.aggregation_energy`.
Every point's figures are rows of the JSON (their names have brackets); the table shows the summaries and a few points.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench import aggregation_energy
from bench.table import Row, publish
from radio.coherent import CoherentAir
from radio.inversion import plan_inversion
from radio.loopback import LoopbackRadio
from radio.loopback_air import loopback_parts
from radio.modes import open_air
from radio.offset import acquire_offset
from radio.pilot import estimate_gain
from radio.streams import stream
from radio.surroundings import from_settings
from radio.symbol_channel import complex_normal
from radio.symbol_coherent import CoherentStatistics, coherent_mse

PEAK = 2.0  # of payloads uniform in +-1: injected amplitude errors do not reach the DAC's full scale


def decibels(ratio: float) -> float:
    return 10.0 * math.log10(ratio)


@dataclass(frozen=True)
class Point:
    """One place of the sweep."""

    snr_db: float = 20.0
    devices: int = 8
    window: int = 128
    amplitude_std: float = 0.0
    phase_deg: float = 0.0

    @property
    def label(self) -> str:
        return (
            f"snr={self.snr_db:g}dB,K={self.devices},M={self.window},a={100 * self.amplitude_std:g}%,"
            f"theta={self.phase_deg:g}deg"
        )


CORNERS = [Point(snr, k) for snr in (-10.0, 30.0) for k in (1, 50)]


def with_errors(points: list[Point]) -> list[Point]:
    return [replace(point, amplitude_std=0.02, phase_deg=10.0) for point in points]


def sweep() -> list[Point]:
    """SNR over its range and the corners of SNR and K, without and with residual error; then K, error and window."""
    clean = [Point(snr) for snr in (-10.0, 0.0, 10.0, 20.0, 30.0)] + CORNERS
    varied = [Point(20.0, k) for k in (1, 3, 20, 50)] + [Point(20.0, 4, m) for m in (64, 1024, 4096)]
    errors = ((0.0, 2.0), (0.02, 2.0), (0.05, 30.0), (0.1, 0.0))
    return clean + with_errors(clean + varied) + [Point(30.0, 8, 128, a, deg) for a, deg in errors]


def printed(row: Row) -> bool:
    """Summaries, and the measured NMSE (formula and bound in its note) of the corners and of the middle."""
    some = [*CORNERS, *with_errors([*CORNERS, Point(10.0)])]
    return "[" not in row.name or row.name in {f"nmse[{point.label}]" for point in some}


def coherent_point(point: Point, trials: int, seed: int) -> tuple[float, float, float]:
    """NMSE measured, of the closed form and of the bound. Known gains, independent zero-mean payloads, no truncation."""
    place = from_settings(point.devices, seed, window=point.window, fading="static", snr_db=point.snr_db)
    medium = place.medium()
    air = CoherentAir(  # without `on_phase`: one round for ever, whose noise goes on from slot to slot
        [LoopbackRadio(medium, k) for k in range(point.devices)],
        LoopbackRadio(medium),
        window=point.window,
        receive_gain_db=place.receive_gain_db,
        reference_tolerance=math.inf,  # injected errors are what it would refuse
    )
    state = air.sound(0)
    received = 10.0 ** (place.receive_gain_db / 10.0)
    known = replace(state, gains=medium.gains * math.sqrt(received), quality=np.ones(point.devices, dtype=bool))
    plan = plan_inversion(known, PEAK)
    draws = stream(7, "aggregation", point.label)
    sigma = math.radians(point.phase_deg)
    aligned = sigma == point.amplitude_std == 0.0
    errors = []
    for _ in range(1 if aligned else trials):
        wrong = (1.0 + point.amplitude_std * draws.standard_normal(point.devices)) * np.exp(
            1j * sigma * draws.standard_normal(point.devices)
        )
        payloads = draws.uniform(-1.0, 1.0, (point.devices, trials if aligned else 1))
        got = air.aggregate(0, payloads, replace(plan, precoders=plan.precoders * wrong))
        if got.erased:
            raise RuntimeError(f"{point.label}: a slot was erased: {got.reason}")
        errors.append(got.total - payloads.sum(axis=0))
    power = 1.0 / 3.0
    scale = point.devices * power
    measured = float(np.mean(np.square(np.concatenate(errors))))
    noise = medium.noise_variance * received
    formula, bound = (
        coherent_mse(point.devices, power, noise, point.window, plan.alignment, amplitude_std=a, phase_std=s)
        for a, s in ((point.amplitude_std, sigma), (0.0, 0.0))
    )
    return measured / scale, formula / scale, bound / scale


def coherent_rows(quick: bool) -> list[Row]:
    rows, worst, worst_bound = [], 0.0, 0.0
    points = [Point(10.0), Point(20.0, 4, 128, 0.02, 10.0)] if quick else sweep()
    for seed, point in enumerate(points):
        many = point.devices >= 20 or point.window > 1024
        measured, formula, bound = coherent_point(point, 300 if quick else 2000 if many else 4000, seed)
        gap = decibels(measured / formula)
        worst = max(worst, abs(gap))
        if point.amplitude_std == point.phase_deg == 0.0:
            worst_bound = max(worst_bound, abs(decibels(measured / bound)))
        note = f"formula {decibels(formula):.2f}, bound {decibels(bound):.2f} dB"
        rows += [
            Row(f"nmse[{point.label}]", decibels(measured), "dB", note),
            Row(f"nmse_formula[{point.label}]", decibels(formula), "dB"),
            Row(f"nmse_bound[{point.label}]", decibels(bound), "dB"),
        ]
    return [
        Row(
            "coherent_nmse_gap_db",
            worst,
            "dB",
            f"worst of {len(points)} points of 2,000 or 4,000 sums (0.14 or 0.10 dB of chance each); target 0.5",
        ),
        Row("coherent_bound_gap_db", worst_bound, "dB", "worst point without residual error, known gains; target 0.5"),
        *rows,
    ]


@dataclass(frozen=True)
class PilotPoint:
    """A place where the channel is estimated: mean SNR of a pilot, after integration."""

    pilot_snr_db: float
    devices: int
    fading: str = "static"

    @property
    def label(self) -> str:
        return f"pilot={self.pilot_snr_db:g}dB,K={self.devices},{self.fading}"


def estimated_csi_point(point: PilotPoint, trials: int) -> tuple[float, float]:
    """Mean squared error, in squared payload peaks, at sample fidelity and by symbol-fidelity Monte Carlo."""
    window, threshold_db, truncation = 64, 3.0, 0.1
    # A pilot is a full-scale tone: its SNR is 3 dB below that of a received scalar (one real dimension).
    medium, air = loopback_parts(
        point.devices,
        6,
        fading=point.fading,
        snr_db=point.pilot_snr_db + decibels(2.0),
        window=window,
        min_pilot_snr_db=threshold_db,
        truncation=truncation,
    )
    draws = stream(8, "estimated csi", point.fading, point.devices, round(10 * point.pilot_snr_db))
    errors = []
    for t in range(trials):
        plan = air.plan(air.sound(t), 1.0)
        payloads = draws.uniform(-1.0, 1.0, (point.devices, 1))
        got = air.aggregate(t, payloads, plan)
        if not got.erased:
            errors.append(float(got.total[0] - payloads[plan.active].sum()))
    statistics = CoherentStatistics(window, window, 1, truncation, threshold_db)
    rounds = 40 * trials
    values = draws.uniform(-1.0, 1.0, (rounds, point.devices))
    gains = np.tile(medium.gains, (rounds, 1))
    if point.fading == "rayleigh":
        gains = complex_normal(draws, (rounds, point.devices), 1.0)
    total, active = statistics.rounds(gains, values, medium.noise_variance, draws)
    symbol = total - np.where(active, values, 0.0).sum(axis=1)
    return float(np.mean(np.square(errors))), float(np.nanmean(np.square(symbol)))


def estimated_csi_rows(quick: bool) -> list[Row]:
    points = [PilotPoint(snr, k) for snr, k in ((10.0, 4), (15.0, 1), (15.0, 12), (30.0, 4))]
    points += [PilotPoint(20.0, 4, "rayleigh"), PilotPoint(30.0, 8, "rayleigh")]
    worst, rows = 0.0, []
    for point in points[:1] if quick else points:
        sample, symbol = estimated_csi_point(point, 150 if quick else 3000 if point.devices < 6 else 1500)
        gap = decibels(sample / symbol)
        worst = max(worst, abs(gap))
        rows += [
            Row(f"estimated_csi_mse[{point.label}]", sample, "X^2", f"{gap:+.2f} dB"),
            Row(f"estimated_csi_symbol_mse[{point.label}]", symbol, "X^2"),
        ]
    note = f"against symbol-fidelity Monte Carlo, worst of {len(rows) // 2} points, pilots of 10 to 30 dB; target 0.5"
    return [Row("estimated_csi_gap_db", worst, "dB", note), *rows]


def estimator_rows(quick: bool) -> list[Row]:
    """Two pilots 5 ms apart, offset anywhere within +-20 kHz: both stages, against the bound of all their samples."""
    window, starts, rate = 1023, [0, 5000], 1e6
    tone = np.exp(2j * np.pi * 0.0157 * np.arange(window))
    times = np.array(starts)[:, None] + np.arange(window)
    centred = times - times.mean()
    worst_offset = worst_gain = -math.inf
    rows = []
    for snr_db in (0.0, 20.0) if quick else (0.0, 5.0, 10.0, 20.0, 30.0):
        draws, variance = stream(9, "estimators", round(snr_db)), 10.0 ** (-snr_db / 10.0)
        offset_error, gain_error = [], []
        for _ in range(60 if quick else 1500):
            hz, gain = draws.uniform(-2e4, 2e4), np.exp(2j * np.pi * draws.random())
            clean = gain * np.exp(2j * np.pi * hz * centred / rate) * tone
            pilots = clean + complex_normal(draws, times.shape, variance)
            found = acquire_offset(pilots[0], tone, rate_sps=rate, noise_variance=variance, range_hz=2.5e4)
            refined = estimate_gain(
                pilots,
                starts,
                tone,
                rate_sps=rate,
                noise_variance=variance,
                offset_prior_hz=3.0 * found.standard_error_hz,
                offset_mean_hz=found.offset_hz,
                reference=float(times.mean()),
            )
            offset_error.append(refined.offset_hz - hz)
            gain_error.append(abs(refined.gain - gain) ** 2)
        bound = variance / (2.0 * (centred**2).sum()) * (rate / (2.0 * math.pi)) ** 2
        offset_mse, gain_mse = float(np.mean(np.square(offset_error))), float(np.mean(gain_error))
        worst_offset = max(worst_offset, decibels(offset_mse / bound))
        worst_gain = max(worst_gain, decibels(gain_mse / (variance / times.size)))
        rows += [
            Row(f"cfo_rms[sample_snr={snr_db:g}dB]", math.sqrt(offset_mse), "Hz"),
            Row(f"cfo_bound[sample_snr={snr_db:g}dB]", math.sqrt(bound), "Hz"),
            Row(f"gain_rms[sample_snr={snr_db:g}dB]", math.sqrt(gain_mse), "of the gain"),
            Row(f"gain_bound[sample_snr={snr_db:g}dB]", math.sqrt(variance / times.size), "of the gain"),
        ]
    note = "worst of 0 to 30 dB per sample, both stages, unknown offset within +-20 kHz; target 1"
    return [
        Row(
            "cfo_gap_db",
            worst_offset,
            "dB",
            "mean squared error over the Cramer-Rao bound of all pilot samples; " + note,
        ),
        Row("gain_gap_db", worst_gain, "dB", "the same of the complex gain at the pilots' mean time; " + note),
        *rows,
    ]


def bench_rows(quick: bool) -> list[Row]:
    """Profile pluto-bench, K = 5, 16 ms: with one reference clock, and without."""
    rounds, devices, window = (2 if quick else 40), 5, 16384
    rows = []
    for shared in (True, False):
        air = open_air(devices, 3, mode="coherent", profile="pluto-bench", shared_clock=shared, window=window)
        assert isinstance(air, CoherentAir)
        draws, errors, refused, reason = stream(10, "bench"), [], 0, ""
        for t in range(rounds):
            plan = air.plan(air.sound(t), 1.0)
            payloads = draws.uniform(-1.0, 1.0, (devices, 1))
            got = air.aggregate(t, payloads, plan)
            refused += got.erased
            reason = got.reason or reason
            if not got.erased:
                errors.append(float(got.total[0] - payloads.sum()))
        if shared:
            rms, most = float(np.sqrt(np.mean(np.square(errors)))), float(np.abs(errors).max())
            note = f"rms of {len(errors)} of {rounds} rounds, largest {100 * most / devices:.2g} %; target 1"
            rows.append(Row("coherent_error_shared_clock", 100.0 * rms / devices, "% of full scale", note))
        else:
            rows.append(Row("coherent_refused_free_running", 100.0 * refused / rounds, "% of rounds", reason))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    quick = arguments.quick
    rows = [
        *coherent_rows(quick),
        *estimated_csi_rows(quick),
        *estimator_rows(quick),
        *aggregation_energy.rows(quick),
        *bench_rows(quick),
    ]
    rows.sort(key=lambda row: "[" in row.name)
    shown = [row for row in rows if printed(row)]
    publish("aggregation", shown, quick, arguments.json, [row for row in rows if not printed(row)])


if __name__ == "__main__":
    main()
