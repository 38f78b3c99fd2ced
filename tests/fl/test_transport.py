"""The in-process transport: who is left out pays and sends nothing, and a missing budget is noticed before anyone sends."""

from __future__ import annotations

import numpy as np
import pytest

from fl.device import Device
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.transport import InProcess, RoundOrder
from fl.update import RoundUpdate, own_moves
from privacy.accounting import Charge
from privacy.grid import Grid
from privacy.ledger import Budget, Ledger, Owner
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret
from radio.air import AirPlan
from radio.errors import BudgetError
from radio.ideal import IdealAir

CHARGE = Charge(1.0, 20.0)
GRID = Grid(10.0, 8.0)
ORDER = RoundOrder(4, 77, 2, 1e-3)


class NotingAir(IdealAir):
    """The ideal air, with a note of what was sent."""

    def __init__(self, devices: int) -> None:
        super().__init__(devices)
        self.sent: list[np.ndarray] = []

    def aggregate(self, round_index, payloads, plan):
        self.sent.append(payloads.copy())
        return super().aggregate(round_index, payloads, plan)


@pytest.fixture
def replica(tiny_model):
    model = load_model(str(tiny_model))
    task = load_task("reviews", seed=4, devices=1, train_examples=30)
    return Replica(model, OptionLikelihood(model, task.options, 8), ("*layer_norm*",)), task


@pytest.fixture
def devices(replica, tmp_path):
    likelihood, task = replica[0].likelihood, replica[1]
    examples = [likelihood.encode(task.prompt(e), e.label) for e in task.train]
    made = [
        Device(
            f"device-{k}",
            examples[10 * k : 10 * k + 10],
            0.4,
            GRID,
            ReproducibleSecret(3, "device", k),
            OwnNoise(GRID, 2, CHARGE),
            Ledger(tmp_path / f"{k}.jsonl", Owner(f"device-{k}", f"{k}" * 64), Budget(1.0, 1e-5)),
        )
        for k in range(3)
    ]
    yield made
    for device in made:
        device.ledger.close()


def plan(*active: bool) -> AirPlan:
    return AirPlan(np.array(active, complex), np.array(active), 1.0, 1e6)


def test_everybody_sends_own_projections_plus_own_noise(replica, devices, tiny_model):
    air = NotingAir(3)
    transport = InProcess("run", replica[0], devices, air)
    transport.open(ORDER)
    received = transport.collect(plan(True, True, True))
    truth = transport.truth()
    np.testing.assert_array_equal(air.sent[0], truth.sent)
    np.testing.assert_allclose(received.total, truth.sent.sum(axis=0))
    # one device at a time, on a fresh replica, measures the same: the batches evaluated together do not mix
    for k, device in enumerate(devices):
        fresh = load_model(str(tiny_model))
        alone = Replica(fresh, OptionLikelihood(fresh, replica[1].options, 8), ("*layer_norm*",))
        own = alone.projections(device.batch(4), ORDER.seed, 2, ORDER.mu)
        np.testing.assert_array_equal(truth.clean[k], device.clean(own))
        noise = device.mechanism.release(np.empty((0, 2)), device.secret.stream("slot", 4, "noise"))
        np.testing.assert_allclose(truth.sent[k], truth.clean[k] + noise, atol=GRID.step / 2)
        assert device.ledger.slots("run") == {4: 1}


def test_a_device_left_out_is_not_charged_and_sends_nothing(replica, devices):
    air = NotingAir(3)
    transport = InProcess("run", replica[0], devices, air)
    transport.open(ORDER)
    transport.collect(plan(True, False, True))
    assert [d.ledger.slots("run") for d in devices] == [{4: 1}, {}, {4: 1}]
    assert not air.sent[0][1].any()
    assert air.sent[0][[0, 2]].all()


def test_a_missing_budget_stops_the_round_before_anyone_transmits(replica, devices):
    while devices[2].can_charge():
        devices[2].ledger.charge("earlier", len(devices[2].ledger.slots("earlier")), CHARGE)
    air = NotingAir(3)
    transport = InProcess("run", replica[0], devices, air)
    transport.open(ORDER)
    with pytest.raises(BudgetError, match=r"device-2.*nothing was transmitted in slot 4"):
        transport.collect(plan(True, True, True))
    assert air.sent == []
    assert [d.ledger.slots("run") for d in devices] == [{}, {}, {}]
    # sitting the round out needs no budget
    transport.collect(plan(True, True, False))
    assert [d.ledger.slots("run") for d in devices] == [{4: 1}, {4: 1}, {}]


def test_commit_moves_the_replica(replica, devices, tiny_model):
    transport = InProcess("run", replica[0], devices, NotingAir(3))
    transport.open(ORDER)
    transport.collect(plan(True, True, True))
    update = RoundUpdate(ORDER.seed, ORDER.mu, 2, "central", own_moves(ORDER.seed, (0.25, -0.5)))
    transport.commit(update)
    fresh = load_model(str(tiny_model))
    replayed = Replica(fresh, OptionLikelihood(fresh, replica[1].options, 8), ("*layer_norm*",))
    replayed.replay([update])
    assert replica[0].digest() == replayed.digest()
