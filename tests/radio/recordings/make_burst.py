"""Makes `burst`: one round of three devices on the simulated bench, whose payload slot is sent twice: once undisturbed, once
under a neighbour's burst.  Run it from the project's root when the schedule of a round changes:

    python tests/radio/recordings/make_burst.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from radio.coherent import CoherentAir
from radio.fading import Fading
from radio.impairments import NONE
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.recorder import RecordingRadio
from radio.recording import write_recording

SEED = 8
PAYLOADS = np.array([[0.75], [-0.5], [1.0]])
SETTINGS = {
    "window": 2048,
    "pilot_window": 1024,
    "pilot_repeats": 2,
    "guard_samples": 40,
    "offset_prior_hz": 20.0,
    "receive_gain_db": -14.0,
    "adc_bits": 12,
    "rate_sps": 1e6,
}


def main() -> None:
    channel = Fading(3, SEED, "rician", path_loss_db=[0.0, 2.0, 4.0])
    medium = Medium(channel, SEED, noise_variance=4e-3, offset_hz=20.0, timing_samples=8.0)
    radio = RecordingRadio(LoopbackRadio(medium), now=lambda: "2026-11-21T00:00:00Z")
    transmitters = [LoopbackRadio(medium, k) for k in range(3)]
    with CoherentAir(transmitters, radio, on_phase=medium.begin, **SETTINGS) as air:
        radio.start()
        state = air.sound(0)
        plan = air.plan(state, 1.0)
        clean = air.aggregate(0, PAYLOADS, plan)
        medium.impairments = replace(NONE, burst_rate_hz=600.0, burst_s=3e-4, burst_amplitude=0.6)
        hit = air.aggregate(0, PAYLOADS, plan)
    recording = radio.finish(
        {
            "settings": SETTINGS,
            "truth": {
                "origin": "simulated",
                "payloads": PAYLOADS,
                "gains": medium.gains,
                "offset_hz": medium.offsets_hz,
            },
        }
    )
    assert recording is not None and not clean.erased and hit.erased, (clean.reason, hit.reason)
    print(write_recording(Path(__file__).with_name("burst"), recording), hit.reason)


if __name__ == "__main__":
    main()
