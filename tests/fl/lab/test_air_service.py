"""The air as a process: what comes back is what the same air gives in this process, bit for bit, and never a payload."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fl.config import Experiment
from fl.lab import keys
from fl.lab.air_service import AirLink, LabAir, pack, unpack
from fl.lab.messages import Propose
from fl.session import build_air
from radio.air import ChannelState
from radio.errors import InputError

NAMES = [f"device-{k}" for k in range(3)]
PROPOSE = Propose(5, 3, 0.0, (1.0, 0.0), 1.0)


@pytest.fixture
def experiment(make_experiment: Callable[..., Experiment]) -> Experiment:
    return make_experiment({"radio.fidelity": "symbol", "radio.fading": "static"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys.init(tmp_path / "keys")
    for k in range(3):
        keys.enroll(tmp_path / "keys", f"device-{k}")
    return tmp_path / "keys"


@pytest.fixture
def air(experiment: Experiment, folder: Path) -> Iterator[LabAir]:
    made = LabAir(experiment, "127.0.0.1", folder, lambda: np.array([True, True, False]), lambda: NAMES)
    yield made
    made.close()


def same(a: object, b: object) -> None:
    for field in dataclasses.fields(a):  # type: ignore[arg-type]
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))


def test_records_survive_the_pipe(experiment: Experiment) -> None:
    state = build_air(experiment).sound(3)
    same(unpack(ChannelState, pack(state)), state)


def test_sums_are_those_of_the_air(air: LabAir, experiment: Experiment, folder: Path) -> None:
    reference = build_air(experiment)
    found, known = air.sound(5), reference.sound(5)
    np.testing.assert_array_equal(found.quality, [True, True, False])  # the third is not there
    same(replace(found, quality=known.quality), known)
    assert air.on_air_samples == reference.on_air_samples  # type: ignore[attr-defined]

    plan = air.mode.plan(found, 10.0)
    payloads: NDArray[np.float64] = np.array([[1.25], [-0.5], [0.0]])
    for k in range(2):
        link = AirLink(f"tcp://127.0.0.1:{air.port}", keys.load_device(folder, NAMES[k]))
        assert link.transmit(4, payloads[k] + 7.0, PROPOSE, 30.0)  # of another slot: not in the sum
        assert link.transmit(5, payloads[k], PROPOSE, 30.0)
        link.close()
    got, there = air.receive(5, 1, plan), reference.aggregate(5, payloads, plan)
    # how loud each of them was, and whether it was limited, is not for the server
    assert (got.clipped == -1).all() and got.transmit_power_dbfs[0] >= there.transmit_power_dbfs[0]
    same(replace(got, clipped=there.clipped, transmit_power_dbfs=there.transmit_power_dbfs), there)


def test_a_fault_of_the_air_is_explained(experiment: Experiment, folder: Path) -> None:
    nowhere = folder / "missing"
    with pytest.raises(InputError, match="keys init"):
        LabAir(experiment, "127.0.0.1", nowhere, lambda: np.ones(3, bool), lambda: NAMES)
