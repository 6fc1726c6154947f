"""Buildings, plants and furnishings: house, cabin, tree, flower, mushroom, cup, chair, lamp, umbrella."""

from __future__ import annotations

import math

from conceptmon_tb.world.canvas import Fill, Piece
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.finishes import body, flat, material, plain, textured
from conceptmon_tb.world.geometry import Polygon, arc, box, ellipse, stroke
from conceptmon_tb.world.palette import darken, lighten
from conceptmon_tb.world.vocabulary import COLORS


def _dwelling(dice: Dice, walls: Fill) -> list[Piece]:
    """The outline that house and cabin share."""
    roof_fill = body(dice, (), ("red", "brown", "gray", "blue", "orange", "black"), texture_share=0.25)
    pieces: list[Piece] = []
    if dice.chance(0.55):
        left = dice.pick((0.42, -0.64))
        stack = material(dice, dice.pick(("brick", "stone")))
        pieces.append(Piece(stack, [box(left, -0.98, left + 0.22, -0.3)], ("chimney",)))
    pieces.append(Piece(walls, [box(-0.8, -0.2, 0.8, 0.9)], ("wall",)))
    roof = [(-1.0, -0.12), (-0.06, -1.0), (0.06, -1.0), (1.0, -0.12)]
    pieces.append(Piece(roof_fill, [roof], ("roof",)))
    center = dice.pick((-0.5, 0.0, 0.42))
    if dice.chance(0.72):
        leaf = material(dice, "wood") if dice.chance(0.5) else plain(dice, dice.pick(COLORS))
        pieces.append(Piece(leaf, [box(center - 0.18, 0.24, center + 0.18, 0.9)], ("door",)))
        pieces.append(Piece(plain(dice, "yellow"), [ellipse(center + 0.1, 0.6, 0.05)], ("door", "handle")))
    frames: list[Polygon] = []
    panes: list[Polygon] = []
    for x in (-0.5, 0.0, 0.5):
        if abs(x - center) > 0.3:
            frames.append(box(x - 0.22, 0.1, x + 0.22, 0.54))
            panes += [box(x + side * 0.1 - 0.075, 0.16, x + side * 0.1 + 0.075, 0.48) for side in (-1, 1)]
    pieces.append(Piece(plain(dice, "white"), frames, ("window",)))
    pieces.append(Piece(material(dice, "glass"), panes, ("window",)))
    return pieces


def house(dice: Dice) -> list[Piece]:
    """A house of brick, stone or painted plaster; never of wood."""
    walls = body(dice, ("brick", "brick", "stone"), texture_share=0.12, material_share=0.55)
    return _dwelling(dice, walls)


def cabin(dice: Dice) -> list[Piece]:
    """A wooden house."""
    return _dwelling(dice, material(dice, "wood"))


def tree(dice: Dice) -> list[Piece]:
    """A tree with a round or a pointed crown, or bare."""
    bark = material(dice, "wood") if dice.chance(0.7) else plain(dice, "brown")
    if dice.chance(0.65):
        crown_fill = material(dice, "foliage")
    else:
        crown_fill = plain(dice, dice.pick(("green", "green", "orange", "yellow", "pink")))
    trunk = [(-0.13, 0.0), (0.13, 0.0), (0.19, 1.0), (-0.19, 1.0)]
    branches = [stroke([(0.0, 0.1), (side * 0.5, -0.5), (side * 0.56, -0.9)], 0.11) for side in (-1, 1)]
    draw = dice.random()
    if draw < 0.1:
        leader = stroke([(0.0, 0.2), (0.05, -0.95)], 0.12)
        return [Piece(bark, [trunk, *branches, leader], ("trunk",))]
    if draw < 0.4:
        tiers = [(0.72, 0.4, -0.3), (0.6, 0.0, -0.65), (0.44, -0.42, -1.0)]
        crown: list[Polygon] = [[(-half, low), (0.0, top), (half, low)] for half, low, top in tiers]
    else:
        crown = [ellipse(-0.38, -0.2, 0.44), ellipse(0.38, -0.22, 0.46), ellipse(0.0, -0.56, 0.48)]
    leaves = Piece(crown_fill, crown, ("leaf",))
    if dice.chance(0.25):  # a shrub: its leaves hide the trunk
        return [Piece(crown_fill, [ellipse(0.0, 0.4, 0.62, 0.56)], ("leaf",)), leaves]
    return [Piece(bark, [trunk], ("trunk",)), leaves]


def flower(dice: Dice) -> list[Piece]:
    """A flower, mostly with stem and leaves."""
    petal_fill = body(
        dice, (), ("red", "pink", "yellow", "purple", "white", "orange", "blue"), texture_share=0.15
    )
    count = 5 + dice.below(4)
    start = dice.uniform(0, math.tau)
    petals: list[Polygon] = []
    for i in range(count):
        turn = start + math.tau * i / count
        x, y = 0.37 * math.cos(turn), -0.38 + 0.37 * math.sin(turn)
        petals.append(ellipse(x, y, 0.29, 0.78 / count + 0.05, turn))
    if dice.chance(0.25):
        bud = [(-0.4, -0.86), (-0.14, -0.6), (0.0, -0.96), (0.14, -0.6), (0.4, -0.86), (0.3, -0.14),
               (-0.3, -0.14)]  # fmt: skip
        pieces = [Piece(petal_fill, [bud])]
    else:
        heart = plain(dice, dice.pick(("yellow", "brown", "orange")))
        pieces = [Piece(petal_fill, petals, ("petal",)), Piece(heart, [ellipse(0.0, -0.38, 0.2)])]
    if dice.chance(0.85):
        stalk = stroke([(0.0, -0.2), (0.05, 0.4), (0.0, 1.0)], 0.1)
        pieces.insert(0, Piece(plain(dice, "green"), [stalk], ("stem",)))
    if dice.chance(0.75):
        leaf_fill = material(dice, "foliage") if dice.chance(0.5) else plain(dice, "green")
        leaves = [ellipse(0.3, 0.54, 0.29, 0.12, -0.5), ellipse(-0.27, 0.7, 0.28, 0.12, 0.5)]
        pieces.insert(1, Piece(leaf_fill, leaves, ("leaf",)))
    return pieces


def cup(dice: Dice) -> list[Piece]:
    """A mug or a beaker with a drink."""
    side = body(dice, ("glass", "metal"), texture_share=0.45, material_share=0.25)
    rim = Fill(lighten(side.high, 0.4), darken(side.low, 0.1))
    drink = plain(dice, dice.pick(("brown", "black", "white", "green")))
    pieces = [
        Piece(side, [[(-0.64, -0.6), (0.64, -0.6), (0.52, 0.86), (-0.52, 0.86)]]),
        Piece(rim, [ellipse(0.0, -0.6, 0.64, 0.19)]),
        Piece(drink, [ellipse(0.0, -0.58, 0.53, 0.13)]),
    ]
    if dice.chance(0.75):
        grip = stroke(arc(0.5, 0.08, 0.44, 0.42, -1.4, 1.4), 0.16)
        shadow = Fill(darken(side.low, 0.2), darken(side.low, 0.35))
        pieces.insert(0, Piece(shadow, [grip], ("handle",)))
    return pieces


def chair(dice: Dice) -> list[Piece]:
    """A chair, sometimes seen from behind."""
    frame = material(dice, "wood") if dice.chance(0.6) else material(dice, "metal", "gray")
    back = body(dice, ("wood", "fabric", "fabric"), texture_share=0.35)
    seat = body(dice, ("wood", "fabric"), texture_share=0.3)
    legs = [box(x - 0.06, 0.2, x + 0.06, 1.0) for x in (-0.48, 0.42)]
    legs += [box(x - 0.05, 0.2, x + 0.05, 0.86) for x in (-0.3, 0.6)]
    if dice.chance(0.28):
        return [Piece(frame, legs, ("leg",)), Piece(back, [box(-0.54, -0.96, 0.62, 0.34)])]
    return [
        Piece(frame, legs, ("leg",)),
        Piece(back, [[(-0.56, -0.96), (0.36, -0.96), (0.5, 0.1), (-0.52, 0.1)]]),
        Piece(seat, [[(-0.62, 0.06), (0.5, 0.06), (0.74, 0.3), (-0.5, 0.3)]], ("seat",)),
    ]


def lamp(dice: Dice) -> list[Piece]:
    """A table lamp, lit or dark; some are bare bulbs."""
    stand = material(dice, dice.pick(("metal", "wood")))
    pieces = [Piece(stand, [box(-0.07, -0.15, 0.07, 0.86), ellipse(0.0, 0.88, 0.42, 0.12)], ("stem",))]
    glow = Fill((255.0, 247.0, 172.0), (255.0, 226.0, 112.0))
    if dice.chance(0.25):
        pieces.append(Piece(glow, [ellipse(0.0, -0.4, 0.32)]))
        return pieces
    if dice.chance(0.6):
        pieces.append(Piece(glow, [ellipse(0.0, -0.02, 0.58, 0.12)], ("lampshade",)))
    colors = ("yellow", "orange", "white", "pink", "red", "blue", "green")
    shade = body(dice, ("fabric", "glass", "fabric"), colors, texture_share=0.4)
    cone = [(-0.3, -0.92), (0.3, -0.92), (0.68, -0.05), (-0.68, -0.05)]
    pieces.append(Piece(shade, [cone], ("lampshade",)))
    return pieces


def mushroom(dice: Dice) -> list[Piece]:
    """A mushroom, often with a dotted cap."""
    if dice.chance(0.5):
        cap_fill = textured(dice, "dotted", dice.pick(("red", "orange", "purple", "brown")), "white")
    else:
        cap_fill = body(dice, (), ("red", "brown", "orange", "purple", "yellow"), texture_share=0.3)
    cap = [*arc(0.0, 0.06, 0.88, 0.84, math.pi, math.tau), (0.6, 0.18), (-0.6, 0.18)]
    stalk = [(-0.2, -0.1), (0.2, -0.1), (0.3, 0.92), (-0.3, 0.92)]
    stalk_fill = plain(dice, dice.pick(("white", "white", "yellow", "gray")))
    return [Piece(stalk_fill, [stalk], ("stem",)), Piece(cap_fill, [cap])]


def umbrella(dice: Dice) -> list[Piece]:
    """An open umbrella."""
    grip = material(dice, "wood") if dice.chance(0.5) else plain(dice, "black")
    crook = stroke([(0.0, -0.8), (0.0, 0.74), (0.06, 0.88), (0.2, 0.88), (0.27, 0.74)], 0.09)
    patterns = ("striped", "dotted", "chequered", "zigzagged", "spiralled", "grid")
    cover = body(dice, ("fabric",), texture_share=0.5, material_share=0.2, textures=patterns)
    hem = [(0.64, -0.14), (0.32, 0.0), (0.0, -0.14), (-0.32, 0.0), (-0.64, -0.14)]
    canopy = arc(0.0, 0.0, 0.96, 0.86, math.pi, math.tau) + hem
    tip = Piece(flat((30.0, 30.0, 34.0)), [box(-0.03, -0.98, 0.03, -0.8)])
    return [Piece(grip, [crook], ("handle",)), tip, Piece(cover, [canopy])]
