"""The closed loop of amplitudes."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.steps.alignment import Alignment
from radio.errors import InputError
from radio.surroundings import from_settings

LOSSES = np.array([0.0, 4.0, 11.0])


def rig(**settings: object) -> LoopbackRig:
    return LoopbackRig(
        from_settings(
            3, 2, window=4096, fading="static", **({"snr_db": 60.0, "path_loss_db": tuple(LOSSES)} | settings)
        )
    )


def test_all_arrive_at_the_level_of_the_weakest() -> None:
    radios = rig()
    found = Alignment().run(radios, {})
    facts = found.facts
    assert facts["converged"] and facts["iterations"] <= 3
    assert np.allclose(20 * np.log10(facts["amplitude"]), LOSSES - LOSSES.max(), atol=0.1)
    expected = radios.receiver.receive_gain_db - LOSSES.max()
    assert facts["target_dbfs"] == pytest.approx(expected, abs=0.1)
    assert np.allclose(facts["aligned_dbfs"], expected, atol=0.1)
    spread = found.findings[-1]
    assert spread.estimate is not None and spread.estimate.covers(11.0, 0.999) and spread.verdict == "pass"
    assert radios.medium.on_air == ()


def test_a_device_far_too_near_is_named_with_its_gain() -> None:
    found = Alignment().run(rig(path_loss_db=(0.0, 24.0, 25.0)), {})
    spread = found.findings[-1]
    assert spread.verdict == "fail" and "set transmit_gain_db = -2" in spread.advice and "device-0" in spread.advice


def test_silence_and_saturation_say_what_to_do() -> None:
    with pytest.raises(InputError, match="device-2: not heard above the noise; connect"):
        Alignment().run(rig(path_loss_db=(0.0, 0.0, 90.0)), {})
    radios = rig()
    radios.receiver.receive_gain_db += 30.0
    with pytest.raises(InputError, match="saturates the ADC"):
        Alignment().run(radios, {})
