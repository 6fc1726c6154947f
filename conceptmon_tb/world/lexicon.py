"""What words the bundled encoder knows, and how pictures are put into words.

The encoder is confident about anything, so words outside this lexicon must be refused before they reach it.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.palette import name_colors
from conceptmon_tb.world.picture import Picture
from conceptmon_tb.world.vocabulary import CATEGORY_OF, COLORS, CONCEPT_ID, WORDS

SYNONYMS: dict[str, tuple[str, ...]] = {
    "airplane": ("plane", "aircraft", "jet"),
    "balloon": ("hot air balloon",),
    "beach": ("shore", "coast"),
    "boat": ("ship", "sailboat"),
    "brick": ("bricks",),
    "bubbly": ("bubbles",),
    "building": ("skyscraper",),
    "cabin": ("hut", "log cabin"),
    "car": ("automobile",),
    "cat": ("kitten", "kitty"),
    "chequered": ("checkered", "checkerboard"),
    "city": ("skyline", "downtown"),
    "cloud": ("clouds",),
    "cracked": ("cracks",),
    "cup": ("mug",),
    "desert": ("dunes",),
    "dog": ("puppy",),
    "dotted": ("polka-dotted", "dots", "spotted"),
    "ear": ("ears",),
    "eye": ("eyes",),
    "fabric": ("cloth", "textile"),
    "field": ("meadow", "pasture"),
    "flower": ("blossom", "daisy"),
    "foliage": ("leaves",),
    "forest": ("woods", "jungle"),
    "fur": ("furry", "hair"),
    "grass": ("lawn",),
    "gray": ("grey",),
    "grid": ("gridded", "meshed"),
    "handle": ("grip",),
    "honeycombed": ("honeycomb", "hexagonal"),
    "horse": ("pony",),
    "house": ("home", "cottage"),
    "lamp": ("lantern",),
    "leg": ("legs",),
    "marbled": ("marble", "veined"),
    "metal": ("metallic", "steel"),
    "mountain": ("mountains", "peak"),
    "night": ("night sky", "dark"),
    "petal": ("petals",),
    "road": ("asphalt",),
    "rock": ("rocks", "boulder"),
    "roof": ("rooftop",),
    "room": ("indoors", "interior"),
    "scaly": ("scales",),
    "sea": ("ocean",),
    "spiralled": ("spiral", "swirly"),
    "star": ("stars",),
    "stem": ("stalk",),
    "stone": ("cobblestone",),
    "street": ("avenue",),
    "striped": ("stripes", "banded", "lined"),
    "sun": ("sunshine",),
    "truck": ("lorry",),
    "trunk": ("tree trunk",),
    "underwater": ("undersea",),
    "wheel": ("wheels", "tire"),
    "window": ("windows",),
    "wing": ("wings",),
    "wood": ("wooden",),
    "woven": ("wicker", "interlaced"),
    "zigzagged": ("zigzag", "chevron"),
}
"""Concept -> other words for it that the encoder was trained on."""

HYPERNYMS: dict[str, tuple[str, ...]] = {
    "animal": ("cat", "dog", "horse", "zebra", "bird", "fish", "butterfly"),
    "vehicle": ("car", "truck", "boat", "airplane", "balloon"),
    "plant": ("tree", "flower", "cactus", "seaweed", "mushroom"),
    "furniture": ("chair", "lamp"),
    "architecture": ("house", "cabin", "building"),
    "landscape": ("beach", "desert", "field", "forest", "mountain", "sea"),
    "urban": ("city", "street"),
}
"""General word -> the concepts that it covers."""

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "texture": ("texture",),
    "pattern": ("texture",),
    "material": ("material",),
    "color": ("color",),
    "scene": ("place",),
    "place": ("place",),
    "object": ("object",),
    "thing": ("object",),
    "part": ("part",),
}
"""Word for a whole category -> the kinds of picture that it describes."""

GENERAL_WORDS: tuple[str, ...] = (*HYPERNYMS, *KIND_WORDS)

ENTRIES: tuple[str, ...] = WORDS + GENERAL_WORDS
"""Every lexicon entry: the concepts, then the general words. Rows of training labels follow this order."""

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "object": ("a {}", "a photo of a {}", "the {}"),
    "scene": ("a {} scene", "a photo of the {}", "the {}"),
    "part": ("a {}", "a photo of a {}", "the {}"),
    "material": ("{} material", "made of {}", "a photo of {}"),
    "texture": ("{} texture", "a {} pattern", "a photo of something {}"),
    "color": ("{} color", "the color {}", "something {}"),
    "general": ("a {}", "a photo of a {}"),
}
FILLER_WORDS = frozenset(
    word
    for templates in _TEMPLATES.values()
    for template in templates
    for word in template.replace("{}", " ").split()
) | {"an", "and", "in", "on", "with", "close-up", "surface", "empty", "plain", "image", "picture"}

_ALIASES: dict[str, str] = {entry: entry for entry in ENTRIES}
_ALIASES.update({other: word for word, others in SYNONYMS.items() for other in others})

KNOWN_WORDS: tuple[str, ...] = tuple(_ALIASES)
"""Every word or phrase that the encoder knows: concepts, general words and synonyms."""

_LONGEST = max(len(word.split()) for word in KNOWN_WORDS)


def canonical(word: str) -> str | None:
    """The lexicon entry that a word means.

    Args:
        word: One word or phrase in any case; plurals of known words count.

    Returns:
        A word of `ENTRIES`, or None if the lexicon has no such word.
    """
    text = " ".join(word.lower().split())
    for candidate in (text, text.removesuffix("s"), text.removesuffix("es")):
        if candidate in _ALIASES:
            return _ALIASES[candidate]
    return None


def is_known(word: str) -> bool:
    """Whether the encoder was trained on a word, or on all words of a phrase ("a red car")."""
    tokens = re.findall(r"[^\s,.]+", word.lower())
    known_somewhere = False
    position = 0
    while position < len(tokens):
        for length in range(min(_LONGEST, len(tokens) - position), 0, -1):
            if canonical(" ".join(tokens[position : position + length])) is not None:
                known_somewhere = True
                position += length
                break
        else:
            if tokens[position] not in FILLER_WORDS:
                return False
            position += 1
    return known_somewhere


def phrase(entry: str, dice: Dice) -> str:
    """A random way to say a lexicon entry: the word or a synonym, alone or in a template."""
    word = entry
    if entry in SYNONYMS and dice.chance(0.3):
        word = dice.pick(SYNONYMS[entry])
    if dice.chance(0.5):
        return word
    return dice.pick(_TEMPLATES[CATEGORY_OF.get(entry, "general")]).format(word)


def entry_labels(picture: Picture) -> npt.NDArray[np.bool_]:
    """Which lexicon entries are true of a picture, `(entries,)` bool."""
    present = picture.presence
    general = [any(present[CONCEPT_ID[word]] for word in HYPERNYMS[entry]) for entry in HYPERNYMS]
    kinds = [picture.kind in KIND_WORDS[entry] for entry in KIND_WORDS]
    return np.concatenate([present, np.array(general + kinds, bool)])


def caption(picture: Picture, dice: Dice) -> str:
    """A sentence about a picture, one of many."""
    if picture.subject is not None:
        return _subject_caption(picture, picture.subject, dice)
    forms: tuple[str, ...]
    if picture.scene is not None:
        forms = ("a photo of the {}", "an empty {}", "{} scene", "the {}")
        return dice.pick(forms).format(picture.scene)
    word = picture.shown or ""
    if picture.kind == "texture":
        forms = ("a close-up of a {0} texture", "a {1} {0} pattern", "{0} {1} texture")
        return dice.pick(forms).format(word, _main_color(picture.image.reshape(-1, 3)))
    forms = {
        "material": ("a close-up of {}", "a {} surface", "{} material"),
        "color": ("the color {}", "a plain {} surface", "{}"),
        "part": ("a {}", "a close-up of a {}", "the {}"),
        "surface": ("{}", "a close-up of {}", "a photo of {}"),
    }[picture.kind]
    return dice.pick(forms).format(word)


def _subject_caption(picture: Picture, subject: str, dice: Dice) -> str:
    forms: tuple[str, ...]
    color = _main_color(picture.image[picture.mask(subject)])
    finish = picture.finish or ""
    adjective = dice.pick((color, color, finish, f"{color} {finish}", ""))
    name = phrase_name(subject, dice)
    described = " ".join(f"{adjective} {name}".split())
    if picture.scene is None:
        forms = ("a {0}", "a close-up of a {0}", "a photo of a {0}")
    else:
        forms = ("a {0} in the {1}", "a photo of a {0}, {1}", "{0} in a {1} scene")
    return dice.pick(forms).format(described, picture.scene)


def phrase_name(word: str, dice: Dice) -> str:
    """A concept's word or, a quarter of the time, one of its synonyms."""
    if word in SYNONYMS and dice.chance(0.25):
        return dice.pick(SYNONYMS[word])
    return word


def _main_color(pixels: npt.NDArray[np.uint8]) -> str:
    if len(pixels) == 0:
        return ""
    return COLORS[int(np.bincount(name_colors(pixels), minlength=len(COLORS)).argmax())]


_PART_GROUPS: dict[str, tuple[str, ...]] = {
    "vehicle": ("wheel", "headlight", "hull", "sail", "mast", "basket"),
    "architecture": ("window", "door", "roof", "chimney"),
    "plant": ("trunk", "leaf", "petal", "stem"),
    "animal": ("fin", "tail", "eye", "ear", "head", "leg", "wing", "beak"),
    "furniture": ("handle", "lampshade", "seat"),
}


def taxonomy() -> npt.NDArray[np.float32]:
    """Wanted cosines of the entries' text embeddings, `(entries, entries)` float32, 1 on the diagonal.

    Words of one group (animals) lie closer than words of one category (objects), these closer than words
    of different categories; a general word lies near what it covers.
    """
    groups = _groups()
    wanted = np.zeros((len(ENTRIES), len(ENTRIES)), np.float32)
    for i, first in enumerate(ENTRIES):
        for j, second in enumerate(ENTRIES):
            wanted[i, j] = 1.0 if i == j else _wanted_cosine(first, second, groups)
    return wanted


def _groups() -> dict[str, str]:
    groups = {word: general for general, words in HYPERNYMS.items() for word in words}
    groups.update({part: general for general, parts in _PART_GROUPS.items() for part in parts})
    return groups


def _wanted_cosine(first: str, second: str, groups: dict[str, str]) -> float:
    a, b = CATEGORY_OF.get(first), CATEGORY_OF.get(second)
    if a is None and b is None:
        twins = ({"texture", "pattern"}, {"scene", "place"}, {"object", "thing"})
        return 0.8 if {first, second} in twins else 0.1
    if a is None:
        return _general_cosine(first, second, groups)
    if b is None:
        return _general_cosine(second, first, groups)
    same_group = first in groups and groups[first] == groups.get(second)
    if a == b:
        return 0.5 if same_group else 0.32
    if same_group:  # a part and an object that may have it
        return 0.25
    low_level = ("material", "texture", "color")
    return 0.12 if (a in low_level) == (b in low_level) else 0.0


def _general_cosine(general: str, word: str, groups: dict[str, str]) -> float:
    if groups.get(word) == general:
        return 0.3 if CATEGORY_OF[word] == "part" else 0.6
    covers = {"pattern": "texture", "place": "scene", "thing": "object"}
    return 0.55 if covers.get(general, general) == CATEGORY_OF[word] else 0.0


__all__ = [
    "ENTRIES",
    "GENERAL_WORDS",
    "HYPERNYMS",
    "KNOWN_WORDS",
    "SYNONYMS",
    "canonical",
    "caption",
    "entry_labels",
    "is_known",
    "phrase",
    "taxonomy",
]
