"""The round loop: the committed mean, learning rates, erased slots, and where a resumed loop goes on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from fl import session
from fl.config import Learning
from fl.journal import Journal, read_history
from fl.rounds import rate_at, round_seed, train
from fl.transport import InProcess
from radio.ideal import IdealAir


class Jammed(IdealAir):
    """The ideal air, except that some slots cannot be trusted."""

    def __init__(self, devices: int, slots: set[int]) -> None:
        super().__init__(devices)
        self._slots = slots

    def aggregate(self, round_index, payloads, plan):
        received = super().aggregate(round_index, payloads, plan)
        if round_index not in self._slots:
            return received
        return dataclasses.replace(received, erased=True, reason="interference", total=received.total * np.nan)


class Setup:
    def __init__(self, experiment, folder, jammed=frozenset()):
        self.experiment = experiment
        task = session.experiment_task(experiment)
        self.replica = session.build_replica(experiment, task)
        charge = session.charge_of(experiment)
        self.devices = session.build_devices(experiment, task, self.replica.likelihood, charge, folder / "ledger")
        self.air = Jammed(3, set(jammed))
        self.journal = Journal(folder, {"run_id": "r"})
        self.transport = InProcess("r", self.replica, self.devices, self.air)
        self.slots: list = []

    def train(self, stop_after=10**6):
        train(
            self.experiment.run.seed,
            self.experiment.learning,
            session.limits_of(self.experiment, self.devices),
            self.transport,
            self.air,
            self.journal,
            self.slots.append,
            lambda: len(self.slots) >= stop_after,
        )
        self.journal.close()
        session.close_ledgers(self.devices)


PLAIN = {"privacy.enabled": False, "learning.rounds": 4, "learning.perturbations": 2, "learning.rate": 0.05}


def test_the_committed_mean_is_the_mean_of_clipped_projections_over_b(make_experiment, tmp_path):
    experiment = make_experiment({**PLAIN, "privacy.clip": 0.5})
    done = Setup(experiment, tmp_path)
    done.train()
    again = Setup(experiment, tmp_path / "again")
    start = {n: a.copy() for n, a in again.replica.model.arrays.items()}
    clipped = 0
    for slot, update in enumerate(read_history(tmp_path).updates):
        payloads = []
        for device in again.devices:
            for name, array in again.replica.model.arrays.items():
                array[...] = start[name]
            again.replica.replay(read_history(tmp_path).updates[:slot])
            p = again.replica.projections(device.batch(slot), round_seed(11, slot), 2, experiment.learning.mu)
            clipped += int((np.abs(p) > 0.5).sum())
            payloads.append(np.clip(p, -0.5, 0.5).sum(axis=0) / experiment.learning.batch)
        rate = 0.05 * 0.5 * (1 + math.cos(math.pi * slot / 4))
        assert update.seed == round_seed(11, slot)
        # each example is rounded to half a grid step, clip / (2 * 2^20 * B)
        tolerance = 50 * 0.5 / 2**21 / 10
        np.testing.assert_allclose(
            [-m.amount for m in update.moves], rate * np.mean(payloads, axis=0) / 2, rtol=1e-9, atol=rate * tolerance
        )
    assert clipped > 0
    assert len(read_history(tmp_path).updates) == 4


@pytest.mark.parametrize(
    "schedule, wanted",
    [
        ("constant", [0.2, 0.2, 0.2]),
        ("linear", [0.2, 0.1, 0.05]),
        ("cosine", [0.2, 0.1, 0.2 * 0.5 * (1 - math.sqrt(0.5))]),
    ],
)
def test_learning_rates(schedule, wanted):
    learning = Learning(rounds=100, rate=0.2, schedule=schedule)
    assert [rate_at(learning, i) for i in (0, 50, 75)] == pytest.approx(wanted)
    assert 0 < rate_at(learning, 99) <= 0.2


def test_an_erased_slot_moves_nothing_costs_no_round_and_can_be_replayed(make_experiment, tmp_path):
    done = Setup(make_experiment(PLAIN), tmp_path, jammed={1, 2})
    done.train()
    history = done.journal.history
    assert (history.rounds, history.erased, history.slots) == (4, 2, set(range(6)))
    assert [u.moves for u in history.updates if not u.moves] == [(), ()]
    assert [s.rounds for s in done.slots] == [1, 1, 1, 2, 3, 4]
    # the schedule counts committed rounds
    rates = [0.05 * 0.5 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    means = [-u.moves[0].amount / r * 2 for u, r in zip([u for u in history.updates if u.moves], rates, strict=True)]
    received = [s.received.total[0] / 3 for s in done.slots if not s.received.erased]
    assert means == pytest.approx(received)
    fresh = Setup(make_experiment(PLAIN), tmp_path / "fresh")
    fresh.replica.replay(read_history(tmp_path).updates)
    assert fresh.replica.digest() == done.replica.digest()


def test_a_loop_goes_on_where_its_journal_ends(make_experiment, tmp_path):
    experiment = make_experiment(PLAIN)
    whole = Setup(experiment, tmp_path / "whole")
    whole.train()
    first = Setup(experiment, tmp_path / "parts")
    first.train(stop_after=2)
    second = Setup(experiment, tmp_path / "parts")
    second.replica.replay(second.journal.history.updates)
    second.train()
    assert read_history(tmp_path / "parts").updates == read_history(tmp_path / "whole").updates
    assert second.replica.digest() == whole.replica.digest()


def test_every_slot_has_directions_of_its_own():
    seeds = {round_seed(seed, slot) for seed in range(20) for slot in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**64 for seed in seeds)
