"""Optimisers by name, fresh or as a run's history has left them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fl.optimisers.adam import Adam
from fl.optimisers.momentum import Momentum
from fl.optimisers.normalised import Normalised
from fl.optimisers.optimiser import Optimiser
from fl.optimisers.sgd import Sgd


def optimiser(
    name: str, perturbations: int, momentum: float, received: Iterable[tuple[Sequence[float], float]] = ()
) -> Optimiser:
    """`sgd`, `momentum`, `adam`, `normalised`, after the committed rounds whose (mean, rate) are given in order."""
    makers: dict[str, Callable[[], Optimiser]] = {
        Sgd.name: lambda: Sgd(perturbations),
        Momentum.name: lambda: Momentum(perturbations, momentum),
        Adam.name: lambda: Adam(perturbations, momentum),
        Normalised.name: lambda: Normalised(perturbations),
    }
    if name not in makers:
        raise ValueError(f"no optimiser {name!r}; known: {', '.join(makers)}")
    made = makers[name]()
    for mean, rate in received:
        made.step(mean, rate)
    return made
