"""The eight materials and the nameless surfaces (sky, waves, grass) as gray tiles in 0..1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from conceptmon_tb.world.textures import TAU, Random, Tile, as_tile, nearest_cells, noise, turned_axes


def _scramble(column: Tile, row: Tile) -> Tile:
    """A random-looking number in 0..1 for every cell of a lattice."""
    return as_tile((np.sin(column * 12.9898 + row * 78.233) * 43758.5453) % 1)


def _brick(random: Random, side: int) -> Tile:
    height = random.uniform(10, 14)
    width = height * 2.1
    across, along = turned_axes(random, side, 0.0)
    row = np.floor(along / height)
    shifted = across + (row % 2) * width / 2
    mortar = (shifted % width < 2.2) | (along % height < 2.2)
    return as_tile(np.where(mortar, 1.0, 0.30 * _scramble(np.floor(shifted / width), row)))


def _fabric(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side]
    threads = ((x // 2 + y // 2) % 2) * 0.32 + ((x // 2) % 3 == 0) * 0.25
    return as_tile(np.clip(threads + 0.36 * noise(random, side, 5, 2), 0, 1))


def _foliage(random: Random, side: int) -> Tile:
    image = Image.new("L", (side, side), 80)
    pen = ImageDraw.Draw(image)
    for _ in range(640):
        x, y = random.random(2) * side
        angle = random.uniform(0, math.pi)
        length, width = random.uniform(5, 9), random.uniform(2, 3.5)
        c, s = math.cos(angle), math.sin(angle)
        tip, flank = (c * length, s * length), (-s * width, c * width)
        corners = [
            (x - tip[0], y - tip[1]),
            (x + flank[0], y + flank[1]),
            (x + tip[0], y + tip[1]),
            (x - flank[0], y - flank[1]),
        ]
        pen.polygon(corners, fill=int(random.integers(256)))
    return as_tile(np.asarray(image) / 255)


def _hairs(random: Random, side: int, count: int, angle: float, spread: float, length: float) -> Tile:
    image = Image.new("L", (side, side), 95)
    pen = ImageDraw.Draw(image)
    for _ in range(count):
        x, y = random.random(2) * side
        turn = angle + random.normal() * spread
        reach = random.uniform(0.45, 1.0) * length
        end = (x + math.cos(turn) * reach, y + math.sin(turn) * reach)
        pen.line((x, y, *end), fill=int(random.integers(256)), width=1)
    return as_tile(np.asarray(image) / 255)


def _fur(random: Random, side: int) -> Tile:
    return _hairs(random, side, 2800, random.uniform(0, math.pi), 0.35, 9)


def _glass(random: Random, side: int) -> Tile:
    across, _ = turned_axes(random, side, math.pi / 4)
    period = random.uniform(34, 50)
    phase = (across % period) / period
    wide = ((phase > 0.2) & (phase < 0.42)) * 0.9
    narrow = ((phase > 0.5) & (phase < 0.57)) * 0.7
    return as_tile(wide + narrow + 0.1)


def _metal(random: Random, side: int) -> Tile:
    across, _ = turned_axes(random, side, math.pi / 2 + random.uniform(-0.2, 0.2))
    period = random.uniform(44, 64)
    phase = (across % period) / period
    shine = np.exp(-(((phase - 0.3) / 0.10) ** 2)) + 0.55 * np.exp(-(((phase - 0.72) / 0.16) ** 2))
    brushed = 0.1 * (random.random((side, 1)) - 0.5)
    return as_tile(np.clip(shine + brushed, 0, 1))


def _stone(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    cells = int(random.integers(62, 110))
    border, owner = nearest_cells(random, x, y, cells)
    tone = random.random(cells).astype(np.float32)[owner] * 0.42
    rough = 0.12 * noise(random, side, 24, 2)
    return as_tile(np.clip(np.where(border < 3.2, 1.0, tone + rough), 0, 1))


def _wood(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    if random.random() < 0.5:
        y = x
    grain = np.sin((y + 10 * (noise(random, side, 3, 2) - 0.5)) * TAU / random.uniform(5.5, 9))
    gap = y % random.uniform(26, 34) < 2
    rough = 0.15 * noise(random, side, 20, 2)
    return as_tile(np.clip(np.where(gap, 1.0, grain * 0.3 + 0.3 + rough), 0, 1))


def _plain(random: Random, side: int) -> Tile:
    return as_tile(random.uniform(0.1, 0.25) + 0.3 * noise(random, side, 2, 2))


def _gradient(random: Random, side: int) -> Tile:
    del random  # the same for every variant: dark to light over one canvas height (128 rows)
    ramp = np.clip(np.arange(side, dtype=np.float32) / 127, 0, 1)
    return np.repeat(ramp[:, None], side, axis=1)


def _waves(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    swell = 3.5 * np.sin(x * TAU / random.uniform(26, 40) + 9 * noise(random, side, 3, 2))
    crests = np.sin((y + swell) * TAU / random.uniform(12, 17)) * 1.4 - 0.5
    return as_tile(np.clip(crests, 0, 1))


def _grains(random: Random, side: int) -> Tile:
    grain = np.clip(0.35 + 0.35 * random.standard_normal((side, side)), 0, 1)
    return as_tile(0.6 * grain + 0.3 * noise(random, side, 4, 2))


def _blades(random: Random, side: int) -> Tile:
    return _hairs(random, side, 2300, -math.pi / 2, 0.25, 7)


def _clouds(random: Random, side: int) -> Tile:
    return as_tile(np.clip(noise(random, side, 4, 4) * 2.2 - 1.1, 0, 1))


def _lit_windows(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    pitch = float(random.integers(11, 14))
    pane = (x % pitch > 4) & (y % pitch > 4)
    lit = _scramble(np.floor(x / pitch), np.floor(y / pitch)) > 0.4
    return as_tile(pane * np.where(lit, 1.0, 0.35))


MATERIAL_TILES: dict[str, Callable[[Random, int], Tile]] = {
    "brick": _brick,
    "fabric": _fabric,
    "foliage": _foliage,
    "fur": _fur,
    "glass": _glass,
    "metal": _metal,
    "stone": _stone,
    "wood": _wood,
}
"""Material word -> maker of one tile, `(side, side)` float32 in 0..1."""

SURFACE_TILES: dict[str, Callable[[Random, int], Tile]] = {
    "plain": _plain,
    "gradient": _gradient,
    "waves": _waves,
    "grains": _grains,
    "blades": _blades,
    "clouds": _clouds,
    "lit windows": _lit_windows,
}
"""Patterns that carry no label of their own."""
