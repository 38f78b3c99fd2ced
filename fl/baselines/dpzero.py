"""DPZero (Zhang et al., ICML 2024, arXiv 2310.09639; Liang137/DPZero): zeroth-order SGD with a trusted curator's noise.

Every example's two-point difference is clipped, the clipped ones are averaged, and one Gaussian number protects the average:
central differential privacy, for which somebody must see all data, or all devices' scalars, in the clear.

Where ours differs: batches are Poisson samples, because that is what the accountant assumes (theirs are a shuffled loader's);
the noise is a discrete Gaussian from a secret source (theirs is drawn from the generator just seeded with the direction's
seed, so whoever knows the seed can subtract it); the accounting is this project's, with the same epsilon and delta as the
experiment's and all K devices' data as one owner's.  As a federated method it is charged K digital scalars a direction.
"""

from __future__ import annotations

from fl.baselines.algorithm import FLOAT_BITS, Cost
from fl.baselines.setting import Setting
from fl.device import Device
from privacy.accounting import Charge, noise_multiplier
from privacy.grid import Grid
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret, SystemSecret
from privacy.sampling import accounted_rate


class DPZero:
    """With `privacy.enabled = false`: clipping without noise."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        experiment, privacy = setting.experiment, setting.experiment.privacy
        pooled = [example for share in setting.shares for example in share]
        self._expected = setting.batch * setting.devices
        rate = self._expected / len(pooled)
        grid = Grid(privacy.clip, self._expected)
        mechanism = None
        if privacy.enabled:
            charged = accounted_rate(rate)
            multiplier = noise_multiplier(privacy.epsilon, privacy.delta, charged, experiment.learning.rounds)
            mechanism = OwnNoise(grid, experiment.learning.perturbations, Charge(charged, multiplier))
        secret = (
            SystemSecret()
            if privacy.enabled and not privacy.reproducible
            else ReproducibleSecret(experiment.run.seed, "dpzero")
        )
        self._curator = Device("curator", pooled, rate, grid, secret, mechanism)

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on the mean projected gradient."""
        return self._curator.noise_std

    def round(self, t: int) -> Cost:
        setting, learning = self._setting, self._setting.experiment.learning
        seed = setting.seed(t)
        batch = self._curator.batch(t)
        each = setting.replica.projections(batch, seed, learning.perturbations, learning.mu)
        setting.descend(t, seed, self._curator.release("dpzero", t, each))
        scalars = setting.devices * learning.perturbations * FLOAT_BITS
        return Cost(
            forwards=setting.passes * self._expected,
            passes=setting.passes * setting.devices,
            uplink_bits=scalars,
            downlink_bits=scalars,
        )
