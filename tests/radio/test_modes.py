from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from radio.air import Air
from radio.errors import InputError
from radio.modes import EnergyMapping, Fidelity, ModeName, open_air
from radio.streams import stream

MODES, FIDELITIES = get_args(ModeName), get_args(Fidelity)


def play(air: Air, rounds: int, peak: float = 1.0) -> list[float]:
    """Errors against an air without errors, over the number of active devices; erased rounds are missing."""
    errors = []
    for t in range(rounds):
        plan = air.mode.plan(air.sound(t), peak, truncation=0.05)
        payloads = stream(3, "payloads", t).uniform(-peak, peak, (air.devices, 2))
        got = air.aggregate(t, payloads, plan)
        assert got.total.shape == got.variance.shape == got.snr_db.shape == (2,)
        assert got.clipped.shape == got.transmit_power_dbfs.shape == (air.devices,)
        assert (got.transmit_power_dbfs <= 1e-9).all()
        if not got.erased:
            errors += list((got.total - air.mode.outcome(payloads[plan.active])) / plan.active.sum())
    return errors


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_runs_on_plain_settings(mode: ModeName, fidelity: Fidelity) -> None:
    air = open_air(
        3, 5, mode=mode, fidelity=fidelity, fading="rician", snr_db=70.0, offset_hz=1.0, timing_samples=8.0,
        window=512, pilot_window=1024,
    )  # fmt: skip
    assert air.mode.name == mode
    errors = play(air, 6)
    assert len(errors) >= 10
    if not air.mode.one_bit:
        assert np.sqrt(np.mean(np.square(errors))) < 0.1
    air.close()


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize(("mapping", "uses"), [("signed", 2), ("augmented", 2), ("affine", 1), ("reed", 2)])
def test_energy_takes_the_slots_of_its_mapping(fidelity: Fidelity, mapping: EnergyMapping, uses: int) -> None:
    air = open_air(2, 5, mode="energy", fidelity=fidelity, mapping=mapping, window=512)
    assert air.mode.uses_per_scalar == uses
    air.close()


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_runs_at_a_bench(mode: ModeName, fidelity: Fidelity) -> None:
    air = open_air(
        3, 5, mode=mode, fidelity=fidelity, profile="pluto-bench", shared_clock=mode == "coherent", window=4096
    )
    errors = play(air, 2)
    assert len(errors) == 4
    if not air.mode.one_bit:
        assert np.sqrt(np.mean(np.square(errors))) < 0.03
    air.close()


def test_coherent_mode_on_free_running_clocks_is_refused() -> None:
    with pytest.raises(InputError, match="shared_clock"):
        open_air(2, 1, mode="coherent", fidelity="symbol", profile="pluto-bench")
    assert play(open_air(2, 1, mode="coherent", profile="pluto-bench", window=1024), 2) == []  # noticed, so erased


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize("mapping", ["signed", "augmented", "affine", "reed"])
def test_every_mapping_of_energy_mode(mapping, fidelity: Fidelity) -> None:
    air = open_air(3, 5, mode="energy", fidelity=fidelity, mapping=mapping, fading="static", snr_db=80.0, window=4096)
    assert np.sqrt(np.mean(np.square(play(air, 6)))) < 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "smoke"}, "mode is 'smoke'; allowed: ideal, tdma, coherent, energy, vote"),
        ({"mode": "energy", "fidelity": "wave"}, "fidelity is 'wave'; allowed: sample, symbol"),
        ({"mode": "energy", "mapping": "odd"}, "mapping is 'odd'"),
        ({"mode": "energy", "fidelity": "symbol", "profile": "pluto-room"}, "'symbol' cannot represent"),
        ({"mode": "energy", "profile": "moon"}, "profile is 'moon'; allowed: none, "),
        ({"mode": "energy", "impairments": {"hum": 1.0}}, "'hum' is no impairment; allowed: oscillator_ppm, "),
    ],
)
def test_unknown_names_are_answered_with_the_known(settings, message) -> None:
    with pytest.raises(InputError, match=message):
        open_air(2, 1, **settings)


def test_impairments_beside_and_in_place_of_a_profiles() -> None:
    bench = {"mode": "coherent", "profile": "pluto-bench", "shared_clock": True, "window": 1024}
    prompt, late = (open_air(2, 1, impairments=changes, **bench) for changes in ({"start_jitter_s": 0.0}, None))
    assert prompt.hold_samples is None and late.hold_samples >= 50_000  # what the latest start is waited for
    assert len(play(prompt, 2)) == 4
    lively = open_air(
        2, 1, mode="coherent", window=1024, fading="static", impairments={"agc": True, "agc_time_s": 1e-3}
    )
    assert play(lively, 2) == []  # a gain that moves is noticed


def test_echoes_and_doppler_by_settings() -> None:
    taps = {"tap_delays_s": (0.0, 3e-6), "tap_powers_db": (0.0, -3.0), "doppler_hz": 1.0, "round_s": 0.01}
    air = open_air(2, 1, mode="coherent", window=1024, snr_db=50.0, timing_samples=8.0, **taps)
    assert len(play(air, 3)) == 6
    with pytest.raises(InputError, match="echoes"):
        open_air(2, 1, mode="coherent", fidelity="symbol", **taps)
