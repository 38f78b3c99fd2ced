"""Threads for passes over the weights: those of the OpenMP team that torch's forward passes run on, where there is one.

Threads of our own would fight for the cores with OpenMP's, which spin a while after each product and start the next one late
when they have been pushed aside.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

_Body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Team:
    """Up to `threads` threads, the caller's among them."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._openmp: ctypes.CDLL | None = None
        self._pool: ThreadPoolExecutor | None = None

    def run(self, jobs: Sequence[Callable[[], None]]) -> None:
        """Do every job once, the first ones first, and return when all are done.  Raises the first error of any of them."""
        left = list(reversed(jobs))
        errors: list[BaseException] = []

        def work(_: int | None = None) -> None:
            try:
                while left and not errors:
                    try:
                        job = left.pop()
                    except IndexError:  # another thread had it
                        return
                    job()
            except BaseException as error:  # it cannot pass through OpenMP
                errors.append(error)

        self._openmp = self._openmp or _openmp()
        if self._openmp is not None:
            self._openmp.GOMP_parallel(_Body(work), None, self.threads, 0)
        else:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max(1, self.threads - 1), "team")
            others = [self._pool.submit(work) for _ in range(self.threads - 1)]
            work()
            for other in others:
                other.result()
        if errors:
            raise errors[0]


def _openmp() -> ctypes.CDLL | None:
    """GNU OpenMP, if torch has loaded it: never a second runtime beside another one."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        openmp = ctypes.CDLL("libgomp.so.1", os.RTLD_NOLOAD)
    except OSError:
        return None
    # void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags), the entry that gcc compiles to
    openmp.GOMP_parallel.argtypes = (_Body, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    openmp.GOMP_parallel.restype = None
    return openmp
