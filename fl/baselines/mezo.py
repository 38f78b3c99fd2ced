"""MeZO (Malladi et al., NeurIPS 2023, arXiv 2305.17333; princeton-nlp/MeZO): central two-point SGD on pooled data.

One Gaussian direction a step, constant rate, no privacy, nobody to talk to.  Where ours differs: directions come from our
counter-based generator and passes over the weights are merged (`fl.weights`), which changes time and memory and not the
method; a step's batch is that of all K devices together, so that it sees as much data as a federated round does.

`mezo_step` is the released trainer's step as it is written, for the benchmarks of time and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from fl.baselines.algorithm import Cost
from fl.baselines.setting import Setting


class MeZO:
    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def round(self, t: int) -> Cost:
        setting = self._setting
        pooled = [e for k in range(setting.devices) for e in setting.batches(t, k)[0]]
        setting.descend(t, setting.seed(t), setting.projections(pooled, setting.seed(t)))
        return Cost(forwards=setting.passes * len(pooled), passes=setting.passes)


def mezo_step(
    parameters: Iterable[torch.nn.Parameter],
    loss: Callable[[], float],
    seed: int,
    mu: float,
    rate: float,
    weight_decay: float = 0.0,
) -> float:
    """One step as `zo_step` and `zo_update` of MeZO's large_models/trainer.py write it; returns the projected gradient.

    Four passes draw the same `torch.normal` numbers again and build every parameter anew; biases and LayerNorms, the
    parameters of one axis, know no weight decay.  The one difference: the generator is our own instead of the global one,
    with the same numbers.
    """
    trained = list(parameters)

    def perturb(scaling_factor: float) -> None:
        generator = _generator(trained, seed)
        for parameter in trained:
            z = _normal(parameter, generator)
            parameter.data = parameter.data + scaling_factor * z * mu

    perturb(1)
    loss1 = loss()
    perturb(-2)
    loss2 = loss()
    projected_grad = (loss1 - loss2) / (2 * mu)
    perturb(1)
    generator = _generator(trained, seed)
    for parameter in trained:
        z = _normal(parameter, generator)
        if parameter.dim() > 1:
            parameter.data = parameter.data - rate * (projected_grad * z + weight_decay * parameter.data)
        else:
            parameter.data = parameter.data - rate * (projected_grad * z)
    return projected_grad


def _generator(parameters: list[torch.nn.Parameter], seed: int) -> torch.Generator:
    return torch.Generator(parameters[0].device).manual_seed(seed)


def _normal(parameter: torch.nn.Parameter, generator: torch.Generator) -> torch.Tensor:
    return torch.normal(
        mean=0.0, std=1.0, size=parameter.size(), generator=generator, device=parameter.device, dtype=parameter.dtype
    )
