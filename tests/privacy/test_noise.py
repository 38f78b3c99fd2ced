from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from privacy.noise import ReproducibleSecret, SystemSecret, _Uniform, discrete_gaussian, sigma_steps


def pmf(sigma: float, reach: int) -> np.ndarray:
    """Probability of -reach .. reach from the definition."""
    x = np.arange(-400, 401)
    weights = np.exp(-0.5 * (x / sigma) ** 2)
    return (weights / weights.sum())[400 - reach : 401 + reach]


@pytest.mark.parametrize("sigma", [Fraction(1, 2), 1, Fraction(3, 2), 2, 3])
def test_small_sigma_matches_the_probabilities(sigma: Fraction | int) -> None:
    count, reach = 20_000, math.ceil(2.5 * sigma)
    draws = discrete_gaussian(sigma, count, ReproducibleSecret(5, "pmf", str(sigma)))
    expected = pmf(float(sigma), reach) * count
    seen = np.array([(draws == x).sum() for x in range(-reach, reach + 1)], dtype=float)
    outside_seen, outside = count - seen.sum(), count - expected.sum()
    statistic = ((seen - expected) ** 2 / expected).sum() + (outside_seen - outside) ** 2 / outside
    assert statistic < chi2.ppf(1 - 1e-6, 2 * reach + 1)


def test_large_sigma_has_the_moments_and_the_distribution_of_a_gaussian() -> None:
    sigma, count = 5_419_042, 20_000
    z = discrete_gaussian(sigma, count, ReproducibleSecret(6)) / sigma
    assert abs(z.mean()) < 5 / math.sqrt(count)
    assert z.var() == pytest.approx(1.0, abs=5 * math.sqrt(2 / count))
    assert (z**4).mean() == pytest.approx(3.0, abs=5 * math.sqrt(96 / count))
    for limit in (0.5, 1.0, 2.0, 3.0):
        share = math.erf(limit / math.sqrt(2))
        assert (np.abs(z) < limit).mean() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / count))
    assert len(np.unique(draws_mod := (z * sigma).astype(np.int64) % 8)) == 8  # all low bits are in use
    assert np.bincount(draws_mod).std() < 5 * math.sqrt(count / 8)


class Words:
    """A secret of given 64-bit words, then zeros; a block is used from its end."""

    reproducible = True

    def __init__(self, *words: int) -> None:
        self._words = words

    def bytes(self, count: int) -> bytes:
        words = [*self._words, *[0] * (count // 8 - len(self._words))]
        return b"".join(word.to_bytes(8, "little") for word in reversed(words))

    def stream(self, *name: str | int) -> Words:
        return self


@settings(derandomize=True, deadline=None)
@given(
    numerator=st.integers(0, 2**150),
    denominator=st.integers(1, 2**150),
    words=st.tuples(*[st.integers(0, 2**64 - 1)] * 2),
)
def test_a_coin_compares_a_uniform_real_with_its_bias(numerator: int, denominator: int, words: tuple[int, int]) -> None:
    uniform = Fraction(words[0] * 2**64 + words[1], 2**128)
    assert _Uniform(Words(*words)).less_than(numerator, denominator) == (uniform < Fraction(numerator, denominator))


def test_a_coin_reads_on_while_its_digits_do_not_decide() -> None:
    # 1/3 = 0.0101...: the first word agrees with it in all its digits
    third = (2**64 - 1) // 3
    assert _Uniform(Words(third, third - 1)).less_than(1, 3)
    assert not _Uniform(Words(third, third + 1)).less_than(1, 3)
    assert _Uniform(Words(third, third, 0)).less_than(1, 3)


def test_impossible_sigma_is_refused() -> None:
    for sigma in (0, -1, 2**50):
        with pytest.raises(ValueError, match="sigma"):
            discrete_gaussian(sigma, 1, SystemSecret())


@settings(derandomize=True, deadline=None)
@given(multiplier=st.floats(1e-3, 1e4), squared=st.integers(1, 2**50))
def test_sigma_is_the_smallest_integer_not_below(multiplier: float, squared: int) -> None:
    sigma = sigma_steps(multiplier, squared)
    wanted = Fraction(multiplier) ** 2 * squared
    assert (sigma - 1) ** 2 < wanted <= sigma**2


def test_reproducible_streams_repeat_and_are_separated() -> None:
    names = [(), ("a",), ("a", 1), ("a1",), ("a", "1"), ("b", 1)]
    streams = {ReproducibleSecret(1, *name).bytes(64) for name in names} | {ReproducibleSecret(2).bytes(64)}
    assert len(streams) == len(names) + 1
    assert ReproducibleSecret(1, "a").stream(1).bytes(64) == ReproducibleSecret(1, "a", 1).bytes(64)
    assert ReproducibleSecret(1).reproducible


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=8))
def test_a_stream_does_not_depend_on_how_it_is_cut(cuts: list[int]) -> None:
    stream = ReproducibleSecret(3, "cut")
    joined = b"".join(stream.bytes(cut) for cut in cuts)
    assert joined == ReproducibleSecret(3, "cut").bytes(sum(cuts))


def test_system_bytes_are_fresh() -> None:
    secret = SystemSecret().stream("device", 1)
    assert not secret.reproducible
    assert len({secret.bytes(16) for _ in range(100)}) == 100
    first, second = (discrete_gaussian(10**6, 8, SystemSecret().stream("same", 1)) for _ in range(2))
    assert (first != second).any()
