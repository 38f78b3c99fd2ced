"""Peak memory of a method, in a process of its own.

Every process builds a model with random weights, runs two steps (inference: twice two forwards) on one batch of
64-token sequences, all weights trained, option-token loss for everybody, and reports the largest resident set it ever had.
`import` is the same process after everybody's imports, with our kernels compiled and warmed: the image that all of them share,
inference included.  bf16: ours keeps fp32 masters beside a bf16 working copy; the others hold everything in bf16, their moments
too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fl.studies.outcome import Outcome
from fl.summary import SCALAR_BITS, peak_rss_mib
from radio.errors import InputError

METHODS = ("import", "inference", "pairzero", "sign-pairzero", "mezo", "sgd", "adamw")
FLOPS_A_SECOND = 1.5e11  # about, of two cores in fp32
STEP_FORWARDS = {"import": 0, "inference": 2, "pairzero": 2, "sign-pairzero": 2, "mezo": 6, "sgd": 3, "adamw": 4}
WEIGHTS = {"tiny": 3.4e6, "125m": 1.252e8, "350m": 3.312e8, "1.3b": 1.316e9}


@dataclass(frozen=True)
class Peak:
    """`size` of `fl.studies.random_opt.SIZES`, `dtype` fp32 or bf16."""

    method: str
    size: str = "125m"
    dtype: str = "fp32"
    batch: int = 16

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"work": "peak memory", **asdict(self)}

    @property
    def seconds(self) -> float:
        forward = 2.0 * WEIGHTS[self.size] * self.batch * 64 / FLOPS_A_SECOND
        return 15.0 + WEIGHTS[self.size] / 5e7 + 2 * STEP_FORWARDS[self.method] * forward

    def check(self) -> None:
        """It needs nothing."""

    def carry_out(self, folder: Path) -> Outcome:
        words = [sys.executable, "-m", "fl.studies.peak", json.dumps(asdict(self))]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"measuring {self} ended with exit code {done.returncode}: {done.stderr.strip()[-500:]}")
        return Outcome(json.loads(done.stdout.splitlines()[-1]))


def measure(what: Peak) -> dict[str, float]:
    """Peak resident set of this process, and the bits that one device uploads a round with this method."""
    import torch
    import transformers  # noqa: F401  what everybody imports
    from transformers import OPTForCausalLM  # noqa: F401

    warm()
    if what.method == "import":
        return {"peak_rss_mib": peak_rss_mib()}
    from fl.baselines.mezo import mezo_step
    from fl.studies.random_opt import batch, likelihood, random_opt
    from fl.studies.steps import MU, RATE, Ours, first_order

    step: Callable[[list[Any]], None]
    ours = what.method.endswith("pairzero")
    half = what.dtype == "bf16"
    examples = batch(what.batch)
    model = random_opt(what.size, torch.bfloat16 if half and not ours else torch.float32)
    scorer = likelihood(model, what.batch)
    if ours:
        step = Ours(model, what.batch, torch.get_num_threads(), half, what.method.startswith("sign")).step
    elif what.method == "mezo":
        parameters = list(model.network.parameters())

        def step(examples: list[Any]) -> None:
            mezo_step(parameters, lambda: float(scorer.losses(examples).mean()), 1, MU, RATE)

    elif what.method == "inference":

        def step(examples: list[Any]) -> None:
            scorer.losses(examples)
            scorer.losses(examples)

    else:
        step = first_order(model, scorer, what.method)
    for _ in range(2):  # in the second, gradients, moments and activations are all there
        step(examples)
    uploads = {"pairzero": SCALAR_BITS, "sign-pairzero": 1, "sgd": SCALAR_BITS * model.parameters}
    uploads["adamw"] = uploads["sgd"]
    found = {"peak_rss_mib": peak_rss_mib(), "weights": float(model.parameters)}
    return found | ({"uplink_bits": float(uploads[what.method])} if what.method in uploads else {})


def warm() -> None:
    """Everything that any method imports, and what ours compiles, on a model of nothing."""
    import numpy as np
    from transformers import AutoTokenizer

    import fl.baselines.mezo
    import fl.first_order
    import fl.replica
    import fl.studies.steps  # noqa: F401
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


if __name__ == "__main__":
    print(json.dumps(measure(Peak(**json.loads(sys.argv[1])))))
