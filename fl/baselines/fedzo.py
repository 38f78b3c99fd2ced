"""FedZO (Fang et al., IEEE TSP 2022, arXiv 2201.09531; noobyzy/FedZO): local zeroth-order steps, d-dimensional uplink.

A device walks H steps of a mini-batch estimate d/(mu' P) sum_j (F(w + mu' u_j) - F(w)) u_j, with directions u_j of its own,
uniform on the unit sphere, and sends the whole difference of its weights; the server averages.  Digital, or over the air
(`over_the_air`, AirComp), where devices in a deep fade sit out.

Where ours differs: the radius is mu' = mu sqrt(d), so that learning.mu means the same step per weight for every method; the
first loss of a batch is shared by its P directions, as in theirs; over the air, `fl.baselines.analog` is the channel (theirs
takes |h| for |h|^2 in the noise and keeps 28 % of the devices where its comment says 10 %).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fl.baselines.algorithm import FLOAT_BITS, Cost
from fl.baselines.analog import AnalogUplink
from fl.baselines.setting import Setting
from fl.likelihood import Encoded


class FedZO:
    def __init__(self, setting: Setting, local_steps: int = 4, over_the_air: bool = False) -> None:
        self._setting, self._steps = setting, local_steps
        experiment = setting.experiment
        self._air = AnalogUplink(experiment.radio, setting.devices, experiment.run.seed) if over_the_air else None

    def round(self, t: int) -> Cost:
        setting = self._setting
        start = setting.flat()
        active = np.arange(setting.devices) if self._air is None else self._air.active(t)
        deltas = np.empty((len(active), start.size), np.float32)
        examples = 0
        for row, k in enumerate(active.tolist()):
            local = start.copy()
            for h, batch in enumerate(setting.batches(t, k, self._steps)):
                local -= setting.rate(t) * self._gradient(local, batch, setting.stream("fedzo", t, k, h))
                examples += len(batch)
            deltas[row] = local - start
        setting.put(start + (deltas.mean(axis=0) if self._air is None else self._air.mean(t, deltas)))
        passes = setting.experiment.learning.perturbations + 1
        analog = self._air is not None
        return Cost(
            forwards=passes * examples,
            passes=passes * len(active) * self._steps,
            uplink_uses=start.size if analog else 0,
            uplink_bits=len(active)
            * FLOAT_BITS
            * (1 if analog else start.size),  # over the air: norms for power control
            downlink_bits=setting.devices * start.size * FLOAT_BITS,
        )

    def _gradient(
        self, weights: NDArray[np.float32], batch: list[Encoded], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """(1/P) sum_j d/mu' (F(w + mu' u_j) - F(w)) u_j with mu' = mu sqrt(d), u_j uniform on the unit sphere.  Shape (d,)."""
        learning, size = self._setting.experiment.learning, weights.size
        radius = learning.mu * size**0.5
        here = self._loss(weights, batch)
        gradient = np.zeros(size, np.float32)
        for _ in range(learning.perturbations):
            u = rng.standard_normal(size, np.float32)
            u /= np.sqrt(np.dot(u, u))
            difference = self._loss(weights + np.float32(radius) * u, batch) - here
            gradient += np.float32(size / radius * difference / learning.perturbations) * u
        return gradient

    def _loss(self, weights: NDArray[np.float32], batch: list[Encoded]) -> float:
        self._setting.put(weights)
        return float(self._setting.replica.losses(batch).mean())
