"""Known sums through every mode of simulated radios."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.loopback_rig import LoopbackRig
from calibration.steps.known_scalar import KnownScalar
from calibration.trial import Sweep
from radio.interference import Interferer
from radio.surroundings import Surroundings, from_profile, from_settings

SWEEPS = {
    "coherent": Sweep(1024, 1024, 6, 8), "energy": Sweep(8192, 2048, 6, 8), "tdma": Sweep(1024, 1024, 3, 2),
    "vote": Sweep(1024, 1024, 3, 4),
}  # fmt: skip


def static(snr_db: float = 30.0, **settings: float) -> Surroundings:
    return from_settings(3, 4, window=1024, fading="static", snr_db=snr_db, path_loss_db=(0.0, 3.0, 6.0), **settings)


def test_errors_are_those_of_the_closed_forms() -> None:
    rig = LoopbackRig(static(45.0), shared_clock=True)
    found = KnownScalar(SWEEPS).run(rig, {})
    assert rig.medium.on_air == ()
    assert "fail" not in {finding.verdict for finding in found.findings}
    gain = 10 ** (rig.receiver.receive_gain_db / 10)
    for mode in ("coherent", "energy"):
        facts = found.facts[mode]
        assert facts["works"] and facts["erased"] == 0
        assert facts["mse"] == pytest.approx(facts["predicted"], rel=0.6)
        # 48 sums, each against its own payloads: a mean square scatters by sqrt(2 / 48)
        assert facts["over_predicted"] == pytest.approx(1.0, abs=4 * np.sqrt(2 / 48))
        assert abs(facts["slope"] - 1.0) <= 4 * facts["slope_standard_error"]
        assert np.allclose(facts["power"], gain * rig.medium.fading.mean_power, rtol=0.1)
        assert facts["noise_variance"] == pytest.approx(gain * rig.medium.noise_variance, rel=0.15)
    assert found.series["energy_received"].shape == (6, 8)
    assert [picture.name for picture in found.pictures] == ["sums", "modes"]


def test_coherent_mode_is_not_tried_on_free_clocks() -> None:
    rig = LoopbackRig(from_profile("pluto-bench", 2, 3))
    found = KnownScalar({"coherent": SWEEPS["coherent"]}).run(rig, {})
    (finding,) = found.findings
    assert "free-running" in finding.quantity and "40 MHz" in finding.advice


def test_a_wrong_clock_is_named() -> None:
    """The station file says one reference, and there is none."""
    rig = LoopbackRig(from_profile("pluto-bench", 2, 3), shared_clock=True)
    found = KnownScalar({"coherent": Sweep(1024, 1024, 6, 1)}).run(rig, {})
    (finding,) = (finding for finding in found.findings if finding.verdict == "fail")
    assert "no shared clock" in finding.advice and not found.facts["coherent"]["works"]
    assert found.facts["coherent"]["erased"] == 3  # given up


def test_interference_and_saturation_are_named() -> None:
    rig = LoopbackRig(static())
    rig.medium.interferers.append(Interferer(0.5, 100e3))
    found = KnownScalar({"energy": SWEEPS["energy"]}).run(rig, {})
    assert any(f.verdict == "fail" and "interference" in f.advice for f in found.findings)
    rig = LoopbackRig(static())
    rig.receiver.receive_gain_db += 30.0
    found = KnownScalar({"energy": SWEEPS["energy"]}).run(rig, {})
    assert any(f.verdict == "fail" and "lower receive_gain_db" in f.advice for f in found.findings)


def test_a_device_that_is_not_heard_is_named() -> None:
    rig = LoopbackRig(from_settings(3, 4, window=1024, fading="static", snr_db=30.0, path_loss_db=(0.0, 0.0, 60.0)))
    found = KnownScalar({"energy": SWEEPS["energy"]}).run(rig, {})
    assert any(f.subject == "device-2" and f.verdict == "warn" for f in found.findings)
    assert found.facts["energy"]["works"] and found.facts["energy"]["devices"] == 2.0
