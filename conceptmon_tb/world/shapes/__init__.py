"""Outlines of the subjects: each function returns the pieces of one object, with random finish and options.

Many parts are optional and most belong to several objects, so that no part stands for an object.
"""

from __future__ import annotations

from collections.abc import Callable

from conceptmon_tb.world.canvas import Piece
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.shapes import creatures, things, vehicles

SHAPES: dict[str, Callable[[Dice], list[Piece]]] = {
    "airplane": vehicles.airplane,
    "balloon": vehicles.balloon,
    "bird": creatures.bird,
    "boat": vehicles.boat,
    "butterfly": creatures.butterfly,
    "cabin": things.cabin,
    "car": vehicles.car,
    "cat": creatures.cat,
    "chair": things.chair,
    "cup": things.cup,
    "dog": creatures.dog,
    "fish": creatures.fish,
    "flower": things.flower,
    "horse": creatures.horse,
    "house": things.house,
    "lamp": things.lamp,
    "mushroom": things.mushroom,
    "tree": things.tree,
    "truck": vehicles.truck,
    "umbrella": things.umbrella,
    "zebra": creatures.zebra,
}
"""Main object -> its outline."""

PART_OWNERS: dict[str, tuple[str, ...]] = {
    "basket": ("balloon",),
    "beak": ("bird",),
    "chimney": ("house", "boat"),
    "door": ("house", "cabin"),
    "ear": ("cat", "dog", "horse"),
    "eye": ("cat", "dog", "bird", "fish", "horse"),
    "fin": ("fish",),
    "handle": ("cup", "umbrella"),
    "head": ("cat", "dog", "bird", "horse", "zebra"),
    "headlight": ("car", "truck"),
    "hull": ("boat",),
    "lampshade": ("lamp",),
    "leaf": ("tree", "flower"),
    "leg": ("cat", "dog", "horse", "chair", "bird"),
    "mast": ("boat",),
    "petal": ("flower",),
    "roof": ("house", "cabin"),
    "sail": ("boat",),
    "seat": ("chair",),
    "stem": ("flower", "lamp", "mushroom"),
    "tail": ("cat", "dog", "bird", "fish", "airplane", "horse"),
    "trunk": ("tree",),
    "wheel": ("car", "truck"),
    "window": ("car", "house", "airplane", "truck"),
    "wing": ("bird", "butterfly", "airplane"),
}
"""Part -> objects to cut it from when it is shown alone."""
