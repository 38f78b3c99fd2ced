from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import privacy.ledger as module
from privacy.accounting import Charge, epsilon, gaussian_epsilon, noise_multiplier
from privacy.ledger import Budget, Ledger, Owner
from privacy.record_log import encode, read_records
from privacy.schedule import schedule_scale
from privacy.unit import DEVICE
from radio.errors import BudgetError, InputError

OWNER = Owner("device-0", "d" * 64)
BUDGET = Budget(2.0, 1e-5)
UNSAMPLED = Charge(1.0, 8.0)  # mu = 1/8 a round; epsilon 2 holds mu = .5016, so 16.1 rounds
SAMPLED = Charge(0.1, 2.0)


def test_charges_add_up_to_the_exact_budget_and_no_further(tmp_path: Path) -> None:
    with Ledger(tmp_path / "owner.ledger", OWNER, BUDGET) as ledger:
        assert ledger.remaining(UNSAMPLED) == 16
        for slot in range(16):
            ledger.charge("run", slot, UNSAMPLED)
        assert ledger.epsilon() == pytest.approx(gaussian_epsilon(0.5, 1e-5), rel=1e-9)
        before = (tmp_path / "owner.ledger").read_bytes()
        with pytest.raises(BudgetError, match=r"device-0 is spent: epsilon 1\.99.* of 2 at delta 1e-05 after 16"):
            ledger.charge("run", 16, UNSAMPLED)
        assert (tmp_path / "owner.ledger").read_bytes() == before
        ledger.charge("run", 16, Charge(1.0, 100.0))  # a quieter statement may still fit
        assert ledger.spent() == [(UNSAMPLED, 16), (Charge(1.0, 100.0), 1)]


def test_a_calibrated_run_fits_exactly_and_a_second_one_does_not(tmp_path: Path) -> None:
    rounds = 60
    charge = Charge(0.05, noise_multiplier(BUDGET.epsilon, BUDGET.delta, 0.05, rounds))
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger:
        for slot in range(rounds):
            ledger.charge("first", slot, charge)
        assert ledger.epsilon() <= BUDGET.epsilon
        extra = ledger.remaining(charge)
    assert extra <= 1
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger:
        for slot in range(extra):
            ledger.charge("second", slot, charge)
        with pytest.raises(BudgetError, match="Nothing was transmitted"):
            ledger.charge("second", extra, charge)


def test_a_repeated_slot_is_a_second_charge(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger:
        for run, slot in (("a", 0), ("a", 1), ("a", 1), ("b", 0)):
            ledger.charge(run, slot, SAMPLED)
        assert ledger.slots("a") == {0: 1, 1: 2}
        assert ledger.slots("b") == {0: 1}
        assert ledger.slots("c") == {}
        assert ledger.spent() == [(SAMPLED, 4)]
        assert ledger.epsilon() == epsilon([(SAMPLED, 4)], 1e-5)


def test_recorded_only_enforces_nothing_records_a_slot_once_and_voids(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", OWNER, BUDGET, enforce=False) as ledger:
        for slot in [*range(40), 39, 39]:
            ledger.charge("run", slot, UNSAMPLED)
        assert ledger.spent() == [(UNSAMPLED, 40)]
        assert ledger.epsilon() > BUDGET.epsilon
        assert ledger.void
    with Ledger(tmp_path / "l", OWNER, BUDGET, enforce=False) as ledger:
        ledger.charge("run", 39, UNSAMPLED)
        ledger.charge("run", 40, UNSAMPLED)
        assert ledger.spent() == [(UNSAMPLED, 41)]
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger, pytest.raises(BudgetError, match="reproducible noise"):
        ledger.charge("real", 0, Charge(1.0, 1e6))


def test_the_header_binds_owner_data_and_budget(tmp_path: Path) -> None:
    path = tmp_path / "l"
    Ledger(path, OWNER, BUDGET).close()
    with pytest.raises(InputError, match="ledger of device-0"):
        Ledger(path, Owner("device-1", OWNER.data_digest), BUDGET)
    with pytest.raises(InputError, match="every data set has a ledger"):
        Ledger(path, Owner("device-0", "e" * 64), BUDGET)
    with pytest.raises(InputError, match="grants device-0 epsilon 2 at delta 1e-05"):
        Ledger(path, OWNER, Budget(3.0, 1e-5))
    with Ledger(path, OWNER, Budget(1.0, 1e-5)) as strict:  # a run may be stricter than the owner
        assert strict.remaining(UNSAMPLED) == 4  # (.2681 * 8)^2 = 4.6
    with Ledger(path, OWNER, BUDGET) as ledger:  # a refused opening left no lock behind
        assert ledger.remaining(UNSAMPLED) == 16
        with pytest.raises(InputError, match="in use"):
            Ledger(path, OWNER, BUDGET)
    (tmp_path / "other").write_bytes(b"")
    Ledger(tmp_path / "other", OWNER, BUDGET).close()  # empty: a crash before the header
    for bad in (Budget(0.0, 1e-5), Budget(1.0, 0.0)):
        with pytest.raises(InputError, match="allowed"):
            Ledger(tmp_path / "never", OWNER, bad)
    assert not (tmp_path / "never").exists()


KINDS = [Charge(1.0, 5.0), Charge(1.0, 9.0), Charge(0.2, 2.0)]


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("charge"), st.sampled_from(KINDS), st.integers(1, 12)),
            st.just(("crash", None, 0)),
            st.just(("tear", None, 0)),
        ),
        max_size=8,
    )
)
def test_never_overspends_whatever_is_charged_reopened_or_torn(steps: list, tmp_path: Path) -> None:
    path = tmp_path / "l"
    path.unlink(missing_ok=True)
    ledger = Ledger(path, OWNER, BUDGET)
    granted: dict[Charge, int] = {}
    for action, kind, times in steps:
        if action == "charge":
            for slot in range(times):
                try:
                    ledger.charge("run", slot, kind)
                except BudgetError:
                    continue
                granted[kind] = granted.get(kind, 0) + 1
        else:
            os.close(ledger._log._file)  # the process dies: no clean-up of any sort runs
            ledger._log._file = -1
            if action == "tear":
                with path.open("ab") as file:
                    file.write(b'deadbeef {"kind":"char')
            ledger = Ledger(path, OWNER, BUDGET)
    spent = ledger.spent()
    ledger.close()
    assert spent == sorted(granted.items())  # nothing granted is forgotten
    assert epsilon(spent, BUDGET.delta) <= BUDGET.epsilon


def test_cut_at_any_byte_of_the_unsynced_record_no_granted_charge_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with Ledger(path, OWNER, BUDGET) as ledger:
        for slot in range(3):
            ledger.charge("run", slot, UNSAMPLED)
        synced = path.stat().st_size
        ledger.charge("run", 3, UNSAMPLED)
    whole = path.read_bytes()
    for cut in range(synced, len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Ledger(path, OWNER, BUDGET) as ledger:
            assert ledger.spent() == [(UNSAMPLED, 3 + (cut == len(whole)))]


def test_killed_at_random_moments_the_budget_holds_and_charges_survive(tmp_path: Path) -> None:
    """Each child 'transmits' by printing after its charge: transmissions <= charges <= budget, whenever it is
    killed."""
    path = tmp_path / "l"
    script = (
        "import os, sys\n"
        "from privacy.accounting import Charge\n"
        "from privacy.ledger import Budget, Ledger, Owner\n"
        "from radio.errors import BudgetError\n"
        "ledger = Ledger(sys.argv[1], Owner('device-0', 'd' * 64), Budget(2.0, 1e-5))\n"
        "charge = Charge(1.0, 300.0)\n"
        "try:\n"
        "    for slot in range(10**6):\n"
        "        ledger.charge('run', slot, charge)\n"
        "        os.write(1, b'.')\n"
        "except BudgetError:\n"
        "    os.write(1, b'#')\n"
    )
    fits = int((0.50159 * 300) ** 2)  # mu* = .50159 at epsilon 2
    moments, sent, kills = random.Random(9), 0, 5
    for _ in range(kills):
        child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        first = child.stdout.read(1)
        time.sleep(moments.uniform(0.0, 0.08))
        os.kill(child.pid, signal.SIGKILL)
        sent += (first + child.stdout.read()).count(b".")
        child.wait()
        child.stdout.close()
    charged = len(read_records(path)) - 1
    assert kills <= sent <= charged <= min(sent + kills, fits)
    with Ledger(path, OWNER, BUDGET) as ledger:
        assert ledger.spent() == [(Charge(1.0, 300.0), charged)]
        assert ledger.epsilon() <= BUDGET.epsilon


def test_a_pool_is_charged_once_a_slot_however_many_devices_transmit(tmp_path):
    from privacy.ledger import PoolLedger

    charge = Charge(0.1, 5.0)
    with PoolLedger(tmp_path / "pool.jsonl", Owner("all", "cd" * 32), Budget(1.0, 1e-5)) as pool:
        for slot in range(3):
            for _device in range(5):
                pool.charge("run", slot, charge)
        assert pool.slots("run") == {0: 1, 1: 1, 2: 1}
    with PoolLedger(tmp_path / "pool.jsonl", Owner("all", "cd" * 32), Budget(1.0, 1e-5)) as pool:
        # a slot charged again after a crash has been on the air again
        pool.charge("run", 2, charge)
        assert pool.slots("run") == {0: 1, 1: 1, 2: 2}


def test_unit_and_threat_are_bound_and_a_file_of_version_1_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "l"
    Ledger(path, OWNER, BUDGET, unit=DEVICE, threat="aggregate").close()
    header = read_records(path)[0]
    assert (header["version"], header["unit"]) == (2, "device, replace all data of one")
    assert header["threat"] == "aggregate"
    Ledger(path, OWNER, BUDGET, unit=DEVICE, threat="aggregate").close()
    with pytest.raises(InputError, match="unit 'device, replace all data of one' against the threat aggregate"):
        Ledger(path, OWNER, BUDGET, threat="aggregate")
    with pytest.raises(InputError, match="do not add up"):
        Ledger(path, OWNER, BUDGET, unit=DEVICE)
    old = {key: value for key, value in header.items() if key != "threat"}
    old |= {"version": 1, "unit": "example, add or remove one"}
    path.write_bytes(encode(old))
    with Ledger(path, OWNER, BUDGET) as ledger:
        ledger.charge("run", 0, UNSAMPLED)
    with Ledger(path, OWNER, BUDGET) as ledger:
        assert ledger.spent() == [(UNSAMPLED, 1)]
    with pytest.raises(InputError, match="unit 'example, add or remove one' against the threat own-noise"):
        Ledger(path, OWNER, BUDGET, unit=DEVICE)
    path.write_bytes(encode(old | {"version": 3}))
    with pytest.raises(InputError, match="version 1 or 2"):
        Ledger(path, OWNER, BUDGET)


def test_the_devices_own_floor_refuses_what_the_budget_would_allow(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", OWNER, BUDGET, floor=10.0) as ledger:
        assert ledger.remaining(UNSAMPLED) == 0
        assert ledger.would_exceed(UNSAMPLED) and not ledger.allows([(UNSAMPLED, 1)])
        with pytest.raises(BudgetError, match="multiplier of 8 was asked of device-0, whose own least is 10"):
            ledger.charge("run", 0, UNSAMPLED)
        ledger.charge("run", 0, Charge(1.0, 10.0))
        assert ledger.spent() == [(Charge(1.0, 10.0), 1)]
    with pytest.raises(InputError, match="least noise multiplier"):
        Ledger(tmp_path / "never", OWNER, BUDGET, floor=float("nan"))


class Counted:
    """How often the ledger asked the accountant."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        for name in ("rounds_allowed", "fits"):
            monkeypatch.setattr(module, name, self._wrap(getattr(module, name)))

    def _wrap(self, asked):  # type: ignore[no-untyped-def]
        def wrapped(*arguments):  # type: ignore[no-untyped-def]
            self.times += 1
            return asked(*arguments)

        return wrapped


def test_kinds_that_vary_from_round_to_round_are_certified_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accountant = Counted(monkeypatch)
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger:
        for slot in range(200):
            charge = Charge(1.0, 40.0 + slot * 7 % 13)
            assert not ledger.would_exceed(charge)
            ledger.charge("run", slot, charge)
        assert accountant.times <= 13  # at worst once for every kind that is dearer than all before it
        assert ledger.remaining(Charge(1.0, 40.0)) > 0


def test_a_schedule_is_certified_once_however_its_noise_rises_or_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = 0.98 ** (-np.arange(150)[::-1] / 4.0)  # noise falls towards the end
    multipliers = schedule_scale(2.0, 1e-5, 1.0, shape) * shape
    accountant = Counted(monkeypatch)
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger:
        assert ledger.allows([(Charge(1.0, z), 1) for z in multipliers])
        for slot, z in enumerate(multipliers):
            assert not ledger.would_exceed(Charge(1.0, z))
            ledger.charge("run", slot, Charge(1.0, z))
        assert accountant.times == 1
        assert 1.999 < ledger.epsilon() <= 2.0
        assert ledger.would_exceed(Charge(1.0, multipliers[0] / 2))
        assert not ledger.allows([(Charge(1.0, 8.0), 2)])


def test_a_pool_charges_again_what_the_first_device_did_not_cover(tmp_path: Path) -> None:
    from privacy.ledger import PoolLedger

    with PoolLedger(tmp_path / "pool", OWNER, BUDGET) as pool:
        for multiplier in (9.0, 12.0, 6.0, 7.0):
            pool.charge("run", 0, Charge(1.0, multiplier))
        assert pool.spent() == [(Charge(1.0, 6.0), 1), (Charge(1.0, 9.0), 1)]


def test_a_schedule_is_for_each_slot_once_and_in_its_order(tmp_path: Path) -> None:
    charge = Charge(1.0, 20.0)
    with Ledger(tmp_path / "l", OWNER, BUDGET) as ledger:
        ledger.charge("run", 3, charge, in_order=True)
        for slot in (3, 2):
            with pytest.raises(BudgetError, match="fixed ahead for one transmission"):
                ledger.charge("run", slot, charge, in_order=True)
        ledger.charge("another", 0, charge, in_order=True)
        ledger.charge("run", 4, charge, in_order=True)
        assert ledger.slots("run") == {3: 1, 4: 1}
