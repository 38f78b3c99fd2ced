"""Reading SST-2: a small folder of our own, every kind of bad line, and the real files."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from fl.tasks.sst2 import examples_from_rows, load_sst2, read_tsv
from fl.tasks.task import Example
from radio.errors import InputError

TRAIN = [("a quiet and lovely picture ", 1), ("never finds its feet ", 0), ('the "hero" sleeps , and so will you ', 0)]
DEV = [("warm , wise and funny ", 1), ("it just sits there ", 0), ("all craft and no heart ", 0)]


def write(path: Path, rows, header: str = "sentence\tlabel", end: str = "\n") -> Path:
    path.write_bytes(end.join([header, *(f"{text}\t{label}" for text, label in rows), ""]).encode())
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.tsv", TRAIN)
    write(tmp_path / "dev.tsv", DEV)
    return tmp_path


def test_reads_a_folder(folder):
    task = load_sst2(folder, seed=1)
    assert task.train == tuple(Example(text.strip(), label) for text, label in TRAIN)
    assert task.test == tuple(Example(text.strip(), label) for text, label in DEV)
    assert task.chance_floor == pytest.approx(2 / 3)
    assert not task.public
    # MeZO's template and label words.
    assert task.prompt(task.test[0]) == "warm , wise and funny It was"
    assert task.options == (" terrible", " great")


def test_chosen_examples_follow_the_seed_and_nest(tmp_path):
    write(tmp_path / "train.tsv", [(f"sentence {i}", i % 2) for i in range(100)])
    write(tmp_path / "dev.tsv", DEV)
    ten, thirty = (load_sst2(tmp_path, seed=5, train_examples=n).train for n in (10, 30))
    assert ten == thirty[:10]
    assert len(set(thirty)) == 30
    assert load_sst2(tmp_path, seed=6, train_examples=10).train != ten


@pytest.mark.parametrize("count", [0, 4])
def test_impossible_choice(folder, count):
    with pytest.raises(InputError, match=rf"train_examples = {count}.*has 3"):
        load_sst2(folder, seed=1, train_examples=count)


def test_windows_line_ends_byte_order_mark_and_odd_separators(tmp_path):
    path = write(tmp_path / "a.tsv", [("one\u2028line", 1), ("two\x85lines", 0)], end="\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_tsv(path) == [Example("one\u2028line", 1), Example("two\x85lines", 0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text\tlabel\nfine\t1\n", r"line 1: header 'text\\tlabel'; allowed: 'sentence\\tlabel'"),
        (b"sentence\tlabel\nfine\t1\nbad\t2\n", r"line 3: label '2'; allowed: 0 \(negative\), 1 \(positive\)"),
        (b"sentence\tlabel\nno tab here\n", r"line 2: 1 fields in 'no tab here'; allowed: sentence<TAB>label"),
        (b"sentence\tlabel\na\tb\t1\n", r"line 2: 3 fields"),
        (b"sentence\tlabel\n  \t1\n", r"line 2: empty sentence"),
        (b"sentence\tlabel\nfine\t1\n\n", r"line 3: 1 fields in ''"),
        (b"sentence\tlabel\ncaf\xe9 noir\t1\n", r"line 2: byte 0xe9 is not UTF-8"),
        (b"sentence\tlabel\n", r"holds no examples"),
        (b"", r"holds no examples|line 1: header ''"),
    ],
)
def test_bad_files_name_line_value_and_allowed(tmp_path, content, message):
    path = tmp_path / "train.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_tsv(path)
    assert str(path) in str(caught.value)


def test_missing_folder_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"train\.tsv not found.*--set task\.root=DIR"):
        load_sst2(tmp_path / "nowhere", seed=1)


def test_without_the_datasets_package_the_setting_is_named(monkeypatch):
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"'datasets'.*--set task\.root=DIR"):
        load_sst2(None, seed=1)


def test_rows_of_the_hub():
    assert examples_from_rows([{"sentence": "fine ", "label": 1, "idx": 0}], "hub") == [Example("fine", 1)]
    with pytest.raises(InputError, match=r"hub, row 0: label '-1'"):
        examples_from_rows([{"sentence": "unlabelled", "label": -1}], "hub")


@pytest.mark.data
def test_the_real_files():
    data = Path(os.environ.get("PAIRZERO_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))
    task = load_sst2(data / "tasks" / "sst2", seed=1)
    assert (len(task.train), len(task.test)) == (67_349, 872)
    # 444 of the 872 are positive.
    assert Counter(e.label for e in task.test) == {1: 444, 0: 428}
    assert task.chance_floor == pytest.approx(0.509, abs=5e-4)
