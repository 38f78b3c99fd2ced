"""The round loop: the committed mean, learning rates, erased slots, and where a resumed loop goes on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from fl import session
from fl.config import Learning
from fl.crew import LocalCrew
from fl.guarantee import guarantee_of
from fl.journal import Journal, read_history
from fl.learning_rate import rate_at
from fl.proposal import limits_of
from fl.rounds import round_seed, train
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
        self.guarantee = guarantee_of(experiment)
        ledgers = folder / "ledger"
        self.devices = session.build_devices(experiment, task, self.replica.likelihood, self.guarantee, ledgers)
        self.air = Jammed(3, set(jammed))
        self.journal = Journal(folder, {"run_id": "r"})
        self.transport = InProcess("r", LocalCrew(self.replica, self.devices), self.devices, self.air)
        self.slots: list = []

    def train(self, stop_after=10**6):
        train(
            self.experiment.run.seed,
            self.experiment.learning,
            limits_of(self.experiment, self.guarantee),
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


# fmt: off
METHODS = {
    "momentum": {"learning.optimiser": "momentum", "learning.momentum": 0.5},
    "adam": {"learning.optimiser": "adam", "learning.rate": 1e-3},
    "normalised": {"learning.optimiser": "normalised", "learning.estimator": "one-sided", "learning.rate": 1e-3},
    "sign": {"learning.payload": "sign", "learning.rate": 1e-3},
    "local steps": {"learning.local_steps": 2},
    "local steps with momentum": {"learning.local_steps": 2, "learning.optimiser": "momentum"},
    "seed pool": {"learning.seed_pool": 2},
    "split with momentum": {
        "learning.optimiser": "momentum", "learning.estimator": "split", "learning.split_width": 2,
    },
    "low-rank with momentum": {
        "learning.optimiser": "momentum", "learning.direction": "low-rank", "learning.refresh": 2,
        "learning.parameters": ["*fc1.weight"],
    },
    "low-rank with local steps": {
        "learning.local_steps": 2, "learning.direction": "low-rank", "learning.parameters": ["*fc1.weight"],
    },
    "gaussian": {"learning.direction": "gaussian"},
    "low-rank": {"learning.direction": "low-rank", "learning.rank": 3, "learning.refresh": 2},
    "largest weights": {"learning.density": 0.01},
    "any weights": {"learning.density": 0.01, "learning.mask": "random", "learning.direction": "gaussian"},
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_after_an_interruption_as_if_there_had_been_none(make_experiment, tmp_path, method):
    experiment = make_experiment({**PLAIN, **METHODS[method]})
    whole = Setup(experiment, tmp_path / "whole", jammed={1})
    whole.train()
    for stop_after in (1, 3, 10):
        part = Setup(experiment, tmp_path / "parts", jammed={1})
        part.replica.replay(part.journal.history.updates)
        part.train(stop_after=stop_after)
    ours, theirs = (read_history(tmp_path / name).updates for name in ("parts", "whole"))
    assert ours == theirs
    assert [u.moves for u in ours] == [u.moves for u in theirs]
    assert part.replica.digest() == whole.replica.digest()
    fresh = Setup(experiment, tmp_path / "fresh")
    fresh.replica.replay(theirs)
    assert fresh.replica.digest() == whole.replica.digest()
    assert whole.journal.history.rounds == 4


def test_momentum_moves_along_every_earlier_direction(make_experiment, tmp_path):
    done = Setup(make_experiment({**PLAIN, **METHODS["momentum"], "learning.schedule": "constant"}), tmp_path)
    done.train()
    updates = done.journal.history.updates
    received = [s.received.total / 3 for s in done.slots]
    for t, update in enumerate(updates):
        wanted = [
            (updates[s].seed, j, -0.05 * 0.5 ** (t - s) * received[s][j] / 2) for s in range(t, -1, -1) for j in (0, 1)
        ]
        assert [(m.seed, m.perturbation) for m in update.moves] == [(seed, j) for seed, j, _ in wanted]
        assert [m.amount for m in update.moves] == pytest.approx([amount for _, _, amount in wanted])


def test_the_mean_of_signs_drives_the_step(make_experiment, tmp_path):
    done = Setup(make_experiment({**PLAIN, **METHODS["sign"]}), tmp_path)
    done.train()
    limits = limits_of(done.experiment, done.guarantee)
    assert (limits.saturation, limits.signs, limits.noise_std(3)) == (1.0, True, 0.0)
    for slot, update in zip(done.slots, done.journal.history.updates, strict=True):
        assert set(np.abs(slot.truth.sent).ravel()) == {1.0}
        rate = 1e-3 * 0.5 * (1 + math.cos(math.pi * slot.slot / 4))
        np.testing.assert_allclose(
            [-m.amount for m in update.moves], rate * slot.truth.sent.mean(axis=0) / 2, atol=1e-12
        )


def test_local_steps_leave_no_probe_in_the_weights_and_send_all_their_scalars(make_experiment, tmp_path):
    done = Setup(make_experiment({**PLAIN, **METHODS["local steps"]}), tmp_path, jammed={1})
    start = done.replica.digest()
    done.train(stop_after=0)
    assert done.replica.digest() == start
    again = Setup(done.experiment, tmp_path, jammed={1})
    again.train()
    updates = again.journal.history.updates
    assert {u.probe for u in updates} == {"untouched"}
    assert [[m.perturbation for m in u.moves] for u in updates] == [[0, 1, 2, 3], [], *[[0, 1, 2, 3]] * 3]
    assert all(s.truth.sent.shape == (3, 4) for s in again.slots)
    rates = [0.05 * 0.5 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    committed = [s for s in again.slots if not s.received.erased]
    for update, rate, slot in zip([u for u in updates if u.moves], rates, committed, strict=True):
        np.testing.assert_allclose([-m.amount for m in update.moves], rate * slot.truth.sent.mean(axis=0) / 2)


def test_a_pool_is_of_so_many_seeds_and_all_are_used():
    drawn = [round_seed(5, slot, pool=4) for slot in range(200)]
    counts = [drawn.count(seed) for seed in set(drawn)]
    assert len(counts) == 4
    assert min(counts) > 25  # 50 expected, standard deviation 6
    assert set(drawn) == {round_seed(5, slot, pool=4) for slot in range(200, 400)}
    assert not set(drawn) & {round_seed(6, slot, pool=4) for slot in range(50)}
    assert round_seed(5, 3) != round_seed(5, 3, pool=1)


def test_every_slot_has_directions_of_its_own():
    seeds = {round_seed(seed, slot) for seed in range(20) for slot in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_a_basis_lasts_refresh_slots_and_everything_else_is_drawn_anew():
    plain = [round_seed(7, slot) for slot in range(12)]
    assert plain == [round_seed(7, slot, 0) for slot in range(12)] == [round_seed(7, slot, 1) for slot in range(12)]
    held = [round_seed(7, slot, 5) for slot in range(12)]
    assert [seed & 0xFFFFFFFF for seed in held] == [seed & 0xFFFFFFFF for seed in plain]
    bases = [seed >> 32 for seed in held]
    assert [bases.index(basis) for basis in bases] == [0] * 5 + [5] * 5 + [10] * 2
    assert not set(bases) & {seed >> 32 for seed in plain}
    assert round_seed(8, 0, 5) >> 32 not in bases


def test_only_low_rank_rounds_share_a_basis(make_experiment, tmp_path):
    for name, bases in (("low-rank", 2), ("rademacher", 4)):
        refresh = {"learning.refresh": 2} if name == "low-rank" else {}
        done = Setup(make_experiment({**PLAIN, "learning.direction": name, **refresh}), tmp_path / name)
        done.train()
        assert len({u.seed >> 32 for u in done.journal.history.updates}) == bases
