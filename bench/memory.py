"""Peak memory of training, one process a figure: ours beside inference, MeZO as written, SGD and AdamW.

    python -m bench.memory [--quick] [--json FILE] [--batch 16]

OPT-125M's architecture with random weights, all of them trained, 16 sequences of 64 tokens in one forward, option-token loss for
everybody.  Every process builds the model, runs three steps (inference: three times two forwards) and reports the largest
resident set it ever had.  "Net" is above the same process after its imports, with our kernels compiled and warmed: that is the
image which all of them share, inference included.  bf16: ours keeps fp32 masters beside a bf16 working copy; the others hold
everything in bf16, their moments too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from bench.table import Row, publish

METHODS = ("plain", "import", "inference", "ours", "mezo", "sgd", "adamw")


def peak_mib() -> float:
    """Largest resident set of this process so far."""
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 1024 if sys.platform != "darwin" else kib / 2**20


def run(method: str, dtype: str, size: int, quick: bool) -> float:
    import torch
    import transformers  # noqa: F401  what everybody imports
    from transformers import OPTForCausalLM  # noqa: F401

    if method == "plain":
        return peak_mib()
    _warm()
    if method == "import":
        return peak_mib()
    from bench.opt125m import batch, likelihood, random_opt
    from bench.step import MU, RATE, Ours, first_order
    from fl.baselines.mezo import mezo_step

    half = dtype == "bf16"
    examples = batch(size)
    model = random_opt(quick, torch.bfloat16 if half and method != "ours" else torch.float32)
    scorer = likelihood(model, size)
    if method == "ours":
        ours = Ours(model, size, torch.get_num_threads(), half)
        step = ours.step
    elif method == "mezo":
        parameters = list(model.network.parameters())

        def step(batch: list) -> None:
            mezo_step(parameters, lambda: float(scorer.losses(batch).mean()), 1, MU, RATE)

    elif method == "inference":

        def step(batch: list) -> None:
            scorer.losses(batch)
            scorer.losses(batch)

    else:
        step = first_order(model, scorer, method)
    for _ in range(3):
        step(examples)
    return peak_mib()


def _warm() -> None:
    """Everything that any method imports, and what ours compiles, on a model of nothing."""
    import numpy as np
    from transformers import AutoTokenizer

    import bench.step  # noqa: F401
    import fl.baselines.mezo
    import fl.first_order
    import fl.replica  # noqa: F401
    from fl.directions.rademacher import Rademacher
    from fl.half import round_to_bfloat16
    from fl.models import EMBEDDED
    from fl.update import Move
    from fl.weights import Weights

    AutoTokenizer.from_pretrained(EMBEDDED)
    array = np.zeros(2 * Rademacher.chunk, np.float32)
    weights = Weights({"w": array}, Rademacher(), 2)
    weights.move([Move(1, 0, 0.5)])
    weights.settle()
    round_to_bfloat16(array, np.zeros(array.size, np.uint16))


def measure(method: str, dtype: str, size: int, quick: bool) -> float:
    words = [sys.executable, "-m", "bench.memory", "--one", method, "--dtype", dtype, "--batch", str(size)]
    done = subprocess.run(words + (["--quick"] if quick else []), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{method} {dtype} ended with exit code {done.returncode}: {done.stderr.strip()}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def rows(size: int, quick: bool) -> list[Row]:
    methods = ("inference", "ours") if quick else METHODS[2:]
    dtypes = ("fp32",) if quick else ("fp32", "bf16")
    base = measure("import", "fp32", size, quick)
    found = [Row("import_mib", base, "MiB", "torch, transformers and our package and kernels, warmed")]
    if not quick:
        plain = measure("plain", "fp32", size, quick)
        found.append(Row("kernel_import_mib", base - plain, "MiB", "of that, ours beyond torch and transformers' OPT"))
    for dtype in dtypes:
        peaks = {method: measure(method, dtype, size, quick) for method in methods}
        found += [Row(f"rss_{m}_{dtype}", peak, "MiB", f"batch {size}, length 64") for m, peak in peaks.items()]
        over = "rss_over_inference" + ("" if dtype == "fp32" else "_bf16")
        found.append(Row(over, peaks["ours"] / peaks["inference"], "", f"whole processes, {dtype}"))
        if not quick:
            net = {m: peak - base for m, peak in peaks.items()}
            found.append(Row(f"rss_net_over_adamw_{dtype}", net["ours"] / net["adamw"], "", "both net of imports"))
            found.append(Row(f"rss_net_over_sgd_{dtype}", net["ours"] / net["sgd"], "", "both net of imports"))
            found.append(Row(f"mezo_over_ours_{dtype}", peaks["mezo"] / peaks["ours"], "", "whole processes"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--one", choices=METHODS, help=argparse.SUPPRESS)
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(arguments.one, arguments.dtype, arguments.batch, arguments.quick)))
        return
    publish("memory", rows(arguments.batch, arguments.quick), arguments.quick, arguments.json)


if __name__ == "__main__":
    main()
