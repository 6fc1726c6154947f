"""The twelve textures, each a gray tile in 0..1 that a fill blends its two colours with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Tile = npt.NDArray[np.float32]
Random = np.random.Generator
TAU = 2 * math.pi


def noise(random: Random, side: int, cells: int, octaves: int = 3) -> Tile:
    """Smooth noise in 0..1: `cells` bumps per side, then twice as many at half the height, and so on."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        coarse = random.random((cells * 2**octave + 1,) * 2).astype(np.float32)
        smooth = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        total += np.asarray(smooth) / 2**octave
    total -= total.min()
    return as_tile(total / max(float(total.max()), 1e-6))


def turned_axes(random: Random, side: int, angle: float) -> tuple[Tile, Tile]:
    """Two perpendicular pixel coordinates, turned by `angle` (radians) and shifted at random."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    shift = random.random(2) * 100
    across = x * math.cos(angle) + y * math.sin(angle) + shift[0]
    along = y * math.cos(angle) - x * math.sin(angle) + shift[1]
    return as_tile(across), as_tile(along)


def as_tile(gray: npt.NDArray[Any]) -> Tile:
    """Gray levels as float32."""
    return np.asarray(gray, np.float32)


def soft_step(value: Tile, width: float) -> Tile:
    """0 below, 1 above zero, with a ramp `width` wide: an edge without stairs."""
    return as_tile(np.clip(value / width + 0.5, 0, 1))


def nearest_cells(random: Random, x: Tile, y: Tile, cells: int) -> tuple[Tile, npt.NDArray[np.intp]]:
    """Voronoi cells of random points: distance to the border (pixels) and the cell of every pixel."""
    side = x.shape[0]
    nearest = np.full(x.shape, np.inf, np.float32)
    second = nearest.copy()
    owner = np.zeros(x.shape, np.intp)
    for cell, (px, py) in enumerate(random.random((cells, 2)) * (side + 20) - 10):
        distance = np.hypot(x - px, y - py).astype(np.float32)
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        owner[closer] = cell
    return second - nearest, owner


def _striped(random: Random, side: int) -> Tile:
    across, _ = turned_axes(random, side, random.uniform(0, math.pi))
    return soft_step(np.sin(across * TAU / random.uniform(13, 22)), 0.8)


def _zigzagged(random: Random, side: int) -> Tile:
    period = random.uniform(15, 22)
    angle = random.choice([0.0, math.pi / 2]) + random.uniform(-0.1, 0.1)
    across, along = turned_axes(random, side, angle)
    teeth = np.abs((along / (period * 1.2)) % 1 - 0.5) * period * 1.9
    return soft_step(np.sin((across + teeth) * TAU / period), 0.8)


def _dotted(random: Random, side: int) -> Tile:
    period = random.uniform(15, 22)
    across, along = turned_axes(random, side, random.uniform(0, math.pi))
    shifted = across + (np.floor(along / period) % 2) * period / 2
    distance = np.hypot(shifted % period - period / 2, along % period - period / 2)
    return soft_step(period * 0.31 - distance, 2.0)


def _chequered(random: Random, side: int) -> Tile:
    period = random.uniform(11, 18)
    angle = random.choice([0.0, math.pi / 4]) + random.uniform(-0.2, 0.2)
    across, along = turned_axes(random, side, angle)
    return as_tile((np.floor(across / period) + np.floor(along / period)) % 2)


def _grid(random: Random, side: int) -> Tile:
    period = random.uniform(15, 23)
    across, along = turned_axes(random, side, random.uniform(-0.15, 0.15))
    line = period * 0.2
    return as_tile((across % period < line) | (along % period < line))


def _woven(random: Random, side: int) -> Tile:
    period = random.uniform(12, 17)
    angle = random.choice([0.0, math.pi / 4]) + random.uniform(-0.1, 0.1)
    across, along = turned_axes(random, side, angle)
    over = (np.floor(across / period) + np.floor(along / period)) % 2 == 0
    weft = np.abs((across % period) / period - 0.5) * 2
    warp = np.abs((along % period) / period - 0.5) * 2
    return as_tile(np.where(over, 1 - warp**2, 0.55 * (1 - weft**2)))


def _honeycombed(random: Random, side: int) -> Tile:
    period = random.uniform(15, 22)
    across, along = turned_axes(random, side, random.uniform(-0.25, 0.25))
    width = period * math.sqrt(3)
    border = np.full((side, side), np.inf, np.float32)
    for shift in (0.0, 0.5):  # two interleaved lattices of hexagon centres
        dx = np.abs((across + shift * width) % width - width / 2)
        dy = np.abs((along + shift * period) % period - period / 2)
        border = np.minimum(border, np.maximum(dy, dx * math.sqrt(3) / 2 + dy / 2))
    return soft_step(border - period * 0.41, 2.0)


def _marbled(random: Random, side: int) -> Tile:
    swirl = noise(random, side, 4) * 3 + noise(random, side, 3) * 2
    veins = 1 - np.abs(np.sin(swirl * math.pi * 1.6)) * 1.6
    return as_tile(np.clip(veins, 0, 0.95))


def _cracked(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    x = x + 14 * (noise(random, side, 8, 2) - 0.5)
    y = y + 14 * (noise(random, side, 8, 2) - 0.5)
    border, _ = nearest_cells(random, x, y, int(random.integers(36, 62)))
    return soft_step(2.6 - border, 2.0)


def _scaly(random: Random, side: int) -> Tile:
    period = random.uniform(15, 21)
    across, along = turned_axes(random, side, random.uniform(-0.25, 0.25))
    radius = period * 0.56
    tile = np.zeros((side, side), np.float32)
    for overlap in (-1, 0, 1):  # each row of scales lies over the one before
        row = np.floor(along / (period / 2)) + overlap
        dx = (across + (row % 2) * period / 2) % period - period / 2
        dy = along - row * period / 2
        distance = np.hypot(dx, dy)
        tile = np.where((distance < radius) & (dy > 0), (distance / radius) ** 3, tile)
    return as_tile(np.clip(tile, 0, 1))


def _bubbly(random: Random, side: int) -> Tile:
    image = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(image)
    for _ in range(int(random.integers(90, 140))):
        x, y = random.random(2) * side
        r = random.uniform(4, 13)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=70, outline=255, width=2)
        pen.ellipse((x - r * 0.5, y - r * 0.55, x - r * 0.1, y - r * 0.15), fill=255)
    return as_tile(np.asarray(image) / 255)


def _spiralled(random: Random, side: int) -> Tile:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    period = random.uniform(56, 84)
    dx = (x + random.uniform(0, period)) % period - period / 2
    dy = (y + random.uniform(0, period)) % period - period / 2
    turn = random.choice([-1, 1]) * np.arctan2(dy, dx)
    return soft_step(np.sin(np.hypot(dx, dy) * TAU / random.uniform(13, 18) + turn), 0.8)


TEXTURE_TILES: dict[str, Callable[[Random, int], Tile]] = {
    "bubbly": _bubbly,
    "chequered": _chequered,
    "cracked": _cracked,
    "dotted": _dotted,
    "grid": _grid,
    "honeycombed": _honeycombed,
    "marbled": _marbled,
    "scaly": _scaly,
    "spiralled": _spiralled,
    "striped": _striped,
    "woven": _woven,
    "zigzagged": _zigzagged,
}
"""Texture word -> maker of one tile, `(side, side)` float32 in 0..1."""
