"""What a device sends at a cue, against the formulas of the modes; public cues depend on no payload."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from radio.cue import Cue
from radio.errors import InputError
from radio.mapping import Mapping
from radio.modulator import (
    EnergyModulator,
    Modulator,
    Payload,
    TdmaModulator,
    ToneModulator,
    VoteModulator,
    modulator_of,
    vote_bin,
    vote_phases,
)
from radio.sequence import random_phases
from radio.three_tone import PAYLOAD, PILOT, ThreeTone
from radio.tone import Tone, phasor

K, SEED, WINDOW, PILOTS = 3, 7, 256, 128
VALUES = np.array([0.5, -1.5, 0.0])
OWN = Payload(VALUES, 0.4 - 0.3j, 2.0)  # |b| = 0.5: the peak is at full scale


def modulator(mode: str, **settings: Any) -> Modulator:
    return modulator_of(mode, K, SEED, window=WINDOW, pilot_window=PILOTS, **settings)


def test_a_held_tone_is_weighed() -> None:
    tone = modulator("coherent")
    assert tone.held == Tone(WINDOW)
    assert tone.modulate(1, Cue("pilot"), None).samples == pytest.approx([1.0])
    for p, value in enumerate(VALUES):
        sent = tone.modulate(1, Cue("payload", 9, p), OWN)
        assert sent.samples == pytest.approx([(0.4 - 0.3j) * value]) and not sent.limited
        assert sent.power == pytest.approx((0.5 * value) ** 2)
    assert tone.modulate(1, Cue("reference", level=0.5), OWN).samples == pytest.approx([(0.4 - 0.3j) * 0.5 * 2.0])
    loud = tone.modulate(0, Cue("payload"), Payload(np.array([-8.0]), 0.4 - 0.3j, 2.0))
    assert loud.limited and loud.samples == pytest.approx([-(0.8 - 0.6j)])  # the phase stays


def test_a_burst_turns_against_its_offset() -> None:
    tone = ToneModulator(Tone(WINDOW), hold=False, pilot_window=PILOTS, guard_samples=10)
    assert tone.held is None and not tone.cyclic
    cycles = Tone(WINDOW).cycles_per_sample
    assert tone.modulate(0, Cue("pilot"), None).samples == pytest.approx(phasor(cycles, 10 + PILOTS), abs=1e-12)
    found = tone.modulate(0, Cue("payload", turn=-1e-4, elapsed=5000), OWN).samples
    n = np.arange(10 + WINDOW)
    wanted = (0.4 - 0.3j) * 0.5 * np.exp(2j * np.pi * (cycles * n - 1e-4 * (5000 + n)))
    assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("name", ["signed", "augmented", "affine"])
def test_energies_are_powers_of_public_sequences(name: Any) -> None:
    mapping = Mapping(name)
    energy = modulator("energy", mapping=name)
    length = WINDOW // mapping.slots
    for kind, level in (("pilot", 1.0), ("together", math.sqrt(0.5))):
        sent = energy.modulate(2, Cue(kind, 4, level=level), None)  # type: ignore[arg-type]
        assert np.array_equal(sent.samples, level * random_phases(SEED, K, PILOTS, kind, 4)[2])
    for p, value in enumerate(VALUES):
        for s, code in enumerate(mapping.encode(np.array([value / 2.0]))[0]):
            sent = energy.modulate(2, Cue("payload", 4, p, s), OWN)
            assert np.array_equal(
                sent.samples, 0.5 * np.sqrt(code) * random_phases(SEED, K, length, "payload", 4, p, s)[2]
            )
            assert sent.power == pytest.approx(0.25 * code)


def test_three_tones() -> None:
    tdma = modulator("tdma")
    assert np.array_equal(tdma.modulate(0, Cue("pilot"), None).samples, ThreeTone(WINDOW).wave(0.0, 1.0))
    sent = tdma.modulate(0, Cue("payload", 0, 1), OWN)
    assert np.array_equal(sent.samples, ThreeTone(WINDOW).wave(-0.75, 1.0)) and not sent.limited
    assert sent.power == pytest.approx(np.mean(np.abs(sent.samples) ** 2))
    assert sent.power == pytest.approx(2 * PILOT**2 + (0.75 * PAYLOAD) ** 2)
    assert tdma.modulate(0, Cue("payload"), Payload(np.array([9.0]), 0.5, 2.0)).limited


def test_a_vote_is_a_sign() -> None:
    vote = modulator("vote")
    phases = vote_phases(SEED, 4, K, 3)
    for p, value in enumerate(VALUES):
        wave = phasor(vote_bin(value + 1e-9, WINDOW) / WINDOW, WINDOW)
        wanted = 0.5 * np.exp(1j * phases[1, p]) * wave
        assert vote.modulate(1, Cue("payload", 4, p), OWN).samples == pytest.approx(wanted)


@pytest.mark.parametrize("mode", ["coherent", "energy", "tdma", "vote"])
def test_public_cues_need_no_payload_and_payload_cues_do(mode: str) -> None:
    made = modulator(mode)
    kinds = {"coherent": ["pilot"], "energy": ["pilot", "together"], "tdma": ["pilot"], "vote": []}[mode]
    for kind in kinds:
        cue = Cue(kind, 3, level=0.7)  # type: ignore[arg-type]
        assert np.array_equal(made.modulate(1, cue, None).samples, made.modulate(1, cue, OWN).samples)
    with pytest.raises(InputError, match="a payload of 0"):
        made.modulate(1, Cue("payload", 3), None)
    with pytest.raises(InputError, match="scalar 3 of a payload of 3"):
        made.modulate(1, Cue("payload", 3, 3), OWN)
    foreign = "together" if mode != "energy" else "reference"
    with pytest.raises(InputError, match=f"{mode} mode has no cue '{foreign}'"):
        made.modulate(1, Cue(foreign), OWN)  # type: ignore[arg-type]


def test_codewords_that_are_not_there() -> None:
    with pytest.raises(InputError, match="codeword 2; mapping signed has 2"):
        modulator("energy").modulate(0, Cue("payload", 0, 0, 2), OWN)


def test_the_modulator_of_a_mode() -> None:
    assert modulator("coherent") == ToneModulator(Tone(WINDOW))
    assert modulator("energy") == EnergyModulator(SEED, K, WINDOW // 2, PILOTS, Mapping("signed"))
    assert modulator_of("energy", K, SEED, window=64, mapping="affine") == EnergyModulator(
        SEED, K, 64, 64, Mapping("affine")
    )
    assert modulator("tdma") == TdmaModulator(ThreeTone(WINDOW))
    assert modulator("vote") == VoteModulator(SEED, K, WINDOW)
    with pytest.raises(InputError, match="'ideal' has no radios"):
        modulator("ideal")
