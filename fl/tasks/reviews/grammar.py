"""The grammar of the generated reviews: plain, negated and contrasted verdicts in film-review English.

A review's label is its writer's verdict on the film.  Plain clauses say it outright; a negation turns a word around
("anything but dull"); in a contrast the two sides disagree and the main clause, or what follows "but", decides.
Every construction is used with both labels, and every cue ("never", "but", "despite") with both, so a cue alone says
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from fl.tasks.draw import Draw
from fl.tasks.reviews import lexicon
from fl.tasks.reviews.lexicon import Aspect
from fl.tasks.reviews.vocabulary import Vocabulary

T = TypeVar("T")

# Shares of the kinds of reviews; the rest are plain.
NEGATED_SHARE = 0.10
CONTRASTED_SHARE = 0.15
# Of the contrasts, how many end with the deciding clause.
DECIDED_LAST_SHARE = 0.80
# How many plain and negated reviews say their verdict with a second, plain clause.
SECOND_CLAUSE_SHARE = 0.80
# Scenery before and after the verdict, and a few words in front of it.
SCENERY_BEFORE_SHARE = 0.15
SCENERY_AFTER_SHARE = 0.10
OPENER_SHARE = 0.20
MIN_WORDS, MAX_WORDS = 8, 26


class Review(NamedTuple):
    text: str
    label: int
    kind: str  # "plain", "negated" or "contrasted"


def write_review(label: int, vocabulary: Vocabulary, draw: Draw) -> Review:
    """One review whose verdict is `label`, of MIN_WORDS to MAX_WORDS words."""
    while True:
        review = _Writer(vocabulary, draw).review(label)
        if MIN_WORDS <= len(review.text.split()) <= MAX_WORDS:
            return review


def article(phrase: str) -> str:
    """The phrase behind "a" or "an"; the lexicon has no silent h and no u that sounds like "you"."""
    return f"{'an' if phrase[0].lower() in 'aeiou' else 'a'} {phrase}"


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def sentence(text: str) -> str:
    return f"{capital(text)}."


class _Writer:
    """Writes one review; remembers what it has used so that no aspect, word or genre comes twice."""

    def __init__(self, vocabulary: Vocabulary, draw: Draw) -> None:
        self.vocabulary = vocabulary
        self.draw = draw
        self.used: set[str] = set()

    def review(self, label: int) -> Review:
        share = self.draw.chance
        kind = "contrasted" if share(CONTRASTED_SHARE) else "plain"
        if kind == "plain" and share(NEGATED_SHARE / (1 - CONTRASTED_SHARE)):
            kind = "negated"
        if kind == "contrasted":
            verdict = self.contrast(label)
        else:
            verdict = self.negated(label) if kind == "negated" else self.plain(label)
        # "For me, the critics called it a mess" is nobody's opinion.
        if share(OPENER_SHARE) and " called it " not in verdict:
            verdict = f"{self.new(lexicon.OPENERS)}, {verdict}"
        if kind != "contrasted" and share(SECOND_CLAUSE_SHARE):
            second = self.plain(label)
            verdict = f"{verdict}, and {second}" if share(0.5) else f"{verdict}. {capital(second)}"
        parts = [sentence(verdict)]
        # A short verdict needs scenery to be a review at all.
        if share(SCENERY_BEFORE_SHARE) or len(verdict.split()) < MIN_WORDS:
            parts.insert(0, sentence(self.scenery()))
        elif share(SCENERY_AFTER_SHARE):
            parts.append(sentence(self.scenery()))
        return Review(" ".join(parts), label, kind)

    # Words

    def new(self, items: tuple[str, ...]) -> str:
        return self.fresh(items, str)

    def aspect(self, kinds: str = "sapvmdh") -> Aspect:
        """An aspect of one of these classes, of another class than the aspects before it (actors are their acting)."""
        aspect = self.fresh(
            tuple(a for a in lexicon.ASPECTS if a.kind in kinds), lambda aspect: aspect.kind.replace("p", "a")
        )
        self.used.add(aspect.name)
        return aspect

    def fresh(self, items: tuple[T, ...], name: Callable[[T], str]) -> T:
        """An item not yet used in this review (or any, when all were)."""
        item = self.draw.pick([i for i in items if name(i) not in self.used] or items)
        self.used.add(name(item))
        return item

    def adjective(self, polarity: int, kind: str) -> str:
        return self.new(self.vocabulary.adjectives[polarity][kind])

    def actor(self) -> str:
        return f"{self.new(lexicon.FIRST_NAMES)} {self.new(lexicon.LAST_NAMES)}"

    def film(self) -> str:
        """The film as the subject of a clause: by a noun once, then "it"."""
        if "film" in self.used:
            return "it"
        self.used.add("film")
        return self.draw.pick(lexicon.FILM)

    # Clauses that say `polarity` outright; lower case, no full stop

    def plain(self, polarity: int) -> str:
        return self.of_aspect(polarity) if self.draw.chance(0.4) else self.of_film(polarity)

    def of_aspect(self, polarity: int) -> str:
        aspect = self.aspect()
        if aspect.kind == "a" and self.draw.chance(0.5):
            return f"{self.actor()} gives {article(self.adjective(polarity, 'a'))} performance"
        return f"the {aspect.name} {be(aspect)} {self.emphasis()}{self.adjective(polarity, aspect.kind)}"

    def of_film(self, polarity: int, contrasted: bool = False) -> str:
        words = self.vocabulary
        forms = ("adjective", "adjective", "genre", "noun", "verb", "effect", "feeling")
        # "Despite its wooden cast, the film is beautifully acted" would contradict itself.
        form = self.draw.pick(forms if contrasted else (*forms, "adverb"))
        first = "film" not in self.used
        film = self.film()
        if form == "adjective":
            return f"{film} is {self.emphasis()}{self.adjective(polarity, 'f')}"
        if form == "genre":
            this = "this" if first else "it"
            return f"{this} is {article(self.adjective(polarity, 'f'))} {self.new(lexicon.GENRES)}"
        if form == "noun":
            return f"{film} is {article(self.new(words.nouns[polarity]))}"
        if form == "verb":
            verb = self.new(words.verbs[polarity])
            # "Loses its way from start to finish" would be one phrase too many.
            return f"{film} {verb}{'' if ' ' in verb else self.draw.pick(('', ' from start to finish'))}"
        if form == "effect":
            return f"{film} {self.new(words.effects[polarity])}"
        if form == "feeling":
            what = self.draw.pick(("this film" if first else "it", "every minute of it"))
            return f"I {self.new(words.feelings[polarity])} {what}"
        return f"{film} is {self.new(words.adverbs[polarity])} {self.new(lexicon.CRAFTS)}"

    def emphasis(self) -> str:
        return f"{self.new(lexicon.EMPHASIS)} " if self.draw.chance(0.3) else ""

    # Clauses that say `polarity` by denying a word of the other one

    def negated(self, polarity: int) -> str:
        denied = 1 - polarity
        words, pick = self.vocabulary, self.draw.pick
        form = pick(("aspect", "aspect", "film", "noun", "verb", "effect", "nothing", "not a", "nobody"))
        cue = pick(("anything but", "far from", "by no means", "certainly not" if form == "noun" else "never"))
        if form == "aspect":
            aspect = self.aspect("sapmd")
            return f"the {aspect.name} {be(aspect)} {cue} {self.adjective(denied, aspect.kind)}"
        if form == "nothing" and self.draw.chance(0.5):
            return f"there is nothing {self.adjective(denied, 's')} about the {self.aspect('s').name}"
        film = self.film()
        if form == "film":
            return f"{film} is {cue} {self.adjective(denied, 'f')}"
        if form == "noun":
            return f"{film} is {cue} {article(self.new(words.nouns[denied]))}"
        if form == "verb":
            return f"{film} never {pick(('', 'really ', 'once '))}{self.new(words.verbs[denied])}"
        if form == "effect":
            return f"{film} never {pick(('', 'really ', 'once '))}{self.new(words.effects[denied])}"
        if form == "nothing":
            return f"there is nothing {self.adjective(denied, 'f')} about {film}"
        if form == "not a":
            end = pick(("at all", "by any means", "in any way"))
            return f"this is not {article(self.adjective(denied, 'f'))} {self.new(lexicon.GENRES)} {end}"
        return f"nobody could call {film} {self.adjective(denied, 'f')}"

    # Two sides that disagree; the writer is on the side of `label`

    def contrast(self, label: int) -> str:
        if self.draw.chance(DECIDED_LAST_SHARE):
            return self.decided_last(label)
        verdict = self.of_film(label, contrasted=True)
        concession = self.draw.pick(("despite", "in spite of", "though", "even though", "even if"))
        if concession in ("despite", "in spite of"):
            return f"{verdict}, {concession} {self.possessed(1 - label)}"
        return f"{verdict}, {concession} {self.simple_aspect(1 - label)}"

    def decided_last(self, label: int) -> str:
        other = 1 - label
        form = self.draw.pick(("for all", "despite", "but", "but", "although", "aspects", "expected", "others"))
        if form in ("for all", "despite"):
            return f"{form} {self.possessed(other)}, {self.of_film(label, contrasted=True)}"
        if form == "although":
            concession = self.draw.pick(("while", "although", "even though"))
            return f"{concession} {self.simple_aspect(other)}, {self.of_film(label, contrasted=True)}"
        if form == "but":
            first = self.simple_aspect(other)
        elif form == "aspects":
            first = f"{self.simple_aspect(other)}, but {self.simple_aspect(label)}"
            return f"{first} and {self.of_film(label, contrasted=True)}"
        elif form == "expected":
            first = f"I expected {article(self.adjective(other, 'f'))} {self.new(lexicon.GENRES)}"
        else:
            first = f"{self.new(lexicon.CRITICS)} called it {article(self.new(self.vocabulary.nouns[other]))}"
        if form in ("expected", "others"):
            self.used.add("film")
        return f"{first}, but {self.of_film(label, contrasted=True)}"

    # No humor here: "the jokes are lame, but the film is hilarious" would contradict itself.

    def simple_aspect(self, polarity: int) -> str:
        aspect = self.aspect("sapvmd")
        return f"the {aspect.name} {be(aspect)} {self.adjective(polarity, aspect.kind)}"

    def possessed(self, polarity: int) -> str:
        aspect = self.aspect("sapvmd")
        return f"its {self.adjective(polarity, aspect.kind)} {aspect.name}"

    # Neutral scenery

    def scenery(self) -> str:
        new = self.new
        title = f"{new(lexicon.TITLE_FIRST)} {new(lexicon.TITLE_SECOND)}"
        return self.draw.pick(
            (
                lambda: f"{self.actor()} plays {article(new(lexicon.JOBS))} in {new(lexicon.PLACES)}",
                lambda: f"the story follows {article(new(lexicon.JOBS))} and {article(new(lexicon.JOBS))}",
                lambda: f"I saw {title} with {new(lexicon.COMPANY)}",
                lambda: f"{title} is set in {new(lexicon.PLACES)}",
                lambda: f"{title} was directed by {self.actor()}",
                lambda: f"{title} runs for {new(lexicon.LENGTHS)}",
                lambda: f"we rented {title} on {new(lexicon.DAYS)}",
                lambda: f"{self.actor()} stars in {title}",
            )
        )()


def be(aspect: Aspect) -> str:
    return "are" if aspect.plural else "is"
