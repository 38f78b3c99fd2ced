"""How the kernels are compiled: numba, releasing the GIL, cached, and with vectors as wide as the processor has them.

numba brings its own LLVM, so no compiler is needed.  Where numba cannot be imported or is switched off (NUMBA_DISABLE_JIT)
`available` is false, the kernels below are plain functions that nobody should call, and `fl.directions.registry` takes the
torch form instead.

numba's LLVM prefers 256-bit vectors on processors with AVX-512, for fear of their lower clock.  These kernels are plain
streams of fp32 additions, where 512 bits are 15 to 20 % faster (bench/replay.py), and no vector width changes a bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

uint32: Any = np.uint32
uint64: Any = np.uint64


try:
    import llvmlite.binding
    import llvmlite.ir
    import numba
    import numba.extending
except ImportError:  # also what numba raises when numpy is too new for it
    available = False

    def compiled(function: Callable) -> Callable:
        return function

    inlined: Any = compiled
    as_float: Any = np.float32  # nobody calls it
else:
    available = not numba.config.DISABLE_JIT
    if numba.config.CPU_FEATURES is None:
        _features = llvmlite.binding.get_host_cpu_features()
        if _features.get("avx512f"):
            numba.config.CPU_FEATURES = _features.flatten() + ",-prefer-256-bit"
    uint32, uint64 = numba.uint32, numba.uint64

    def compiled(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, nogil=True)(function)
        except RuntimeError:  # no folder for the cache may be written to
            return numba.njit(nogil=True)(function)

    inlined = numba.njit(inline="always")

    @numba.extending.intrinsic
    def as_float(context: Any, bits: Any) -> Any:
        """The fp32 number that 32 bits are."""

        def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], llvmlite.ir.FloatType())

        return numba.float32(numba.uint32), generate


@inlined
def add(w, z, amounts, at, end):
    """w = fl(w + fl(amount z)) for the amounts [at, end) in order.  Several share a trip through the cache."""
    while at < end:
        if end - at >= 4:
            a, b, c, d = amounts[at], amounts[at + 1], amounts[at + 2], amounts[at + 3]
            for i in range(w.size):
                v = z[i]
                w[i] = (((w[i] + a * v) + b * v) + c * v) + d * v
            at += 4
        elif end - at >= 2:
            a, b = amounts[at], amounts[at + 1]
            for i in range(w.size):
                v = z[i]
                w[i] = (w[i] + a * v) + b * v
            at += 2
        else:
            a = amounts[at]
            for i in range(w.size):
                w[i] = w[i] + a * z[i]
            at += 1
