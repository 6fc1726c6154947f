"""Outlines as polygons, and the frame that carries an object's outline on to the canvas."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]
Polygon = Sequence[Point]

_CIRCLE: tuple[Point, ...] = tuple(
    (math.cos(2 * math.pi * i / 22), math.sin(2 * math.pi * i / 22)) for i in range(22)
)


class Frame:
    """An affine placement: scale, mirror, turn, then move.

    Args:
        x: Where the object's origin lands, 0 (left) to 1 (right).
        y: The same, 0 (top) to 1 (bottom).
        width: Canvas widths per unit of the object's x.
        height: Canvas heights per unit of the object's y.
        angle: Clockwise turn in radians.
        mirrored: Whether left and right change places.
    """

    __slots__ = ("_xx", "_xy", "_yx", "_yy", "x", "y")

    def __init__(
        self, x: float, y: float, width: float, height: float, angle: float = 0.0, mirrored: bool = False
    ) -> None:
        c, s = math.cos(angle), math.sin(angle)
        side = -width if mirrored else width
        self.x, self.y = x, y
        self._xx, self._xy = c * side, -s * height
        self._yx, self._yy = s * side, c * height

    def points(self, polygon: Polygon, scale: float) -> list[Point]:
        """The polygon on a canvas of `scale` pixels."""
        xx, xy, x0 = self._xx * scale, self._xy * scale, self.x * scale
        yx, yy, y0 = self._yx * scale, self._yy * scale, self.y * scale
        return [(xx * x + xy * y + x0, yx * x + yy * y + y0) for x, y in polygon]


def ellipse(x: float, y: float, rx: float, ry: float | None = None, angle: float = 0.0) -> list[Point]:
    """An ellipse around (x, y), turned by `angle` radians; a circle without `ry`."""
    ry = rx if ry is None else ry
    c, s = math.cos(angle), math.sin(angle)
    return [(x + c * rx * u - s * ry * v, y + s * rx * u + c * ry * v) for u, v in _CIRCLE]


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """An upright rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def stroke(points: Sequence[Point], width: float) -> list[Point]:
    """A line through the points, `width` thick, as a polygon."""
    left: list[Point] = []
    right: list[Point] = []
    for i, (x, y) in enumerate(points):
        before, after = points[max(i - 1, 0)], points[min(i + 1, len(points) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        half = width / 2 / max(math.hypot(dx, dy), 1e-9)
        left.append((x - dy * half, y + dx * half))
        right.append((x + dy * half, y - dx * half))
    return left + right[::-1]


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 12) -> list[Point]:
    """Points along an ellipse from angle `start` to `end` (radians, clockwise from the right)."""
    angles = (start + (end - start) * i / steps for i in range(steps + 1))
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def extent(polygons: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all the polygons."""
    xs = [x for polygon in polygons for x, _ in polygon]
    ys = [y for polygon in polygons for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)
