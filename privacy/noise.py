"""Secret randomness and the discrete Gaussian drawn from it.

Batches and noise come from the operating system and share nothing with the public seeds of the experiment: whoever
could predict the noise could subtract it. The sampler works on integers throughout (Canonne, Kamath, Steinke, arXiv
2004.00010, algorithms 1 to 3), because the lowest bits of floating-point Gaussians give the secret away (Mironov
2012; Haney et al., arXiv 2207.13793).
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LARGEST_SIGMA = 2**50  # grid steps; a sum and its noise must fit 64-bit integers


class Secret(Protocol):
    """A source of random bytes that no one else can predict."""

    reproducible: bool

    def bytes(self, count: int) -> bytes: ...

    def stream(self, *name: str | int) -> Secret:
        """The source for one purpose, such as ("device", 3, "round", 17, "noise")."""
        ...


class SystemSecret:
    """The operating system's generator. Streams need no separation: every byte is fresh, also in a forked process."""

    reproducible = False

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def stream(self, *name: str | int) -> Secret:
        return self


class ReproducibleSecret:
    """FOR TESTS ONLY, the guarantee is void: bytes derived from a seed and a name (SHAKE-256 in counter mode).

    The same (seed, name) gives the same bytes from the start, so that a repeated round repeats its draws.
    """

    reproducible = True
    _BLOCK = 1024

    def __init__(self, seed: int, *name: str | int) -> None:
        self._seed = seed
        self._name = name
        # repr of a tuple of int and str is unambiguous: no two names share a key.
        self._key = hashlib.sha256(f"pairzero reproducible secret 1 {(seed, *name)!r}".encode()).digest()
        self._blocks = 0
        self._left = b""

    def bytes(self, count: int) -> bytes:
        parts = [self._left]
        have = len(self._left)
        while have < count:
            parts.append(hashlib.shake_256(self._key + self._blocks.to_bytes(8, "big")).digest(self._BLOCK))
            self._blocks += 1
            have += self._BLOCK
        joined = b"".join(parts)
        self._left = joined[count:]
        return joined[:count]

    def stream(self, *name: str | int) -> Secret:
        return ReproducibleSecret(self._seed, *self._name, *name)


def sigma_steps(multiplier: float, sensitivity_squared: int | Fraction) -> int:
    """Smallest integer sigma >= multiplier * sqrt(sensitivity_squared), in exact arithmetic (both in grid steps)."""
    squared = Fraction(multiplier) ** 2 * sensitivity_squared
    ceiling = -(-squared.numerator // squared.denominator)
    root = math.isqrt(ceiling)
    return root if root * root == ceiling else root + 1


def discrete_gaussian(sigma: int | Fraction, count: int, secret: Secret) -> NDArray[np.int64]:
    """`count` independent integers with probability proportional to exp(-x^2 / (2 sigma^2)), exactly.

    Raises ValueError unless 0 < sigma < 2^50 (`LARGEST_SIGMA`).
    """
    if not 0 < sigma < LARGEST_SIGMA:
        raise ValueError(f"sigma is {sigma}; expected above 0 and below 2^50 grid steps")
    exact = Fraction(sigma)
    draw = _Uniform(secret)
    return np.array([_gaussian(draw, exact) for _ in range(count)], dtype=np.int64)


class _Uniform:
    """Uniform integers and coins of exact bias, from 64-bit words fetched in blocks.

    Lives for one call only: a buffer that survived a fork would be used twice.
    """

    _WORDS = struct.Struct("<32Q")

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._words: list[int] = []

    def word(self) -> int:
        if not self._words:
            self._words = list(self._WORDS.unpack(self._secret.bytes(self._WORDS.size)))
        return self._words.pop()

    def below(self, bound: int) -> int:
        """Uniform in 0 .. bound - 1, for a bound up to 2^64."""
        spare = 64 - (bound - 1).bit_length()
        while True:  # rejection: half of the tries succeed at worst
            value = self.word() >> spare
            if value < bound:
                return value

    def less_than(self, numerator: int, denominator: int) -> bool:
        """True with probability numerator/denominator (which may exceed 1): is a uniform real below the ratio? Its binary
        digits are drawn 64 at a time, until those drawn decide; one word nearly always does."""
        digits = 0
        while True:
            digits = digits << 64 | self.word()
            numerator <<= 64
            low = digits * denominator  # the uniform lies between digits and digits + 1
            if low >= numerator:
                return False
            if low + denominator <= numerator:
                return True


def _exponential_unit(draw: _Uniform, numerator: int, denominator: int) -> bool:
    """True with probability exp(-numerator/denominator), for a ratio in [0, 1] (algorithm 1, first case)."""
    k = 1
    while draw.less_than(numerator, denominator * k):
        k += 1
    return k % 2 == 1


def _exponential(draw: _Uniform, numerator: int, denominator: int) -> bool:
    """True with probability exp(-numerator/denominator) (algorithm 1)."""
    whole, rest = divmod(numerator, denominator)
    for _ in range(whole):
        if not _exponential_unit(draw, 1, 1):
            return False
    return _exponential_unit(draw, rest, denominator)


def _laplace(draw: _Uniform, scale: int) -> int:
    """Probability proportional to exp(-|x|/scale) (algorithm 2)."""
    while True:
        fine = draw.below(scale)
        if not _exponential_unit(draw, fine, scale):
            continue
        coarse = 0
        while _exponential_unit(draw, 1, 1):
            coarse += 1
        magnitude = fine + scale * coarse
        negative = draw.word() & 1 == 1
        if negative and magnitude == 0:
            continue  # zero must not count twice
        return -magnitude if negative else magnitude


def _gaussian(draw: _Uniform, sigma: Fraction) -> int:
    """Algorithm 3: a discrete Laplace, accepted with probability exp(-(|x| - sigma^2/t)^2 / (2 sigma^2))."""
    scale = math.floor(sigma) + 1
    square_up, square_down = (sigma * sigma).numerator, (sigma * sigma).denominator
    while True:
        candidate = _laplace(draw, scale)
        # (|x| - s/t)^2 / (2 s) with s = up/down, over one denominator: (|x| t down - up)^2 / (2 up down t^2)
        distance = abs(candidate) * scale * square_down - square_up
        if _exponential(draw, distance * distance, 2 * square_up * square_down * scale * scale):
            return candidate
