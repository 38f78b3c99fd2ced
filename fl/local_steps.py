"""Local steps: a device goes on by itself for a while before anybody hears of it (DeComFL, arXiv 2405.15861).

Local step l of a slot measures P directions, with the indices l P .. l P + P - 1, at the weights that the device has
reached, releases P noised scalars and moves the device along them.  With privacy on a device moves by nothing but its own
released values (design section 5), so each local step is one charged release and where the device has walked to is
post-processing.  After L steps it returns to the round's weights, bit for bit, and sends its L P scalars; everybody then
takes the step that the mean of each gives.  Keeping the round's weights meanwhile costs a copy of the trained ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fl.device import Device
from fl.replica import Replica

if TYPE_CHECKING:
    from fl.order import RoundOrder


def walk(device: Device, replica: Replica, order: RoundOrder) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """A slot's payloads (L P,) and, for diagnostics alone, what they were before noise (L P,) and how many projections were
    not finite.

    Every release of the slot must have been charged.  Leaves the replica where the device has walked to: the caller has a
    snapshot.
    """
    perturbations, steps = order.perturbations, order.local_steps
    sent, clean = np.empty((steps, perturbations)), np.empty((steps, perturbations))
    nonfinite = 0
    for step in range(steps):
        release, first = order.slot * steps + step, step * perturbations
        projections = replica.projections(device.batch(release), order.seed, perturbations, order.mu, first)
        sent[step] = device.payload(release, projections)
        clean[step] = device.clean(projections)
        nonfinite += int(np.count_nonzero(~np.isfinite(projections)))
        if step < steps - 1:
            for j, payload in enumerate(sent[step]):
                replica.move(order.seed, first + j, -order.rate * float(payload) / perturbations)
    return sent.reshape(-1), clean.reshape(-1), nonfinite
