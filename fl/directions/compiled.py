"""How the kernels are compiled: numba, releasing the GIL, cached, and with vectors as wide as the processor has them.

numba's LLVM prefers 256-bit vectors on processors with AVX-512, for fear of their lower clock.  These kernels are plain
streams of fp32 additions, where 512 bits are 15 to 20 % faster (bench/replay.py), and no vector width changes a bit.
"""

from __future__ import annotations

import llvmlite.binding
from numba import config, njit

if config.CPU_FEATURES is None:
    _features = llvmlite.binding.get_host_cpu_features()
    if _features.get("avx512f"):
        config.CPU_FEATURES = _features.flatten() + ",-prefer-256-bit"

compiled = njit(cache=True, nogil=True)
inlined = njit(inline="always")
