"""Tasks from files: the built-in ones, one's own, three formats, and every kind of bad line and key."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from fl.tasks.registry import load_own, load_task
from fl.tasks.task import UNIT, Example
from fl.tasks.task_file import BUILT_IN, load_task_file
from radio.errors import InputError

TRAIN = [("a quiet and lovely picture ", 1), ("never finds its feet ", 0), ('the "hero" sleeps , and so will you ', 0)]
DEV = [("warm , wise and funny ", 1), ("it just sits there ", 0), ("all craft and no heart ", 0)]

# From the official files' own formats; the sentences are ours.
ROWS = {
    "rte": {"premise": "It rained all day.", "hypothesis": "It was wet.", "label": "entailment", "idx": 0},
    "cb": {"premise": "Who knows? Perhaps.", "hypothesis": "it rained", "label": "neutral", "idx": 3},
    "boolq": {"question": "is rain wet", "passage": "Rain is water.", "title": "Rain", "label": True},
    "wic": {
        "word": "run",
        "sentence1": "A run.",
        "sentence2": "They run.",
        "label": False,
        "start1": 2,
        "version": 1.1,
    },
}
# MeZO's templates (princeton-nlp/MeZO, large_models/templates.py) written out by hand.
PROMPTS = {
    "rte": ('It rained all day.\nDoes this mean that "It was wet." is true? Yes or No?\n', "Yes"),
    "cb": ('Suppose Who knows? Perhaps. Can we infer that "it rained"? Yes, No, or Maybe?\n', "Maybe"),
    "boolq": ("Rain is water. Is rain wet?\n", "Yes"),
    "wic": ('Does the word "run" have the same meaning in these two sentences? Yes, No?\nA run.\nThey run.\n', "No"),
}


def write(path: Path, rows, header: str = "sentence\tlabel", end: str = "\n") -> Path:
    path.write_bytes(end.join([header, *(f"{text}\t{label}" for text, label in rows), ""]).encode())
    return path


def read(path: Path) -> list[Example]:
    return load_task_file("sst2").read(path)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train.tsv", TRAIN)
    write(tmp_path / "dev.tsv", DEV)
    return tmp_path


def test_reads_sst2(folder):
    task = load_task("sst2", seed=1, devices=1, root=folder)
    assert task.train == tuple(Example(text.strip(), label) for text, label in TRAIN)
    assert task.test == tuple(Example(text.strip(), label) for text, label in DEV)
    assert task.chance_floor == pytest.approx(2 / 3)
    assert not task.public
    assert task.prompt(task.test[0]) == "warm , wise and funny It was"
    assert task.options == (" terrible", " great")


@pytest.mark.parametrize("name", ROWS)
def test_super_glue_s_json_becomes_mezo_s_prompts(tmp_path, name):
    for split in ("train", "val"):
        (tmp_path / f"{split}.jsonl").write_text(json.dumps(ROWS[name]) + "\n")
    task = load_task(name, seed=1, devices=1, root=tmp_path)
    prompt, answer = PROMPTS[name]
    assert task.prompt(task.test[0]) == prompt
    assert task.options[task.test[0].label] == answer
    assert all(option == option.strip() for option in task.options)  # the prompt ends in a line's end


def test_every_built_in_task_names_its_source_and_hub():
    assert set(BUILT_IN) == {"sst2", *ROWS}
    assert all(load_task_file(name).hub is not None for name in BUILT_IN)


def test_chosen_examples_follow_the_seed_and_nest(tmp_path):
    write(tmp_path / "train.tsv", [(f"sentence {i}", i % 2) for i in range(100)])
    write(tmp_path / "dev.tsv", DEV)

    def chosen(seed, count):
        return load_task("sst2", seed=seed, devices=1, root=tmp_path, train_examples=count).train

    ten, thirty = chosen(5, 10), chosen(5, 30)
    assert ten == thirty[:10]
    assert len(set(thirty)) == 30
    assert chosen(6, 10) != ten


def test_validation_examples_are_the_same_for_all_seeds_and_nobody_trains_on_them(tmp_path):
    write(tmp_path / "train.tsv", [(f"sentence {i}", i % 2) for i in range(100)])
    write(tmp_path / "dev.tsv", DEV)

    def held(seed, held_out):
        return load_task("sst2", seed=seed, devices=1, root=tmp_path, validation=30, held_out=held_out)

    assert {e.text for e in held(1, "test").test} == {text.strip() for text, _ in DEV}
    one, two = held(1, "validation"), held(2, "validation")
    assert one.test == two.test and len(one.test) == 30
    assert len(one.train) == 70 and not set(one.train) & set(one.test)
    assert held(1, "both").test == held(1, "test").test + one.test
    assert one.pool == load_task("sst2", seed=1, devices=1, root=tmp_path).pool  # one budget, whatever is set apart
    with pytest.raises(InputError, match=r"train_examples = 71.*has 100 \(30 are set apart\); take 1 to 70"):
        load_task("sst2", seed=1, devices=1, root=tmp_path, validation=30, train_examples=71)
    with pytest.raises(InputError, match=r"validation_examples = 100.*leave some"):
        load_task("sst2", seed=1, devices=1, root=tmp_path, validation=100)


@pytest.mark.parametrize("count", [4, 100])
def test_impossible_choice(folder, count):
    with pytest.raises(InputError, match=rf"train_examples = {count}.*has 3"):
        load_task("sst2", seed=1, devices=1, root=folder, train_examples=count)


def test_windows_line_ends_byte_order_mark_and_odd_separators(tmp_path):
    path = write(tmp_path / "a.tsv", [("one\u2028line", 1), ("two\x85lines", 0)], end="\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path) == [Example("one\u2028line", 1), Example("two\x85lines", 0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"text\tlabel\nfine\t1\n",
            r"line 1: no column 'sentence' in the header \['text', 'label'\]; needed: sentence",
        ),
        (b"sentence\tlabel\nfine\t1\nbad\t2\n", r"line 3: label '2'; allowed: 0 \(terrible\), 1 \(great\)"),
        (b"sentence\tlabel\nno tab here\n", r"line 2: 1 fields in \['no tab here'\]; allowed: sentence<TAB>label"),
        (b"sentence\tlabel\na\tb\t1\n", r"line 2: 3 fields"),
        (b"sentence\tlabel\n  \t1\n", r"line 2: empty sentence"),
        (b"sentence\tlabel\nfine\t1\n\n", r"line 3: 1 fields in \[''\]"),
        (b"sentence\tlabel\ncaf\xe9 noir\t1\n", r"line 2: byte 0xe9 is not UTF-8"),
        (b"sentence\tlabel\n", r"holds no examples"),
        (b"", r"holds no examples"),
    ],
)
def test_bad_tables_name_line_value_and_allowed(tmp_path, content, message):
    path = tmp_path / "train.tsv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 1: '\{' is not JSON"),
        ("[1]", r"line 1: '\[1\]' is not an object; allowed: \{premise, hypothesis, label\}"),
        ('{"premise": "a", "label": "entailment"}', r"line 1: no 'hypothesis' among \['premise', 'label'\]"),
        ('{"premise": "a", "hypothesis": "b", "label": 0}', r"line 1: label '0'; allowed: entailment \(Yes\)"),
    ],
)
def test_bad_json_lines_name_line_value_and_allowed(tmp_path, line, message):
    path = tmp_path / "train.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        load_task_file("rte").read(path)


def test_missing_folder_names_the_setting(tmp_path):
    with pytest.raises(
        InputError, match=r"train\.tsv not found; sst2 needs train\.tsv and dev\.tsv.*--set task\.root=DIR"
    ):
        load_task("sst2", seed=1, devices=1, root=tmp_path / "nowhere")


def test_without_the_datasets_package_the_setting_is_named(monkeypatch):
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"'datasets'.*train\.tsv and dev\.tsv.*--set task\.root=DIR"):
        load_task("sst2", seed=1, devices=1)


def test_rows_of_the_hub():
    sst2, boolq = load_task_file("sst2"), load_task_file("boolq")
    assert sst2.of_rows([{"sentence": "fine ", "label": 1, "idx": 0}], "hub") == [Example("fine", 1)]
    row = {"question": "is it so", "passage": "It is.", "idx": 7, "label": 1}
    assert boolq.of_rows([row], "hub") == [Example(UNIT.join(["It is.", "Is it so?"]), 1)]
    with pytest.raises(InputError, match=r"hub, row 0: label '-1'"):
        sst2.of_rows([{"sentence": "unlabelled", "label": -1}], "hub")


OWN = """
template = "Subject: {subject}\\n{body}\\nThis message is"
options = [" wanted", " spam", " urgent"]
label = "kind"
labels = ["ham", "spam", "soon"]
train = "mails.csv"
test = "held-out.jsonl"
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mail.toml").write_text(OWN)
    (tmp_path / "mails.csv").write_text('kind,subject,body\nham,"Tea, at five","He said ""yes"".\nSo."\nspam,Win,Now\n')
    (tmp_path / "held-out.jsonl").write_text('{"kind": "soon", "subject": "Fire {x}", "body": "Run"}\n')
    return tmp_path / "mail.toml"


def test_a_task_of_one_s_own_needs_no_code(own):
    task = load_task(str(own), seed=1, devices=1)
    assert (task.name, task.public, len(task.options)) == ("mail", False, 3)
    assert task.prompt(task.train[0]) == 'Subject: Tea, at five\nHe said "yes".\nSo.\nThis message is'
    assert [e.label for e in (*task.train, *task.test)] == [0, 1, 2]
    assert task.prompt(task.test[0]) == "Subject: Fire {x}\nRun\nThis message is"


def test_bad_quotes_name_the_line(own):
    (own.parent / "mails.csv").write_text('kind,subject,body\nham,"Tea" at,five\n')
    with pytest.raises(InputError, match=r"mails\.csv, line 2: .*RFC 4180"):
        load_task(str(own), seed=1, devices=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('label = "kind"', 'lable = "kind"', r"unknown key lable; known: template, options, label"),
        ('label = "kind"', "", r"label is missing"),
        ('labels = ["ham", "spam", "soon"]', 'labels = ["ham", "spam"]', r"labels = .*one label for each option"),
        ('options = [" wanted", " spam", " urgent"]', 'options = [" wanted"]', r"options = .*at least 2"),
        ("{subject}\\\\n{body}\\\\n", "", r"template = .* has no column; allowed: at least one"),
        ('label = "kind"', 'label = "body"', r"label = 'body' is a column of the template"),
        (
            'train = "mails.csv"',
            'train = "mails.xls"',
            r"train = 'mails.xls'; allowed: a file that ends in .tsv, .csv, .jsonl",
        ),
        ('label = "kind"', 'label = "kind"\nquestions = ["title"]', r"questions = \['title'\] are no columns"),
        ("template", "= template", r"not a readable TOML file"),
    ],
)
def test_bad_task_files_name_key_value_and_allowed(own, old, new, message):
    own.write_text(own.read_text().replace(old.replace("\\\\", "\\"), new))
    with pytest.raises(InputError, match=message) as caught:
        load_task(str(own), seed=1, devices=1)
    assert str(own) in str(caught.value)


def test_a_missing_task_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.toml'.*no such task file; built in: boolq"):
        load_task(str(tmp_path / "nowhere.toml"), seed=1, devices=1)


def test_one_owner_s_own_file_has_the_task_s_format(folder):
    own = load_own("sst2", folder / "train.tsv", public=False)
    assert len(own.train) == 3 and not own.test and own.prompt(own.train[0]).endswith(" It was")
    assert own.pool == load_task("sst2", seed=1, devices=1, root=folder).pool
    reviews = load_own("reviews", folder / "train.tsv", public=True)
    assert reviews.prompt(reviews.train[1]) == "never finds its feet In short, it is a"


@pytest.mark.parametrize(
    ("name", "sizes", "counts"),
    [  # of ../shared/data/README.md
        ("sst2", (67_349, 872), {1: 444, 0: 428}),
        ("rte", (2_490, 277), {0: 146, 1: 131}),
        ("wic", (5_428, 638), {0: 319, 1: 319}),
        ("cb", (250, 56), {0: 23, 1: 28, 2: 5}),
    ],
)
def test_the_real_files(data_root, name, sizes, counts):
    task = load_task(name, seed=1, devices=1, root=data_root / "tasks" / name)
    assert (len(task.train), len(task.test)) == sizes
    assert Counter(e.label for e in task.test) == counts
    assert task.chance_floor == max(counts.values()) / sizes[1]


def test_the_real_boolq(data_root, tmp_path):
    for name, split in (("train_subset", "train"), ("val", "val")):
        (tmp_path / f"{split}.jsonl").symlink_to(data_root / "tasks" / "boolq" / f"{name}.jsonl")
    task = load_task("boolq", seed=1, devices=1, root=tmp_path)
    assert (len(task.train), len(task.test)) == (1_933, 3_270)
    assert task.chance_floor == pytest.approx(0.622, abs=5e-4)
    assert all(task.prompt(e).endswith("?\n") for e in task.test)
