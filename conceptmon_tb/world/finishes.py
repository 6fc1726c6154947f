"""Finishes: plain colours, textures and materials as fills with plausible colours."""

from __future__ import annotations

from collections.abc import Sequence

from conceptmon_tb.world.canvas import Fill
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.palette import RGB, Color, darken, lighten, mix
from conceptmon_tb.world.vocabulary import COLORS, TEXTURES

WHITE: Color = (250.0, 250.0, 250.0)


def shade_of(dice: Dice, name: str) -> Color:
    """A random shade that people would still call `name`."""
    jitter = 9 if name in ("black", "white") else 16
    red, green, blue = (
        min(max(channel + dice.uniform(-jitter, jitter), 0.0), 255.0) for channel in RGB[name]
    )
    return (red, green, blue)


def flat(color: Color) -> Fill:
    """One colour without any shading."""
    return Fill(color, color)


def plain(dice: Dice, name: str, depth: float = 0.3) -> Fill:
    """A colour with soft shading; `depth` is how much darker the shadows are."""
    color = shade_of(dice, name)
    shadow = lighten(color, depth / 2) if name == "black" else darken(color, depth)
    return Fill(color, shadow)


def textured(dice: Dice, texture: str, name: str | None = None, other: str | None = None) -> Fill:
    """A texture in two colours that stand out from each other."""
    name = name or dice.pick(COLORS)
    first = shade_of(dice, name)
    second = shade_of(dice, other or _partner(dice, name))
    if abs(sum(first) - sum(second)) < 130:
        second = lighten(second, 0.6) if sum(first) < 380 else darken(second, 0.6)
    if dice.chance(0.5):
        first, second = second, first
    return Fill(first, second, texture, texture)


def _partner(dice: Dice, name: str) -> str:
    if dice.chance(0.6):
        light = name in ("white", "yellow", "pink", "gray")
        return dice.pick(("black", "red", "blue", "purple", "green", "brown")) if light else "white"
    return dice.pick([color for color in COLORS if color != name])


def material(dice: Dice, name: str, color: str | None = None) -> Fill:
    """A material in one of its usual colours, or in `color` where it takes paint (metal, fabric, fur)."""
    low, high = _material_colors(dice, name, color)
    return Fill(low, high, name, name)


def _material_colors(dice: Dice, name: str, color: str | None) -> tuple[Color, Color]:
    if name == "brick":
        clay = darken(shade_of(dice, dice.pick(("red", "brown", "orange", "red"))), 0.12)
        return clay, (206.0, 198.0, 186.0)
    if name == "wood":
        plank = mix(shade_of(dice, "brown"), shade_of(dice, "orange"), dice.uniform(0.15, 0.5))
        return plank, mix(plank, (40.0, 20.0, 5.0), 0.62)
    if name == "metal":
        paint = darken(shade_of(dice, color or dice.pick(("gray", "gray", "blue", "red", "green"))), 0.12)
        return paint, lighten(paint, 0.85)
    if name == "glass":
        pane = mix((150.0, 205.0, 232.0), shade_of(dice, "blue"), dice.uniform(0, 0.25))
        return pane, (240.0, 252.0, 255.0)
    if name == "fabric":
        cloth = shade_of(dice, color or dice.pick(COLORS))
        return cloth, darken(cloth, 0.55) if sum(cloth) > 200 else lighten(cloth, 0.55)
    if name == "foliage":
        season = dice.pick(("yellow", "orange", "green", "green"))
        leaf = mix(shade_of(dice, "green"), shade_of(dice, season), dice.uniform(0, 0.3))
        return mix(leaf, (0.0, 25.0, 0.0), 0.58), mix(leaf, (225.0, 255.0, 140.0), 0.42)
    if name == "fur":
        coat = shade_of(dice, color or dice.pick(("brown", "orange", "gray", "black", "white")))
        dark = sum(coat) < 150
        return darken(coat, 0.2 if dark else 0.55), lighten(coat, 0.45 if dark else 0.25)
    if name == "stone":
        rock = mix(shade_of(dice, "gray"), shade_of(dice, "brown"), dice.uniform(0, 0.25))
        return lighten(rock, 0.22), darken(rock, 0.55)
    raise KeyError(name)


def body(
    dice: Dice,
    materials: Sequence[str] = (),
    colors: Sequence[str] = COLORS,
    texture_share: float = 0.33,
    material_share: float = 0.45,
    textures: Sequence[str] = TEXTURES,
) -> Fill:
    """What an object is made of: a texture, one of its materials, or paint."""
    draw = dice.random()
    if draw < texture_share:
        return textured(dice, dice.pick(textures), dice.pick(colors))
    if materials and draw < texture_share + material_share:
        return material(dice, dice.pick(materials))
    return plain(dice, dice.pick(colors))
