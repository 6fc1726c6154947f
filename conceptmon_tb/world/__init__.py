"""The embedded default: a procedural picture world, and a tiny CLIP that understands it.

The world draws scenes, objects made of parts, textures, materials and colours, with pixel masks for every
concept. It needs NumPy and Pillow alone; the encoder (`conceptmon_tb.world.encoder`) loads torch lazily.
"""

from __future__ import annotations

from pathlib import Path

from conceptmon_tb.world.dataset import WorldDataset
from conceptmon_tb.world.lexicon import KNOWN_WORDS, canonical, is_known
from conceptmon_tb.world.palette import name_colors
from conceptmon_tb.world.picture import KINDS, MIN_AREA, Picture, concept_presence, draw_picture
from conceptmon_tb.world.vocabulary import CATEGORIES, CATEGORY_OF, CLASSES, CONCEPT_ID, WORDS

WORLD_CLIP_DIR = Path(__file__).parent / "assets"
"""Folder of the bundled encoder: open_clip config, weights, merges, recipe and concept map."""

__all__ = [
    "CATEGORIES",
    "CATEGORY_OF",
    "CLASSES",
    "CONCEPT_ID",
    "KINDS",
    "KNOWN_WORDS",
    "MIN_AREA",
    "WORDS",
    "WORLD_CLIP_DIR",
    "Picture",
    "WorldDataset",
    "canonical",
    "concept_presence",
    "draw_picture",
    "is_known",
    "name_colors",
]
