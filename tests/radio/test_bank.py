from __future__ import annotations

import numpy as np
import pytest

from radio.bank import RadioBank
from radio.cue import Cue
from radio.errors import InputError
from radio.fading import Fading
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.modulator import TdmaModulator
from radio.three_tone import ThreeTone


class Stubborn(LoopbackRadio):
    deaf = False

    def mute(self) -> None:
        if self.deaf:
            raise OSError("no answer")
        super().mute()


def bench(devices: int = 2, **settings) -> tuple[Medium, list[Stubborn], RadioBank]:
    medium = Medium(Fading(devices, seed=1, kind="static"), 1, noise_variance=1e-4)
    radios = [Stubborn(medium, k) for k in range(devices)]
    return medium, radios, RadioBank(radios, LoopbackRadio(medium), receive_gain_db=-12.0, **settings)


def test_a_slot_leaves_silence_behind_and_drops_its_guard() -> None:
    medium, _, bank = bench(guard_samples=100)
    bank.equip(TdmaModulator(ThreeTone(64)))
    clock = medium.clock
    with bank.phase(0, "sound"):
        assert bank.slot({0: Cue("pilot")}, 256).shape == (256,)
        assert medium.clock == clock + 356 and medium.on_air == ()
        assert bank.slot({}, 256).shape == (256,) and medium.clock == clock + 612  # nobody: nothing to wait for


def test_muted_on_the_way_out_of_any_failure() -> None:
    medium, radios, bank = bench()
    with pytest.raises(KeyboardInterrupt), bank.phase(0, "air"):
        radios[1].transmit(np.ones(8, dtype=complex), cyclic=True)
        raise KeyboardInterrupt
    assert medium.on_air == ()


def test_one_deaf_radio_does_not_keep_the_others_on_air() -> None:
    medium, radios, bank = bench(3)
    for radio in radios:
        radio.transmit(np.ones(8, dtype=complex), cyclic=True)
    radios[0].deaf = True
    for silence in (bank.mute, bank.close):
        with pytest.raises(OSError, match="no answer"):
            silence()
        assert medium.on_air == (0,)


def test_closed_is_closed() -> None:
    _, _, bank = bench()
    bank.close()
    bank.close()
    with pytest.raises(InputError, match="closed"), bank.phase(0, "sound"):
        pass


def test_noise_floor_is_blind_to_dc_and_lines() -> None:
    _, _, bank = bench(adc_bits=None)
    draws = np.random.default_rng(1)
    noise = draws.standard_normal((1 << 14, 2)).view(np.complex128)[:, 0] * np.sqrt(0.25 / 2)
    line = np.exp(2j * np.pi * 0.125 * np.arange(1 << 14))
    assert bank.noise_floor(noise + 3.0 + 5.0 * line) == pytest.approx(0.25, rel=0.05)
    _, _, coarse = bench(adc_bits=8)
    assert coarse.noise_floor(0 * noise) == pytest.approx((1 / 127) ** 2 / 6)


def test_a_carrier_in_the_idle_slot_is_seen_where_it_matters() -> None:
    _, _, bank = bench(adc_bits=None)
    draws = np.random.default_rng(2)
    noise = draws.standard_normal((512, 2)).view(np.complex128)[:, 0]
    noise, line = 0.01 * noise, 0.01 * np.exp(2j * np.pi * 100 / 512 * np.arange(512))
    bins = np.array([99, 100, 101])
    assert "a carrier" in bank.idle_fault(noise + line, bins) and bank.idle_fault(noise + line, bins + 50) == ""
    assert bank.idle_fault(noise + 0.2, np.arange(512)) == ""  # DC is not the mode's own
    assert "finite" in bank.idle_fault(np.nan * noise, bins)


def test_faults_of_any_slot() -> None:
    _, _, bank = bench()
    assert bank.fault(np.full(8, 0.5 + 0.5j)) == ""
    assert "finite" in bank.fault(np.array([0.1, np.nan], dtype=complex))
    assert "saturated" in bank.fault(np.array([1.0 + 0j, 0.1]))


def test_a_bank_needs_a_transmitter_and_a_sensible_guard() -> None:
    medium, radios, _ = bench()
    with pytest.raises(InputError, match="at least one"):
        RadioBank([], LoopbackRadio(medium))
    with pytest.raises(InputError, match="guard_samples is -1"):
        RadioBank(radios, LoopbackRadio(medium), guard_samples=-1)
