"""The in-process transport: who is left out pays and sends nothing, and a missing budget is noticed before anyone sends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fl.crew import LocalCrew
from fl.device import Device
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.order import RoundOrder
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.transport import InProcess
from fl.update import RoundUpdate, own_moves
from privacy.accounting import Charge
from privacy.grid import Grid
from privacy.ledger import Budget, Ledger, Owner, PoolLedger
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
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, air)
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
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, air)
    transport.open(ORDER)
    transport.collect(plan(True, False, True))
    assert [d.ledger.slots("run") for d in devices] == [{4: 1}, {}, {4: 1}]
    assert not air.sent[0][1].any()
    assert air.sent[0][[0, 2]].all()


def test_a_missing_budget_stops_the_round_before_anyone_transmits(replica, devices):
    while devices[2].can_charge():
        devices[2].ledger.charge("earlier", len(devices[2].ledger.slots("earlier")), CHARGE)
    air = NotingAir(3)
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, air)
    transport.open(ORDER)
    with pytest.raises(BudgetError, match=r"device-2.*nothing was transmitted in slot 4"):
        transport.collect(plan(True, True, True))
    assert air.sent == []
    assert [d.ledger.slots("run") for d in devices] == [{}, {}, {}]
    # sitting the round out needs no budget
    transport.collect(plan(True, True, False))
    assert [d.ledger.slots("run") for d in devices] == [{4: 1}, {4: 1}, {}]


WALK = RoundOrder(4, 77, 2, 1e-3, 3, 0.05)


def test_local_steps_are_those_of_so_many_models(replica, devices, tiny_model):
    """K copies of the model that go their own ways, measured by hand."""
    air = NotingAir(3)
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, air)
    before = replica[0].digest()
    transport.open(WALK)
    assert replica[0].digest() == before  # nobody's walk is left in the weights
    transport.collect(plan(True, True, True))
    for k, device in enumerate(devices):
        fresh = load_model(str(tiny_model))
        own = Replica(fresh, OptionLikelihood(fresh, replica[1].options, 8), ("*layer_norm*",))
        for step in range(3):
            release = 4 * 3 + step
            batch = device.batch(release)
            projections = np.empty((len(batch), 2))
            for j in range(2):
                own.move(77, 2 * step + j, 1e-3)
                ahead = own.losses(batch)
                own.move(77, 2 * step + j, -2e-3)
                projections[:, j] = (ahead - own.losses(batch)) / 2e-3
                own.move(77, 2 * step + j, 1e-3)
            sent = device.mechanism.release(projections, device.secret.stream("slot", release, "noise"))
            np.testing.assert_array_equal(air.sent[0][k, 2 * step : 2 * step + 2], sent)
            for j in range(2):
                own.move(77, 2 * step + j, -0.05 * sent[j] / 2)
    assert len({tuple(row) for row in air.sent[0]}) == 3


def test_every_local_step_is_a_charge_made_before_anything_is_drawn(replica, devices, monkeypatch):
    charged = []
    real = Device.payload

    def payload(self, release, projections):
        charged.append([sorted(d.ledger.slots("run")) for d in devices])
        return real(self, release, projections)

    monkeypatch.setattr(Device, "payload", payload)
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, NotingAir(3))
    transport.open(WALK)
    assert charged == [[[12, 13, 14]] * 3] * 9
    transport.collect(plan(True, False, True))
    assert [d.ledger.slots("run") for d in devices] == [{12: 1, 13: 1, 14: 1}] * 3  # who sits out has paid all the same
    assert not transport.truth().sent[1].any()
    assert transport.truth().sent[[0, 2]].all()


def test_a_shared_ledger_is_charged_once_for_a_local_step(replica, devices, tmp_path):
    with PoolLedger(tmp_path / "pool.jsonl", Owner("pool", "f" * 64), Budget(1.0, 1e-5)) as pool:
        members = [dataclasses.replace(device, ledger=pool) for device in devices]
        transport = InProcess("run", LocalCrew(replica[0], members), members, NotingAir(3))
        transport.open(WALK)
        transport.collect(plan(True, True, True))
        assert pool.slots("run") == {12: 1, 13: 1, 14: 1}


def test_a_budget_for_fewer_than_all_local_steps_stops_the_round_before_anyone_is_charged(replica, devices):
    ledger = devices[1].ledger
    while ledger.remaining(CHARGE) > 2:
        ledger.charge("earlier", len(ledger.slots("earlier")), CHARGE)
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, NotingAir(3))
    before = replica[0].digest()
    with pytest.raises(BudgetError, match=r"device-1.*nothing was transmitted in slot 4"):
        transport.open(WALK)
    assert [d.ledger.slots("run") for d in devices] == [{}, {}, {}]
    assert replica[0].digest() == before


def test_commit_moves_the_replica(replica, devices, tiny_model):
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, NotingAir(3))
    transport.open(ORDER)
    transport.collect(plan(True, True, True))
    update = RoundUpdate(ORDER.seed, ORDER.mu, 2, "central", own_moves(ORDER.seed, (0.25, -0.5)))
    transport.commit(update)
    fresh = load_model(str(tiny_model))
    replayed = Replica(fresh, OptionLikelihood(fresh, replica[1].options, 8), ("*layer_norm*",))
    replayed.replay([update])
    assert replica[0].digest() == replayed.digest()


def test_projections_that_are_not_finite_count_as_zero_and_are_known_to_the_truth_alone(replica, devices, monkeypatch):
    projections = np.full((5, 2), 3.0)
    projections[0, 0], projections[1, 1], projections[2, 1] = np.nan, np.inf, -np.inf
    for device in devices:
        examples = device.examples[:5]
        monkeypatch.setattr(type(device), "batch", lambda self, slot, examples=examples: list(examples))
    monkeypatch.setattr(
        type(replica[0]), "projections", lambda *_: np.vstack([projections, np.ones((5, 2)), projections])
    )
    transport = InProcess("run", LocalCrew(replica[0], devices), devices, NotingAir(3))
    transport.open(ORDER)
    transport.collect(plan(True, True, False))
    truth = transport.truth()
    assert truth.nonfinite.tolist() == [3, 0, 0]  # who sits out has sent nothing
    np.testing.assert_allclose(truth.clean[0], [4 * 3.0 / 8, 3 * 3.0 / 8], atol=1e-5)  # the grid
    assert np.isfinite(truth.sent).all()
