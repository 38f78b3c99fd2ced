from __future__ import annotations

import numpy as np
import pytest

from radio.converter import Converter
from radio.errors import InputError
from radio.fading import Fading
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.radio import Radio, WeighableRadio


def bench() -> tuple[Medium, list[LoopbackRadio], LoopbackRadio]:
    medium = Medium(Fading(2, seed=1, kind="static"), 1, noise_variance=0.0, dac=Converter(None), adc=Converter(None))
    return medium, [LoopbackRadio(medium, k) for k in range(2)], LoopbackRadio(medium)


def test_radios_share_one_medium() -> None:
    medium, (a, b), receiver = bench()
    radios: list[Radio] = [a, b, receiver]  # the Protocol, checked by mypy
    b.transmit_gain_db, receiver.receive_gain_db = -6.0, -3.0
    a.transmit(np.full(4, 0.5 + 0j), cyclic=True)
    b.transmit(np.full(4, 0.5j), cyclic=True)
    heard = receiver.receive(10)
    expected = (medium.gains[0] * 0.5 + medium.gains[1] * 0.5j * 10 ** (-6 / 20)) * 10 ** (-3 / 20)
    assert np.allclose(heard, expected)
    assert {r.clock_samples for r in radios} == {10}


def test_close_mutes_and_refuses_more() -> None:
    medium, (a, _), receiver = bench()
    a.transmit(np.ones(4, dtype=np.complex128), cyclic=True)
    a.close()
    a.close()
    assert medium.on_air == ()
    with pytest.raises(InputError, match="closed"):
        a.transmit(np.ones(4, dtype=np.complex128))
    receiver.close()
    with pytest.raises(InputError, match="closed"):
        receiver.receive(4)


def test_roles_and_shapes_are_checked() -> None:
    medium, (a, _), receiver = bench()
    with pytest.raises(InputError, match="transmitter"):
        a.receive(4)
    with pytest.raises(InputError, match="cannot transmit"):
        receiver.transmit(np.ones(4, dtype=np.complex128))
    with pytest.raises(InputError, match="shape"):
        a.transmit(np.ones((2, 2), dtype=np.complex128))
    with pytest.raises(InputError, match="n is 0"):
        receiver.receive(0)
    with pytest.raises(InputError, match="device is 2"):
        LoopbackRadio(medium, 2)


def test_weight_is_the_transmitters_alone() -> None:
    medium, (a, _), receiver = bench()
    assert isinstance(a, WeighableRadio) and a.lo_hz == medium.lo_hz
    a.transmit(np.full(4, 0.5 + 0j), cyclic=True)
    a.weigh(-0.5)
    assert np.allclose(receiver.receive(4), -0.25 * medium.gains[0])
    with pytest.raises(InputError, match="name a device"):
        receiver.weigh(1.0)
    a.close()
    with pytest.raises(InputError, match="closed"):
        a.weigh(1.0)
