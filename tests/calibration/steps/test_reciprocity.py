"""Reciprocity where it can be measured, and where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.rig import Rig
from calibration.steps.reciprocity import Reciprocity
from radio.radio import Radio
from radio.surroundings import from_profile
from radio.tone import phasor


class TwoWay:
    """Radios that all send and listen over a table of complex gains, none of them its own."""

    def __init__(self, ways: np.ndarray, unit: int, sending: dict[int, np.ndarray]) -> None:
        self.lo_hz, self.rate_sps = 915e6, 1e6
        self.transmit_gain_db, self.receive_gain_db = 0.0, 3.0 * unit
        self.clock_samples = 0
        self._ways, self._unit, self._sending = ways, unit, sending

    def transmit(self, samples: np.ndarray, cyclic: bool = False) -> None:
        self._sending[self._unit] = samples

    def receive(self, n: int) -> np.ndarray:
        self.clock_samples += n
        heard = 1e-4 * phasor(0.01 * self._unit + 0.3, n)
        for unit, wave in self._sending.items():
            heard = heard + self._ways[unit, self._unit] * np.resize(wave, n)
        return heard * 10 ** (self.receive_gain_db / 20)

    def mute(self) -> None:
        self._sending.pop(self._unit, None)

    def close(self) -> None:
        self.mute()


def two_way(ways: np.ndarray) -> Rig:
    sending: dict[int, np.ndarray] = {}
    radios: list[Radio] = [TwoWay(ways, unit, sending) for unit in range(len(ways))]
    return Rig(
        radios[:-1], radios[-1], names=[f"device-{k}" for k in range(len(ways) - 1)], guard_samples=0,
        offset_max_hz=0.0, shared_clock=True, wait=lambda _: None,
    )  # fmt: skip


def test_ways_that_differ_for_one_device_are_told() -> None:
    ways = 0.1 * np.exp(2j * np.arange(16.0).reshape(4, 4))
    ways[3, :] *= 10 ** (-3 / 20)  # the receiver's own transmitter is weaker, for all alike
    ways[3, 1] *= 2.0
    rig = two_way(ways)
    outcome = Reciprocity().run(rig, {})
    assert outcome.facts["measurable"]
    differences = [fact["difference_db"] for fact in outcome.facts["device"]]
    step = 20 * np.log10(2.0)
    assert np.allclose(differences, [step / 3, -2 * step / 3, step / 3], atol=0.05)
    assert [one.verdict for one in outcome.findings] == ["fail"] * 3 and outcome.findings[0].advice
    assert [radio.receive_gain_db for radio in rig.transmitters] == [0.0, 3.0, 6.0]


def test_where_only_one_way_can_be_measured_that_is_a_fact() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 3))
    outcome = Reciprocity().run(rig, {})
    (only,) = outcome.findings
    assert only.verdict == "pass" and "not measurable here" in only.quantity and not outcome.facts["measurable"]
    assert rig.medium.on_air == ()


@pytest.mark.libiio
def test_a_receiver_without_a_permit_does_not_transmit(virtual: Callable[..., Any]) -> None:
    rig, plutos = virtual(2, clock="shared", start_lag_s=0.003)
    outcome = Reciprocity().run(rig, {})
    assert not outcome.facts["measurable"] and "permit" in outcome.facts["why"]
    assert plutos.units[1].starts == 0
