"""A classification task as a small TOML file: columns, prompt, options and where the examples are.  No code.

    template = "{sentence} It was"     # columns in braces; ends right before the option
    options = [" terrible", " great"]  # what the model chooses between, each with its own leading space
    label = "label"                    # the column that says which option is right,
    labels = ["0", "1"]                # and what stands in it, in the options' order
    train = "train.tsv"                # .tsv, .csv (each with a header) or .jsonl, beside this file or in task.root
    test = "dev.tsv"                   # held out; public

The built-in tasks are such files (`fl/tasks/files`); what is read is their format exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fl.tasks.hub import hub_splits
from fl.tasks.table_file import FORMATS, as_text, read_rows
from fl.tasks.task import UNIT, Example
from radio.errors import InputError
from radio.toml_file import read_toml

FILES = Path(__file__).parent / "files"
BUILT_IN = tuple(sorted(path.stem for path in FILES.glob("*.toml")))


class TaskFile(BaseModel):
    """The file's keys.

    questions  columns that are asked: first letter in capitals, a question mark at the end
    hub        (data set, configuration) whose rows have the same columns and, as label, an index into `labels`
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    options: tuple[str, ...] = Field(min_length=2)
    label: str
    labels: tuple[str, ...]
    train: str
    test: str
    questions: tuple[str, ...] = ()
    hub: tuple[str, ...] | None = Field(default=None, min_length=1, max_length=2)

    @model_validator(mode="after")
    def _consistent(self) -> TaskFile:
        if not self.columns:
            raise ValueError(
                f'template = {self.template!r} has no column; allowed: at least one, as in "{{text}} It was"'
            )
        if len(self.labels) != len(self.options) or len(set(self.labels)) < len(self.labels):
            raise ValueError(
                f"labels = {list(self.labels)} beside options = {list(self.options)}; allowed: one label for each option, "
                "in their order, all different"
            )
        if self.label in self.columns:
            raise ValueError(f"label = {self.label!r} is a column of the template, which would give the answer away")
        if unknown := set(self.questions) - set(self.columns):
            raise ValueError(
                f"questions = {sorted(unknown)} are no columns of the template; allowed: {list(self.columns)}"
            )
        for key in ("train", "test"):
            if Path(getattr(self, key)).suffix not in FORMATS:
                raise ValueError(f"{key} = {getattr(self, key)!r}; allowed: a file that ends in {', '.join(FORMATS)}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The template's, each once."""
        return tuple(dict.fromkeys(re.findall(r"\{(\w+)\}", self.template)))

    def read(self, path: Path, advice: str = "name its folder with --set task.root=DIR") -> list[Example]:
        """The examples of one file.  Raises InputError naming file, line, value and what is allowed."""
        rows = read_rows(path, (*self.columns, self.label), advice)
        return [self._example(row, row[self.label], where) for where, row in rows]

    def from_hub(self, name: str) -> tuple[list[Example], list[Example]]:
        """Training and validation examples."""
        assert self.hub is not None
        train, test = hub_splits(name, self.hub, f"{self.train} and {self.test}")
        return self.of_rows(train, f"{self.hub[0]} train"), self.of_rows(test, f"{self.hub[0]} validation")

    def of_rows(self, rows: Iterable[Mapping[str, Any]], source: str) -> list[Example]:
        """The hub's rows as examples; `source` names them in errors."""
        found = []
        for i, row in enumerate(rows):
            where, index = f"{source}, row {i}", row[self.label]
            value = self.labels[index] if index in range(len(self.labels)) else str(index)
            found.append(self._example({column: as_text(row[column]) for column in self.columns}, value, where))
        return found

    def _example(self, row: Mapping[str, str], value: str, where: str) -> Example:
        if value not in self.labels:
            allowed = ", ".join(f"{v} ({o.strip()})" for v, o in zip(self.labels, self.options, strict=True))
            raise InputError(f"{where}: {self.label} {value[:80]!r}; allowed: {allowed}")
        texts = []
        for column in self.columns:
            text = row[column].strip().replace(UNIT, " ")
            if not text:
                raise InputError(f"{where}: empty {column}; allowed: any text")
            texts.append(_asked(text) if column in self.questions else text)
        return Example(UNIT.join(texts), self.labels.index(value))


def _asked(text: str) -> str:
    """As MeZO's BoolQTemplate asks."""
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else "?")


def load_task_file(name: str) -> TaskFile:
    """A built-in task by name, or any other by the path of its file.  Raises InputError naming file, key and value."""
    path = FILES / f"{name}.toml" if name in BUILT_IN else Path(name)
    raw = read_toml(path, f"task.name = {name!r}: no such task file; built in: {', '.join(BUILT_IN)}")
    try:
        return TaskFile.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(_explain(p, path) for p in error.errors()))) from None


def _explain(problem: Any, path: Path) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if not key:
        return f"{path}: {problem['msg'].removeprefix('Value error, ')}"
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key {key}; known: {', '.join(TaskFile.model_fields)}"
    if problem["type"] == "missing":
        return f"{path}: {key} is missing"
    return f"{path}: {key} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
