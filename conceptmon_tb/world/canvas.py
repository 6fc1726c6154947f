"""Painting by regions: a map of region ids, and for each region two colours and a pattern.

Because every region knows its labels, pixel masks of all concepts come for free; colour is looked up
once per picture, so a picture costs about half a millisecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.geometry import Frame, Polygon
from conceptmon_tb.world.materials import MATERIAL_TILES, SURFACE_TILES
from conceptmon_tb.world.palette import Color
from conceptmon_tb.world.textures import TEXTURE_TILES

CANVAS_SIDE = 128
"""Pixels per side while painting: twice the usual picture, which smooths the edges."""

_TILE_SIDE = 224
_VARIANTS = 8  # tiles per pattern
_LEVELS = 32  # gray levels of a pattern


@dataclass(frozen=True)
class Fill:
    """How a region is coloured.

    Attributes:
        low: RGB (0 to 255) where the pattern is 0.
        high: RGB where the pattern is 1.
        pattern: Name of a texture, material or surface tile.
        word: The texture or material that the fill shows, None for a surface without a name.
    """

    low: Color
    high: Color
    pattern: str = "plain"
    word: str | None = None


@dataclass(frozen=True)
class Piece:
    """A part of an object in the object's own frame (x right, y down, about -1 to 1).

    Attributes:
        fill: Its finish.
        polygons: Its outline, one or more polygons.
        parts: Part words that it shows; () for the object's body.
    """

    fill: Fill
    polygons: Sequence[Polygon]
    parts: tuple[str, ...] = ()


class PatternBank:
    """Gray tiles of every pattern, each made when first needed and kept for the process."""

    def __init__(self) -> None:
        self._makers = {**TEXTURE_TILES, **MATERIAL_TILES, **SURFACE_TILES}
        self._number = {name: i for i, name in enumerate(sorted(self._makers))}
        count = len(self._number) * _VARIANTS
        self._tiles = np.zeros((count, _TILE_SIDE, _TILE_SIDE), np.uint8)
        self._made = [False] * count
        self.levels = self._tiles.reshape(-1)
        rows, columns = np.mgrid[0:CANVAS_SIDE, 0:CANVAS_SIDE]
        self.pixel_offset = (rows * _TILE_SIDE + columns).astype(np.int32)

    def place(self, pattern: str, dice: Dice) -> int:
        """Where a random cut of the pattern starts in `levels`."""
        tile = self._number[pattern] * _VARIANTS + dice.below(_VARIANTS)
        if not self._made[tile]:
            self._make(pattern, tile)
        slack = _TILE_SIDE - CANVAS_SIDE
        row = 0 if pattern == "gradient" else dice.below(slack)
        return (tile * _TILE_SIDE + row) * _TILE_SIDE + dice.below(slack)

    def _make(self, pattern: str, tile: int) -> None:
        random = np.random.Generator(np.random.PCG64([7, *pattern.encode(), tile % _VARIANTS]))
        gray = self._makers[pattern](random, _TILE_SIDE)
        self._tiles[tile] = np.clip(gray * (_LEVELS - 1) + 0.5, 0, _LEVELS - 1).astype(np.uint8)
        self._made[tile] = True


_BANK = PatternBank()


class Canvas:
    """A square picture in the making. Coordinates run from 0 to 1, x right, y down.

    Attributes:
        fills: One fill per region; region ids start at 1.
        labels: One set of concept words per region.
    """

    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self.labels: list[set[str]] = []
        self._segments = Image.new("L", (CANVAS_SIDE, CANVAS_SIDE), 0)
        self._pen = ImageDraw.Draw(self._segments)

    def region(self, fill: Fill, *labels: str) -> int:
        """Open a region and return its id; the fill's own word is one of its labels."""
        words = set(labels)
        if fill.word is not None:
            words.add(fill.word)
        self.fills.append(fill)
        self.labels.append(words)
        return len(self.fills)

    def polygons(self, region: int, polygons: Iterable[Polygon], frame: Frame | None = None) -> None:
        """Paint polygons, given in `frame` (the whole picture by default), into a region."""
        frame = frame or _WHOLE
        for polygon in polygons:
            self._pen.polygon(frame.points(polygon, CANVAS_SIDE), fill=region)

    def band(self, fill: Fill, top: float, bottom: float, *labels: str) -> int:
        """Open a region and paint it over the full width, from `top` to `bottom`."""
        region = self.region(fill, *labels)
        corners = (0, round(top * CANVAS_SIDE), CANVAS_SIDE, round(bottom * CANVAS_SIDE))
        self._pen.rectangle(corners, fill=region)
        return region

    def place(self, pieces: Iterable[Piece], frame: Frame, *labels: str) -> None:
        """Paint an object's pieces; every piece also gets the given labels."""
        for piece in pieces:
            self.polygons(self.region(piece.fill, *piece.parts, *labels), piece.polygons, frame)

    def render(self, dice: Dice) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Colour the regions, under a random light.

        Returns:
            The picture, `(128, 128, 3)` uint8 RGB, and its region ids, `(128, 128)` uint8.
        """
        segments = np.asarray(self._segments)
        start = np.zeros(len(self.fills) + 1, np.int32)
        ends = np.zeros((2, len(self.fills) + 1, 1, 3), np.float32)
        for i, fill in enumerate(self.fills, start=1):
            start[i] = _BANK.place(fill.pattern, dice)
            ends[0, i, 0] = fill.low
            ends[1, i, 0] = fill.high
        gain, lift = dice.uniform(0.88, 1.12), dice.uniform(-8, 8)
        blend = np.linspace(0, 1, _LEVELS, dtype=np.float32)[None, :, None]
        shades = np.full((len(self.fills) + 1, _LEVELS, 4), 255, np.uint8)
        shades[..., :3] = np.clip((ends[0] + (ends[1] - ends[0]) * blend) * gain + lift, 0, 255)
        table = shades.view(np.uint32).reshape(-1)
        level = _BANK.levels.take(start.take(segments) + _BANK.pixel_offset)
        packed = table.take(segments.astype(np.int32) * _LEVELS + level)
        return packed.view(np.uint8).reshape(CANVAS_SIDE, CANVAS_SIDE, 4)[..., :3], segments


_WHOLE = Frame(0.0, 0.0, 1.0, 1.0)
