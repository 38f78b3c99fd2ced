"""Tones that are held are started once, and again when one of them may not run any more."""

from __future__ import annotations

import numpy as np
import pytest

from radio.cast import OwnCast
from radio.coherent import CoherentAir
from radio.errors import InputError
from radio.fading import Fading
from radio.held import HeldTones
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.modulator import ToneModulator
from radio.tone import Tone


class Counting(LoopbackRadio):
    """A transmitter that counts its starts, and is lost when told to."""

    starts = 0
    lost = False

    def transmit(self, samples: np.ndarray, cyclic: bool = False) -> None:
        self.starts += 1
        self.lost = False
        super().transmit(samples, cyclic)

    @property
    def holding(self) -> bool:
        return not self.lost and super().holding


def bench(devices: int = 3) -> tuple[list[Counting], LoopbackRadio, HeldTones]:
    medium = Medium(Fading(devices, 3, "static"), 3, noise_variance=1e-6)
    radios = [Counting(medium, k) for k in range(devices)]
    return radios, LoopbackRadio(medium), HeldTones(OwnCast(radios, ToneModulator(Tone(128))), 50)


def test_one_start_and_one_wait_serve_many_rounds() -> None:
    radios, receiver, held = bench()
    for _ in range(5):
        held.ensure(receiver)
        radios[1].weigh(0.5j)
        heard = receiver.receive(128)
        assert np.abs(heard).mean() == pytest.approx(0.5, rel=0.01)
        radios[1].weigh(0.0)
        assert np.abs(receiver.receive(128)).max() < 0.01
    assert [radio.starts for radio in radios] == [1, 1, 1]
    assert receiver.clock_samples == 50 + 10 * 128


@pytest.mark.parametrize("loss", ["mute", "lost", "distrust"])
def test_all_start_again_when_one_may_not_run(loss: str) -> None:
    radios, receiver, held = bench()
    held.ensure(receiver)
    if loss == "mute":
        radios[2].mute()
    elif loss == "lost":
        radios[0].lost = True
    else:
        held.distrust()
    held.ensure(receiver)
    held.ensure(receiver)
    assert [radio.starts for radio in radios] == [2, 2, 2]


def test_a_start_that_fails_is_not_believed() -> None:
    radios, receiver, held = bench()
    radios[1].close()
    with pytest.raises(InputError, match="closed"):
        held.ensure(receiver)
    assert not held._trusted


def held_air() -> tuple[list[Counting], CoherentAir]:
    """Rounds of an air whose medium is not told of them: nothing is muted in between."""
    medium = Medium(Fading(3, 3, "static"), 3, noise_variance=1e-6)
    radios = [Counting(medium, k) for k in range(3)]
    air = CoherentAir(radios, LoopbackRadio(medium), window=128, hold_samples=64, receive_gain_db=-12.0)
    return radios, air


def test_an_air_holds_its_tones_from_round_to_round() -> None:
    radios, air = held_air()
    payloads = np.array([[0.5, -0.1], [-0.25, 0.3], [1.0, 0.7]])
    for t in range(4):
        got = air.aggregate(t, payloads, air.plan(air.sound(t), 1.0))
        assert got.total == pytest.approx(payloads.sum(axis=0), abs=0.01)
    assert [radio.starts for radio in radios] == [1, 1, 1]
    air.mute()
    got = air.aggregate(4, payloads, air.plan(air.sound(4), 1.0))
    assert not got.erased and [radio.starts for radio in radios] == [2, 2, 2]


def test_an_erased_round_is_followed_by_a_new_start() -> None:
    radios, air = held_air()
    plan = air.plan(air.sound(0), 1.0)
    air._receiver.receive_gain_db += 40.0
    assert air.aggregate(0, np.ones((3, 1)), plan).erased
    air._receiver.receive_gain_db -= 40.0
    assert not air.aggregate(1, np.ones((3, 1)), air.plan(air.sound(1), 1.0)).erased
    assert [radio.starts for radio in radios] == [2, 2, 2]
