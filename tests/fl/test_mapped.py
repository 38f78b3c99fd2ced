"""Weights in a mapped file move and speak as weights in memory do."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fl.models import load_model
from fl.run import execute
from fl.run_folder import create
from radio.errors import InputError


def test_a_run_with_its_weights_in_a_file_ends_with_the_same_bits(make_experiment, tmp_path):
    changes = {"privacy.reproducible": True, "learning.rounds": 2, "task.test_examples": 20}
    wanted = execute(create(tmp_path / "memory", make_experiment(changes)), quiet=True)
    found = execute(create(tmp_path / "file", make_experiment(changes)), quiet=True, offload=tmp_path)
    assert (found["params_digest"], found["accuracy"]) == (wanted["params_digest"], wanted["accuracy"])
    assert sorted(os.listdir(tmp_path)) == ["file", "memory"]  # the scratch file has no name


def test_the_weights_are_the_files_of_the_folder_and_tied(tiny_model, tmp_path):
    here, there = load_model(str(tiny_model)), load_model(str(tiny_model), offload=tmp_path)
    assert there.arrays.keys() == here.arrays.keys()
    for name, array in here.arrays.items():
        np.testing.assert_array_equal(there.arrays[name], array)
    begins = [array.ctypes.data for array in there.arrays.values()]
    ends = [begin + array.nbytes for begin, array in zip(begins, there.arrays.values(), strict=True)]
    assert begins[1:] == ends[:-1]  # one file, weight after weight
    assert there.network.lm_head.weight is there.network.model.decoder.embed_tokens.weight
    there.arrays["model.decoder.final_layer_norm.bias"][0] = 7.0
    assert there.network.model.decoder.final_layer_norm.bias[0] == 7.0


def test_what_cannot_be_mapped_is_refused(tiny_model, tmp_path):
    with pytest.raises(InputError, match="takes a model in a local folder"):
        load_model("facebook/opt-125m", offload=tmp_path)
    with pytest.raises(InputError, match=r"--offload .*nowhere: cannot make a file"):
        load_model(str(tiny_model), offload=tmp_path / "nowhere")
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in tiny_model.iterdir():
        if file.suffix != ".safetensors":
            (bare / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="has none"):
        load_model(str(bare), offload=tmp_path)


def test_offloading_and_actors_do_not_go_together(pairzero, tmp_path):
    ended = pairzero("run", "--ray", "2", "--offload", tmp_path)
    assert ended.code == 2 and "--offload is for a run in one process" in ended.err
