"""What privacy would cost, before a run."""

from __future__ import annotations

import json
import math

import pytest

from fl import privacy_plan
from fl.guarantee import guarantee_of
from fl.privacy_plan import noise_of_mean, plan
from radio.errors import InputError

DEVICE = {"privacy.unit": "device", "radio.snr_db": 40.0}  # closed form: no loss distributions


@pytest.fixture(autouse=True)
def few_slots(monkeypatch):
    monkeypatch.setattr(privacy_plan, "SLOTS", 20)


def test_without_fading_both_parts_have_a_formula(make_experiment):
    experiment = make_experiment({**DEVICE, "radio.fading": "static", "radio.offset_hz": 0.0})
    own, air, erased = noise_of_mean(experiment)
    std = guarantee_of(experiment).charge.noise_multiplier * 2 * 10.0
    assert erased == 0.0
    assert own == pytest.approx(std / math.sqrt(3) / 10.0, rel=1e-3)
    # a payload of full scale (clip and 4 standard deviations) is 40 dB above the noise of one real dimension
    assert air >= 0.9 * (10.0 + 4 * std) / 100 / 3 / 10.0


def test_noise_of_the_mean_moves_the_way_theory_says(make_experiment):
    points = plan(make_experiment(DEVICE))
    own = {a: [p.own for p in points if p.axis == a] for a in ("epsilon", "devices", "rounds")}
    assert own["epsilon"] == sorted(own["epsilon"], reverse=True)
    assert own["devices"] == sorted(own["devices"], reverse=True)
    assert own["rounds"] == sorted(own["rounds"])
    air = [p.air for p in points if p.axis == "snr_db" and p.air is not None]
    assert air == sorted(air, reverse=True)
    for axis in privacy_plan.AXES:
        (here,) = [p for p in points if p.axis == axis and p.here]
        assert here.both == pytest.approx(math.hypot(here.own, here.air))


def test_the_aggregate_threat_needs_less_own_noise(make_experiment):
    own, _, _ = noise_of_mean(make_experiment({**DEVICE, "radio.truncation": 0.0}))
    together = {"privacy.threat": "aggregate", "privacy.assume_perfect_csi": True, "radio.truncation": 0.0}
    less, _, _ = noise_of_mean(make_experiment({**DEVICE, **together}))
    assert less / own == pytest.approx(1 / math.sqrt(3), rel=0.02)  # delta is a hundredth smaller


def test_the_command_prints_draws_and_touches_no_ledger(make_experiment, pairzero, tmp_path):
    file = tmp_path / "e.toml"
    file.write_text(make_experiment({**DEVICE, "privacy.ledger": str(tmp_path / "ledgers")}).to_toml())
    found = pairzero("privacy", "plan", file, "--out", "plan.png", "--json", "plan.json")
    assert found.code == 0
    assert "device level, own-noise" in found.out and "<- here" in found.out
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    points = json.loads((tmp_path / "plan.json").read_text())["points"]
    assert {p["axis"] for p in points} == set(privacy_plan.AXES)
    assert not (tmp_path / "ledgers").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"privacy.enabled": False}, "no privacy noise to plan"),
        ({"learning.payload": "sign"}, "the noise is inside the sign"),
    ],
)
def test_where_there_is_nothing_to_plan_it_says_so(make_experiment, changes, why):
    with pytest.raises(InputError, match=why):
        plan(make_experiment(changes))


def test_a_picture_of_another_kind_is_refused(make_experiment, tmp_path):
    from fl.privacy_figure import write_plan

    with pytest.raises(InputError, match=r"--out .*plan.bmp: a picture's name ends in .png"):
        write_plan(tmp_path / "plan.bmp", "title", [])
