"""How much noise a mean carries for one and the same guarantee, by what is protected and how it is counted.

    python -m bench.privacy_gain [--quick] [--json FILE]

Standard deviation of the noise in the mean of K = 5 devices, in units of the clip, at epsilon 5, delta 1e-5, T = 8000,
n = 1000 examples a device, B = 64. Device unit: a device's whole payload may move by 2 clips, nothing is sampled. Example
unit: add or remove one example, clipped each, secret Poisson batches.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from bench.table import Row, publish
from privacy.accounting import noise_multiplier
from privacy.comparison import exact_rho, liu_simeone_rho

EPSILON, DELTA, ROUNDS, EXAMPLES, BATCH, DEVICES = 5.0, 1e-5, 8000, 1000, 64, 5


def device_noise(rho: float, rounds: int) -> float:
    """sum over T rounds of 2 clip^2 / n_t = rho, n_t constant; the mean of K has n_t / K^2."""
    return 2.0 / DEVICES * math.sqrt(rounds / (2.0 * rho))


def measure(rounds: int = ROUNDS) -> list[Row]:
    multiplier = noise_multiplier(EPSILON, DELTA, BATCH / EXAMPLES, rounds)
    one = multiplier / BATCH  # noise that protects one example of one device's payload
    setting = f"epsilon {EPSILON:g}, delta {DELTA:g}, T = {rounds}, K = {DEVICES}"
    example = f"multiplier {multiplier:.4g}, n = {EXAMPLES}, B = {BATCH}, {setting}"
    return [
        Row(
            "noise_paper",
            device_noise(liu_simeone_rho(EPSILON, DELTA), rounds),
            "clips",
            f"device unit, R_dp; {setting}",
        ),
        Row(
            "noise_exact_device",
            device_noise(exact_rho(EPSILON, DELTA), rounds),
            "clips",
            f"device unit, exact; {setting}",
        ),
        Row("noise_example_aggregate", one / DEVICES, "clips", f"example unit, everybody's noise counts; {example}"),
        Row(
            "noise_example_own",
            one / math.sqrt(DEVICES),
            "clips",
            f"example unit, only a device's own counts; {example}",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    publish("privacy_gain", measure(), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
