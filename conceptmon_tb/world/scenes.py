"""Eleven scenes. Each paints the whole canvas and returns the height of the ground line (0 top, 1 bottom)."""

from __future__ import annotations

import math
from collections.abc import Callable

from conceptmon_tb.world.canvas import Canvas, Fill
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.finishes import flat, material, plain, shade_of, textured
from conceptmon_tb.world.geometry import Polygon, box, ellipse, stroke
from conceptmon_tb.world.palette import Color, darken, lighten, mix

_SAND = (Fill((236.0, 210.0, 150.0), (196.0, 162.0, 100.0), "grains"),
         Fill((228.0, 186.0, 110.0), (168.0, 118.0, 58.0), "grains"))  # fmt: skip


def paint_scene(canvas: Canvas, dice: Dice, scene: str) -> float:
    """Paint a scene; every region of it carries the scene's word.

    Returns:
        The height where things stand, 0 (top) to 1 (bottom).
    """
    first = len(canvas.labels)
    ground = _PAINTERS[scene](canvas, dice)
    for labels in canvas.labels[first:]:
        labels.add(scene)
    return ground


def grass_fill(dice: Dice) -> Fill:
    """A meadow, from fresh to dry."""
    green = mix(shade_of(dice, "green"), shade_of(dice, "yellow"), dice.uniform(0, 0.3))
    return Fill(mix(green, (0.0, 30.0, 0.0), 0.35), mix(green, (240.0, 255.0, 140.0), 0.35), "blades")


def water_fill(dice: Dice) -> Fill:
    """Waves, from deep blue to turquoise."""
    blue = mix(shade_of(dice, "blue"), (35.0, 170.0, 185.0), dice.uniform(0, 0.65))
    return Fill(mix(blue, (0.0, 0.0, 30.0), 0.15), (208.0, 234.0, 246.0), "waves")


def sand_fill(dice: Dice) -> Fill:
    """Dry sand."""
    return dice.pick(_SAND)


def rock_fill(dice: Dice) -> Fill:
    """Bare rock, gray with a tint."""
    rock = mix(shade_of(dice, "gray"), shade_of(dice, dice.pick(("blue", "brown", "purple"))), 0.35)
    return Fill(rock, darken(rock, 0.4), "clouds")


def snow_fill(dice: Dice) -> Fill:
    """Fresh snow."""
    white = shade_of(dice, "white")
    return Fill(lighten(white, 0.4), mix(white, (190.0, 206.0, 226.0), 0.8), "plain")


def road_fill(dice: Dice) -> Fill:
    """Asphalt."""
    gray = dice.uniform(70, 112)
    return Fill((gray, gray + 2, gray + 7), (gray * 0.72, gray * 0.74, gray * 0.8), "grains")


def _fade(top: Color, bottom: Color, height: float) -> Fill:
    """A vertical gradient that reaches `bottom` at `height`; the gradient tile spans the whole canvas."""
    return Fill(top, mix(top, bottom, 1 / height), "gradient")


def paint_sky(canvas: Canvas, dice: Dice, bottom: float) -> None:
    """A day's sky down to `bottom`: blue, gray or evening, with or without sun and clouds."""
    top_color: Color = (dice.uniform(70, 120), dice.uniform(140, 180), dice.uniform(225, 250))
    low_color: Color = (dice.uniform(190, 230), dice.uniform(220, 240), 248.0)
    mood = dice.random()
    if mood < 0.2:
        top_color, low_color = (dice.uniform(222, 245), dice.uniform(120, 150), 78.0), (250.0, 206.0, 132.0)
    elif mood < 0.34:
        top_color, low_color = (164.0, 171.0, 182.0), (216.0, 219.0, 223.0)
    overcast = dice.chance(0.35)
    if overcast:
        canvas.band(Fill(top_color, (248.0, 250.0, 253.0), "clouds"), 0, bottom, "sky", "cloud")
    else:
        canvas.band(_fade(top_color, low_color, bottom), 0, bottom, "sky")
    if dice.chance(0.3):
        sun = ellipse(dice.uniform(0.1, 0.9), dice.uniform(0.08, 0.22), dice.uniform(0.06, 0.1))
        canvas.polygons(canvas.region(Fill((255.0, 238.0, 124.0), (255.0, 206.0, 44.0)), "sun", "sky"), [sun])
    if not overcast and dice.chance(0.5):
        region = canvas.region(Fill((252.0, 252.0, 254.0), (205.0, 215.0, 228.0)), "cloud", "sky")
        for _ in range(1 + dice.below(2)):
            canvas.polygons(region, _cloud(dice.random(), dice.uniform(0.07, 0.26), dice.uniform(0.05, 0.09)))


def _cloud(x: float, y: float, size: float) -> list[Polygon]:
    puffs = ((-1.1, 0.25, 0.8), (0.0, 0.0, 1.1), (1.1, 0.25, 0.8), (0.1, 0.4, 1.0))
    return [ellipse(x + dx * size, y + dy * size, size * k * 1.15, size * k * 0.75) for dx, dy, k in puffs]


def _field(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.55, 0.68)
    paint_sky(canvas, dice, ground)
    meadow = grass_fill(dice)
    if dice.chance(0.6):
        hill = Fill(lighten(meadow.high, 0.15), meadow.low)
        shape = ellipse(dice.random(), ground + 0.05, dice.uniform(0.4, 0.7), dice.uniform(0.12, 0.2))
        canvas.polygons(canvas.region(hill, "grass"), [shape])
    canvas.band(meadow, ground, 1, "grass")
    return ground


def _sea(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.5, 0.66)
    paint_sky(canvas, dice, ground)
    canvas.band(water_fill(dice), ground, 1, "water")
    if dice.chance(0.2):
        _boulders(canvas, dice, ground)
    return ground


def _beach(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.58, 0.7)
    paint_sky(canvas, dice, ground - 0.16)
    canvas.band(water_fill(dice), ground - 0.16, ground, "water")
    canvas.band(sand_fill(dice), ground, 1, "sand")
    if dice.chance(0.3):
        _boulders(canvas, dice, ground)
    return ground


def _boulders(canvas: Canvas, dice: Dice, ground: float) -> None:
    region = canvas.region(rock_fill(dice), "rock")
    for _ in range(1 + dice.below(3)):
        x, size = dice.random(), dice.uniform(0.06, 0.14)
        lump: Polygon = [(x - size, ground + 0.04), (x - size * 0.7, ground - size * 0.6), (x, ground - size),
                         (x + size * 0.8, ground - size * 0.5), (x + size, ground + 0.04)]  # fmt: skip
        canvas.polygons(region, [lump])


def _desert(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.55, 0.68)
    paint_sky(canvas, dice, ground)
    sand = sand_fill(dice)
    x = dice.random()
    dune = [(x - 0.5, ground + 0.02), (x, ground - dice.uniform(0.1, 0.2)), (x + 0.55, ground + 0.02)]
    canvas.polygons(canvas.region(Fill(lighten(sand.low, 0.25), sand.high), "sand"), [dune])
    canvas.band(sand, ground, 1, "sand")
    if dice.chance(0.7):
        _cactus(canvas, dice, ground + 0.08)
    if dice.chance(0.3):
        _boulders(canvas, dice, ground)
    return ground


def _cactus(canvas: Canvas, dice: Dice, foot: float) -> None:
    x, h = dice.uniform(0.08, 0.92), dice.uniform(0.18, 0.3)
    left = [(x, foot - h * 0.4), (x - 0.07, foot - h * 0.45), (x - 0.07, foot - h * 0.8)]
    right = [(x, foot - h * 0.3), (x + 0.07, foot - h * 0.35), (x + 0.07, foot - h * 0.66)]
    column = box(x - 0.024, foot - h, x + 0.024, foot)
    region = canvas.region(plain(dice, "green"), "cactus")
    canvas.polygons(region, [column, stroke(left, 0.035), stroke(right, 0.035)])


def _forest(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.6, 0.7)
    if dice.chance(0.55):
        canvas.band(_fade((150.0, 190.0, 140.0), (206.0, 226.0, 182.0), ground), 0, ground, "sky")
    else:
        canvas.band(material(dice, "foliage"), 0, ground, "tree", "leaf")
    trunks = canvas.region(material(dice, "wood"), "tree", "trunk")
    crowns = canvas.region(material(dice, "foliage"), "tree", "leaf")
    count = 4 + dice.below(3)
    conifers = dice.chance(0.5)
    for i in range(count):
        x = (i + dice.uniform(0.1, 0.9)) / count
        height, half = dice.uniform(0.5, 0.62), dice.uniform(0.07, 0.12)
        canvas.polygons(trunks, [box(x - half * 0.22, ground - 0.22, x + half * 0.22, ground + 0.03)])
        if conifers:
            for tier in range(3):
                wide, low = half * (1.25 - 0.25 * tier), ground - 0.1 - tier * height * 0.27
                canvas.polygons(crowns, [[(x - wide, low), (x, low - height * 0.42), (x + wide, low)]])
        else:
            canvas.polygons(crowns, [ellipse(x, ground - height * 0.62, half * 1.2, height * 0.36)])
    shade = mix(shade_of(dice, "green"), shade_of(dice, "brown"), dice.uniform(0.3, 0.6))
    canvas.band(Fill(darken(shade, 0.4), shade, "blades"), ground, 1, "grass")
    return ground


def _mountain(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.58, 0.7)
    paint_sky(canvas, dice, ground)
    rock = canvas.region(rock_fill(dice), "rock")
    snow = canvas.region(snow_fill(dice), "snow")
    capped = dice.chance(0.75)
    for _ in range(2 + dice.below(2)):
        x, height, half = dice.random(), dice.uniform(0.28, 0.48), dice.uniform(0.22, 0.36)
        top = ground - height
        canvas.polygons(rock, [[(x - half, ground), (x, top), (x + half, ground)]])
        if capped:
            edge, line = half * 0.38, top + height * 0.38
            cap = [(x - edge, line), (x, top), (x + edge, line), (x + edge * 0.45, line - 0.03),
                   (x + 0.01, line + 0.04), (x - edge * 0.5, line - 0.02)]  # fmt: skip
            canvas.polygons(snow, [cap])
    if dice.chance(0.4):
        canvas.band(snow_fill(dice), ground, 1, "snow")
    else:
        canvas.band(grass_fill(dice), ground, 1, "grass")
    return ground


def _night(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.6, 0.75)
    top = (dice.uniform(8, 20), dice.uniform(10, 20), dice.uniform(36, 60))
    canvas.band(_fade(top, (44.0, 46.0, 98.0), ground), 0, ground, "sky")
    starry = dice.chance(0.8)
    if starry:
        stars = canvas.region(flat((255.0, 250.0, 225.0)), "star")
        for _ in range(10 + dice.below(14)):
            x, y = dice.random(), dice.uniform(0, ground * 0.92)
            canvas.polygons(stars, _star(x, y, dice.uniform(0.009, 0.018)))
    if not starry or dice.chance(0.6):
        moon = ellipse(dice.uniform(0.12, 0.88), dice.uniform(0.09, 0.26), dice.uniform(0.07, 0.11))
        pale = Fill((250.0, 246.0, 216.0), (208.0, 202.0, 176.0), "clouds")
        canvas.polygons(canvas.region(pale, "moon"), [moon])
    if dice.chance(0.35):
        _skyline(canvas, dice, ground, dark=True)
    soil = dice.pick(((18.0, 34.0, 26.0), (30.0, 26.0, 40.0), (22.0, 22.0, 30.0)))
    canvas.band(Fill(soil, mix(soil, (90.0, 100.0, 110.0), 0.3), "blades"), ground, 1)
    return ground


def _star(x: float, y: float, r: float) -> list[Polygon]:
    return [[(x, y - 1.5 * r), (x + r / 2, y), (x, y + 1.5 * r), (x - r / 2, y)],
            [(x - 1.5 * r, y), (x, y + r / 2), (x + 1.5 * r, y), (x, y - r / 2)]]  # fmt: skip


def _skyline(canvas: Canvas, dice: Dice, ground: float, dark: bool = False) -> None:
    x = -0.03
    while x < 1:
        width, height = dice.uniform(0.12, 0.2), dice.uniform(0.25, 0.52)
        front = shade_of(dice, dice.pick(("gray", "blue", "brown", "gray", "purple")))
        front = darken(front, 0.7 if dark else 0.25)
        light = (250.0, 226.0, 140.0) if dark or dice.chance(0.5) else (190.0, 220.0, 245.0)
        region = canvas.region(Fill(front, light, "lit windows"), "building", "window")
        canvas.polygons(region, [box(x, ground - height, x + width - 0.008, ground + 0.02)])
        x += width


def _city(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.62, 0.74)
    paint_sky(canvas, dice, ground)
    _skyline(canvas, dice, ground)
    if dice.chance(0.7):
        canvas.band(road_fill(dice), ground, 1, "road")
    else:
        canvas.band(grass_fill(dice), ground, 1, "grass")
    return ground


def _street(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.55, 0.64)
    paint_sky(canvas, dice, ground)
    x = -0.03
    while x < 1:
        width, height = dice.uniform(0.2, 0.32), dice.uniform(0.2, 0.34)
        if dice.chance(0.6):
            front = material(dice, dice.pick(("brick", "stone")))
        else:
            front = plain(dice, dice.pick(("yellow", "orange", "pink", "white", "gray", "blue")))
        region = canvas.region(front, "building", "wall")
        canvas.polygons(region, [box(x, ground - height, x + width - 0.008, ground + 0.02)])
        if dice.chance(0.8):
            top, bottom = ground - height * 0.78, ground - height * 0.42
            panes = [box(x + width * left, top, x + width * (left + 0.26), bottom) for left in (0.14, 0.58)]
            canvas.polygons(canvas.region(material(dice, "glass"), "building", "window"), panes)
        x += width
    canvas.band(Fill((178.0, 178.0, 180.0), (150.0, 150.0, 152.0), "grains"), ground, ground + 0.06, "road")
    canvas.band(road_fill(dice), ground + 0.06, 1, "road")
    start, line = dice.uniform(-0.1, 0.1), ground + 0.24
    dashes = [box(start + 0.24 * i, line, start + 0.24 * i + 0.13, line + 0.022) for i in range(5)]
    canvas.polygons(canvas.region(flat((240.0, 238.0, 225.0)), "road"), dashes)
    return ground


def _wall_fill(dice: Dice) -> Fill:
    color = dice.pick(("white", "yellow", "pink", "blue", "green", "gray", "orange"))
    draw = dice.random()
    if draw < 0.55:
        paint = lighten(shade_of(dice, color), 0.45)
        return Fill(paint, mix(paint, (90.0, 80.0, 70.0), 0.18))
    if draw < 0.72:
        pattern = dice.pick(("striped", "dotted", "zigzagged", "honeycombed", "chequered"))
        paper = textured(dice, pattern, color, "white")
        return Fill(lighten(paper.low, 0.35), lighten(paper.high, 0.35), paper.pattern, paper.word)
    return material(dice, dice.pick(("brick", "wood")))


def floor_fill(dice: Dice) -> Fill:
    """Floorboards, tiles or carpet."""
    draw = dice.random()
    if draw < 0.45:
        return material(dice, "wood")
    if draw < 0.7:
        return textured(dice, dice.pick(("chequered", "grid")))
    return material(dice, dice.pick(("fabric", "stone")))


def _room(canvas: Canvas, dice: Dice) -> float:
    ground = dice.uniform(0.56, 0.68)
    canvas.band(_wall_fill(dice), 0, ground, "wall")
    if dice.chance(0.65):
        x, y, half = dice.uniform(0.16, 0.84), dice.uniform(0.16, 0.28), dice.uniform(0.1, 0.14)
        pane, gap = half * 0.44, half * 0.52
        edge = half + 0.015
        frame = box(x - edge, y - edge, x + edge, y + edge)
        canvas.polygons(canvas.region(plain(dice, "white"), "window"), [frame])
        corners = [(x + sx * gap, y + sy * gap) for sx in (-1, 1) for sy in (-1, 1)]
        panes = [box(px - pane, py - pane, px + pane, py + pane) for px, py in corners]
        canvas.polygons(canvas.region(material(dice, "glass"), "window"), panes)
    canvas.band(floor_fill(dice), ground, 1, "floor")
    return ground


def _underwater(canvas: Canvas, dice: Dice) -> float:
    tone = dice.random()
    deep: Color = (6.0, dice.uniform(48, 88), dice.uniform(112, 142))
    canvas.band(_fade((60 + 40 * tone, 170 + 30 * tone, 215.0), deep, 1), 0, 1, "water")
    if dice.chance(0.75):
        bed = [(0.0, 1.0), (0.0, 0.9), (0.25, 0.86), (0.55, 0.9), (0.8, 0.85), (1.0, 0.89), (1.0, 1.0)]
        mud = Fill((206.0, 188.0, 140.0), (160.0, 140.0, 96.0), "grains")
        canvas.polygons(canvas.region(mud, "sand"), [bed])
    if dice.chance(0.25):
        _boulders(canvas, dice, 0.9)
    if dice.chance(0.75):
        weed = canvas.region(plain(dice, dice.pick(("green", "green", "brown"))), "seaweed")
        for _ in range(2 + dice.below(3)):
            x, height = dice.random(), dice.uniform(0.2, 0.4)
            bends = [(x + 0.03 * math.sin(i * 1.9 + x * 9), 0.96 - height * i / 5) for i in range(6)]
            canvas.polygons(weed, [stroke(bends, dice.uniform(0.026, 0.038))])
    if dice.chance(0.6):
        bubbles = canvas.region(Fill((190.0, 230.0, 246.0), (235.0, 250.0, 255.0), "glass"))
        for _ in range(4 + dice.below(6)):
            x, y = dice.random(), dice.uniform(0.05, 0.8)
            canvas.polygons(bubbles, [ellipse(x, y, dice.uniform(0.012, 0.026))])
    return 0.86


_PAINTERS: dict[str, Callable[[Canvas, Dice], float]] = {
    "beach": _beach,
    "city": _city,
    "desert": _desert,
    "field": _field,
    "forest": _forest,
    "mountain": _mountain,
    "night": _night,
    "room": _room,
    "sea": _sea,
    "street": _street,
    "underwater": _underwater,
}
