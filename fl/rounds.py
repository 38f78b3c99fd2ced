"""The round loop: open, sound, plan, transmit, commit.  It sees nothing but what the receiver measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fl.config import Learning
from fl.journal import Journal
from fl.transport import RoundOrder, Transport, Truth
from fl.update import RoundUpdate
from privacy import power
from radio.air import Air, AirPlan, ChannelState, Received
from radio.errors import StoppedEarly
from radio.streams import stream_seed

ERASURES_IN_A_ROW = 50  # a slot is erased now and then; this many together are a condition, not bad luck


@dataclass(frozen=True)
class Limits:
    """What power control needs besides the channel: fixed before the run, the same for all devices."""

    saturation: float
    noise_std: float
    backoff: float
    truncation: float


@dataclass(frozen=True)
class Slot:
    """One finished air slot, for progress and diagnostics."""

    slot: int
    rounds: int  # committed so far
    state: ChannelState
    plan: AirPlan
    received: Received
    truth: Truth | None


def round_seed(seed: int, slot: int) -> int:
    """The public 64-bit seed of a slot's perturbations."""
    return stream_seed(seed, "perturbation", slot) & (2**64 - 1)


def rate_at(learning: Learning, index: int) -> float:
    """Learning rate of committed round `index` (0-based)."""
    done = index / learning.rounds
    if learning.schedule == "linear":
        return learning.rate * (1.0 - done)
    if learning.schedule == "cosine":
        return learning.rate * 0.5 * (1.0 + math.cos(math.pi * done))
    return learning.rate


def run_round(
    slot: int, seed: int, learning: Learning, limits: Limits, transport: Transport, air: Air, journal: Journal
) -> Slot:
    """One air slot: ends with a committed or an erased record in the journal and every replica moved alike.

    Raises BudgetError, with nothing transmitted, when a device has no budget for it.
    """
    order = RoundOrder(slot, round_seed(seed, slot), learning.perturbations, learning.mu)
    transport.open(order)
    state = air.sound(slot)
    plan = power.plan(state, limits.noise_std, limits.saturation, limits.truncation, limits.backoff, rule=air.mode.plan)
    received = transport.collect(plan)
    if received.erased:
        update = RoundUpdate(order.seed, order.mu, order.perturbations, ())
        journal.erase(slot, update, received.reason)
    else:
        active = int(plan.active.sum())
        rate = rate_at(learning, journal.history.rounds)
        mean = [float(total) / active for total in received.total]
        update = RoundUpdate(
            order.seed, order.mu, order.perturbations, tuple(rate * m / learning.perturbations for m in mean)
        )
        journal.commit(slot, update, rate, mean, active)
    transport.commit(update)
    return Slot(slot, journal.history.rounds, state, plan, received, transport.truth())


def train(
    seed: int,
    learning: Learning,
    limits: Limits,
    transport: Transport,
    air: Air,
    journal: Journal,
    after: Callable[[Slot], None],
    stopping: Callable[[], bool],
) -> None:
    """Rounds until `learning.rounds` are committed or `stopping()`; `after` is called with every finished slot.

    Raises StoppedEarly when the air erases too many slots in a row.
    """
    slot = max(journal.history.slots, default=-1) + 1
    erased = 0
    while journal.history.rounds < learning.rounds and not stopping():
        done = run_round(slot, seed, learning, limits, transport, air, journal)
        after(done)
        slot += 1
        erased = erased + 1 if done.received.erased else 0
        if erased == ERASURES_IN_A_ROW:
            raise StoppedEarly(
                f"{erased} slots in a row were erased ({done.received.reason}); {journal.history.rounds} of "
                f"{learning.rounds} rounds are committed. The radio cannot carry this experiment: raise radio.snr_db or "
                "radio.pilot_window, or lower radio.truncation, in a new run"
            )
