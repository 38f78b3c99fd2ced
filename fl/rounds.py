"""The round loop: open, sound, plan, transmit, commit.  It sees nothing but what the receiver measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fl.config import Learning
from fl.crew import CrewLost
from fl.estimators.estimator import UNTOUCHED
from fl.estimators.registry import estimator
from fl.journal import Journal
from fl.learning_rate import rate_at
from fl.optimisers.optimiser import Optimiser
from fl.optimisers.registry import optimiser as named_optimiser
from fl.order import RoundOrder
from fl.proposal import Limits, Proposal, among, propose
from fl.transport import Transport, Truth
from fl.update import Carried, RoundUpdate
from radio.air import AirPlan, ChannelState, Received, Sounder
from radio.errors import BudgetError, StoppedEarly
from radio.streams import stream, stream_seed

ERASURES_IN_A_ROW = 50  # a slot is erased now and then; this many together are a condition, not bad luck


@dataclass(frozen=True)
class Slot:
    """One finished air slot, for progress and diagnostics."""

    slot: int
    rounds: int  # committed so far
    state: ChannelState
    plan: AirPlan
    received: Received
    truth: Truth | None


def round_seed(seed: int, slot: int, refresh: int = 0, pool: int | None = None) -> int:
    """The public 64-bit seed of a slot's perturbations.

    With `refresh` > 1 its upper 32 bits, which name the basis of a low-rank direction, stay for that many slots.

    With `pool` = N it is one of N fixed seeds, each slot's drawn at random (FedKSeed, arXiv 2312.06353).  The N sums of what
    was moved along each would then describe the weights as well, but only up to rounding, for they add in another order
    than the rounds did; the journal stays the truth (design decision 4).
    """
    if pool is not None:
        drawn = int(stream(seed, "seed pool", slot).integers(pool))
        return stream_seed(seed, "pooled perturbation", drawn) & (2**64 - 1)
    own = stream_seed(seed, "perturbation", slot) & (2**64 - 1)
    if refresh <= 1:
        return own
    basis = stream_seed(seed, "basis", slot // refresh) & 0xFFFFFFFF
    return basis << 32 | own & 0xFFFFFFFF


def run_round(
    slot: int,
    seed: int,
    learning: Learning,
    limits: Limits,
    optimiser: Optimiser,
    transport: Transport,
    air: Sounder,
    journal: Journal,
) -> Slot:
    """One air slot: ends with a committed or an erased record in the journal and every replica moved alike.

    Raises BudgetError, with nothing transmitted, when a device has no budget for it; StoppedEarly from an air that cannot go
    on, with the slot recorded as erased; CrewLost with the slot left open.
    """
    rate = rate_at(learning, journal.history.rounds)
    drawn = round_seed(seed, slot, learning.basis_slots, learning.seed_pool)
    order = RoundOrder(slot, drawn, learning.perturbations, learning.mu, learning.local_steps, rate)

    def proposed() -> tuple[ChannelState, Proposal]:
        found = air.sound(slot)
        return found, propose(found, air, limits, slot * order.local_steps)

    # a device that walked has come back bit for bit: nobody's probes are in the weights
    probe = UNTOUCHED if order.local_steps > 1 else transport.probe
    unmoved = RoundUpdate(order.seed, order.mu, order.perturbations, probe)
    try:
        if order.local_steps > 1:
            # Walking is charged before the air is used, so ask first who can be heard at all, and sound once more afterwards.
            willing = proposed()[1].plan.active
            transport.open(order, willing)
            state, proposal = proposed()
            proposal = among(proposal, willing)
        else:
            transport.open(order)
            state, proposal = proposed()
        try:
            received = transport.collect(proposal.plan, proposal.noise_std)
            proposal = among(proposal, transport.transmitted)
        except BudgetError:
            journal.erase(slot, unmoved, "a budget was spent")  # everybody has probed, and that is in the weights
            transport.commit(unmoved)
            raise
    except CrewLost:
        raise
    except StoppedEarly as stop:  # a radio failed; everybody has probed here, too
        journal.erase(slot, unmoved, str(stop))
        transport.commit(unmoved)
        raise
    if received.erased:
        update = unmoved
        journal.erase(slot, update, received.reason, proposal.record())
    else:
        mean = [float(total) / proposal.active for total in received.total]
        step = optimiser.step(mean, rate)
        own = estimator(learning.probe).moves(order.seed, step.own) if step.own else ()
        before = journal.history.last
        carried = Carried(step.decay, step.rounds, before) if step.rounds and before is not None else None
        update = RoundUpdate(order.seed, order.mu, order.perturbations, probe, own, carried)
        journal.commit(slot, update, rate, mean, proposal.active, proposal.record())
    transport.commit(update)
    return Slot(slot, journal.history.rounds, state, proposal.plan, received, transport.truth())


def train(
    seed: int,
    learning: Learning,
    limits: Limits,
    transport: Transport,
    air: Sounder,
    journal: Journal,
    after: Callable[[Slot], None],
    stopping: Callable[[], bool],
) -> None:
    """Rounds until `learning.rounds` are committed or `stopping()`; `after` is called with every finished slot.

    Raises StoppedEarly when the air erases too many slots in a row.
    """
    slot = journal.history.slots.last + 1
    optimiser = named_optimiser(learning.optimiser, learning.perturbations, learning.momentum, journal.history.received)
    erased = 0
    while journal.history.rounds < learning.rounds and not stopping():
        done = run_round(slot, seed, learning, limits, optimiser, transport, air, journal)
        after(done)
        slot += 1
        erased = erased + 1 if done.received.erased else 0
        if erased == ERASURES_IN_A_ROW:
            raise StoppedEarly(
                f"{erased} slots in a row were erased ({done.received.reason}); {journal.history.rounds} of "
                f"{learning.rounds} rounds are committed. The air cannot carry this experiment: do what the reason says or, "
                "where the signal is weak, raise radio.snr_db or radio.pilot_window or lower radio.truncation, in a new run"
            )
