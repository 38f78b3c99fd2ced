"""DeComFL (Li et al., ICLR 2025, arXiv 2405.15861; ZidongLiu/DeComFL): seeds and scalars both ways, digital.

In round t every sampled device takes the same H seeds, walks H local steps with its own P scalars each, and sends the H P
scalars; the server averages them, and everybody replays the averages from the common weights.  A device that was not sampled
catches up on every round it missed when it next is.

Where ours differs: all devices share one replica that is put back after each walk (theirs holds a model and a snapshot for
each device); the extra forward pass that theirs spends on a training metric is left out; directions come from our generator,
where a round's H P directions are one seed's (H seeds are charged, as theirs sends).
"""

from __future__ import annotations

import numpy as np

from fl.baselines.algorithm import FLOAT_BITS, SEED_BITS, Cost
from fl.baselines.setting import Setting


class DeComFL:
    def __init__(self, setting: Setting, local_steps: int = 1, sampled: int | None = None) -> None:
        """`sampled` devices take part in a round; None: all."""
        self._setting = setting
        self._steps = local_steps
        self._sampled = min(sampled or setting.devices, setting.devices)
        self._synchronised = [0] * setting.devices  # rounds each device has replayed

    def round(self, t: int) -> Cost:
        setting, count, seed = self._setting, self._setting.experiment.learning.perturbations, self._setting.seed(t)
        chosen = setting.stream("decomfl", "sampled", t).permutation(setting.devices)[: self._sampled].tolist()
        scalars = np.empty((self._sampled, self._steps, count))
        examples = missed = 0
        for row, k in enumerate(chosen):
            missed += t - self._synchronised[k]
            self._synchronised[k] = t
            with setting.excursion():
                for h, batch in enumerate(setting.batches(t, k, self._steps)):
                    scalars[row, h] = setting.projections(batch, seed, h * count)
                    setting.descend(t, seed, scalars[row, h], h * count)
                    examples += len(batch)
        setting.descend(t, seed, scalars.mean(axis=0).reshape(-1))
        return Cost(
            forwards=setting.passes * examples,
            passes=setting.passes * self._sampled * self._steps,
            uplink_bits=self._sampled * self._steps * count * FLOAT_BITS,
            downlink_bits=self._steps * (missed * (SEED_BITS + count * FLOAT_BITS) + self._sampled * SEED_BITS),
        )
