"""First-order federated learning: what backpropagation and d numbers a round buy.

    fedsgd        every device sends the gradient of one batch, the server steps (FedSGD of McMahan et al., arXiv 1602.05629)
    fedsgd-ota    the same gradients added up over the air, an entry a channel use (Amiri and Gunduz, arXiv 1901.00844, without
                  their compression; Zhu et al., arXiv 1812.11494)
    fedavg-sgd    local steps of SGD, the server averages the models weighted by data (FedAvg, arXiv 1602.05629)
    fedavg-adamw  the same with a local AdamW, begun afresh every round (a server's AdamW would need its state sent)

Digital numbers have 32 bits, up and down.  Over the air the average counts every active device alike.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fl.baselines.algorithm import FLOAT_BITS, Cost
from fl.baselines.analog import AnalogUplink
from fl.baselines.setting import Setting
from fl.first_order import option_loss
from fl.likelihood import Encoded
from radio.errors import InputError


class _FirstOrder:
    def __init__(self, setting: Setting) -> None:
        """Raises InputError in half precision: gradients are wanted of the fp32 weights."""
        if setting.experiment.model.forward != "fp32":
            raise InputError(
                f"model.forward = {setting.experiment.model.forward!r}: first-order methods backpropagate in fp32; "
                "use model.forward = 'fp32'"
            )
        self._setting = setting
        model = setting.replica.model
        chosen = model.select(setting.experiment.learning.parameters)
        self._network = model.network.requires_grad_(False)
        self._trained = [p.requires_grad_(True) for name, p in model.network.named_parameters() if name in chosen]

    def _backward(self, batch: list[Encoded]) -> None:
        """Leave the gradient of the batch's mean loss in the trained parameters."""
        for parameter in self._trained:
            parameter.grad = None
        option_loss(self._network, self._setting.replica.likelihood, batch).backward()

    def _gradient(self, batch: list[Encoded]) -> NDArray[np.float32]:
        """The gradient in a row, (d,), in the order of `Setting.flat`."""
        self._backward(batch)
        return np.concatenate([p.grad.numpy().reshape(-1) for p in self._trained if p.grad is not None])


class FedSGD(_FirstOrder):
    def __init__(self, setting: Setting, over_the_air: bool = False) -> None:
        super().__init__(setting)
        experiment = setting.experiment
        self._air = AnalogUplink(experiment.radio, setting.devices, experiment.run.seed) if over_the_air else None

    def round(self, t: int) -> Cost:
        setting = self._setting
        active = np.arange(setting.devices) if self._air is None else self._air.active(t)
        batches = [setting.batches(t, k)[0] for k in active.tolist()]
        gradients = np.stack([self._gradient(batch) for batch in batches])
        if self._air is None:
            mean = (setting.weights[:, None] * gradients).sum(axis=0)
        else:
            mean = self._air.mean(t, gradients)
        weights = setting.flat()
        setting.put(weights - setting.rate(t) * mean)
        examples = sum(len(batch) for batch in batches)
        analog = self._air is not None
        return Cost(
            forwards=examples,
            passes=len(active),
            backwards=examples,
            uplink_uses=weights.size if analog else 0,
            uplink_bits=len(active)
            * FLOAT_BITS
            * (1 if analog else weights.size),  # over the air: norms for power control
            downlink_bits=setting.devices * weights.size * FLOAT_BITS,
        )


class FedAvg(_FirstOrder):
    def __init__(
        self,
        setting: Setting,
        optimiser: Literal["sgd", "adamw"] = "sgd",
        local_steps: int = 4,
        local_epochs: float | None = None,
        weight_decay: float = 0.01,
    ) -> None:
        """`local_epochs` passes over a device's own data, if given, rule over `local_steps`; AdamW alone decays weights."""
        super().__init__(setting)
        self._kind, self._steps, self._epochs, self._decay = optimiser, local_steps, local_epochs, weight_decay

    def round(self, t: int) -> Cost:
        setting = self._setting
        start = setting.flat()
        mean = np.zeros(start.size)
        examples = steps = 0
        for k, share in enumerate(setting.shares):
            count = self._steps if self._epochs is None else math.ceil(self._epochs * len(share) / setting.batch)
            optimiser = self._optimiser(setting.rate(t))
            with setting.excursion():
                for batch in setting.batches(t, k, count):
                    self._backward(batch)
                    optimiser.step()
                    examples += len(batch)
                mean += setting.weights[k] * (setting.flat() - start)
            steps += count
        setting.put(start + mean)
        digital = setting.devices * start.size * FLOAT_BITS
        return Cost(forwards=examples, passes=steps, backwards=examples, uplink_bits=digital, downlink_bits=digital)

    def _optimiser(self, rate: float) -> torch.optim.Optimizer:
        if self._kind == "sgd":
            return torch.optim.SGD(self._trained, lr=rate)
        return torch.optim.AdamW(self._trained, lr=rate, weight_decay=self._decay)
