"""Figures of the report: valid, deterministic, self-contained SVG, and the right numbers in them."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import matplotlib
import numpy as np
import pytest

from fl.reporting import air_figures, cost_figures, learning_figures
from fl.reporting.air_log import AirLog, mean_power_db
from fl.reporting.run_files import Evaluations
from radio.figure import BLUE, INK, Plot

SVG = "{http://www.w3.org/2000/svg}"


def air(
    slots: int = 40,
    devices: int = 5,
    perturbations: int = 1,
    noise: float = 0.1,
    erased: tuple[int, ...] = (),
    silent: bool = False,
) -> AirLog:
    rng = np.random.default_rng(5)
    truth = rng.standard_normal((slots, perturbations))
    active = rng.random((slots, devices)) < (0.0 if silent else 0.9)
    lost = np.isin(np.arange(slots), erased)
    return AirLog(
        rounds=np.arange(slots),
        erased=lost,
        truth=truth,
        signal=0.5 * truth,
        received=np.where(lost[:, None], np.nan, truth + noise * rng.standard_normal(truth.shape)),
        variance=np.full(truth.shape, noise**2),
        snr_db=np.full(truth.shape, -20 * math.log10(noise) if noise else math.nan),  # JSON has no infinity
        active=active,
        power_dbfs=np.where(active, -20.0 - np.arange(devices), np.nan),
        gain_db=np.zeros((slots, devices)),
        clipped=np.zeros((slots, devices)),
    )


def evals(n: int) -> Evaluations:
    return Evaluations(10 * np.arange(n), np.linspace(0.7, 0.4, n), np.linspace(0.5, 0.8, n), np.full(n, 500))


def texts(plot: Plot) -> str:
    return " ".join(element.text or "" for element in ElementTree.fromstring(plot.svg).iter(f"{SVG}text"))


NOTHING, NO_DEVICES = evals(0), air(0, 0, 0)
CASES: dict[str, Callable[[], Plot]] = {
    "ladder": lambda: learning_figures.accuracy_ladder(
        [("this run", 0.8, (0.78, 0.82)), ("zero-shot", 0.5, None)], 0.5
    ),
    "ladder without floor": lambda: learning_figures.accuracy_ladder([("this run", 0.8, None)], None),
    "ladder of nothing": lambda: learning_figures.accuracy_ladder([], None),
    "loss": lambda: learning_figures.loss_over_rounds(evals(7)),
    "loss once": lambda: learning_figures.loss_over_rounds(evals(1)),
    "loss never": lambda: learning_figures.loss_over_rounds(NOTHING),
    "accuracy": lambda: learning_figures.accuracy_over_rounds(
        evals(7), 0.5, [("zero-shot", 0.5), ("bag of words", 0.86), ("first-order", 0.9)]
    ),
    "accuracy once": lambda: learning_figures.accuracy_over_rounds(evals(1), None),
    "accuracy never": lambda: learning_figures.accuracy_over_rounds(NOTHING, 0.5),
    "sums plain": lambda: air_figures.sums(air()),
    "sums of one slot": lambda: air_figures.sums(air(slots=1)),
    "sums all erased": lambda: air_figures.sums(air(slots=2, erased=(0, 1))),
    "error erased": lambda: air_figures.error(air(erased=(0, 3, 39))),
    "error of one slot": lambda: air_figures.error(air(slots=1)),
    "error ideal": lambda: air_figures.error(air(noise=0.0)),
    "error empty": lambda: air_figures.error(NO_DEVICES),
    "snr many scalars": lambda: air_figures.snr(air(perturbations=8)),
    "snr erased": lambda: air_figures.snr(air(erased=(0, 3, 39))),
    "snr ideal": lambda: air_figures.snr(air(noise=0.0)),
    "snr all erased": lambda: air_figures.snr(air(slots=2, erased=(0, 1))),
    "power one device": lambda: air_figures.power(air(devices=1)),
    "power one slot": lambda: air_figures.power(air(slots=1)),
    "power many devices": lambda: air_figures.power(air(devices=100)),
    "power many devices, one slot": lambda: air_figures.power(air(slots=1, devices=100)),
    "power silent": lambda: air_figures.power(air(silent=True)),
    "participation one device": lambda: air_figures.participation(air(devices=1)),
    "participation many devices": lambda: air_figures.participation(air(devices=100)),
    "participation empty": lambda: air_figures.participation(NO_DEVICES),
    "epsilon": lambda: cost_figures.epsilon_spent([1, 300, 600], [1.2, 3.3, 5.1], 8.0, 1e-5),
    "epsilon once": lambda: cost_figures.epsilon_spent([1], [1.2], None, 1e-5),
    "epsilon never": lambda: cost_figures.epsilon_spent([], [], 8.0, 1e-5),
    "uplink": lambda: cost_figures.uplink(600 * 12, 32 * 5e6 * 600),
    "uplink of signs": lambda: cost_figures.uplink(600, 16 * 5e6 * 600, signs=True),
    "uplink equal": lambda: cost_figures.uplink(100, 100),
    "uplink unknown": lambda: cost_figures.uplink(None, None),
    "memory": lambda: cost_figures.memory(812.4, 5_000_000, 5_000_000, 5),
    "memory unknown": lambda: cost_figures.memory(None, None, None, None),
}


@pytest.mark.parametrize("name", CASES)
def test_every_figure_is_valid_and_self_contained(name: str) -> None:
    plot = CASES[name]()
    root = ElementTree.fromstring(plot.svg)
    assert root.tag == f"{SVG}svg" and root.get("viewBox") and root.get("width") is None
    assert root.find(f"{SVG}title").text == plot.title and plot.title.endswith(".")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) and all(value.startswith(f"{plot.name}-") for value in ids)
    references = re.findall(r'href="([^"]*)"', plot.svg)
    assert all(value.startswith(("#", "data:image/png;base64,")) for value in references)
    assert {value[1:] for value in references if value.startswith("#")} | set(
        re.findall(r"url\(#([^)]*)\)", plot.svg)
    ) <= set(ids)
    assert "metadata" not in plot.svg and not re.search(r"\bnan\b", plot.svg) and "<?xml" not in plot.svg


def test_figures_are_deterministic_and_leave_matplotlib_alone() -> None:
    before = dict(matplotlib.rcParams)
    for name in ("accuracy", "power many devices"):
        assert CASES[name]().svg == CASES[name]().svg
    assert dict(matplotlib.rcParams) == before


def test_colours_follow_the_page() -> None:
    svg = learning_figures.loss_over_rounds(evals(7)).svg
    assert f"var(--s0, {BLUE})" in svg and f"var(--ink, {INK})" in svg
    assert not re.search(rf"(?<!, ){BLUE}", svg)


def test_error_is_the_stated_ratio() -> None:
    log = air(slots=1000, noise=0.1, erased=(5,))
    heard = np.arange(1000) != 5
    expected = 10 * math.log10(np.sum((log.received - log.truth)[heard] ** 2) / np.sum(log.truth[heard] ** 2))
    assert log.nmse_db() == pytest.approx(expected)
    assert f"{expected:.1f}".replace("-", "\u2212") in air_figures.sums(log).title
    assert air_figures.sums(log).not_private and air_figures.error(log).not_private
    # Noise of half the sum, so -0 dB: signal is truth/2 in the fixture.
    assert "privacy noise is 0.0 dB" in air_figures.error(log).caption


def test_the_received_snr_stands_beside_that_at_full_scale() -> None:
    log = air(slots=2000, noise=0.1)
    received = 10 * math.log10((log.received**2).sum() / (2000 * 0.01) - 1)
    assert f"received SNR is {received:.1f} dB" in air_figures.snr(log).title
    assert "at full scale it would have been 20.0 dB" in air_figures.snr(log).title
    assert "received at full scale, median" in texts(air_figures.snr(log))


def test_infinite_levels_are_said_in_words() -> None:
    ideal = air(noise=0.0)
    assert "SNR is infinite" in texts(air_figures.snr(ideal)) and "without any error" in air_figures.sums(ideal).title


def test_lines_for_few_devices_and_a_map_for_many() -> None:
    assert (
        "device 7" in texts(air_figures.power(air(devices=8))) and "<image" not in air_figures.power(air(devices=8)).svg
    )
    assert "<image" in air_figures.power(air(devices=9)).svg


def test_long_series_are_thinned() -> None:
    log = air(slots=3_000, devices=5)
    for function in (air_figures.sums, air_figures.error, air_figures.snr, air_figures.power):
        assert len(function(log).svg) < 120_000


def test_mean_power_is_of_watts_not_of_decibels() -> None:
    power = np.array([[0.0, np.nan], [-10.0, np.nan], [np.nan, np.nan]])
    level = mean_power_db(power, [slice(None)])[0]
    assert level[0] == pytest.approx(10 * math.log10((1 + 0.1) / 2)) and math.isnan(level[1])
