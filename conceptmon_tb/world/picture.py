"""One labelled picture of the world, drawn from (seed, index)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from conceptmon_tb.world.canvas import CANVAS_SIDE, Canvas, Fill, Piece
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.finishes import material, plain, textured
from conceptmon_tb.world.geometry import Frame, Polygon, ellipse, extent
from conceptmon_tb.world.palette import name_colors
from conceptmon_tb.world.scenes import (
    floor_fill,
    grass_fill,
    paint_scene,
    paint_sky,
    road_fill,
    rock_fill,
    sand_fill,
    snow_fill,
    water_fill,
)
from conceptmon_tb.world.shapes import PART_OWNERS, SHAPES
from conceptmon_tb.world.vocabulary import (
    CATEGORY_OF,
    COLORS,
    CONCEPT_ID,
    MAIN_OBJECTS,
    MATERIALS,
    SCENES,
    TEXTURES,
    WORDS,
)

KINDS: dict[str, float] = {
    "scene": 0.38,
    "place": 0.08,
    "object": 0.12,
    "part": 0.14,
    "surface": 0.06,
    "texture": 0.11,
    "material": 0.07,
    "color": 0.04,
}
"""Kind of picture -> its share: a subject in a scene, an empty scene, a subject before a backdrop, a part
alone, and full frames of a surface (grass, water), a texture, a material or a colour."""

MIN_AREA: dict[str, float] = {
    "object": 0.015,
    "scene": 0.015,
    "part": 0.004,
    "material": 0.04,
    "texture": 0.04,
    "color": 0.12,
}
"""Category -> the share of the picture that a concept must cover to count as present."""

_MIN_AREA = np.array([0.004 if word == "star" else MIN_AREA[CATEGORY_OF[word]] for word in WORDS], np.float32)
_FIRST_COLOR = CONCEPT_ID[COLORS[0]]
_NOISE_SIDE = 320
_GRAIN = np.random.Generator(np.random.PCG64(99)).standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3))
_NOISE = (_GRAIN * 4).astype(np.int16)

_HOMES: dict[str, tuple[str, ...]] = {
    "airplane": ("city", "mountain", "sea", "desert"),
    "balloon": ("mountain", "field", "desert"),
    "bird": ("field", "beach", "forest", "sea"),
    "boat": ("sea", "sea", "beach"),
    "butterfly": ("field", "forest"),
    "cabin": ("field", "mountain", "forest"),
    "car": ("street", "city", "desert"),
    "cat": ("room", "room", "street", "field"),
    "chair": ("room",),
    "cup": ("room",),
    "dog": ("field", "beach", "room", "street"),
    "fish": ("underwater",),
    "flower": ("field", "room", "mountain"),
    "horse": ("field", "desert", "mountain"),
    "house": ("field", "mountain", "street"),
    "lamp": ("room",),
    "mushroom": ("forest", "field"),
    "tree": ("field", "mountain", "desert", "beach"),
    "truck": ("street", "desert", "field"),
    "umbrella": ("beach", "street"),
    "zebra": ("field", "desert", "mountain"),
}
_FLYERS = frozenset({"airplane", "balloon", "butterfly", "bird"})
_HOME_SHARE = 0.55


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and everything that is known about it.

    Attributes:
        image: `(size, size, 3)` uint8 RGB.
        kind: One of `KINDS`.
        subject: The main object, None where there is none.
        scene: The scene, None where there is none.
        shown: The word that a part, surface, texture, material or colour picture is about, else None.
        finish: The subject's texture or material, None where it has none.
        segments: `(size, size)` uint8 region ids; 0 is unlabelled.
        regions: The concept words of region 1, 2, ...; colours are not listed, they are read from pixels.
    """

    image: npt.NDArray[np.uint8]
    kind: str
    subject: str | None
    scene: str | None
    shown: str | None
    finish: str | None
    segments: npt.NDArray[np.uint8] = field(repr=False)
    regions: tuple[frozenset[str], ...] = field(repr=False)

    @cached_property
    def areas(self) -> npt.NDArray[np.float32]:
        """`(concepts,)` float32, the share of the picture that each concept covers."""
        pixels = np.bincount(self.segments.ravel(), minlength=len(self.regions) + 1)[1:].tolist()
        areas = [0.0] * len(WORDS)
        for words, count in zip(self.regions, pixels, strict=True):
            for word in words:
                areas[CONCEPT_ID[word]] += count
        colors = np.bincount(name_colors(self.image).ravel(), minlength=len(COLORS))
        areas[_FIRST_COLOR : _FIRST_COLOR + len(COLORS)] = colors.tolist()
        return np.array([area / self.segments.size for area in areas], np.float32)

    @property
    def presence(self) -> npt.NDArray[np.bool_]:
        """`(concepts,)` bool, whether each concept covers at least the `MIN_AREA` of its category."""
        return self.areas >= _MIN_AREA

    def mask(self, word: str) -> npt.NDArray[np.bool_]:
        """Where a concept is.

        Args:
            word: A word of `WORDS`.

        Returns:
            `(size, size)` bool.

        Raises:
            KeyError: If the word is no concept of the world.
        """
        if word not in CONCEPT_ID:
            raise KeyError(f"word={word!r} is no concept of the world; see conceptmon_tb.world.CATEGORIES")
        if CATEGORY_OF[word] == "color":
            return np.equal(name_colors(self.image), COLORS.index(word))
        ids = [i for i, words in enumerate(self.regions, start=1) if word in words]
        return np.isin(self.segments, ids)


def concept_presence(pictures: Iterable[Picture]) -> npt.NDArray[np.bool_]:
    """Ground truth of many pictures: `(images, concepts)` bool, concepts in the order of `WORDS`."""
    rows = [picture.presence for picture in pictures]
    return np.array(rows, bool).reshape(len(rows), len(WORDS))


def draw_picture(
    seed: int, index: int, size: int = 64, *, kind: str | None = None, subject: str | None = None
) -> Picture:
    """Draw one picture, the same for the same arguments on every machine.

    Args:
        seed: Which world, at least 0; other seeds give held-out pictures.
        index: Which picture of it, at least 0.
        size: Pixels per side, 8 to 320. Painted at 128 and resampled.
        kind: One of `KINDS`; drawn by their shares if None.
        subject: The main object of a "scene" or "object" picture; drawn if None.

    Returns:
        The picture with its labels.

    Raises:
        ValueError: If an argument is out of range or unknown.
    """
    _check_arguments(seed, index, size, kind, subject)
    dice = Dice(seed, index)
    kind = kind or _draw_kind(dice)
    painter = _Painter(Canvas(), dice, kind)
    if kind == "scene":
        painter.paint_subject_in_scene(subject or dice.pick(MAIN_OBJECTS))
    elif kind == "place":
        painter.paint_place(dice.pick(SCENES))
    elif kind == "object":
        painter.paint_subject(subject or dice.pick(MAIN_OBJECTS))
    elif kind == "part":
        painter.paint_part(dice.pick(tuple(PART_OWNERS)))
    elif kind == "surface":
        painter.paint_surface(dice.pick(_SURFACES))
    elif kind == "texture":
        painter.paint_texture(dice.pick(TEXTURES))
    elif kind == "material":
        painter.paint_material(dice.pick(MATERIALS))
    else:
        painter.paint_color(dice.pick(COLORS))
    return painter.finish(size)


def _check_arguments(seed: int, index: int, size: int, kind: str | None, subject: str | None) -> None:
    if seed < 0 or index < 0:
        raise ValueError(f"seed={seed} and index={index} must not be negative")
    if not 8 <= size <= _NOISE_SIDE:
        raise ValueError(f"size={size} must be 8 to {_NOISE_SIDE} pixels")
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if subject is not None and subject not in SHAPES:
        raise ValueError(f"subject={subject!r} is no main object; choose one of {', '.join(MAIN_OBJECTS)}")


def _draw_kind(dice: Dice) -> str:
    draw = dice.random()
    for kind, share in KINDS.items():
        draw -= share
        if draw < 0:
            return kind
    return "scene"


_SURFACES = ("grass", "water", "sand", "snow", "rock", "road", "sky", "floor", "wall", "tree")


class _Painter:
    """Composes one picture and remembers what it shows."""

    def __init__(self, canvas: Canvas, dice: Dice, kind: str) -> None:
        self._canvas = canvas
        self._dice = dice
        self._kind = kind
        self._subject: str | None = None
        self._scene: str | None = None
        self._shown: str | None = None
        self._finish: str | None = None

    def paint_subject_in_scene(self, subject: str) -> None:
        """A subject where it may stand, fly or swim, in a likely or in any scene."""
        canvas, dice = self._canvas, self._dice
        scene = dice.pick(_HOMES[subject]) if dice.chance(_HOME_SHARE) else dice.pick(SCENES)
        ground = paint_scene(canvas, dice, scene)
        self._scene = scene
        size = dice.uniform(0.21, 0.35)
        x = dice.uniform(size * 0.9, 1 - size * 0.9)
        airborne = subject in _FLYERS and dice.chance(0.8)
        if scene == "underwater":
            y = dice.uniform(0.3, 0.62)
        elif airborne:
            y = dice.uniform(size * 0.95, max(size, ground - size * 0.35))
        elif subject == "boat" and scene in ("sea", "beach"):
            y = ground - size * 0.45 + dice.uniform(-0.06, 0.12)
        else:
            y = min(dice.uniform(ground + 0.04, 0.96) - size * 0.85, 1 - size * 0.9)
        if dice.chance(0.25):
            companion = dice.pick([word for word in MAIN_OBJECTS if word != subject])
            small = size * 0.42
            spot = Frame(dice.uniform(0.1, 0.9), ground - 0.02, small, small, 0.0, dice.chance(0.5))
            canvas.place(SHAPES[companion](dice), spot, companion)
        tilt = 0.25 if airborne or subject == "fish" else 0.06
        self._place_subject(subject, x, y, size, dice.uniform(-tilt, tilt))

    def paint_place(self, scene: str) -> None:
        """A scene without a subject."""
        paint_scene(self._canvas, self._dice, scene)
        self._scene = scene

    def paint_subject(self, subject: str) -> None:
        """A large subject before a backdrop, or on a floor before a wall."""
        dice = self._dice
        if dice.chance(0.25):
            edge = dice.uniform(0.6, 0.8)
            self._canvas.band(self._backdrop(), 0, edge, *(("wall",) if dice.chance(0.5) else ()))
            self._canvas.band(floor_fill(dice), edge, 1, "floor")
        else:
            self._canvas.band(self._backdrop(), 0, 1)
        x, y = dice.uniform(0.42, 0.58), dice.uniform(0.42, 0.58)
        self._place_subject(subject, x, y, dice.uniform(0.36, 0.47), dice.uniform(-0.15, 0.15))

    def _place_subject(self, subject: str, x: float, y: float, size: float, angle: float) -> None:
        stretch = self._dice.uniform(0.9, 1.12)
        pieces = SHAPES[subject](self._dice)
        frame = Frame(x, y, size * stretch, size / stretch, angle, self._dice.chance(0.5))
        self._canvas.place(pieces, frame, subject)
        self._subject = subject
        self._finish = _main_finish(pieces)

    def _backdrop(self) -> Fill:
        dice = self._dice
        draw = dice.random()
        if draw < 0.7:
            return plain(dice, dice.pick(COLORS), 0.15)
        if draw < 0.85:
            return textured(dice, dice.pick(TEXTURES))
        return material(dice, dice.pick(MATERIALS))

    def paint_part(self, part: str) -> None:
        """A part cut out of one of its owners, without the owner's label."""
        dice = self._dice
        if dice.chance(0.85):
            self._canvas.band(plain(dice, dice.pick(COLORS), 0.15), 0, 1)
        else:
            self._canvas.band(textured(dice, dice.pick(TEXTURES)), 0, 1)
        self._shown = part
        for copy in range(2 if dice.chance(0.3) else 1):
            pieces = self._pieces_with(part)
            reach = 0.1 if copy == 0 else 0.3
            x, y = dice.uniform(0.5 - reach, 0.5 + reach), dice.uniform(0.5 - reach, 0.5 + reach)
            frame = _frame_around(pieces, x, y, dice.uniform(0.3, 0.75), dice.chance(0.5))
            self._canvas.place(pieces, frame)

    def _pieces_with(self, part: str) -> list[Piece]:
        owner = self._dice.pick(PART_OWNERS[part])
        while True:  # the part may be optional: draw owners until one has it
            drawn = SHAPES[owner](self._dice)
            pieces = [piece for piece in drawn if part in piece.parts and piece.polygons]
            if pieces:
                return pieces

    def paint_surface(self, surface: str) -> None:
        """A full frame of something that elsewhere belongs to scenes."""
        canvas, dice = self._canvas, self._dice
        self._shown = surface
        if surface == "sky":
            paint_sky(canvas, dice, 1.0)
        elif surface == "wall":
            bare = dice.chance(0.6)
            fill = material(dice, dice.pick(("brick", "stone", "wood"))) if bare else self._backdrop()
            canvas.band(fill, 0, 1, "wall")
        elif surface == "tree":
            canvas.band(material(dice, "foliage"), 0, 1, "tree", "leaf")
        else:
            fills = {"grass": grass_fill, "water": water_fill, "sand": sand_fill, "snow": snow_fill,
                     "rock": rock_fill, "road": road_fill, "floor": floor_fill}  # fmt: skip
            canvas.band(fills[surface](dice), 0, 1, surface)

    def paint_texture(self, texture: str) -> None:
        """A full frame of a texture."""
        self._shown = texture
        self._canvas.band(textured(self._dice, texture), 0, 1)

    def paint_material(self, name: str) -> None:
        """A full frame of a material."""
        self._shown = name
        self._canvas.band(material(self._dice, name), 0, 1)

    def paint_color(self, color: str) -> None:
        """A colour, often with a shape in the same or another colour."""
        dice = self._dice
        self._shown = color
        self._canvas.band(plain(dice, color, 0.25), 0, 1)
        if dice.chance(0.6):
            other = color if dice.chance(0.5) else dice.pick(COLORS)
            region = self._canvas.region(plain(dice, other, 0.3))
            self._canvas.polygons(region, [self._blot()])

    def _blot(self) -> Polygon:
        dice = self._dice
        if dice.chance(0.5):
            x, y = dice.uniform(0.3, 0.7), dice.uniform(0.3, 0.7)
            return ellipse(x, y, dice.uniform(0.15, 0.4), dice.uniform(0.15, 0.4), dice.uniform(0, 3))
        return [(dice.random(), dice.random()) for _ in range(4)]

    def finish(self, size: int) -> Picture:
        """Colour the canvas, reduce it to `size` pixels and add a little sensor noise."""
        large, segments = self._canvas.render(self._dice)
        image = _resample(large, size).astype(np.int16)
        top, left = (self._dice.below(_NOISE_SIDE - size + 1) for _ in range(2))
        image += _NOISE[top : top + size, left : left + size]
        centers = ((np.arange(size) + 0.5) * (CANVAS_SIDE / size)).astype(np.intp)
        return Picture(
            image=np.clip(image, 0, 255).astype(np.uint8),
            kind=self._kind,
            subject=self._subject,
            scene=self._scene,
            shown=self._shown,
            finish=self._finish,
            segments=segments[centers[:, None], centers],
            regions=tuple(frozenset(labels) for labels in self._canvas.labels),
        )


def _main_finish(pieces: list[Piece]) -> str | None:
    """The texture or material of an object's body: of its first named piece that is no part, else of any."""
    bodies = [piece for piece in pieces if not piece.parts] or pieces
    return next((piece.fill.word for piece in bodies if piece.fill.word), None)


def _frame_around(pieces: list[Piece], x: float, y: float, size: float, mirrored: bool) -> Frame:
    """A frame that shows the pieces around (x, y), `size` canvas sides long."""
    left, top, right, bottom = extent([polygon for piece in pieces for polygon in piece.polygons])
    zoom = size / max(right - left, bottom - top, 0.05)
    shift = (left + right) / 2 * (1 if mirrored else -1)
    return Frame(x + shift * zoom, y - (top + bottom) / 2 * zoom, zoom, zoom, 0.0, mirrored)


def _resample(large: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    image = Image.fromarray(np.ascontiguousarray(large))
    if CANVAS_SIDE % size == 0:
        return np.asarray(image.reduce(CANVAS_SIDE // size))
    method = Image.Resampling.BOX if size < CANVAS_SIDE else Image.Resampling.BICUBIC
    return np.asarray(image.resize((size, size), method))
