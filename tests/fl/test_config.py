"""Experiment files: they read back as written, and what is wrong in them is named with file, key, value and rule."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fl.config import Experiment, load
from radio.errors import InputError

ROOT = Path(__file__).parents[2]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
SIZE = st.floats(1e-6, 1e6)

experiments = st.builds(
    lambda source, root, devices, rounds, batch, mu, patterns, losses, epsilon, delta, ledger, name, seed: (
        Experiment.model_validate(
            {
                "model": {"source": source},
                "task": {"root": root},
                "learning": {
                    "devices": devices, "rounds": rounds, "batch": batch, "mu": mu, "parameters": patterns,
                },
                "radio": {"path_loss_db": losses[:devices] if devices <= len(losses) else losses[0]},
                "privacy": {"epsilon": epsilon, "delta": delta, "ledger": ledger},
                "run": {"name": name, "seed": seed},
            }
        )
    ),
    source=TEXT,
    root=st.none() | TEXT,
    devices=st.integers(1, 6),
    rounds=st.integers(1, 10**6),
    batch=st.floats(1e-3, 1000),
    mu=st.floats(1e-8, 0.99),
    patterns=st.lists(TEXT, min_size=1, max_size=3),
    losses=st.lists(st.floats(-50, 150), min_size=3, max_size=3),
    epsilon=SIZE,
    delta=st.floats(1e-10, 9e-4),
    ledger=st.none() | TEXT,
    name=st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True),
    seed=st.integers(0, 2**63 - 1),
)  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return tmp_path_factory.mktemp("config") / "experiment.toml"


@hypothesis_settings(max_examples=40)
@given(experiment=experiments)
def test_what_is_written_reads_back_equal(written, experiment):
    path = written
    path.write_text(experiment.to_toml(), encoding="utf-8")
    again = load(path)
    assert again == experiment
    assert again.digest() == experiment.digest()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_shipped_experiments_are_valid_and_read_back_equal(path, tmp_path):
    experiment = load(path)
    copy = tmp_path / "copy.toml"
    copy.write_text(experiment.to_toml())
    assert load(copy) == experiment


def test_the_digest_changes_with_every_value():
    base = Experiment()
    found = {base.digest()}
    changes = [
        ("learning", "mu", 0.02), ("learning", "rounds", 601), ("run", "seed", 2), ("privacy", "clip", 9.0),
        ("radio", "snr_db", 19.0), ("task", "test_examples", 7), ("model", "source", "x"), ("learning", "parameters", ["*"]),
    ]  # fmt: skip
    for section, key, value in changes:
        found.add(Experiment.model_validate({section: {key: value}}).digest())
    assert len(found) == 1 + len(changes)
    assert Experiment().digest() == base.digest()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "e.toml"

    def write(text: str) -> Path:
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "text, names",
    [
        ("[learning]\nround = 5", ["e.toml", "unknown key learning.round", "did you mean learning.rounds?"]),
        ("[learnign]\nrounds = 5", ["e.toml", "unknown section learnign", "did you mean learning?"]),
        ("[zebra]\nrounds = 5", ["e.toml", "unknown section zebra", "model, task, learning, radio, privacy, run"]),
        ('[learning]\nrounds = "many"', ["e.toml", "learning.rounds", "'many'", "integer"]),
        ("[learning]\nrounds = 0", ["e.toml", "learning.rounds = 0", "greater than or equal to 1"]),
        ("[learning]\nmu = 2.0", ["e.toml", "learning.mu = 2.0", "less than 1"]),
        ("[learning]\nrate = nan", ["e.toml", "learning.rate", "nan"]),
        ("[radio]\nfading = 'heavy'", ["e.toml", "radio.fading = 'heavy'", "rayleigh", "rician", "static"]),
        ("[task]\nname = 'imdb'", ["e.toml", "task.name = 'imdb'", "reviews", "sst2", "path of a task file"]),
        ("[task]\nheld_out = 'both'", ["task.held_out = 'both'", "task.validation_examples = 0"]),
        ("[learning]\nabsent_rounds = 3", ["learning.absent_rounds = 3 has no effect", "learning.absent"]),
        ("[learning]\nabsent = 1.0", ["learning.absent = 1.0", "less than 1"]),
        (
            "[learning]\nsilent = 0.1\n[radio]\nmode = 'energy'",
            ["learning.silent = 0.1", "'energy'", "learning.absent"],
        ),
        ("[learning]\nbatch = 80\n[task]\nexamples_per_device = 50", ["learning.batch = 80", "50"]),
        ("[task]\nexamples_per_device = 1001", ["task.examples_per_device = 1001", "1000"]),
        ("[radio]\npath_loss_db = [1.0, 2.0]", ["radio.path_loss_db has 2 values", "learning.devices = 5"]),
        ("[privacy]\ndelta = 0.01", ["privacy.delta = 0.01", "1/task.examples_per_device"]),
        ("[learning]\noptimiser = 'lion'", ["learning.optimiser = 'lion'", "'adam'", "'normalised'"]),
        ("[learning]\nperturbations = 1", ["e.toml", "learning.perturbations = 1", "8 is usual, or optimiser = 'sgd'"]),
        (
            "[learning]\noptimiser = 'normalised'\nperturbations = 4\npayload = 'sign'",
            ["learning.payload = 'sign'", "payload = 'value'"],
        ),
        (
            "[learning]\noptimiser = 'adam'\nlocal_steps = 2",
            ["learning.local_steps = 2", "'adam'", "Use sgd or momentum"],
        ),
        ("[learning]\nmomentum = 0.5", ["learning.momentum = 0.5 has no effect", "'normalised'"]),
        ("[learning]\nmomentum = 1.0\noptimiser = 'momentum'", ["learning.momentum = 1.0", "0.99"]),
        ("[learning]\nseed_pool = 0", ["learning.seed_pool = 0"]),
        ("[learning]\nseed_pool = 9\ndirection = 'low-rank'", ["learning.seed_pool = 9", "low-rank"]),
        ("[learning]\nestimator = 'three-point'", ["learning.estimator = 'three-point'", "'split'"]),
        ("[learning]\nsplit_layer = 2", ["learning.split_layer = 2 has no effect", "'one-sided'"]),
        ("[learning]\nsplit_width = 2", ["learning.split_width = 2 has no effect", "'one-sided'"]),
        (
            "[learning]\nrank = 3",
            ["learning.rank = 3 has no effect", "'rademacher'", "learning.direction = 'low-rank'"],
        ),
        ("[learning]\nmask = 'random'", ["learning.mask = 'random' has no effect", "set learning.density too"]),
        ("[model]\nlora_alpha = 8", ["model.lora_alpha = 8.0 has no effect", "set model.lora_rank too"]),
        (
            "[radio]\nmapping = 'affine'",
            ["radio.mapping = 'affine' has no effect", "'coherent'", "radio.mode = 'energy'"],
        ),
        ("[radio]\nrician_k_db = 3", ["radio.rician_k_db = 3.0 has no effect", "radio.fading = 'rician'"]),
        ("[radio]\nfading = 'static'\ncoherence_rounds = 3", ["radio.coherence_rounds = 3", "'rayleigh' or 'rician'"]),
        ("[radio]\nshared_clock = true", ["radio.shared_clock = True has no effect", "set radio.profile too"]),
        ("[task]\ndirichlet_alpha = 0.1", ["task.dirichlet_alpha = 0.1 has no effect", "task.partition = 'dirichlet'"]),
        (
            "[learning]\nestimator = 'split'\nperturbations = 6",
            ["learning.perturbations = 6", "learning.split_width = 4"],
        ),
        (
            "[learning]\nestimator = 'split'\noptimiser = 'sgd'\nperturbations = 4\nlocal_steps = 2",
            ["learning.local_steps = 2", "'split'", "one-sided"],
        ),
        (
            "[learning]\nestimator = 'split'\nperturbations = 4\nfunctional = true",
            ["learning.functional = true", "leave functional out"],
        ),
        ("[run]\nname = 'a/b'", ["e.toml", "run.name = 'a/b'"]),
        ("[learning]\ndirection = 'cauchy'", ["learning.direction = 'cauchy'", "rademacher", "gaussian", "low-rank"]),
        ("[learning]\ndensity = 0", ["e.toml", "learning.density = 0", "greater than 0"]),
        ("[learning]\ndensity = 1.5", ["e.toml", "learning.density = 1.5", "less than or equal to 1"]),
        ("[learning]\nmask = 'best'", ["e.toml", "learning.mask = 'best'", "magnitude", "random"]),
        ("[learning]\nrank = 0", ["e.toml", "learning.rank = 0", "greater than or equal to 1"]),
        ("[learning]\nrefresh = 0", ["e.toml", "learning.refresh = 0", "greater than or equal to 1"]),
        ("[learning]\ndirection = 'low-rank'\ndensity = 0.01", ["learning.density = 0.01", "'low-rank'", "gaussian"]),
        ("[privacy]\ncontraction = 0.9", ["privacy.contraction = 0.9", "no effect", "privacy.schedule = 'constant'"]),
        (
            "[privacy]\nschedule = 'weighted'\n[learning]\nschedule = 'constant'",
            ["privacy.schedule = 'weighted'", "privacy.contraction = 1", "leave schedule out"],
        ),
        (
            "[privacy]\nschedule = 'weighted'\n[learning]\noptimiser = 'sgd'\npayload = 'sign'",
            ["privacy.schedule = 'weighted'", "learning.payload = 'sign'", "a vote"],
        ),
        (
            "[privacy]\nschedule = 'weighted'\nenabled = false",
            ["privacy.schedule = 'weighted'", "privacy.enabled = false"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'",
            ["privacy.threat = 'aggregate'", "privacy.csi_margin_db", "assume_perfect_csi"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'\ncsi_margin_db = 0",
            ["privacy.csi_margin_db = 0", "say privacy.assume_perfect_csi = true instead"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'\ncsi_margin_db = 1\nassume_perfect_csi = true",
            ["privacy.csi_margin_db = 1", "beside privacy.assume_perfect_csi"],
        ),
        (
            "[privacy]\nthreat = 'trusted-receiver'\n[radio]\nmode = 'energy'",
            ["privacy.threat = 'trusted-receiver'", "radio.mode = 'energy'", "tells the devices apart"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'\ncsi_margin_db = 1\n[learning]\noptimiser = 'sgd'\npayload = 'sign'",
            ["learning.payload = 'sign'", "use payload = 'value'"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'\ncsi_margin_db = 1\n[learning]\noptimiser = 'sgd'\nlocal_steps = 2",
            ["learning.local_steps = 2", "use local_steps = 1"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'\ncsi_margin_db = 1\ncolluders = 2\ndropouts = 2",
            ["privacy.colluders = 2", "privacy.dropouts = 2", "learning.devices = 5"],
        ),
        (
            "[privacy]\nthreat = 'aggregate'\ncsi_margin_db = 1\nreceiver_noise = 1e-6",
            ["privacy.receiver_noise = 1e-06 has no effect", "does not count the receiver's noise"],
        ),
        ("[privacy]\nassume_perfect_csi = true", ["privacy.assume_perfect_csi = True has no effect", "own-noise"]),
        ("[privacy]\ndropouts = 1\n[radio]\nmode = 'tdma'", ["privacy.dropouts = 1 has no effect", "'tdma'"]),
        ("[privacy]\nenabled = false\nunit = 'device'", ["privacy.unit = 'device' has no effect", "enabled = false"]),
        ("[privacy]\nunit = 'device'\nsaturation = 2", ["privacy.saturation = 2", "allowed 1", "privacy.clip"]),
        ("[privacy]\nunit = 'household'", ["privacy.unit = 'household'", "'example'", "'device'"]),
        ("[privacy]\nunit = 'device'\ndelta = 0.3", ["privacy.delta = 0.3", "1/learning.devices"]),
        ("[radio]\ntruncation = 'auto'\nmode = 'energy'", ["radio.truncation = 'auto'", "radio.mode = 'energy'"]),
        ("learning = 3", ["e.toml", "learning = 3"]),
        ("[learning\nrounds = 3", ["e.toml", "not a readable TOML file"]),
    ],
)
def test_errors_name_file_key_value_and_what_is_allowed(file, text, names):
    with pytest.raises(InputError) as error:
        load(file(text))
    for name in names:
        assert name in str(error.value)
    assert error.value.exit_code == 2


def test_all_errors_are_told_at_once(file):
    with pytest.raises(InputError) as error:
        load(file("[learning]\nrounds = 0\nmu = 5.0\nspeed = 1"))
    assert len(str(error.value).splitlines()) == 3


def test_overrides_take_toml_values_and_bare_words(file):
    path = file("[learning]\nrounds = 5\n")
    words = [
        "learning.rounds=60", "run.name=lab", "privacy.reproducible=true", "radio.path_loss_db=[1, 2, 3, 4, 5.5]",
        "task.root=/some where/sst2", 'learning.parameters=["*.bias"]', "learning.mu = 1e-3",
    ]  # fmt: skip
    found = load(path, words)
    assert found.learning.rounds == 60
    assert found.run.name == "lab"
    assert found.privacy.reproducible
    assert found.radio.path_loss_db == (1, 2, 3, 4, 5.5)
    assert found.task.root == "/some where/sst2"
    assert found.learning.parameters == ("*.bias",)
    assert found.learning.mu == 1e-3


def test_an_overriding_profile_takes_the_place_of_the_files_surroundings():
    told: list[str] = []
    demo = ROOT / "examples" / "demo.toml"
    found = load(demo, ["radio.profile=textbook", "radio.mode=energy"], told.append)
    assert (found.radio.profile, found.radio.snr_db) == ("textbook", Experiment().radio.snr_db)
    assert told == [
        f"--set radio.profile=textbook takes the place of radio.fading = 'rayleigh', radio.snr_db = 30 in {demo}"
    ]
    # not of what is said beside it, nor where no profile is meant
    with pytest.raises(
        InputError, match=r"^--set: radio.snr_db = 10.0 beside radio.profile = 'textbook'.*profile=none"
    ):
        load(demo, ["radio.profile=textbook", "radio.snr_db=10"])
    assert load(demo, ["radio.profile=none"], told.append).radio.snr_db == 30
    assert len(told) == 1


@pytest.mark.parametrize("word", ["rounds=6", "learning.rounds", "learning.=6", ".rounds=6", "="])
def test_an_override_of_another_form_is_explained(file, word):
    with pytest.raises(InputError, match=r"--set .*expected section.key=value"):
        load(file(""), [word])


def test_a_wrong_override_is_blamed_on_set_and_not_on_the_file(file):
    with pytest.raises(InputError, match=r"^--set: learning.rounds = -1"):
        load(file("[learning]\nrounds = 5"), ["learning.rounds=-1"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.toml not found"):
        load(tmp_path / "nowhere.toml")


def test_spares_and_sampling_rate():
    experiment = Experiment.model_validate({"learning": {"rounds": 2001}})
    assert experiment.slots == 2001 + 21  # 1 %, rounded up
    assert Experiment.model_validate({"learning": {"rounds": 10}}).slots == 18  # at least 8
    assert experiment.sampling_rate == 4 / 1000


def test_releases_and_scalars_count_local_steps():
    experiment = Experiment.model_validate(
        {"learning": {"rounds": 10, "local_steps": 3, "perturbations": 4, "optimiser": "sgd"}}
    )
    assert experiment.releases == 54
    assert experiment.learning.scalars == 12


def test_an_estimators_full_name_has_its_width():
    split = {"estimator": "split", "split_width": 3, "perturbations": 6}
    assert Experiment.model_validate({"learning": split}).learning.probe == "split:3"
    assert Experiment().learning.probe == "one-sided"


def test_written_files_are_plain_toml():
    raw = tomllib.loads(Experiment().to_toml())
    assert list(raw) == ["model", "task", "learning", "radio", "privacy", "run"]
    assert raw["learning"]["parameters"] == ["*layers.0.self_attn_layer_norm.weight"]
