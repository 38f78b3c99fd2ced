"""Known scalars: a sweep of public sums through every mode the station can do, against their truth.

The airs are those of a run, so everything that a run does to a sum happens here, and everything that it erases.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from calibration.finding import Estimate, Finding, Limit, Outcome, Verdict
from calibration.prediction import FORMS, mean_of
from calibration.rig import Rig
from calibration.step import Known
from calibration.trial import Sweep, Trial, mean_of_rounds
from calibration.trial_pictures import pictures
from radio.air import Air
from radio.cell import SampledMode
from radio.errors import InputError
from radio.streams import stream

SEED = 8  # of the public payloads and sequences
TRUNCATION = 0.05  # as in an experiment that says nothing else: a deep fade must not set everybody's power
WORST = {"coherent": 0.02, "energy": 0.05, "tdma": 0.02}  # rms error, share of full scale, that is still good
NOBODY = ": nobody's pilots were found where this mode looks for them; see the steps carrier and channel"
SLOPE = 0.05  # and how far the sum may be from itself


# A scalar takes a start of every radio, which takes most of the time, but for the tones that coherent mode holds.
SWEEPS: dict[SampledMode, Sweep] = {
    "coherent": Sweep(4096, 4096, 8, 16),
    "energy": Sweep(16384, 4096, 8, 10),
    "tdma": Sweep(4096, 4096, 4, 2),
    "vote": Sweep(4096, 4096, 6, 4),
}


class KnownScalar:
    name = "known_scalar"
    about = "public sums through every mode, against their truth"
    needs: tuple[str, ...] = ()

    def __init__(self, sweeps: dict[SampledMode, Sweep] | None = None) -> None:
        self.sweeps = SWEEPS if sweeps is None else sweeps

    def run(self, rig: Rig, known: Known) -> Outcome:
        findings: list[Finding] = []
        facts: dict[str, Any] = {}
        trials: dict[SampledMode, Trial] = {}
        for mode, sweep in self.sweeps.items():
            if mode == "coherent" and not rig.shared_clock:
                advice = "one 40 MHz reference for all radios, and clock = 'shared', would make it possible"
                findings.append(Finding(self.name, mode, "not tried: free-running clocks", advice=advice))
                continue
            rig.say(f"known sums in {mode} mode")
            try:
                trial = try_mode(rig, mode, sweep)
            except InputError as error:  # this mode cannot be; the others may
                findings.append(Finding(self.name, mode, "does not work", verdict="fail", advice=str(error)))
                continue
            trials[mode] = trial
            facts[mode] = facts_of(mode, trial)
            findings += judged(mode, trial)
        heard: dict[SampledMode, Trial] = {mode: trial for mode, trial in trials.items() if trial.total}
        series: dict[str, Any] = {}
        for mode, trial in heard.items():
            series |= {f"{mode}_truth": np.array(trial.truth), f"{mode}_received": np.array(trial.total)}
            series[f"{mode}_gains"] = np.array([state.gains for state in trial.states])
        return Outcome(tuple(findings), facts, pictures(heard, facts), series)


def try_mode(rig: Rig, mode: SampledMode, sweep: Sweep, seed: int = SEED) -> Trial:
    """The sweep through the mode's air. The rig is silent afterwards."""
    began = rig.radio_s
    air = rig.cell().air(mode, seed, window=sweep.window, pilot_window=sweep.pilot_window, truncation=TRUNCATION)
    trial = Trial(sweep, rig.devices)
    try:
        for t in range(sweep.rounds):
            _round(air, mode, t, trial, seed)
            if not trial.total and len(trial.reasons) >= 3:
                break  # it will not get better
    finally:
        rig.mute()
    trial.radio_s = rig.radio_s - began
    return trial


def _round(air: Air, mode: SampledMode, t: int, trial: Trial, seed: int) -> None:
    payloads = stream(seed, "known scalars", mode, t).uniform(-1.0, 1.0, (trial.devices, trial.sweep.scalars))
    state = air.sound(t)
    plan = air.mode.plan(state, 1.0, truncation=TRUNCATION)
    received = air.aggregate(t, payloads, plan)
    if received.erased:
        nobody = received.reason == "no active device"
        trial.reasons.append(received.reason + (NOBODY if nobody else ""))
        return
    faults = getattr(air, "faults", ())
    for k in np.flatnonzero(~state.quality):
        trial.unheard[int(k)] = (
            faults[k] if faults and faults[k] else trial.unheard.get(int(k), "its pilots are too weak")
        )
    trial.states.append(state)
    trial.active.append(plan.active)
    trial.payloads.append(payloads[plan.active])
    trial.truth.append(air.mode.outcome(payloads[plan.active]))
    trial.total.append(received.total)


def facts_of(mode: SampledMode, trial: Trial) -> dict[str, Any]:
    """For the profile; errors are of payloads uniform in [-1, 1]."""
    found: dict[str, Any] = {
        "window": trial.sweep.window,
        "pilot_window": trial.sweep.pilot_window,
        "rounds": len(trial.total),
        "erased": len(trial.reasons),
        "works": trial.works and bool(trial.total),
        "reasons": trial.reasons[:3],
        "radio_s": trial.radio_s,
    }
    if not trial.total:
        return found
    (mse, mse_error), (bias, bias_error), (slope, slope_error) = trial.mse(), trial.bias(), trial.slope()
    found |= {
        "mse": mse,
        "mse_standard_error": mse_error,
        "nmse_db": trial.nmse_db(),
        "bias": bias,
        "bias_standard_error": bias_error,
        "slope": slope,
        "slope_standard_error": slope_error,
        "noise_variance": float(np.mean([state.noise_variance for state in trial.states])),
    }
    if mode == "vote":
        return found
    power = np.array([np.abs(state.gains) ** 2 for state in trial.states])
    # A device that was never heard has no power to speak of.
    heard = np.array([state.quality for state in trial.states])
    relative = np.array([state.gain_variance for state in trial.states]) / np.where(power > 0.0, power, np.inf)
    found["power"] = np.where(heard, power, 0.0).mean(axis=0)
    found["power_spread_db"] = float(np.std(10.0 * np.log10(np.maximum(power, 1e-30)), axis=0).max())
    found["relative_variance"] = [
        float(r[h].mean()) if h.any() else math.nan for r, h in zip(relative.T, heard.T, strict=True)
    ]
    found["devices"] = float(np.mean([active.sum() for active in trial.active]))
    if mode in FORMS:
        # Of each round with its own channel: the mean of errors is not the error of a mean channel.
        forms = [
            FORMS[mode](p[active], v[active], state.noise_variance, trial.sweep.window)
            for p, v, active, state in zip(power, relative, trial.active, trial.states, strict=True)
        ]
        closed = mean_of(forms)
        # Each sum against what its own payloads let expect: their sizes are no part of the chance.
        given = np.array([form.given(sent) for form, sent in zip(forms, trial.payloads, strict=True)])
        ratio, ratio_error = mean_of_rounds((trial.errors() ** 2 / given).mean(axis=1))
        found |= {"over_predicted": ratio, "over_predicted_standard_error": ratio_error}
        found |= {"predicted": closed.of(found["devices"]), "closed": asdict(closed)}
    return found


def judged(mode: SampledMode, trial: Trial) -> list[Finding]:
    step = KnownScalar.name
    found: list[Finding] = []
    if trial.reasons:
        share = len(trial.reasons) / (len(trial.reasons) + len(trial.total))
        verdict: Verdict = "warn" if trial.works and trial.total else "fail"
        often = f"{100 * share:.0f} % of the rounds erased"
        found.append(Finding(step, mode, often, verdict=verdict, advice=trial.reasons[0]))
    for k, fault in sorted(trial.unheard.items()):
        found.append(Finding(step, f"device-{k}", f"left out of {mode} mode", verdict="warn", advice=fault))
    if not trial.total:
        return found
    full = trial.devices
    (mse, mse_error), (bias, bias_error), (slope, slope_error) = trial.mse(), trial.bias(), trial.slope()
    rms = math.sqrt(mse)
    error = Estimate(
        100.0 * rms / full, 100.0 * mse_error / (2.0 * rms) / full if rms > 0.0 else 0.0, "% of full scale"
    )
    if mode == "vote":  # a vote between equals is decided by chance, whatever the station
        right = float(np.mean(np.sign(np.array(trial.total)) == np.sign(np.array(trial.truth))))
        n = np.array(trial.truth).size
        correct = Estimate(100.0 * right, 100.0 * math.sqrt(max(right * (1.0 - right), 0.25 / n) / n), "%")
        return [*found, Finding(step, mode, "majorities that were right", correct)]
    longer = "a longer window, more transmit power or less noise; see the recommendation"
    found.append(Finding.judged(step, mode, "error of the sum, rms", error, Limit(high=100.0 * WORST[mode]), longer))
    found.append(
        Finding(
            step, mode, "bias of the sum", Estimate(100.0 * bias / full, 100.0 * bias_error / full, "% of full scale")
        )
    )
    advice = "gains that move between pilot and payload, or compression: see the power sweep and the channel"
    unit, limit = Estimate(slope, slope_error), Limit(1.0 - SLOPE, 1.0 + SLOPE)
    judgement = limit.judge(unit)
    if judgement == "fail" and unit.covers(1.0):  # too noisy to tell
        judgement = "warn"
    found.append(
        Finding(step, mode, "what a unit is received as", unit, limit, judgement, "" if judgement == "pass" else advice)
    )
    return found
