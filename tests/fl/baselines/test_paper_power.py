"""The paper's rules as an algorithm: the noise is what its budget says, whatever the control."""

from __future__ import annotations

import numpy as np
import pytest

from fl.baselines.harness import build
from privacy.comparison import exact_rho, liu_simeone_rho
from radio.errors import InputError

PAPER = {
    "radio.mode": "coherent",
    "radio.snr_db": 20.0,
    "privacy.epsilon": 5.0,
    "privacy.delta": 1e-2,
    "privacy.clip": 100.0,
}


@pytest.mark.parametrize("control", ["solution", "static", "reversed"])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_budget_of_all_rounds_is_spent_and_no_more(make_setting, control, corrected):
    setting = make_setting("paper-solution", 10, PAPER)
    algorithm = build("paper-solution", setting, control=control, corrected=corrected)
    # equation 16: sum_t 2 gamma^2 c_t^2 / m_t^2 <= rho, with m_t / (K c_t) the noise of the mean
    spent = sum(2 * (100.0 / (2 * algorithm.noise_std(t))) ** 2 for t in range(10))
    rho = (exact_rho if corrected else liu_simeone_rho)(5.0, 1e-2)
    assert spent == pytest.approx(rho, rel=1e-6)


def test_static_noise_is_that_of_the_formula(make_setting):
    """std = (2 gamma / K) sqrt(T / (2 rho)) / sqrt(2): uniform, the sensitivity counted as in equation 16."""
    setting = make_setting("paper-static", 10, PAPER)
    std = build("paper-static", setting).noise_std(0)
    assert std == pytest.approx(100.0 / 2 * np.sqrt(2 * 10 / liu_simeone_rho(5.0, 1e-2)), rel=1e-6)


def test_a_weak_link_sends_at_full_power(make_setting):
    setting = make_setting("paper-solution", 10, {**PAPER, "radio.snr_db": -60.0})
    assert (
        build("paper-solution", setting).noise_std(3)
        > build("paper-static", setting, control="static").noise_std(3) * 0.9
    )
    assert build("paper-perfect", setting).noise_std(3) == 0.0


def test_theorem_4_as_printed_has_no_solution_and_corrected_it_has(make_setting):
    setting = make_setting("paper-solution", 1000, {**PAPER, "learning.payload": "sign"})
    with pytest.raises(InputError, match="theorem 4 as printed has no solution"):
        build("paper-solution", setting)
    corrected = build("paper-solution", setting, corrected=True)
    noise = [corrected.noise_std(t) for t in range(1000)]
    assert 0 < np.isfinite(noise).sum() < 1000  # rounds that are worth too little send nothing


def test_several_directions_are_refused(make_setting):
    setting = make_setting("paper-solution", 10, {"learning.perturbations": 2})
    with pytest.raises(InputError, match=r"learning\.perturbations = 2"):
        build("paper-solution", setting)
