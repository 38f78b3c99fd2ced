"""Straight lines through a time series whose residuals hang together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats


def regress(y: NDArray[np.float64], columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least squares of (M,) on (M, P) columns and a constant: (P,) coefficients and their standard errors.

    The errors are those of white residuals, widened as Student's t asks for, and by sqrt((1 + r) / (1 - r)) where neighbouring
    residuals are correlated by r > 0 (a first-order process, M large).
    """
    table = np.column_stack([columns, np.ones(y.size)])
    scale = np.maximum(np.abs(table - table.mean(axis=0)).max(axis=0), 1e-300)
    scale[-1] = 1.0
    centre = np.append(table[:, :-1].mean(axis=0), 0.0)
    unit = (table - centre) / scale
    coefficients, *_ = np.linalg.lstsq(unit, y, rcond=None)
    rest = y - unit @ coefficients
    freedom = max(1, y.size - table.shape[1])
    energy = float(rest @ rest)
    r = float(rest[1:] @ rest[:-1]) / energy if energy > 0.0 else 0.0
    r = min(max(r, 0.0), 0.95)
    wider = math.sqrt((1.0 + r) / (1.0 - r)) * float(stats.t.ppf(0.975, freedom) / special.ndtri(0.975))
    errors = wider * math.sqrt(energy / freedom) * np.sqrt(np.diagonal(np.linalg.pinv(unit.T @ unit)))
    return coefficients[:-1] / scale[:-1], errors[:-1] / scale[:-1]


def slope(t: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Of (M,) values at (M,) times, with its standard error."""
    coefficients, errors = regress(y, t[:, None])
    return float(coefficients[0]), float(errors[0])
