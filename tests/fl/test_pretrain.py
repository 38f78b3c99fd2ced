"""Pretraining: resumable bit for bit, its loss layer right, its folder one that transformers and we can load."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fl import corpus
from fl.models import load_model
from fl.pretrain import Recipe, _HeadLoss, _rate, build, pretrain
from radio.errors import InputError
from radio.streams import stream

RECIPE = Recipe(
    tokens=3 * 4 * 16, width=32, layers=2, heads=2, positions=64, vocabulary=300, batch=4, sequence=16,
    mixture=(("letters", 0.7), ("diary", 0.3)), seed=9,
)  # fmt: skip
WORDS = ("the", "river", "was", "cold", "and", "we", "walked", "home", "before", "night", "fell", "on", "every", "road")


def write_corpus(path, seed: int, documents: int) -> None:
    rng = stream(seed, "test corpus")
    texts = [
        " ".join(" ".join(rng.choice(WORDS, 7)).capitalize() + "." for _ in range(5)) + "\n" for _ in range(documents)
    ]
    path.write_text(corpus.SEPARATOR.join(texts), encoding="utf-8")


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    for number, name in enumerate(("letters", "diary")):
        write_corpus(folder / f"{name}.train.txt", number, 40)
        write_corpus(folder / f"{name}.valid.txt", 10 + number, 6)
    return folder


class Interrupted(Exception):
    pass


def state(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.suffix == ".safetensors"}


@pytest.fixture(scope="module")
def whole(corpora, tmp_path_factory):
    out = tmp_path_factory.mktemp("pretrained")
    told: list[dict] = []
    return out, pretrain(RECIPE, corpora, out, told.append, save_every=1), told


def test_an_interrupted_pretraining_resumes_to_the_same_bits(corpora, whole, tmp_path):
    def interrupt(fact):
        if fact.get("step") == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        pretrain(RECIPE, corpora, tmp_path, interrupt, save_every=1)
    told: list[dict] = []
    pretrain(RECIPE, corpora, tmp_path, told.append, save_every=1)
    assert [f["step"] for f in told if f["stage"] == "training"] == [2, 3]  # step 2 was not saved and is done again
    finished = [f["loss"] for f in whole[2] if f["stage"] == "training"]
    assert [f["loss"] for f in told if f["stage"] == "training"] == finished[1:]
    with_times = {k: v for k, v in state(tmp_path).items() if "work" not in k}
    assert with_times
    assert with_times == {k: v for k, v in state(whole[0]).items() if "work" not in k}


def test_the_folder_is_a_model_in_half_precision_with_its_figures(whole):
    out, card, told = whole
    model = load_model(str(out))
    assert model.network.config.hidden_size == 32
    assert model.tokenizer.pad_token_id == corpus.PAD
    assert model.tokenizer.bos_token_id == model.tokenizer.eos_token_id == corpus.EOS
    assert {a.dtype for a in model.arrays.values()} == {np.dtype(np.float32)}
    assert all((a == a.astype(np.float16)).all() for a in model.arrays.values())
    assert json.loads((out / "pretraining.json").read_text()) == json.loads(json.dumps(card))
    assert card["steps"] == 3 == len([f for f in told if f["stage"] == "training"])
    assert card["tokens_seen"] == 192
    assert set(card["validation_perplexity"]) == {"letters", "diary"}
    assert all(1 < value < 400 for value in card["validation_perplexity"].values())


def test_another_recipe_does_not_continue_this_one(corpora, whole):
    other = Recipe(**{**vars(RECIPE), "rate": 1e-3})
    with pytest.raises(InputError, match="another recipe; name another --out or delete"):
        pretrain(other, corpora, whole[0], lambda fact: None)


def test_a_missing_corpus_is_named(corpora, tmp_path):
    recipe = Recipe(**{**vars(RECIPE), "mixture": (("letters", 0.5), ("sermons", 0.5))})
    with pytest.raises(InputError, match=r"sermons.*expected"):
        pretrain(recipe, corpora, tmp_path, lambda fact: None)


def test_the_head_loss_is_cross_entropy_with_its_gradient():
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(700, 32, generator=generator).requires_grad_()  # more rows than one chunk
    weight = (0.3 * torch.randn(90, 32, generator=generator)).requires_grad_()
    target = torch.randint(0, 90, (700,), generator=generator)
    ours = _HeadLoss.apply(hidden, weight, target)
    (2 * ours).backward()
    found = hidden.grad.clone(), weight.grad.clone()
    hidden.grad = weight.grad = None
    theirs = torch.nn.functional.cross_entropy(hidden @ weight.t(), target)
    (2 * theirs).backward()
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=5e-3)
    for one, other in zip(found, (hidden.grad, weight.grad), strict=True):
        # bf16 has 8 bits
        assert float((one - other).norm() / other.norm()) < 0.02


def test_the_learning_rate_warms_up_and_ends_near_zero():
    recipe = Recipe(tokens=100 * 4096, rate=1.0, warmup=0.1)
    rates = [_rate(recipe, step) for step in range(recipe.steps)]
    assert recipe.steps == 100
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0, abs=0.02)
    assert rates[-1] == pytest.approx(1 / 91)
    assert np.argmax(rates) in (9, 10)


def test_fresh_weights_come_from_the_recipes_seed_alone():
    torch_state = torch.random.get_rng_state()
    first, again = build(RECIPE).state_dict(), build(RECIPE).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    other = build(Recipe(**{**vars(RECIPE), "seed": 10})).state_dict()
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])
    torch.random.set_rng_state(torch_state)


def test_documents_and_their_tokens(tmp_path, whole):
    path = tmp_path / "x.train.txt"
    path.write_text(f"One.\nTwo.\n{corpus.SEPARATOR}\n{corpus.SEPARATOR}Three.", encoding="utf-8")
    assert list(corpus.documents(path)) == ["One.\nTwo.", "Three."]
    assert list(corpus.documents(path, limit_chars=3)) == ["One.\nTwo."]
    tokenizer = load_model(str(whole[0])).tokenizer
    tokens = corpus.encode(path, tokenizer, tmp_path / "x.u16")
    assert list(tokens).count(corpus.EOS) == 2
    assert tokenizer.decode(tokens[: list(tokens).index(corpus.EOS)]) == "One.\nTwo."
    starts = corpus.sentence_starts(tokens, tokenizer)
    assert all(tokenizer.convert_ids_to_tokens(int(tokens[s - 1])).endswith((".", "Ċ", "</s>")) for s in starts)
    with pytest.raises(InputError, match=r"corpus file .* not found"):
        list(corpus.documents(tmp_path / "none.txt"))
