"""pAirZero with the paper's own power rules (arXiv 2604.12401): no noise but the receiver's, which is trusted.

A device's whole payload is clipped to +-gamma (`privacy.clip`), or its sign is sent, and power backs off so that the sum that
the paper's budget allows is spent in T rounds: `solution` (theorems 3 and 4), `static`, `reversed`, or `perfect`, a link
without noise.  Gains of all rounds are known ahead, as the rules assume.  As printed or, with corrections, mended
(`privacy.power.paper`) and with exact accounting in place of R_dp.

The guarantee is the paper's, not ours: it is void against whoever has a better receiver or stands nearer, so `privacy.enabled`
is no matter here.  Batches are public, as for every method without our privacy.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fl.baselines.algorithm import FLOAT_BITS, Cost
from fl.baselines.setting import Setting
from privacy.comparison import exact_rho, liu_simeone_rho
from privacy.power.paper import (
    AS_PRINTED,
    Corrections,
    analog_schedule,
    noise_power,
    peak_power,
    reversed_schedule,
    sign_schedule,
    static_schedule,
)
from radio.errors import InputError
from radio.fading import Fading

CONTRACTION = 0.998  # A, as estimated in the paper
SIGN_ERROR = 0.496  # e0, likewise
RECEIVER = 1.0  # N0 = E|z|^2; all else is relative to it


class PaperPower:
    def __init__(
        self,
        setting: Setting,
        control: Literal["solution", "static", "reversed", "perfect"] = "solution",
        corrected: bool = False,
    ) -> None:
        """Raises InputError for several directions, and where a theorem as printed has no solution."""
        learning = setting.experiment.learning
        if learning.perturbations != 1:
            raise InputError(
                f"learning.perturbations = {learning.perturbations}; the paper's rules are for one direction"
            )
        self._setting = setting
        self._signs = learning.payload == "sign"
        self._clip = setting.experiment.privacy.clip
        self._corrections = Corrections.all() if corrected else AS_PRINTED
        self.alignment = None if control == "perfect" else self._schedule(control, corrected)

    def _schedule(self, control: str, corrected: bool) -> NDArray[np.float64]:
        """c_t of all rounds, (T,)."""
        experiment, devices = self._setting.experiment, self._setting.devices
        radio, privacy, rounds = experiment.radio, experiment.privacy, experiment.learning.rounds
        fading = Fading(
            devices, experiment.run.seed, radio.fading, radio.rician_k_db, radio.path_loss_db, radio.coherence_rounds
        )
        gains = np.array([np.abs(fading.gains(t)) ** 2 for t in range(rounds)])
        power = peak_power(radio.snr_db, RECEIVER, self._setting.replica.trainable, self._corrections)
        rho = (exact_rho if corrected else liu_simeone_rho)(privacy.epsilon, privacy.delta)
        gamma = 1.0 if self._signs else self._clip
        if control == "static":
            return static_schedule(gains, power, RECEIVER, gamma, rho, self._corrections)
        if control == "solution" and self._signs:
            return sign_schedule(gains, power, RECEIVER, SIGN_ERROR, CONTRACTION, rho, self._corrections)
        rule = analog_schedule if control == "solution" else reversed_schedule
        return rule(gains, power, RECEIVER, gamma, CONTRACTION, rho, self._corrections)

    def noise_std(self, t: int) -> float:
        """Standard deviation of the noise in the mean of round t; infinite where nothing is sent."""
        if self.alignment is None:
            return 0.0
        sent = float(self.alignment[t]) * self._setting.devices
        return float(np.sqrt(noise_power(RECEIVER, self._corrections))) / sent if sent > 0.0 else np.inf

    def round(self, t: int) -> Cost:
        setting = self._setting
        seed = setting.seed(t)
        batches = [setting.batches(t, k)[0] for k in range(setting.devices)]
        measured = np.array([setting.projections(batch, seed)[0] for batch in batches])
        sent = np.sign(measured) if self._signs else np.clip(measured, -self._clip, self._clip)
        std = self.noise_std(t)
        mean = float(sent.mean()) + (std * float(setting.stream("paper noise", t).standard_normal()) if std else 0.0)
        if self.alignment is None and self._signs:
            mean = float(np.sign(sent.sum()))
        if np.isfinite(mean):
            setting.descend(t, seed, np.array([mean]))
        examples = sum(len(batch) for batch in batches)
        return Cost(
            forwards=setting.passes * examples,
            passes=setting.passes * setting.devices,
            uplink_uses=1,
            downlink_bits=setting.devices * FLOAT_BITS,
        )
