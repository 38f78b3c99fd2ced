"""Step: whether a running transmission is scaled by a complex number, live: what coherent mode rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from calibration.finding import Estimate, Finding, Limit, Outcome
from calibration.probe import Floor, Probe, Reading, floor_findings, floor_of, probe_for, read, trouble
from calibration.rig import PAUSE_S, Rig
from calibration.step import Known
from calibration.weight_fit import WeightFit, fit_weights, settling
from radio.palette import MUTED, SERIES
from radio.pictures import MOST_COLOURS, Picture
from radio.pluto.proof import prove_weight
from radio.pluto.transceiver import PlutoRadio
from radio.radio import WeighableRadio, clock_epoch

WEIGHTS = (0.5, -0.5, 0.25j, 0.3 - 0.4j, -0.2 + 0.2j)
AMPLITUDE = 1.0  # per cent
PHASE = 1.0  # degrees
JUMP_DEG = 45.0  # of any phase: what begins anew with every weight has phases from the whole circle
RESTLESS_DEG = 10.0
SETTLED = Limit(high=10.0)  # ms
BLOCK = 256
ATTEMPTS = 3
WANTED = 1e-3  # standard error of a reading at weight 1, relative, for which readings are made longer
LONGEST = 4  # times `samples`: a channel that moves is no steadier for being looked at longer
DOUBT = 3.0  # standard errors by which a weight must be beyond its limit
ADVICE = "coherent mode is not advised: take mode energy"


@dataclass
class _Run:
    """One device's readings. `problem` as in `calibration.probe`, or "count": the receiver lost count of its samples."""

    problem: str = ""
    fit: WeightFit | None = None
    settled_s: float = 0.0


@dataclass
class Reweighting:
    """A ladder of weights of a held tone, each between two readings at weight 1.

    samples  of each reading, more where the device is weak; as many before it are for settling
    """

    samples: int = 1 << 13
    name = "reweighting"
    about = "scaling a running transmission, live: error, settling, and that nothing starts anew"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        refused = [self._refused(rig, device) for device in range(rig.devices)]
        rig.wait(PAUSE_S)
        probe, floor = probe_for(rig), floor_of(rig)
        findings = floor_findings(self.name, floor)
        if floor.problem == "lost":
            return Outcome(tuple(findings))
        facts: list[dict[str, Any]] = []
        fits: dict[str, WeightFit] = {}
        for device, (name, refusal) in enumerate(zip(rig.names, refused, strict=True)):
            fact: dict[str, Any] = {"name": name, "works": False}
            facts.append(fact)
            if refusal is not None:
                findings.append(refusal)
                continue
            run = _Run()
            for _ in range(ATTEMPTS):
                run = self._ladder(rig, device, probe, floor, _amplitude(known, device))
                if run.problem not in ("lost", "count"):
                    break
            if run.fit is None:
                findings.append(self._trouble(name, run.problem))
                continue
            fits[name] = run.fit
            findings += self._judged(name, run, fact)
        works = all(fact["works"] for fact in facts)
        return Outcome(tuple(findings), {"works": works, "device": facts}, _pictures(fits))

    def _refused(self, rig: Rig, device: int) -> Finding | None:
        """A finding where the unit cannot, as it says or as its digital loopback shows. Nothing is radiated."""
        radio, name = rig.transmitters[device], rig.names[device]
        if not isinstance(radio, WeighableRadio):
            return Finding(self.name, name, "live weights", verdict="fail", advice=f"this radio has none; {ADVICE}")
        if isinstance(radio, PlutoRadio) and not prove_weight(radio):
            text = f"calibscale and calibphase do not act on a running transmission (pairzero radio selftest); {ADVICE}"
            return Finding(self.name, name, "live weights", verdict="fail", advice=text)
        return None

    def _ladder(self, rig: Rig, device: int, probe: Probe, floor: Floor, amplitude: float) -> _Run:
        radio = rig.transmitters[device]
        assert isinstance(radio, WeighableRadio)
        weights = [1.0 + 0j]
        for weight in WEIGHTS:
            weights += [complex(weight), 1.0 + 0j]
        readings: list[Reading] = []
        middles: list[float] = []
        n, latest, epoch = self.samples, 0, -1
        with rig.on_air({device: probe.wave(amplitude)}):
            first = self._read(rig, rig.more(n, "pilot", rig.guard_samples, device=device), probe, floor, None)
            if not first.usable:
                return _Run(first.problem)
            n *= math.ceil(min(LONGEST, max(1.0, (first.standard_error / first.level / WANTED) ** 2)))
            for weight in weights:
                radio.weigh(weight)
                samples = rig.more(2 * n, "pilot", device=device, cycles_per_sample=probe.cycles)
                one = self._read(rig, samples[n:], probe, floor, first)
                if not one.usable:
                    return _Run(one.problem)
                epoch = clock_epoch(rig.receiver) if epoch < 0 else epoch
                if clock_epoch(rig.receiver) != epoch:
                    return _Run("count")
                cycles = probe.cycles + one.offset_hz / rig.rate_sps
                late = settling(samples, cycles, block=BLOCK, noise_variance=floor.noise_variance, tolerance=0.1)
                latest = max(latest, late)
                readings.append(one)
                middles.append(rig.receiver.clock_samples - 0.5 * n)
        return _Run("", _fit(readings, middles, weights, probe, rig.rate_sps), latest / rig.rate_sps)

    def _read(
        self, rig: Rig, samples: NDArray[np.complex128], probe: Probe, floor: Floor, first: Reading | None
    ) -> Reading:
        """The first reading searches for the carrier, the others know where it is."""
        return read(
            samples,
            probe,
            rate_sps=rig.rate_sps,
            lo_hz=rig.lo_hz,
            noise_variance=floor.noise_variance,
            offset_max_hz=rig.offset_max_hz if first is None else 4.0 * rig.rate_sps / self.samples,
            offset_hz=0.0 if first is None else first.offset_hz,
        )

    def _trouble(self, name: str, problem: str) -> Finding:
        if problem != "count":
            return trouble(self.name, name, problem)
        advice = "the receiver lost count of its samples between two readings: set drain = true in [station], a slower rate, or "
        advice += "fewer programs on this computer; until then coherent mode is not advised"
        return Finding(self.name, name, "live weights", verdict="unknown", advice=advice)

    def _judged(self, name: str, run: _Run, fact: dict[str, Any]) -> list[Finding]:
        fit = run.fit
        assert fit is not None
        jump_deg, noise_deg = math.degrees(fit.jump_rad), math.degrees(fit.jump_error_rad)
        jumped = Estimate(jump_deg, noise_deg, "degrees")
        if jump_deg > max(JUMP_DEG, 5.0 * noise_deg):
            text = "the transmission starts anew with every weight, or its clock jumps (step carrier)"
            limit = Limit(high=JUMP_DEG)
            return [Finding(self.name, name, "phase between weights", jumped, limit, "fail", f"{text}; {ADVICE}")]
        settled = Estimate(1e3 * run.settled_s, 0.0, "ms")
        found = [
            self._limited(name, "amplitude of a live weight", "%", AMPLITUDE,
                          100.0 * fit.amplitude_errors, 100.0 * fit.amplitude_standard_errors),
            self._limited(name, "phase of a live weight", "degrees", PHASE,
                          np.degrees(fit.phases_rad), np.degrees(fit.phase_standard_errors)),
            Finding.judged(self.name, name, "settling of a live weight", settled, SETTLED, ADVICE),
        ]  # fmt: skip
        if jump_deg > max(RESTLESS_DEG, 5.0 * noise_deg) and all(finding.verdict != "fail" for finding in found):
            text = (
                "more than carrier and drift make of it: the channel or the clock is restless (steps channel, carrier)"
            )
            limit = Limit(high=RESTLESS_DEG)
            found.append(Finding(self.name, name, "phase between weights", jumped, limit, "warn", text))
        fact |= {
            "works": all(finding.verdict != "fail" for finding in found),
            "weights": [[w.real, w.imag] for w in fit.weights.tolist()],
            "amplitude_errors": fit.amplitude_errors.tolist(),
            "amplitude_standard_errors": fit.amplitude_standard_errors.tolist(),
            "phase_errors_rad": fit.phases_rad.tolist(),
            "phase_standard_errors_rad": fit.phase_standard_errors.tolist(),
            "settled_s": run.settled_s,
            "jump_rad": fit.jump_rad,
        }
        return found

    def _limited(
        self, name: str, quantity: str, unit: str, limit: float,
        errors: NDArray[np.float64], standard_errors: NDArray[np.float64],
    ) -> Finding:  # fmt: skip
        """The weight that is farthest beyond doubt outside of the limit; if none is, the one that is known best."""
        doubtless = np.abs(errors) - DOUBT * standard_errors
        bad = bool(doubtless.max() > limit)
        index = int(np.argmax(doubtless)) if bad else int(np.argmin(standard_errors))
        estimate, allowed = Estimate(float(errors[index]), float(standard_errors[index]), unit), Limit(-limit, limit)
        if bad:
            return Finding(self.name, name, quantity, estimate, allowed, "fail", ADVICE)
        if allowed.judge(estimate) == "pass":
            return Finding(self.name, name, quantity, estimate, allowed)
        advice = f"not known well enough to tell {limit:g} {unit}: a stronger or a steadier path is needed (transmit_gain_db)"
        return Finding(self.name, name, quantity, estimate, allowed, "warn", advice)


def _amplitude(known: Known, device: int) -> float:
    """The largest at which the transmitter is linear, where that has been measured."""
    measured: Sequence[Mapping[str, Any]] = known.get("power_sweep", {}).get("device", [])
    return float(measured[device].get("linear_amplitude", 1.0)) if device < len(measured) else 1.0


def _fit(
    readings: Sequence[Reading], middles: Sequence[float], weights: Sequence[complex], probe: Probe, rate_sps: float
) -> WeightFit:
    """The readings on a carrier that moves as their offsets do, by the line that fits those of the references best: what is
    left turns slowly."""
    cycles = probe.cycles + readings[0].offset_hz / rate_sps
    elapsed = np.array(middles) - middles[0]
    seconds = elapsed / rate_sps
    moved = np.array([one.offset_hz - readings[0].offset_hz for one in readings])
    bend, slope = np.polyfit(seconds[::2], moved[::2], 1)
    turns = np.remainder(cycles * elapsed, 1.0) + slope * seconds + 0.5 * bend * seconds**2
    amplitudes = np.array([one.amplitude for one in readings]) * np.exp(-2j * np.pi * turns)
    return fit_weights(
        amplitudes,
        seconds,
        np.array(weights),
        np.array([one.standard_error for one in readings]),
        np.array([one.phase_error for one in readings]),
    )


def _pictures(fits: Mapping[str, WeightFit]) -> tuple[Picture, ...]:
    if not fits:
        return ()
    worst = max(float(np.abs(fit.found - fit.weights).max()) for fit in fits.values())
    title = f"Live weights: the farthest is {worst:.2g} from what was asked for, of full scale."

    def draw(axes: Axes) -> None:
        asked = np.array(WEIGHTS, dtype=np.complex128)
        axes.plot(asked.real, asked.imag, "o", color=MUTED, markersize=11, markerfacecolor="none", label="asked for")
        for index, (name, fit) in enumerate(list(fits.items())[:MOST_COLOURS]):
            axes.plot(fit.found.real, fit.found.imag, "+", color=SERIES[index], markersize=8, label=name.split(" ")[0])
        axes.set(xlim=(-0.7, 0.7), ylim=(-0.7, 0.7), aspect="equal", xlabel="in phase", ylabel="quadrature")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return (Picture("reweighting", title, "Relative to readings at weight 1 before and after each.", draw, height=3.6),)
