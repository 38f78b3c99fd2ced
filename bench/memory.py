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
import subprocess
import sys
from pathlib import Path

from bench.table import Row, publish
from fl.summary import peak_rss_mib

METHODS = ("plain", "import", "inference", "ours", "mezo", "sgd", "adamw")


def run(method: str, dtype: str, size: int, quick: bool) -> float:
    import torch  # noqa: F401  what everybody imports
    from transformers import OPTForCausalLM  # noqa: F401

    if method == "plain":
        return peak_rss_mib()
    from fl.studies import peak

    named = "pairzero" if method == "ours" else method
    return peak.measure(peak.Peak(named, "tiny" if quick else "125m", dtype, size))["peak_rss_mib"]


def measure(method: str, dtype: str, size: int, quick: bool) -> float:
    if quick:  # its shape: peaks of one process say nothing
        return run(method, dtype, size, quick)
    words = [sys.executable, "-m", "bench.memory", "--one", method, "--dtype", dtype, "--batch", str(size)]
    done = subprocess.run(words, capture_output=True, text=True)
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
