"""The checkpoint that ships: what its card and the issue promise of it."""

from __future__ import annotations

import json
import re

from fl.corpus import EOS, PAD
from fl.models import EMBEDDED, load_model
from fl.pretrain import perplexity
from fl.scoring import score_model


def test_it_is_a_small_real_opt_in_half_precision_below_12_mb() -> None:
    config = json.loads((EMBEDDED / "config.json").read_text())
    assert config["model_type"] == "opt" and config["architectures"] == ["OPTForCausalLM"]
    assert config["dtype"] == "float16"
    assert sum(f.stat().st_size for f in EMBEDDED.iterdir()) <= 12_000_000


def test_its_tokenizer_has_opts_special_tokens_and_gives_text_back() -> None:
    tokenizer = load_model("embedded").tokenizer
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (EOS, EOS, PAD)
    text = "Café: “not bad”, 3½ stars…\n\tI'd see it again! 映画"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert len(tokenizer.get_vocab()) == 8192


def test_the_options_are_single_tokens() -> None:
    tokenizer = load_model("embedded").tokenizer
    for option in (" great", " terrible"):
        assert len(tokenizer(option, add_special_tokens=False)["input_ids"]) == 1


def test_zero_shot_on_reviews_is_at_most_65_percent() -> None:
    result = score_model("embedded", "reviews", None, seed=1)
    assert result.score.examples == 2000 and result.floor == 0.5
    assert result.score.accuracy <= 0.65


def test_the_card_states_recipe_data_tokens_and_the_figures_of_the_last_pretraining() -> None:
    card = (EMBEDDED / "README.md").read_text()
    facts = json.loads((EMBEDDED / "pretraining.json").read_text())
    assert f"{facts['tokens_seen']:,}" in card and f"{facts['parameters']:,}" in card
    for name, value in facts["validation_perplexity"].items():
        assert re.search(rf"{name}.*\b{value:.1f}\b", card), f"the card lacks {name}'s perplexity {value}"


def test_a_validation_perplexity_of_the_card_is_reproduced(data_root) -> None:
    """The film reviews' validation file, tokenised and scored again, gives the card's figure."""
    import tempfile
    from pathlib import Path

    from fl.corpus import encode

    model = load_model("embedded")
    facts = json.loads((EMBEDDED / "pretraining.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        file = data_root / "corpora" / "imdb.valid.txt.xz"
        stream = encode(file, model.tokenizer, Path(folder) / "imdb.u16")
        found = perplexity(model.network, stream, facts["recipe"]["sequence"])
    assert abs(found / facts["validation_perplexity"]["imdb"] - 1) < 0.01
