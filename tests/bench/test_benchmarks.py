"""Benchmarks write the one JSON form of design section 7."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.table import Row, publish

Bench = Callable[..., dict[str, Any]]


def test_rows_machine_and_quick_are_in_the_file(tmp_path: Path) -> None:
    publish("example", [Row("speed", 2.5, "1/s", "a note")], True, tmp_path / "out.json", [Row("hidden", 1.0, "s")])
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["bench"] == "example" and written["quick"] is True
    assert written["rows"] == [
        {"name": "speed", "value": 2.5, "unit": "1/s", "note": "a note"},
        {"name": "hidden", "value": 1.0, "unit": "s", "note": ""},
    ]
    assert {"cpu", "cores", "python"} <= set(written["machine"])


def test_accuracy_benchmark_runs_quickly_and_reports_floor_gain_and_curve(bench: Bench, tmp_path: Path) -> None:
    rows = bench("accuracy", "examples/demo.toml", "--figure", str(tmp_path / "curves" / "demo.svg"))
    assert rows["accuracy after round 0"]["value"] == rows["zero_shot_accuracy"]["value"]
    assert rows["accuracy after round 3"]["value"] == rows["accuracy"]["value"]
    assert {file.name for file in (tmp_path / "curves").iterdir()} == {"demo.svg", "demo.png"}
    assert rows["chance_floor"]["value"] == 0.5
    assert {"accuracy", "zero_shot_accuracy", "bow_accuracy", "gain", "epsilon"} <= set(rows)
    assert rows["epsilon"]["value"] <= 8


@pytest.mark.parametrize(
    "name, rows",
    [
        ("zero_shot", {"zero_shot", "best_threshold", "answers_second_option", "chance_floor"}),
        (
            "step",
            {"step_ratio_b1", "step_ratio_b4", "mezo_ratio_b1", "mezo_ratio_b4", "sgd_ratio_b1", "adamw_ratio_b4"},
        ),
        ("memory", {"import_mib", "rss_inference_fp32", "rss_ours_fp32", "rss_over_inference"}),
        ("replay", {"replay_ms_per_round", "pass_ms", "catch_up_1000"}),
        ("devices", {"devices_ratio_k1", "devices_ratio_k8", "rss_k8_over_k1"}),
        ("scaling", {"round_ms_k4", "round_us_per_device_k16", "linear_k16", "rss_k16_over_k4"}),
        ("half", {"forward_speedup", "error_gains_mu0.01", "error_all_mu0.001"}),
        ("gradient_energy", {"layers.0.self_attn_layer_norm.weight", "all LayerNorms", "all matrices"}),
    ],
)
def test_benchmarks_of_the_model_run_quickly_and_name_their_rows(bench: Bench, name: str, rows: set[str]) -> None:
    assert rows <= set(bench(name))


@pytest.mark.parametrize(
    "name, rows",
    [
        (
            "aggregation",
            {
                "coherent_nmse_gap_db",
                "estimated_csi_gap_db",
                "energy_variance_gap",
                "cfo_gap_db",
                "gain_gap_db",
                "energy_error_pluto_bench",
                "coherent_error_shared_clock",
            },
        ),
        ("radio_speed", {"round_ms_k8", "symbol_device_rounds_per_s"}),
        pytest.param(
            "pluto",
            {"rounds_per_s", "coherent_error", "energy_error", "rx_msps", "attribute_us"},
            marks=pytest.mark.libiio,
        ),
        pytest.param("calibration", {"coverage", "interval_over_crb"}, marks=pytest.mark.libiio),
    ],
)
def test_benchmarks_of_the_radio_run_quickly_and_name_their_rows(bench: Bench, name: str, rows: set[str]) -> None:
    assert rows <= set(bench(name))


@pytest.mark.parametrize(
    "name, rows",
    [
        ("power", {"closed_vs_cvxpy", "closed_form_ms", "online_loss_db", "untrusted_receiver_cost_db"}),
        (
            "chaos",
            {
                "kills",
                "digest_mismatches",
                "lost_commits",
                "budget_overspends",
                "overhead_ms",
                "malformed",
                "uncaught",
                "rejoin_s_max",
                "power_cuts",
                "corrupt_journals",
            },
        ),
        ("privacy_gain", {"noise_paper", "noise_exact_device", "noise_example_aggregate", "noise_example_own"}),
    ],
)
def test_benchmarks_of_privacy_and_durability_run_quickly_and_name_their_rows(
    bench: Bench, name: str, rows: set[str]
) -> None:
    assert rows == set(bench(name))


@pytest.mark.engines
def test_the_benchmark_of_transports_finds_their_weights_equal(bench: Bench, ray_here: None) -> None:
    rows = bench("transports")
    assert rows["digests_equal"]["value"] == 1.0 and "rounds_per_s_ray_k4" in rows
