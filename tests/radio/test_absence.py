"""Absences: as often, as long and as reproducible as asked for, over an air that is otherwise unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from radio.absence import Absence, SparseAir
from radio.air import Exposed
from radio.modes import open_air


def test_devices_are_away_as_often_as_asked_for():
    absence = Absence(3, away=0.3)
    present = np.array([absence.present(t, 8) for t in range(400)])
    # five standard deviations of Binomial(3200, 0.7), about 26 each
    assert abs(present.sum() - 0.7 * present.size) < 5 * 26
    np.testing.assert_array_equal(absence.present(7, 8), present[7])


def test_absences_last_and_do_not_begin_together():
    absence = Absence(3, away=0.5, rounds=10)
    present = np.array([absence.present(t, 6) for t in range(200)])
    for device in present.T:
        changes = np.flatnonzero(np.diff(device))
        assert (np.diff(changes) % 10 == 0).all()  # whole blocks, each device's own
    starts = [np.flatnonzero(np.diff(device))[0] % 10 for device in present.T]
    assert len(set(starts)) > 1


def test_who_is_away_is_left_out_and_who_is_silent_is_missed():
    away = SparseAir(open_air(5, 1, mode="ideal"), Absence(3, away=0.4))
    silent = SparseAir(open_air(5, 1, mode="ideal"), Absence(3, silent=0.4))
    payloads = np.arange(1.0, 6.0)[:, None]
    present, speaking = Absence(3, away=0.4).present(2, 5), Absence(3, silent=0.4).speaking(2, 5)
    assert 0 < present.sum() < 5 and 0 < speaking.sum() < 5
    plan = away.plan(away.sound(2), 10.0)
    np.testing.assert_array_equal(plan.active, present)
    assert away.aggregate(2, payloads, plan).total[0] == payloads[present].sum()
    plan = silent.plan(silent.sound(2), 10.0)
    assert plan.active.all()
    assert silent.aggregate(2, payloads, plan).total[0] == payloads[speaking].sum()


@pytest.mark.parametrize("mode", ["coherent", "ideal"])
def test_the_rest_is_the_air_s_own(mode):
    settings = {"fidelity": "symbol", "snr_db": 20.0} if mode == "coherent" else {}
    air = open_air(3, 1, mode=mode, **settings)
    sparse = SparseAir(air, Absence(1))
    assert sparse.mode is air.mode and sparse.devices == 3
    assert isinstance(sparse, Exposed) == isinstance(air, Exposed)
    np.testing.assert_array_equal(sparse.sound(4).gains, open_air(3, 1, mode=mode, **settings).sound(4).gains)
    sparse.close()
