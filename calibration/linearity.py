"""A transmitter's amplitude curve from the levels that arrive: gain, compression, errors of its attenuator.

    m_i = c u_i / (1 + k u_i^(2 p))^(1 / (2 p)) + noise,   u_i = a_i 10^((g_i + e_i) / 20),   p = 2

a_i digital amplitudes, g_i attenuator settings relative to the first (0 dB, whose own error is part of c), e_i its errors
(Rapp's amplifier, `radio.frontend.Amplifier`, k = v^(-2 p)). Only magnitudes are compared: each start has a phase of its
own. With errors s_i of the magnitudes the estimates are maximum likelihood, and their covariance is the inverse of the
Fisher information, sum_i grad m_i grad m_i^T / s_i^2: (c, k) from the digital sweep at the first setting, whose errors are
none, and each other setting's error from its own level, given (c, k).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import chi2

from calibration.finding import Estimate
from radio.frontend import RAPP_SMOOTHNESS

Floats = NDArray[np.float64]

POWER = 2.0 * RAPP_SMOOTHNESS
RESOLVED = 5.0  # standard errors of the curvature, for a compression point to be stated and not only bounded
MISFIT = 1e-4  # probability of such deviations from the curve by noise alone, below which errors are widened
_DB = 20.0 / math.log(10.0)


@dataclass(frozen=True)
class Curve:
    """Attributes:
    gain: c, received magnitude of a digital amplitude 1 without compression.
    curvature: k, of digital amplitude to the power of -4; 0 for a straight line, below 0 by noise.
    covariance: (2, 2) of the two.
    misfit: standard deviations of the levels about the curve over what noise makes; errors are widened by it where that is
        no chance, else 1.
    """

    gain: float
    curvature: float
    covariance: Floats
    misfit: float

    def received(self, amplitude: Floats) -> Floats:
        return amplify(self.gain, self.curvature, amplitude)

    @property
    def gain_db(self) -> Estimate:
        """Received level of full scale on the straight line, dBFS of the ADC."""
        return Estimate(_DB * math.log(self.gain), _DB * math.sqrt(self.covariance[0, 0]) / self.gain, "dBFS")

    @property
    def compression_dbfs(self) -> Estimate | None:
        """Output 1 dB compression point: the level behind the amplifier, relative to a full-scale tone at this attenuator
        setting on the straight line. None where the sweep does not reach it, see `compression_bound_dbfs`."""
        error = math.sqrt(self.covariance[1, 1])
        if not self.curvature > RESOLVED * error:
            return None
        return Estimate(_point(self.curvature), _DB * error / (POWER * self.curvature), "dBFS")

    @property
    def compression_bound_dbfs(self) -> float:
        """The compression point is above this, in 97.5 of 100 cases."""
        return _point(max(self.curvature, 0.0) + 1.96 * math.sqrt(self.covariance[1, 1]))

    def loss_db(self, amplitude: float = 1.0) -> Estimate:
        """By how much the output is below the straight line at this digital amplitude."""
        return loss_db(self.curvature, math.sqrt(self.covariance[1, 1]), amplitude)

    def linear_amplitude(self, loss_db: float = 0.1) -> float:
        """Largest digital amplitude, at most 1, whose loss is at most this."""
        if self.curvature <= 0.0:
            return 1.0
        return float(min(1.0, ((10.0 ** (loss_db * POWER / 20.0) - 1.0) / self.curvature) ** (1.0 / POWER)))


def loss_db(curvature: float, error: float, amplitude: float) -> Estimate:
    """See `Curve.loss_db`: of a curvature and its standard error."""
    lift = amplitude**POWER
    inside = max(1.0 + curvature * lift, 1e-3)
    return Estimate(_DB / POWER * math.log(inside), _DB / POWER * lift * error / inside, "dB")


def amplify(gain: float, curvature: float, amplitude: Floats) -> Floats:
    """c a / (1 + k a^4)^(1/4)."""
    return np.asarray(gain * amplitude / np.maximum(1.0 + curvature * amplitude**POWER, 1e-3) ** (1.0 / POWER))


def _point(curvature: float) -> float:
    """Output level at which the loss is 1 dB: v (10^(p/10) - 1)^(1/(2 p)) 10^(-1/20) with v = k^(-1/(2 p))."""
    lift = 10.0 ** (POWER / 20.0) - 1.0
    return 20.0 / POWER * math.log10(lift / max(curvature, 1e-30)) - 1.0


def _gradient(gain: float, curvature: float, amplitude: Floats) -> Floats:
    """(n, 2) of the received magnitudes by (c, k)."""
    inside = np.maximum(1.0 + curvature * amplitude**POWER, 1e-3)
    shape = amplitude * inside ** (-1.0 / POWER)
    return np.stack([shape, -gain / POWER * amplitude ** (POWER + 1.0) * inside ** (-1.0 / POWER - 1.0)], axis=1)


def curve_bound(gain: float, curvature: float, amplitude: Floats, errors: Floats) -> Floats:
    """(2, 2) Cramer-Rao bound of (c, k): the inverse of the Fisher information of the module's model."""
    scaled = _gradient(gain, curvature, amplitude) / errors[:, None]
    return np.asarray(np.linalg.inv(scaled.T @ scaled))


def fit_curve(amplitude: Floats, received: Floats, errors: Floats, ripple: Floats | float = 0.0) -> Curve:
    """See the module.

    Args:
        amplitude: (n,) digital, at least two different ones.
        received: (n,) magnitudes.
        errors: (n,) their standard errors.
        ripple: (n,) power of what else goes through the amplifier, an image or a leak, over the tone's.
    """
    curve = _fit(amplitude, received, errors)
    for _ in range(2 if np.any(ripple) else 0):
        curve = _fit(amplitude, received / (1.0 + _rippled(curve.curvature, amplitude, ripple)), errors)
    return curve


def _rippled(curvature: float, amplitude: Floats, ripple: Floats | float) -> Floats:
    """Change of a tone's gain by a small second line, for which the envelope rises and falls about the tone's amplitude.

    E (1 + r e^{j psi}) G(|u|^2), u = a (1 + r e^{j psi}), G(s) = (1 + k s^2)^(-1/4), psi uniform: to second order in r,
    G (1 + r^2 (5/4 q^2 - 3/2 q)) with q = k a^4 / (1 + k a^4).
    """
    lift = np.maximum(curvature, 0.0) * amplitude**POWER
    share = lift / (1.0 + lift)
    return np.asarray(ripple * (1.25 * share**2 - 1.5 * share))


def _fit(amplitude: Floats, received: Floats, errors: Floats) -> Curve:
    scale = float(np.sum(received * amplitude / errors**2) / np.sum(amplitude**2 / errors**2))
    fitted = least_squares(
        lambda x: (amplify(scale * x[0], x[1], amplitude) - received) / errors,
        [1.0, 0.05],
        jac=lambda x: _gradient(scale * x[0], x[1], amplitude) * np.array([scale, 1.0]) / errors[:, None],
        x_scale="jac",
        bounds=([0.0, -0.9 / float(amplitude.max()) ** POWER], [np.inf, np.inf]),
    )
    gain, curvature = scale * float(fitted.x[0]), float(fitted.x[1])
    freedom = amplitude.size - 2
    square = 2.0 * float(fitted.cost)
    chance = float(chi2.sf(square, freedom)) if freedom > 0 else 1.0
    misfit = math.sqrt(square / freedom) if chance < MISFIT else 1.0
    return Curve(gain, curvature, curve_bound(gain, curvature, amplitude, errors) * misfit**2, misfit)


def attenuator_error(
    curve: Curve, amplitude: float, setting_db: float, received: float, error: float, ripple: float = 0.0
) -> Estimate | None:
    """By how much an attenuator setting differs from what it says, relative to the sweep's, dB.

    The level is taken back through the curve: u = (m / c) (1 - k (m / c)^4)^(-1/4), e = 20 log10(u / a) - setting. None where
    the amplifier is so far in saturation that the level says nothing of what drives it.

    Args:
        curve: of the sweep at setting 0.
        amplitude: digital, of this level.
        setting_db: of the attenuator, relative to the sweep's.
        received, error: the level and its standard error.
        ripple: see `fit_curve`.
    """
    drive = np.array([amplitude * 10.0 ** (setting_db / 20.0)])
    received /= 1.0 + float(_rippled(curve.curvature, drive, ripple)[0])
    ratio = received / curve.gain
    inside = 1.0 - curve.curvature * ratio**POWER
    if received <= 3.0 * error or inside < 0.1:
        return None
    value = _DB * (math.log(ratio / amplitude) - math.log(inside) / POWER) - setting_db
    # by ratio: 1 / (ratio inside); by curvature: ratio^4 / (4 inside)
    by_ratio = _DB / (ratio * inside)
    by_curve = np.array([-by_ratio * ratio / curve.gain, _DB / POWER * ratio**POWER / inside])
    variance = (by_ratio * error / curve.gain) ** 2 + float(by_curve @ curve.covariance @ by_curve)
    return Estimate(value, math.sqrt(variance), "dB")
