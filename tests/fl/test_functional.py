"""Functional evaluation: the losses of moved weights, no weight moved, and no example's loss dependent on its batch-mates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fl.directions.gaussian import Gaussian
from fl.directions.low_rank import LowRank
from fl.directions.rademacher import Rademacher
from fl.estimators.estimator import HOME, UNTOUCHED, Point
from fl.estimators.one_sided import OneSided
from fl.functional import Functional
from fl.likelihood import Encoded, OptionLikelihood
from fl.models import LanguageModel, load_model
from fl.replica import Replica
from fl.tasks.registry import load_task
from fl.update import RoundUpdate, own_moves
from fl.weights import digest

SMALL = ("*layer_norm*", "*.bias")
DEMO = ("*layers.0.self_attn_layer_norm.weight",)
DEEP = ("*layers.1.final_layer_norm.*", "*layers.1.fc2.bias")
POINTS = [Point(HOME, 0.0), Point(0, 1.0), Point(0, -1.0), Point(3, 0.5), Point(1, 2.0)]
MU, SEED = 1e-2, 77


@pytest.fixture(scope="module")
def task():
    return load_task("reviews", seed=4, devices=1, train_examples=60)


@pytest.fixture
def make(tiny_model):
    """A tiny OPT with weights of its own: as shipped, or with what the 350M model has and a head of its own."""

    def build(kind: str = "plain", width: int = 32) -> LanguageModel:
        model = load_model(str(tiny_model))
        if kind == "plain" and width == 32:
            return model
        from transformers import OPTConfig, OPTForCausalLM

        odd = {"do_layer_norm_before": False, "word_embed_proj_dim": 16, "tie_word_embeddings": False}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            network = OPTForCausalLM(
                OPTConfig(
                    vocab_size=len(model.tokenizer),
                    hidden_size=width,
                    ffn_dim=4 * width,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    max_position_embeddings=128,
                    init_std=0.2,
                    attn_implementation="sdpa",
                    **{"word_embed_proj_dim": width, **(odd if kind == "odd" else {})},
                )
            )
        return LanguageModel(network.eval().requires_grad_(False), model.tokenizer, kind)

    return build


def direction(name: str, model: LanguageModel, patterns: tuple[str, ...], rank: int = 2):
    if name == "low-rank":
        return LowRank({n: a.shape for n, a in model.select(patterns).items()}, rank, Rademacher())
    return {"rademacher": Rademacher, "gaussian": Gaussian}[name]()


def replica(model, task, patterns, name="rademacher", *, functional: bool, rows: int = 2, estimator=None, rank=2):
    likelihood = OptionLikelihood(model, task.options, rows)
    examples = [likelihood.encode(task.prompt(e), e.label) for e in task.train[:9]]
    z = direction(name, model, patterns, rank)
    return Replica(model, likelihood, patterns, z, estimator, functional=functional), examples


@pytest.mark.parametrize("kind", ["plain", "odd"])
@pytest.mark.parametrize(
    ("patterns", "name"),
    [(SMALL, "rademacher"), (SMALL, "gaussian"), (DEMO, "rademacher"), (DEEP, "rademacher"), (("*",), "low-rank")],
)
def test_losses_are_those_of_moved_weights(make, task, kind, patterns, name):
    here, examples = replica(make(kind), task, patterns, name, functional=True)
    there, _ = replica(make(kind), task, patterns, name, functional=False)
    before = here.digest()
    losses = here.losses_at(examples, SEED, POINTS, MU)
    moved = there.losses_at(examples, SEED, POINTS, MU)
    assert np.ptp(moved, axis=0).max() > 1e-4  # the points differ by far more than what follows allows
    np.testing.assert_allclose(losses, moved, atol=1e-5)
    assert here.digest() == before


@pytest.mark.parametrize("part", ["embed_tokens", "embed_positions", "fc1.weight", "project_in", "lm_head"])
def test_each_kind_of_matrix_moves_its_own_loss(make, task, part):
    kind = "odd" if part in ("project_in", "lm_head") else "plain"
    here, examples = replica(make(kind), task, (f"*{part}*",), "low-rank", functional=True)
    there, _ = replica(make(kind), task, (f"*{part}*",), "low-rank", functional=False)
    losses = here.losses_at(examples, SEED, POINTS, MU)
    assert np.ptp(losses, axis=0).max() > 1e-4
    np.testing.assert_allclose(losses, there.losses_at(examples, SEED, POINTS, MU), atol=1e-5)


def test_a_layer_norm_is_the_moved_one_bit_for_bit(make):
    model = make()
    name = "model.decoder.layers.0.self_attn_layer_norm"
    trained = model.select((f"{name}.*",))
    x = torch.randn(6, 5, 32, generator=torch.Generator().manual_seed(1))
    points = POINTS[1:3]
    module = model.network.get_submodule(name)
    with Functional(model.network, trained, Rademacher()).at(SEED, points, MU).applied():
        measured = module(x)
    for k, point in enumerate(points):
        gain, bias = (
            array + np.float32(point.offset * MU) * Rademacher().values(n, array.shape, SEED, 0)
            for n, array in sorted(trained.items(), reverse=True)
        )
        wanted = F.layer_norm(x[3 * k : 3 * k + 3], (32,), torch.from_numpy(gain), torch.from_numpy(bias), module.eps)
        torch.testing.assert_close(measured[3 * k : 3 * k + 3], wanted, rtol=0, atol=0)


@pytest.mark.parametrize("width", [32, 256])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("patterns", "name", "rank"),
    [(SMALL, "rademacher", 0), (DEEP, "rademacher", 0), (("*",), "low-rank", 1), (("*",), "low-rank", 2)],
)
def test_removing_any_one_example_changes_no_other_loss_by_one_bit(make, task, width, threads, patterns, name, rank):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = make(width=width)
        # 4 x 64 tokens: one, two or three examples of a length share a forward with up to four points
        here, examples = replica(model, task, patterns, name, functional=True, rows=4, rank=rank)
        whole = here.losses_at(examples, SEED, POINTS, MU)
        for i in range(0, len(examples), 2):
            without = here.losses_at(examples[:i] + examples[i + 1 :], SEED, POINTS, MU)
            np.testing.assert_array_equal(without, np.delete(whole, i, axis=1))
    finally:
        torch.set_num_threads(before)


def test_points_of_an_example_share_forwards_in_equal_parts_before_examples_do(make, task, monkeypatch):
    here, _ = replica(make(), task, DEMO, functional=True, rows=4)  # 256 tokens
    seen: list[tuple[int, int, int]] = []  # points, rows of each, tokens of a row
    likelihood, losses_of = here.likelihood, here.likelihood._losses_of

    def forward(examples, group, points):
        seen.append((points.copies, *group.ids.shape))
        return losses_of(examples, group, points)

    monkeypatch.setattr(likelihood, "_losses_of", forward)
    nine = [Point(i, 1.0) for i in range(9)]

    def forwards(*lengths: int) -> list[tuple[int, int, int]]:
        seen.clear()
        here.losses_at([Encoded((2,) * length, 0) for length in lengths], SEED, nine, MU)
        return seen

    assert forwards(16) == [(9, 1, 16)]  # 9 x 16 = 144 tokens, and no second example would go in
    assert forwards(32) == [(5, 1, 32), (4, 1, 32)]  # eight at most
    assert forwards(8, 8, 8, 8) == [(9, 3, 8), (9, 3, 8)]
    assert forwards(100) == [(2, 1, 104)] * 4 + [(1, 1, 104)]
    assert all(points * rows * length <= 256 for points, rows, length in seen)


def test_modules_are_their_own_again_also_after_an_error(make):
    model = make()
    points = Functional(model.network, model.select(SMALL), Rademacher()).at(SEED, POINTS, MU)
    with pytest.raises(RuntimeError, match="stop"), points.applied():
        assert "forward" in model.network.model.decoder.final_layer_norm.__dict__
        raise RuntimeError("stop")
    assert not any("forward" in module.__dict__ for module in model.network.modules())


def test_an_untouched_probe_leaves_no_trace_and_replays(make, task):
    lived, examples = replica(make(), task, SMALL, functional=True, estimator=OneSided())
    start = lived.digest()
    assert lived.probe == UNTOUCHED
    assert lived.projections(examples, SEED, 3, MU).shape == (9, 3)
    assert lived.projections([], SEED, 3, MU).shape == (0, 3)
    assert lived.digest() == start
    updates = [RoundUpdate(s, MU, 2, UNTOUCHED, own_moves(s, (0.1, -0.2))) for s in range(3)]
    for update in updates:
        lived.projections(examples, update.seed, 2, MU)
        lived.update(update)
    replayed, _ = replica(make(), task, SMALL, functional=False)
    replayed.replay(updates)
    assert lived.digest() == replayed.digest() != start


def test_what_can_be_evaluated_functionally(make):
    model = make()
    low_rank = direction("low-rank", model, ("*",))
    assert Functional.supports(model.network, model.select(SMALL), Rademacher())
    assert not Functional.supports(model.network, model.select(("*",)), Rademacher())
    assert Functional.supports(model.network, model.select(("*",)), low_rank)
    assert not Functional.supports(model.network, {"model.decoder.unknown.weight": np.zeros(3, np.float32)}, low_rank)


def test_the_weights_are_read_when_points_are_asked_for(make, task):
    here, examples = replica(make(), task, SMALL, functional=True)
    first = here.losses_at(examples, SEED, POINTS[:1], MU)
    here.move(SEED, 0, MU)
    np.testing.assert_allclose(here.losses_at(examples, SEED, POINTS[:1], MU), here.losses(examples)[None], atol=1e-6)
    assert not np.array_equal(first, here.losses_at(examples, SEED, POINTS[:1], MU))
    assert digest(here.model.select(SMALL))
