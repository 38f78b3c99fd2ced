"""FedKSeed (Qin et al., ICML 2024, arXiv 2312.06353; zhenqincn/FedKSeed): a finite pool of K seeds, many local steps.

A device walks H local steps; each draws a seed of the pool, measures a central two-point derivative on a small batch and
moves.  It sends its H pairs (seed's index, scalar); the server adds them to the pool's K accumulated scalars, weighted by the
size of the device's data, and sends the K scalars, from which everybody rebuilds the weights in at most K moves.

Where ours differs: seeds are drawn uniformly (the paper's plain variant, not FedKSeed-Pro); the weights move by a round's
scalars instead of being rebuilt from the first ones, which is the same sum; a scalar is never dropped for being large.
"""

from __future__ import annotations

from fl.baselines.algorithm import FLOAT_BITS, SEED_BITS, Cost
from fl.baselines.setting import Setting


class FedKSeed:
    def __init__(self, setting: Setting, pool: int = 1024, local_steps: int = 16, batch: int = 1) -> None:
        self._setting = setting
        self._pool = [setting.named_seed("pool", j) for j in range(pool)]
        self._steps, self._batch = local_steps, batch

    def round(self, t: int) -> Cost:
        setting, rate = self._setting, self._setting.rate(t)
        gathered: dict[int, float] = {}
        examples = 0
        for k in range(setting.devices):
            drawn = setting.stream("fedkseed", t, k).integers(len(self._pool), size=self._steps)
            with setting.excursion():
                for index, batch in zip(drawn.tolist(), setting.batches(t, k, self._steps, self._batch), strict=True):
                    scalar = float(setting.projections(batch, self._pool[index])[0])
                    setting.replica.move(self._pool[index], 0, -rate * scalar)
                    gathered[index] = gathered.get(index, 0.0) + float(setting.weights[k]) * scalar
                    examples += len(batch)
        for index, total in sorted(gathered.items()):
            setting.replica.move(self._pool[index], 0, -rate * total)
        return Cost(
            forwards=setting.passes * examples,
            passes=setting.passes * setting.devices * self._steps,
            uplink_bits=setting.devices * self._steps * (SEED_BITS + FLOAT_BITS),
            downlink_bits=setting.devices * len(self._pool) * FLOAT_BITS,
        )
