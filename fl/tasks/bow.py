"""The bag-of-words yardstick: what can be had from a task by counting words, without any language model."""

from __future__ import annotations

from collections.abc import Sequence

from fl.tasks.task import Example
from radio.errors import InputError


def bow_accuracy(train: Sequence[Example], test: Sequence[Example], inverse_penalty: float = 1.0) -> float:
    """Test accuracy of L2-regularised logistic regression on counts of words and of pairs of words.

    `inverse_penalty` is scikit-learn's C.  About a second for 5,000 short texts.
    """
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    labels = [example.label for example in train]
    if len(set(labels)) < 2 or not test:
        raise InputError(
            f"bag-of-words needs two labels in training and a test text; got {len(set(labels))} label(s) and "
            f"{len(test)} test text(s)"
        )
    # Unlike the default pattern this keeps one-letter words and does not break "isn't".
    counts = CountVectorizer(ngram_range=(1, 2), token_pattern=r"[\w'-]+")
    model = LogisticRegression(C=inverse_penalty, max_iter=1000)
    model.fit(counts.fit_transform([example.text for example in train]), labels)
    return float(model.score(counts.transform([example.text for example in test]), [e.label for e in test]))
