"""SST-2 (Socher et al. 2013, as split by GLUE): one sentence of a film review, positive or negative.

Prompt and options are MeZO's (princeton-nlp/MeZO, `templates.py`, SST2Template): "<sentence> It was great/terrible".
The test split is GLUE's development set, whose labels are public.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fl.tasks.task import Example, Task, digest_examples
from radio.errors import InputError, install
from radio.streams import stream

TEMPLATE = "{text} It was"
OPTIONS = (" terrible", " great")
HEADER = "sentence\tlabel"
HUB_DATASET = ("nyu-mll/glue", "sst2")


def load_sst2(root: Path | None, *, seed: int, train_examples: int | None = None) -> Task:
    """Load from `root`/train.tsv and `root`/dev.tsv, or from the hub when `root` is None.

    `train_examples` of the training split are kept, drawn by the public seed (all of them for None); a smaller choice
    is a subset of a larger one.  A local folder may hold anybody's sentences, so only the hub's copy counts as public.
    """
    if root is None:
        train, test = _from_hub()
        place = f"the hub's {HUB_DATASET[0]}"
    else:
        train, test = read_tsv(root / "train.tsv"), read_tsv(root / "dev.tsv")
        place = str(root / "train.tsv")
    pool = digest_examples(train)
    if train_examples is not None:
        if not 1 <= train_examples <= len(train):
            raise InputError(f"task.train_examples = {train_examples}, but {place} has {len(train)}; take 1 to that")
        chosen = stream(seed, "tasks", "sst2", "train").permutation(len(train))[:train_examples]
        train = [train[i] for i in chosen]
    return Task("sst2", root is None, TEMPLATE, OPTIONS, tuple(train), tuple(test), pool)


def read_tsv(path: Path) -> list[Example]:
    """Read GLUE's `sentence<TAB>label` file; the first bad line raises an InputError with its number and content."""
    if not path.is_file():
        raise InputError(f"{path} not found; SST-2 needs train.tsv and dev.tsv in one folder: try --set task.root=DIR")
    examples: list[Example] = []
    # Split at line feeds only: str.splitlines would also cut at the odd Unicode separators inside a sentence.
    lines = path.read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, raw in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            raise InputError(f"{where}: byte {raw[error.start]:#04x} is not UTF-8; save the file as UTF-8") from error
        if number == 1:
            if line != HEADER:
                raise InputError(f"{where}: header {line[:80]!r}; allowed: {HEADER!r}")
            continue
        fields = line.split("\t")
        if len(fields) != 2:
            raise InputError(f"{where}: {len(fields)} fields in {line[:80]!r}; allowed: sentence<TAB>label")
        examples.append(_example(fields[0], fields[1], where))
    if not examples:
        raise InputError(f"{path} holds no examples; allowed: a header and at least one line sentence<TAB>label")
    return examples


def examples_from_rows(rows: Iterable[Mapping[str, Any]], source: str) -> list[Example]:
    """Turn the hub's rows (`sentence`, `label`) into examples; `source` names them in errors."""
    return [_example(row["sentence"], str(row["label"]), f"{source}, row {i}") for i, row in enumerate(rows)]


def _example(sentence: str, label: str, where: str) -> Example:
    if label not in ("0", "1"):
        raise InputError(f"{where}: label {label[:80]!r}; allowed: 0 (negative), 1 (positive)")
    if not sentence.strip():
        raise InputError(f"{where}: empty sentence; allowed: any text before the tab")
    return Example(sentence.strip(), int(label))


def _from_hub() -> tuple[list[Example], list[Example]]:
    advice = "with GLUE's train.tsv and dev.tsv in a local folder, use --set task.root=DIR"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(f"SST-2 from the hub needs 'datasets': {install('hub')}; or, {advice}") from error
    name = "/".join(HUB_DATASET)
    try:
        splits = load_dataset(*HUB_DATASET)
    # The hub's client raises its own, requests', httpx' and the system's errors, depending on version and failure.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"SST-2 did not come from the hub ({reason}); check the network, or, {advice}") from error
    return (
        examples_from_rows(splits["train"], f"{name} train"),
        examples_from_rows(splits["validation"], f"{name} validation"),
    )
