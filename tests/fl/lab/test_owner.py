"""What a data owner cannot be talked out of, without sockets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fl.guarantee import guarantee_of
from fl.lab import device_state as protocol
from fl.lab.device import DeviceProcess
from fl.lab.keys import DeviceKeys
from fl.lab.messages import Propose
from fl.lab.owner import EPSILON, Terms, check
from radio.errors import InputError

OWN = Terms(data=Path("own.tsv"))


def refused(experiment, terms=OWN, public=False, examples=50) -> str:
    with pytest.raises(InputError) as told:
        check(experiment, guarantee_of(experiment), terms, public, examples)
    return str(told.value)


def accepted(experiment, terms=OWN, public=False, examples=50) -> None:
    check(experiment, guarantee_of(experiment), terms, public, examples)


def test_private_data_has_a_limit_where_its_owner_named_none(make_experiment):
    dear = make_experiment({"privacy.epsilon": 2 * EPSILON, "privacy.unit": "device"})
    assert f"--epsilon {EPSILON:g} is the most" in refused(dear)
    accepted(dear, Terms(data=Path("own.tsv"), epsilon=100.0))
    accepted(dear, Terms(), public=True)
    accepted(make_experiment())


def test_the_server_does_not_choose_delta(make_experiment):
    """It says how many examples a device has, and by that what delta an experiment may have; the owner counts its own."""
    loose = make_experiment({"privacy.delta": 0.019, "privacy.epsilon": 1.0})
    assert "100 examples need one below 0.01" in refused(loose, examples=100)
    assert "--delta 0.001 is the most" in refused(loose, Terms(data=Path("own.tsv"), delta=1e-3), examples=20)
    accepted(loose, examples=50)


def test_what_lab_mode_cannot_keep_is_refused_by_the_device_too(make_experiment):
    weighted = {"privacy.schedule": "weighted", "learning.schedule": "cosine", "privacy.unit": "device"}
    assert "lab mode takes 'constant'" in refused(make_experiment(weighted))
    assert "lab mode takes 'constant'" in refused(make_experiment(weighted), public=True)
    aligned = make_experiment({"privacy.threat": "aggregate", "privacy.assume_perfect_csi": True})
    willing = Terms(data=Path("own.tsv"), threat="aggregate")
    assert "handed every device's number by itself" in refused(aligned, willing)
    accepted(aligned, willing, public=True)


@pytest.mark.parametrize("perturbations, active", [(2, 1), (1, 4)])
def test_more_numbers_or_more_devices_than_the_experiment_has_charge_nothing(make_experiment, perturbations, active):
    """A server that opens a round for more perturbations than were sized for, or counts on noise of devices that are not."""

    class Untouched:
        def release(self, *args: object) -> None:
            raise AssertionError("charged")

    class Built:
        experiment, device = make_experiment(), Untouched()

    said: list[str] = []
    process = DeviceProcess("tcp://127.0.0.1:1", DeviceKeys.__new__(DeviceKeys), OWN, said.append)
    process._built, process._state = Built, protocol.State("1", run_id="0" * 16)
    process._projections = np.zeros((3, perturbations))
    answer = process._release(Propose(5, active, 0.0, (1.0, 0.0), 1.0))
    assert answer == protocol.Released(5, "terms")
    assert "were asked for" in said[0]
