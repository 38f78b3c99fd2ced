from __future__ import annotations

import numpy as np
import pytest

from radio.air import AirPlan
from radio.cue import REST, Cue
from radio.errors import InputError
from radio.fading import Fading
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.modulator import Modulator, modulator_of
from radio.transmitter import Payload, Transmitter, payload_of


def bench(mode: str, **settings: bool) -> tuple[Medium, Transmitter]:
    medium = Medium(Fading(2, 3, "static"), 3, noise_variance=1e-6)
    made: Modulator = modulator_of(mode, 2, 5, window=128)
    return medium, Transmitter(LoopbackRadio(medium, 1), 1, made, **settings)


def test_a_payload_is_the_devices_row_of_the_plan() -> None:
    plan = AirPlan(np.array([0.5, 0.25j]), np.array([True, True]), 0.5, 3.0)
    payload = payload_of(np.array([1.0, 2.0]), plan, 1)
    assert (payload.precoder, payload.peak) == (0.25j, 3.0) and payload.values.tolist() == [1.0, 2.0]


def test_what_was_sent_is_counted_since_it_was_loaded() -> None:
    _, energy = bench("energy")
    energy.load(Payload(np.array([0.5, 4.0]), 1.0, 1.0))
    energy.obey(Cue("pilot"))
    for p, s in ((0, 0), (0, 1), (1, 0), (1, 1)):
        energy.obey(Cue("payload", 0, p, s))
    assert energy.powers == pytest.approx([0.5, 0.0, 1.0, 0.0]) and energy.limited == 1
    energy.load(None)
    assert energy.powers == [] and energy.limited == 0
    with pytest.raises(InputError, match="released no such number"):
        energy.obey(Cue("payload"))


def test_a_silent_codeword_is_handed_over_where_time_must_not_tell() -> None:
    payload = Payload(np.array([0.5]), 1.0, 1.0)  # its second codeword is 0
    for alike, on_air in ((False, ()), (True, (1,))):
        medium, energy = bench("energy", alike=alike)
        energy.load(payload)
        energy.obey(Cue("payload", 0, 0, 1))
        assert medium.on_air == on_air


def test_every_silence_is_one() -> None:
    medium, energy = bench("energy")
    for cue in (REST, Cue("mute")):
        energy.obey(Cue("pilot"))
        assert medium.on_air == (1,)
        energy.obey(cue)
        assert medium.on_air == ()


def test_a_tone_that_is_held_rests_at_nothing_and_ends_when_muted() -> None:
    _, tone = bench("coherent")
    assert not tone.holding
    assert tone.obey(Cue("hold")) and tone.holding
    assert not tone.obey(Cue("hold"))
    assert tone.obey(Cue("start"))
    tone.obey(Cue("pilot"))
    tone.obey(REST)
    assert tone.holding
    tone.obey(Cue("mute"))
    assert not tone.holding


def test_a_mode_that_holds_nothing() -> None:
    _, energy = bench("energy")
    with pytest.raises(InputError, match="holds none"):
        energy.obey(Cue("hold"))
