"""Units on one clock must believe in one frequency of it (`xo_correction`), or they tune apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

REFERENCE_HZ = 40_000_000  # what stock firmware takes for granted of an external clock


def reference_misfit(told: Sequence[tuple[str, float]]) -> str:
    """Why units, (name, Hz) each, cannot share a clock, or ""."""
    values = Counter(value for _, value in told)
    if len(values) < 2:
        return ""
    apart = 1e6 * (max(values) - min(values)) / REFERENCE_HZ
    usual = REFERENCE_HZ if REFERENCE_HZ in values else values.most_common(1)[0][0]
    odd = ", ".join(f"{name} has {value:.0f} Hz" for name, value in told if value != usual)
    return (
        f"xo_correction differs from unit to unit: {odd}, the others {usual:.0f} Hz; on one clock they tune {apart:.3g} ppm "
        f"apart. Set {REFERENCE_HZ} on all of them (xo_correction = {REFERENCE_HZ} in config.txt, or iio_attr -u URI -d "
        f"ad9361-phy xo_correction {REFERENCE_HZ}), or take clock = 'free'"
    )
