"""A device charges before it draws, sends noise whatever its batch, and shares no randomness with public seeds."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from fl import session
from fl.device import Device
from fl.guarantee import guarantee_of
from fl.likelihood import Encoded
from privacy.accounting import Charge
from privacy.grid import Grid
from privacy.ledger import Budget, Ledger, Owner
from privacy.mechanism import OwnNoise
from privacy.noise import ReproducibleSecret, SystemSecret
from privacy.record_log import read_records
from privacy.threats import threats
from radio.errors import BudgetError

CHARGE = Charge(1.0, 20.0)  # without sampling epsilon has a closed form
GRID = Grid(10.0, 16.0)
EXAMPLES = [Encoded((2, i), i % 2) for i in range(40)]


class Watched:
    """A secret that notes what the ledger's file held whenever bytes were drawn for a purpose."""

    reproducible = False

    def __init__(self, ledger, seen, name=()):
        self._ledger, self._seen, self._name = ledger, seen, name
        self._bytes = ReproducibleSecret(1, *name)

    def bytes(self, count):
        charged = [r["slot"] for r in read_records(self._ledger.path) if r["kind"] == "charge"]
        self._seen.append((self._name, charged))
        return self._bytes.bytes(count)

    def stream(self, *name):
        return Watched(self._ledger, self._seen, (*self._name, *name))


def device(ledger: Ledger | None = None, secret=None, rate: float = 0.3, perturbations: int = 2) -> Device:
    mechanism = OwnNoise(GRID, perturbations, CHARGE)
    return Device("device-0", EXAMPLES, rate, GRID, secret or SystemSecret(), mechanism, ledger)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.jsonl", Owner("device-0", "ab" * 32), Budget(1.0, 1e-5)) as ledger:
        yield ledger


def test_the_charge_is_on_the_disk_before_noise_is_drawn(ledger):
    seen: list = []
    one = device(ledger, Watched(ledger, seen))
    for slot in (0, 1, 5):
        batch = one.batch(slot)
        one.release("run", slot, np.zeros((len(batch), 2)))
    assert [(name[2], charged) for name, charged in seen if name[2] == "batch"] == [
        ("batch", []), ("batch", [0]), ("batch", [0, 1]),
    ]  # fmt: skip
    noise = [(name[1], charged[-1]) for name, charged in seen if name[2] == "noise"]
    assert noise
    assert {slot for slot, _ in noise} == {0, 1, 5}
    assert all(slot == newest for slot, newest in noise)


def test_a_refused_charge_draws_and_sends_nothing(ledger):
    seen: list = []
    one = device(ledger, Watched(ledger, seen))
    slot = 0
    while one.can_charge():
        ledger.charge("earlier run", slot, CHARGE)
        slot += 1
    assert ledger.epsilon() <= 1.0
    with pytest.raises(BudgetError, match="spent"):
        one.release("run", 0, np.zeros((0, 2)))
    assert not seen
    assert ledger.slots("run") == {}


def test_an_empty_batch_still_sends_noise(ledger):
    one = device(ledger)
    sent = np.array([one.release("run", slot, np.empty((0, 2))) for slot in range(4)])
    assert np.unique(sent).size == 8
    assert ledger.slots("run") == {slot: 1 for slot in range(4)}


def test_noise_has_the_charged_size_and_lies_on_the_grid():
    one = device()
    sent = np.concatenate([one.release("run", slot, np.empty((0, 2))) for slot in range(300)])
    # multiplier * sqrt(P) * clip / B
    assert one.noise_std == pytest.approx(20 * np.sqrt(2) * 10 / 16, rel=1e-6)
    assert sent.std() == pytest.approx(one.noise_std, rel=5 / np.sqrt(2 * sent.size))
    np.testing.assert_array_equal(sent / GRID.step, np.rint(sent / GRID.step))


def test_a_device_adds_the_larger_of_what_is_proposed_and_its_own_floor():
    aggregate = Device(
        "d", EXAMPLES, 0.3, GRID, SystemSecret(), OwnNoise(GRID, 2, CHARGE), threat=threats()["aggregate"]
    )
    full = aggregate.noise_std
    assert aggregate.floor(4).noise_std == pytest.approx(full / 2, rel=1e-6)
    nothing = np.empty((0, 2))
    for active, proposed, wanted in (
        (1, 0.0, full),
        (4, 0.0, full / 2),
        (4, full / 9, full / 2),
        (4, 3 * full, 3 * full),
    ):
        sent = np.concatenate([aggregate.release("run", t, nothing, active, proposed) for t in range(300)])
        assert sent.std() == pytest.approx(wanted, rel=5 / np.sqrt(2 * sent.size))


def test_under_a_trusted_receiver_a_device_charges_and_adds_nothing(ledger):
    trusted = threats()["trusted-receiver"]
    one = Device("d", EXAMPLES, 0.3, GRID, SystemSecret(), OwnNoise(GRID, 1, CHARGE), ledger, threat=trusted)
    assert one.release("run", 0, np.full((8, 1), 1.0), 5)[0] == pytest.approx(0.5, abs=8 * GRID.step)
    assert ledger.slots("run") == {0: 1}


def test_examples_are_clipped_and_nan_counts_as_nothing():
    values = np.array([[3.0], [25.0], [-1e9], [np.nan], [np.inf]])
    one = Device("d", EXAMPLES, 0.3, GRID, SystemSecret())
    assert one.clean(values)[0] == pytest.approx((3 + 10 - 10) / 16, abs=5 * GRID.step)
    # without a mechanism privacy is off, and what is sent is the clean value
    assert one.noise_std == 0.0
    np.testing.assert_array_equal(one.release("run", 0, values), one.clean(values))


def test_a_sign_is_that_of_the_noised_value(ledger):
    secret = ReproducibleSecret(5, "device", 0)
    mechanism = OwnNoise(GRID, 2, CHARGE)
    value = Device("d", EXAMPLES, 0.3, GRID, secret, mechanism)
    sign = Device("d", EXAMPLES, 0.3, GRID, secret, mechanism, ledger, signs=True)
    projections = np.array([[4.0, -3.0]])
    for slot in range(20):
        np.testing.assert_array_equal(
            sign.release("run", slot, projections), np.sign(value.release("run", slot, projections))
        )
    assert ledger.slots("run") == {slot: 1 for slot in range(20)}  # post-processing costs nothing more
    np.testing.assert_array_equal(sign.clean(projections), [1.0, -1.0])


def test_signs_have_the_probability_of_the_noised_value():
    one = Device("d", EXAMPLES, 0.3, GRID, SystemSecret(), OwnNoise(GRID, 1, CHARGE), signs=True)
    # clean value 8 x 10 / 16 = 5, noise 12.5
    draws = np.concatenate([one.payload(slot, np.full((8, 1), 10.0)) for slot in range(2000)])
    assert set(draws) == {1.0, -1.0}
    wanted = 0.5 * (1 + math.erf(5 / 12.5 / math.sqrt(2)))
    assert (draws > 0).mean() == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / 2000))


def test_the_sign_of_nothing_is_a_fair_secret_coin():
    one = Device("d", EXAMPLES, 0.3, GRID, ReproducibleSecret(2), signs=True)
    draws = np.array([one.payload(slot, np.empty((0, 3))) for slot in range(700)])
    assert set(draws.ravel()) == {1.0, -1.0}
    assert abs(draws.mean(axis=0)).max() < 4 / math.sqrt(700)
    np.testing.assert_array_equal(draws[5], one.payload(5, np.empty((0, 3))))  # reproducible: the same draws again
    np.testing.assert_array_equal(one.payload(0, np.array([[3.0, -1.0, 2.0]])), [1.0, -1.0, 1.0])
    np.testing.assert_array_equal(one.clean(np.empty((0, 3))), [0.0, 0.0, 0.0])


def test_a_budget_is_counted_in_releases(ledger):
    one = device(ledger)
    left = ledger.remaining(CHARGE)
    assert one.can_charge(left)
    assert not one.can_charge(left + 1)
    one.charge("run", 0)
    assert not one.can_charge(left)


def test_batches_are_poisson_and_fresh_for_every_slot():
    one = device(secret=ReproducibleSecret(1, "device", 0))
    sizes = [len(one.batch(slot)) for slot in range(400)]
    mean, variance = 40 * 0.3, 40 * 0.3 * 0.7
    assert np.mean(sizes) == pytest.approx(mean, abs=5 * np.sqrt(variance / 400))
    assert np.var(sizes) == pytest.approx(variance, rel=0.4)
    assert one.batch(0) != one.batch(1)
    assert one.batch(7) == one.batch(7)  # reproducible: an interrupted slot is repeated with the same draws


@pytest.fixture
def open_devices(make_experiment, tmp_path):
    opened = []

    def build(name, changes):
        experiment = make_experiment(changes)
        task = session.experiment_task(experiment)
        devices = session.build_devices(
            experiment, task, Plain(), guarantee_of(experiment, CHARGE.noise_multiplier), tmp_path / name
        )
        opened.append(devices)
        return devices

    yield build
    for devices in opened:
        session.close_ledgers(devices)


class Plain:
    """Encodes a prompt as its length: these tests look at no loss."""

    def encode(self, prompt, label):
        return Encoded((len(prompt),), label)


def releases(devices):
    return np.array([d.release("run", slot, np.zeros((0, 1))) for d in devices for slot in range(3)])


def test_two_equal_private_runs_share_no_batch_and_no_noise(open_devices, monkeypatch):
    asked = []
    real = os.urandom
    monkeypatch.setattr(os, "urandom", lambda count: asked.append(count) or real(count))
    first, second = open_devices("a", {}), open_devices("b", {})
    assert all(not d.secret.reproducible for d in first)
    assert [d.batch(0) for d in first] != [d.batch(0) for d in second]
    assert asked  # from the operating system, no seed of the experiment enters
    asked.clear()
    assert not np.intersect1d(releases(first), releases(second)).size
    assert asked


def test_reproducible_runs_repeat_their_draws_and_devices_differ(open_devices):
    wanted = {"privacy.reproducible": True}
    first, second = open_devices("a", wanted), open_devices("b", wanted)
    np.testing.assert_array_equal(releases(first), releases(second))
    assert np.unique(releases(first)).size == 9
    assert [d.batch(3) for d in first] == [d.batch(3) for d in second]
    assert not any(d.ledger.enforce for d in first)
    other = open_devices("c", {**wanted, "run.seed": 12})
    assert not np.intersect1d(releases(first), releases(other)).size


def test_every_data_owner_has_a_ledger_of_its_own(open_devices):
    devices = open_devices("a", {})
    assert len({d.ledger.path for d in devices}) == 3
    assert len({d.ledger.owner.data_digest for d in devices}) == 3
