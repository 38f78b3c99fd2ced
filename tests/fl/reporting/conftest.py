"""Made-up run folders with the shape of real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.record_log import encode

NOTICE = "NOT PRIVATE: true sums, recorded because this air is simulated."


def record(value: dict[str, Any]) -> str:
    return encode(value).decode()


def fake_run(
    folder: Path,
    *,
    devices: int = 5,
    rounds: int = 120,
    perturbations: int = 1,
    finished: bool = True,
    privacy: bool = True,
    reproducible: bool = False,
    ideal: bool = False,
    evaluate_every: int = 20,
    summary: bool = True,
    seed: int = 7,
    lost: bool = True,
) -> Path:
    """A run folder such as `pairzero run` leaves: Rayleigh fading, inverted to a common level, at about 20 dB."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    planned = rounds if finished else 2 * rounds
    (folder / "experiment.toml").write_text(
        '[model]\nsource = "embedded"\n\n[task]\nname = "reviews"\n\n'
        f"[learning]\ndevices = {devices}\nrounds = {planned}\nperturbations = {perturbations}\nmu = 0.001\n\n"
        f"[privacy]\nenabled = {str(privacy).lower()}\nepsilon = 8.0\ndelta = 1e-05\n"
        f'reproducible = {str(reproducible).lower()}\n\n[run]\nname = "demo"\nseed = 3\n'
    )
    (folder / "versions.json").write_text(
        json.dumps({"python": "3.11.7", "torch": "2.13.0", "pairzero": "0.1.0", "threads": 2})
    )
    (folder / "seeds.json").write_text(json.dumps({"experiment": 3, "perturbation": "0123456789abcdef"}))
    journal = [
        record({"type": "run", "name": "demo"}),
        record({"type": "model", "digest": "ab" * 32, "parameters": 5_250_000, "trainable": 5_250_000}),
    ]
    diagnostics = [json.dumps({"notice": NOTICE}) + "\n"]
    truth_power = error_power = 0.0
    slot = erased = burned = 0
    accuracy, n = 0.52, 2000

    def evaluate(t: int, final: bool) -> float:
        share = 0.52 + 0.32 * (1 - math.exp(-2.5 * t / max(rounds, 1))) + 0.004 * rng.standard_normal()
        share = round(share * n) / n
        journal.append(
            record(
                {
                    "type": "evaluation",
                    "round": t,
                    "loss": 0.72 - 0.9 * (share - 0.5),
                    "accuracy": share,
                    "examples": n,
                    "final": final,
                }
            )
        )
        return share

    zero_shot = accuracy = evaluate(0, rounds == 0) if finished or rounds else 0.52
    distance = rng.uniform(-6, 0, devices)
    for t in range(rounds):
        for attempt in range(2):
            gain = distance + 10 * np.log10(rng.exponential(size=devices) + 1e-3)
            active = gain > -14
            active[0] |= not active.any()
            payload = rng.normal(0, 0.3, (devices, perturbations))
            noised = payload + (rng.normal(0, 2.0, payload.shape) if privacy else 0)
            truth, signal = noised[active].sum(axis=0), payload[active].sum(axis=0)
            variance = np.zeros(perturbations) if ideal else np.full(perturbations, 0.05 * rng.uniform(0.5, 2))
            received = truth + (0 if ideal else 1.1 * np.sqrt(variance) * rng.standard_normal(perturbations))
            bad = lost and attempt == 0 and rng.random() < 0.02
            diagnostics.append(
                json.dumps(
                    {
                        "slot": slot,
                        "round": t if bad else t + 1,  # committed so far
                        "truth": truth.tolist(),
                        "signal": signal.tolist(),
                        "received": [] if bad else received.tolist(),
                        "variance": [] if bad else variance.tolist(),
                        "snr_db": []
                        if bad
                        else [None] * perturbations  # JSON has no infinity
                        if ideal
                        else (10 * np.log10(devices * 4 / variance)).tolist(),
                        "active": active.tolist(),
                        "transmit_power_dbfs": [
                            (-28 - g + 0.5 * rng.standard_normal()) if a else None
                            for g, a in zip(gain, active, strict=True)
                        ],
                        "gain_db": gain.tolist(),
                        "clipped": rng.poisson(0.02, devices).tolist(),
                        "seconds": 0.01,
                        "erased": bool(bad),
                    }
                )
                + "\n"
            )
            slot += 1
            if bad:
                erased += 1
                journal.append(record({"type": "erased", "slot": slot - 1, "reason": "ADC saturation"}))
                continue
            truth_power += float((truth**2).sum())
            error_power += float(((received - truth) ** 2).sum())
            journal.append(
                record(
                    {
                        "type": "round",
                        "slot": slot - 1,
                        "round": t + 1,
                        "seed": f"{t:016x}",
                        "rate": 1e-3,
                        "mean": (received / active.sum()).tolist(),
                        "active": int(active.sum()),
                    }
                )
            )
            break
        if t == rounds // 2 and lost:
            journal.append(record({"type": "burned", "slot": slot}))
            slot, burned = slot + 1, burned + 1
        if (t + 1) % evaluate_every == 0 or (finished and t + 1 == rounds):
            accuracy = evaluate(t + 1, finished and t + 1 == rounds)
    if finished:
        journal.append(record({"type": "stop", "reason": "finished", "digest": "cd" * 32}))
    elif summary:
        journal.append(record({"type": "stop", "reason": "interrupted", "digest": "cd" * 32}))
    (folder / "journal.jsonl").write_text("".join(journal) + ("" if finished else '0badc0de {"type": "rou'))
    (folder / "diagnostics.jsonl").write_text("".join(diagnostics) + ("" if finished else '{"slot": 99, "rou'))
    (folder / "charges.jsonl").write_text("")
    if privacy:
        (folder / "statement.txt").write_text(
            "Each training example is protected with epsilon 6.3127 at delta 1e-05.\n"
            "The data are public: the ledger was thrown away. x < y & z.\n"
        )
    if summary:
        centre = [accuracy - 0.017, accuracy + 0.016]
        nmse = 10 * math.log10(error_power / truth_power) if error_power else None
        (folder / "summary.json").write_text(
            json.dumps(
                {
                    "name": "demo",
                    "finished": finished,
                    "accuracy": accuracy,
                    "zero_shot_accuracy": zero_shot,
                    "chance_floor": 0.5,
                    "bow_accuracy": 0.868,
                    "first_order_accuracy": 0.9015,
                    "loss": 0.431,
                    "rounds": rounds,
                    "slots": slot,
                    "erased": erased,
                    "burned": burned,
                    "devices": devices,
                    "perturbations": perturbations,
                    "epsilon": 6.3127 if privacy else None,
                    "epsilon_target": 8.0 if privacy else None,
                    "delta": 1e-5 if privacy else None,
                    "noise_multiplier": 0.7 if privacy else None,
                    "sampling_rate": 0.016 if privacy else None,
                    "clip": 10.0,
                    "train_s": 192.4,
                    "total_s": 231.9,
                    "rounds_per_s": 3.12,
                    "aggregate_nmse_db": nmse,
                    "received_snr_db": None if ideal else 14.2,
                    "full_scale_snr_db": None if ideal else 26.1,
                    "peak_rss_mib": 812.4,
                    "parameters": 5_250_000,
                    "trainable": 5_250_000,
                    "uplink_bits_per_device": 16 * slot * perturbations,
                    "first_order_bits_per_device": 16 * 5_250_000 * slot,
                    "channel_uses": slot * perturbations,
                    "params_digest": "cd" * 32,
                    "model_digest": "ab" * 32,
                    "seed": 3,
                    "task": "reviews",
                    "test_examples": n,
                    "accuracy_interval": centre,
                    "privacy": {
                        "enabled": privacy,
                        "guarantee": "void" if reproducible else "differential privacy" if privacy else "none",
                        "unit": "example",
                    },
                    "resumed": 1,
                    "version": "0.1.0",
                }
            )
        )
    return folder


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    return fake_run


@pytest.fixture(scope="session")
def notice() -> str:
    """What the diagnostics of those runs say about themselves."""
    return NOTICE
