"""A receiver whose transmitters are elsewhere, with payloads of their own, hears the same as one that has them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radio.air import AirPlan
from radio.cast import CueLost, OwnCast
from radio.cell import Cell, SampledMode
from radio.cue import Cue
from radio.errors import InputError
from radio.modulator import modulator_of
from radio.sounding import AWAY
from radio.surroundings import from_profile
from radio.transmitter import Transmitter, payload_of

K, SEED, WINDOW, PILOTS = 3, 11, 512, 256
SETTINGS: dict[str, Any] = {"window": WINDOW, "pilot_window": PILOTS, "truncation": 0.05}


class Elsewhere:
    """K transmitters behind a wire on which there are cues and nothing else."""

    def __init__(self, cell: Cell, mode: str) -> None:
        self.devices = K
        made = modulator_of(mode, K, SEED, window=WINDOW, pilot_window=PILOTS)
        self.transmitters = [Transmitter(radio, k, made) for k, radio in enumerate(cell.transmitters)]  # type: ignore[arg-type]
        self.here = np.ones(K, dtype=bool)
        self.heard: list[tuple[int, Cue]] = []
        self.deaf: int | None = None

    @property
    def present(self) -> NDArray[np.bool_]:
        return self.here

    def cue(self, cues: Mapping[int, Cue]) -> None:
        for k, cue in cues.items():
            if not self.here[k]:
                continue
            if k == self.deaf and cue.kind == "payload":
                raise CueLost(f"device {k}")
            self.heard.append((k, cue))
            self.transmitters[k].obey(cue)

    def hold(self, anew: bool) -> bool:
        kind = "start" if anew else "hold"
        return any([self.transmitters[k].obey(Cue(kind)) for k in np.flatnonzero(self.here)])  # type: ignore[arg-type]

    def mute(self) -> None:
        for transmitter in self.transmitters:
            transmitter.mute()

    def close(self) -> None:
        self.mute()


def cell_of(mode: str) -> Cell:
    """Late starts, so that coherent mode holds its tones, as at a station."""
    place = from_profile("pluto-bench", K, SEED, shared_clock=mode == "coherent")
    return dataclasses.replace(place.cell(place.medium()), late_starts=True)


def rounds(mode: SampledMode, elsewhere: bool) -> tuple[list[Any], Elsewhere | None]:
    cell = cell_of(mode)
    cast = Elsewhere(cell, mode) if elsewhere else None
    air = (dataclasses.replace(cell, transmitters=cast) if cast else cell).air(mode, SEED, **SETTINGS)
    draws, found = np.random.default_rng(3), []
    for t in range(3):
        payloads = draws.uniform(-1.1, 1.1, (K, 2))
        state = air.sound(t)
        plan = air.mode.plan(state, 1.0, truncation=0.05)
        assert plan.active.all()
        if cast is None:
            found.append((state, plan, air.aggregate(t, payloads, plan)))
        else:
            for k, transmitter in enumerate(cast.transmitters):
                transmitter.load(payload_of(payloads[k], plan, k))
            found.append((state, plan, air.receive(t, 2, plan)))
    air.close()
    return found, cast


@pytest.mark.parametrize("mode", ["coherent", "energy", "tdma", "vote"])
def test_the_same_to_the_last_bit(mode: SampledMode) -> None:
    here, _ = rounds(mode, elsewhere=False)
    there, cast = rounds(mode, elsewhere=True)
    assert cast is not None and cast.heard
    for (state, plan, ours), (found, _, theirs) in zip(here, there, strict=True):
        np.testing.assert_array_equal(state.gains, found.gains)
        assert not ours.erased and not theirs.erased
        for name in ("total", "variance", "snr_db"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        # what would give payloads away is not known there
        assert (theirs.clipped == -1).all() and (ours.clipped >= 0).all()
        limit = 20 * np.log10(np.minimum(1.0, np.abs(plan.precoders)))  # the payload's peak is 1
        np.testing.assert_allclose(theirs.transmit_power_dbfs, limit)
        assert (ours.transmit_power_dbfs <= theirs.transmit_power_dbfs + 1e-9).all()


@pytest.mark.parametrize("mode", ["coherent", "energy", "tdma"])
def test_who_is_away_is_not_trusted(mode: SampledMode) -> None:
    cell = cell_of(mode)
    cast = Elsewhere(cell, mode)
    cast.here[1] = False
    air = dataclasses.replace(cell, transmitters=cast).air(mode, SEED, **SETTINGS)
    assert air.sound(0).quality.tolist() == [True, False, True]
    if mode == "coherent":
        assert air.faults[1] == AWAY  # type: ignore[attr-defined]
        starts = [k for k, cue in cast.heard if cue.kind == "start"]
        air.sound(1)
        assert [k for k, cue in cast.heard if cue.kind == "start"] == starts  # the others hold on


def test_in_vote_mode_who_is_away_has_no_vote() -> None:
    cell = cell_of("vote")
    cast = Elsewhere(cell, "vote")
    cast.here[0] = False
    assert dataclasses.replace(cell, transmitters=cast).air("vote", SEED, **SETTINGS).sound(0).quality.tolist() == [
        False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["coherent", "energy", "tdma", "vote"])
def test_a_cue_that_is_lost_silences_everybody(mode: SampledMode) -> None:
    cell = cell_of(mode)
    cast = Elsewhere(cell, mode)
    air = dataclasses.replace(cell, transmitters=cast).air(mode, SEED, **SETTINGS)
    plan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
    for k, transmitter in enumerate(cast.transmitters):
        transmitter.load(payload_of(np.array([0.5]), plan, k))
    cast.deaf = 2
    with pytest.raises(CueLost, match="device 2"):
        air.receive(0, 1, plan)
    assert not any(transmitter.holding for transmitter in cast.transmitters)


def test_payloads_of_others_cannot_be_sent() -> None:
    for mode in ("coherent", "energy"):
        cell = cell_of(mode)
        air = dataclasses.replace(cell, transmitters=Elsewhere(cell, mode)).air(mode, SEED, **SETTINGS)  # type: ignore[arg-type]
        plan: AirPlan = air.mode.plan(air.sound(0), 1.0, truncation=0.05)
        with pytest.raises(InputError, match="have their payloads already"):
            air.aggregate(0, np.zeros((K, 1)), plan)


def test_radios_that_are_here_are_all_present() -> None:
    cell = cell_of("energy")
    assert OwnCast(cell.transmitters).present.tolist() == [True] * K  # type: ignore[arg-type]
