"""The words of the generated reviews: what is judged, the words that judge, and neutral scenery.

Adjectives are grouped by what they can be said of, one letter a class:
    f film   s story   a acting   p people of the cast   v visuals   m music   d direction   h humor
The options "great" and "terrible" and their families appear nowhere, or the answer could be copied from the text.
"""

from __future__ import annotations

from typing import NamedTuple

NEGATIVE, POSITIVE = 0, 1


class Aspect(NamedTuple):
    name: str
    kind: str
    plural: bool = False


def _aspects(kind: str, singular: str, plural: str = "") -> list[Aspect]:
    split = [(name.strip(), many) for names, many in ((singular, False), (plural, True)) for name in names.split(",")]
    return [Aspect(name, kind, many) for name, many in split if name]


ASPECTS: tuple[Aspect, ...] = tuple(
    _aspects("s", "plot, script, story, dialogue, ending, premise, screenplay, final act, opening", "plot twists")
    + _aspects("a", "acting, lead performance", "performances")
    + _aspects("p", "cast, supporting cast", "leads, child actors")
    + _aspects("v", "photography, camerawork, production design", "sets, costumes, special effects")
    + _aspects("m", "score, music, soundtrack")
    + _aspects("d", "direction, editing", "action scenes")
    + _aspects("h", "humor", "jokes, gags, comic scenes")
)

# The first word of each first group fits every class and is kept in both splits, so no slot is ever without a word.
_ADJECTIVES: dict[int, dict[str, str]] = {
    POSITIVE: {
        "fsapvmdh": "wonderful terrific brilliant excellent superb good fantastic amazing first-rate top-notch",
        "fapvmd": "outstanding magnificent marvelous splendid impressive extraordinary remarkable phenomenal masterful "
        "flawless sublime",
        "favm": "stunning exquisite unforgettable breathtaking dazzling",
        "fvm": "lovely beautiful enchanting",
        "v": "gorgeous lush vivid striking",
        "fvd": "spectacular stylish",
        "svd": "elegant inventive imaginative",
        "fsap": "charming delightful engaging compelling riveting captivating",
        "fsa": "moving touching tender heartfelt powerful poignant",
        "fs": "gripping absorbing exciting thrilling suspenseful fascinating intriguing enjoyable entertaining "
        "uplifting inspiring satisfying thoughtful insightful profound original intelligent heartwarming",
        "fsh": "clever witty smart funny hilarious amusing refreshing",
        "sa": "believable credible nuanced subtle authentic",
        "sap": "convincing",
        "ap": "likable lively",
        "f": "rewarding worthwhile irresistible magical well-made",
        "fm": "haunting stirring rousing",
        "fsam": "memorable",
        "fa": "sincere warm graceful",
        "apvmd": "perfect",
        "fpvm": "awesome",
        "sd": "polished tight",
    },
    NEGATIVE: {
        "fsapvmdh": "awful dreadful horrible bad lousy atrocious abysmal mediocre forgettable disappointing pathetic "
        "horrendous second-rate appalling",
        "fsapvmd": "amateurish uninspired dull bland lackluster laughable lifeless inept",
        "sapvmdh": "poor weak",
        "fsmh": "tiresome",
        "fsd": "plodding sluggish clumsy sloppy",
        "fs": "boring tedious contrived confusing incoherent muddled convoluted pointless formulaic shallow hollow "
        "frustrating disjointed messy nonsensical ludicrous ridiculous trite hackneyed pretentious preachy "
        "manipulative sappy maudlin derivative uninteresting worthless",
        "s": "implausible",
        "fsh": "predictable unfunny lame stupid dumb idiotic moronic inane stale corny juvenile childish lazy "
        "unoriginal",
        "fh": "offensive vulgar tasteless",
        "ap": "wooden stiff hammy",
        "fah": "annoying irritating obnoxious",
        "sap": "unconvincing",
        "sa": "stilted",
        "v": "murky",
        "fv": "ugly cheap tacky shoddy drab",
        "m": "grating",
        "f": "unwatchable interminable insufferable unbearable wretched miserable bloated overblown",
        "fsv": "dreary",
        "fsvm": "cheesy",
        "samh": "flat",
        "fsah": "embarrassing",
        "fah ": "painful",
        "fd": "incompetent",
    },
}
ADJECTIVES: dict[int, dict[str, str]] = {
    polarity: {word: kinds.strip() for kinds, words in groups.items() for word in words.split()}
    for polarity, groups in _ADJECTIVES.items()
}


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


# "The film is a ...": no two share a sentiment word, or holding one out would not hide it.
NOUNS: dict[int, tuple[str, ...]] = {
    POSITIVE: _phrases(
        "triumph, delight, joy, treat, gem, masterpiece, winner, pleasure, treasure, success, marvel, wonder, "
        "must-see, revelation, tour de force, work of art, breath of fresh air"
    ),
    NEGATIVE: _phrases(
        "mess, bore, disaster, disappointment, failure, flop, dud, letdown, turkey, stinker, mistake, embarrassment, "
        "fiasco, train wreck, clunker, chore, travesty, missed opportunity, piece of junk, waste of time"
    ),
}
# "The film ...", third person.
VERBS: dict[int, tuple[str, ...]] = {
    POSITIVE: _phrases(
        "shines, delivers, sparkles, works, succeeds, impresses, excels, charms, pays off, entertains, hits the mark"
    ),
    NEGATIVE: _phrases(
        "drags, fizzles, stumbles, falls apart, misfires, fails, stinks, disappoints, loses its way, runs out of steam"
    ),
}
# "The film ...", what it did to the writer.
EFFECTS: dict[int, tuple[str, ...]] = {
    POSITIVE: _phrases(
        "moved me, delighted me, charmed me, thrilled me, touched me, amused me, captivated me, enchanted me, "
        "impressed me, fascinated me, entertained me, gripped me, won me over"
    ),
    NEGATIVE: _phrases(
        "bored me, annoyed me, irritated me, disappointed me, frustrated me, exhausted me, insulted me, infuriated me, "
        "disgusted me, depressed me, left me cold, put me to sleep"
    ),
}
# "I ... this film."
FEELINGS: dict[int, tuple[str, ...]] = {
    POSITIVE: _phrases("loved, enjoyed, adored, admired, liked, appreciated, treasured"),
    NEGATIVE: _phrases("hated, disliked, despised, loathed, endured, suffered through"),
}
# "The film is ... shot."
ADVERBS: dict[int, tuple[str, ...]] = {
    POSITIVE: _phrases(
        "beautifully, brilliantly, wonderfully, superbly, skillfully, expertly, gracefully, masterfully, perfectly, "
        "elegantly, marvelously, splendidly"
    ),
    NEGATIVE: _phrases("badly, poorly, horribly, clumsily, awkwardly, ineptly, dreadfully, amateurishly, atrociously"),
}

# Neutral from here on.
CRAFTS = _phrases("written, acted, shot, directed, edited, staged")
EMPHASIS = _phrases("truly, really, genuinely, consistently, mostly, often")
GENRES = _phrases(
    "thriller, comedy, drama, western, romance, musical, mystery, war film, crime drama, family film, film, movie"
)
FILM = _phrases("the film, the film, the movie, the movie, the picture, the whole thing")
OPENERS = _phrases(
    "to be honest, for me, in my opinion, all in all, in the end, if you ask me, on the whole, to my mind, overall"
)
FIRST_NAMES = _phrases(
    "Mara, Tobias, Elena, Anton, Lucia, Desmond, Ingrid, Rafael, Noor, Emma, Kim, Oscar, Leila, Marcus, Theo, "
    "Carmen, Victor, Amara, Jonas, Wanda, Felix, Nora, Hugo, Clara, Martin, Ruth, Sam, Alice, Henry, Rosa, Peter, "
    "Julia"
)
LAST_NAMES = _phrases(
    "Grant, Marlowe, Brandt, Holloway, Petrov, Foster, Kessler, Chan, Moreau, Ross, Novak, Rossi, Quinn, "
    "Barlow, Delgado, Sutton, Fields, Parker, Walsh, Reed, Porter, Stone, Mills, Hayes, Burke, Lane, Webb, Dean, "
    "Price, Marsh"
)
TITLE_FIRST = _phrases(
    "Harbor, Winter, Copper, Midnight, River, Silver, Northern, Paper, Island, Summer, Canal, Desert"
)
TITLE_SECOND = _phrases("Street, Station, Letters, Road, Garden, Crossing, House, Season, Bridge, Hotel, Tide, Witness")
JOBS = _phrases(
    "teacher, detective, nurse, farmer, lawyer, pilot, reporter, sailor, baker, soldier, professor, driver, "
    "doctor, painter, librarian, fisherman, mechanic, photographer, judge, boxer"
)
PLACES = _phrases(
    "a small town, a mining village, a large city, a mountain hotel, a border town, postwar Berlin, rural Texas, a "
    "fishing port, Lisbon, Ohio, a desert outpost, a train station, Chicago, Dublin, Buenos "
    "Aires"
)
DAYS = _phrases("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
COMPANY = _phrases(
    "my brother, my sister, my wife, my husband, my mother, two friends, my roommate, my neighbor, a colleague"
)
CRITICS = _phrases(
    "my brother, my sister, my neighbor, the critics, a friend, my roommate, my mother, everyone at work"
)
LENGTHS = _phrases("ninety minutes, under two hours, about two hours, just over two hours, a hundred minutes")
