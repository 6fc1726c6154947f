"""The concepts of the picture world: six Broden categories, one fixed order.

A concept id is a position in `WORDS`; every array of labels in this package follows that order.
"""

from __future__ import annotations

MAIN_OBJECTS: tuple[str, ...] = (
    "airplane", "balloon", "bird", "boat", "butterfly", "cabin", "car", "cat", "chair", "cup", "dog",
    "fish", "flower", "horse", "house", "lamp", "mushroom", "tree", "truck", "umbrella", "zebra",
)  # fmt: skip
"""Objects that can be the subject of a picture."""

SURROUNDINGS: tuple[str, ...] = (
    "building", "cactus", "cloud", "floor", "grass", "moon", "road", "rock", "sand", "seaweed", "sky",
    "snow", "star", "sun", "wall", "water",
)  # fmt: skip
"""Objects that only ever surround a subject."""

SCENES: tuple[str, ...] = (
    "beach", "city", "desert", "field", "forest", "mountain", "night", "room", "sea", "street", "underwater",
)  # fmt: skip

PARTS: tuple[str, ...] = (
    "basket", "beak", "chimney", "door", "ear", "eye", "fin", "handle", "head", "headlight", "hull",
    "lampshade", "leaf", "leg", "mast", "petal", "roof", "sail", "seat", "stem", "tail", "trunk", "wheel",
    "window", "wing",
)  # fmt: skip

MATERIALS: tuple[str, ...] = ("brick", "fabric", "foliage", "fur", "glass", "metal", "stone", "wood")

TEXTURES: tuple[str, ...] = (
    "bubbly", "chequered", "cracked", "dotted", "grid", "honeycombed", "marbled", "scaly", "spiralled",
    "striped", "woven", "zigzagged",
)  # fmt: skip

COLORS: tuple[str, ...] = (
    "black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow",
)  # fmt: skip

CATEGORIES: dict[str, tuple[str, ...]] = {
    "object": MAIN_OBJECTS + SURROUNDINGS,
    "scene": SCENES,
    "part": PARTS,
    "material": MATERIALS,
    "texture": TEXTURES,
    "color": COLORS,
}
"""Broden category -> its words. Flattened in this order it gives `WORDS`."""

CLASSES: tuple[str, ...] = (
    "airplane", "bird", "boat", "cabin", "car", "fish", "flower", "horse", "house", "zebra",
)  # fmt: skip
"""Classes of the demo's task. Two pairs have one outline and differ by finish alone: a zebra is a
striped horse, a cabin a wooden house; so a network has to learn textures and materials as well."""

WORDS: tuple[str, ...] = tuple(word for words in CATEGORIES.values() for word in words)
"""Every concept, `(concepts,)`."""

CATEGORY_OF: dict[str, str] = {word: category for category, words in CATEGORIES.items() for word in words}

CONCEPT_ID: dict[str, int] = {word: i for i, word in enumerate(WORDS)}
