"""What server and device compare before a device may join: see `fl.lab.messages.Facts`."""

from __future__ import annotations

import hashlib
import json

from fl.config import Experiment
from fl.lab.messages import Facts
from fl.replica import Replica

_SEED, _AMOUNT = 0x7041_6972_5A65_726F, 2.0**-7
_TEXT = "It's naïve, 7 films in: “good” or not?\n"


def facts_of(experiment: Experiment, replica: Replica) -> Facts:
    """Of a replica that has not moved yet; it ends as it was, bit for bit."""
    model = replica.model
    vocabulary = sorted(model.tokenizer.get_vocab().items())
    pieces = model.tokenizer(_TEXT)["input_ids"]
    tokenizer = hashlib.sha256(json.dumps([vocabulary, pieces]).encode()).hexdigest()
    start, weights = replica.snapshot(), replica.digest()
    replica.move(_SEED, 0, _AMOUNT)
    moved = replica.digest()
    replica.restore(start)
    return Facts(experiment.digest(), tokenizer, weights, experiment.model.forward, moved)
