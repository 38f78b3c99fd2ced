"""`python -m fl.tasks.reviews --show 20` prints generated reviews to read."""

from __future__ import annotations

import argparse
from itertools import islice

from fl.tasks.reviews.generate import OPTIONS, reviews
from fl.tasks.reviews.vocabulary import split_vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fl.tasks.reviews", description="Print generated film reviews.")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="public seed (default 1)")
    parser.add_argument("--split", choices=("train", "test"), default="train")
    given = parser.parse_args()
    vocabulary = split_vocabulary(given.seed)[given.split == "test"]
    for review in islice(reviews(given.seed, given.split, vocabulary, set()), max(given.show, 0)):
        print(f"{OPTIONS[review.label].strip():9}{review.kind:11}{review.text}")


if __name__ == "__main__":
    main()
