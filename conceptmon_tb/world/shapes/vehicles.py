"""Vehicles: airplane, balloon, boat, car, truck. All drive to the right."""

from __future__ import annotations

from conceptmon_tb.world.canvas import Piece
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.finishes import body, material, plain, textured
from conceptmon_tb.world.geometry import box, ellipse, stroke

_LIGHTS = ("yellow", "white", "yellow")


def _wheels(dice: Dice, positions: tuple[float, ...], y: float, radius: float) -> list[Piece]:
    return [
        Piece(plain(dice, "black"), [ellipse(x, y, radius) for x in positions], ("wheel",)),
        Piece(material(dice, "metal", "gray"), [ellipse(x, y, radius * 0.48) for x in positions], ("wheel",)),
    ]


def car(dice: Dice) -> list[Piece]:
    """A saloon car."""
    shell = [(-1.0, 0.32), (-1.0, 0.0), (-0.88, -0.11), (-0.56, -0.14), (-0.32, -0.5), (0.38, -0.5),
             (0.63, -0.11), (0.93, -0.03), (1.0, 0.1), (1.0, 0.32)]  # fmt: skip
    panes = [
        [(-0.43, -0.12), (-0.26, -0.4), (0.0, -0.4), (0.0, -0.12)],
        [(0.07, -0.12), (0.07, -0.4), (0.33, -0.4), (0.49, -0.12)],
    ]
    pieces = [
        Piece(body(dice, ("metal",), texture_share=0.2), [shell]),
        Piece(material(dice, "glass"), panes, ("window",)),
        *_wheels(dice, (-0.56, 0.56), 0.32, 0.26),
    ]
    if dice.chance(0.8):
        lights = [ellipse(0.9, 0.09, 0.13)]
        pieces.append(Piece(plain(dice, dice.pick(_LIGHTS), 0.15), lights, ("headlight",)))
    if dice.chance(0.4):
        handles = [box(-0.12, -0.02, 0.02, 0.04), box(0.4, -0.02, 0.54, 0.04)]
        pieces.append(Piece(plain(dice, "black"), handles, ("door", "handle")))
    return pieces


def truck(dice: Dice) -> list[Piece]:
    """A lorry with a loading box."""
    cab = [(0.32, 0.3), (0.32, -0.34), (0.66, -0.34), (0.88, 0.0), (1.0, 0.04), (1.0, 0.3)]
    pane = [(0.44, -0.23), (0.62, -0.23), (0.79, 0.02), (0.44, 0.02)]
    load = body(dice, ("metal", "wood", "fabric"), texture_share=0.3, material_share=0.4)
    pieces = [
        Piece(load, [box(-1.0, -0.6, 0.28, 0.3)]),
        Piece(body(dice, ("metal",), texture_share=0.05), [cab]),
        Piece(material(dice, "glass"), [pane], ("window",)),
        *_wheels(dice, (-0.72, -0.28, 0.62), 0.34, 0.21),
    ]
    if dice.chance(0.8):
        lights = [ellipse(0.91, 0.15, 0.12)]
        pieces.append(Piece(plain(dice, dice.pick(_LIGHTS), 0.15), lights, ("headlight",)))
    return pieces


def boat(dice: Dice) -> list[Piece]:
    """A boat, with sails or with a deckhouse and portholes; sometimes a raft without a hull."""
    hull = [(-0.95, 0.4), (0.95, 0.4), (0.66, 0.86), (-0.66, 0.86)]
    hull_fill = body(dice, ("wood", "metal"), texture_share=0.15, material_share=0.6)
    if dice.chance(0.25):
        logs = [box(-0.85, top, 0.85, top + 0.11) for top in (0.42, 0.56)]
        pieces = [Piece(material(dice, "wood"), logs)]
    else:
        pieces = [Piece(hull_fill, [hull], ("hull",))]
    if dice.chance(0.7):
        cloth = body(dice, ("fabric",), ("white", "red", "yellow", "blue", "orange"), texture_share=0.4)
        mast = material(dice, "wood") if dice.chance(0.6) else plain(dice, "gray")
        main = [(0.08, -0.92), (0.08, 0.26), (0.82, 0.26)]
        pieces.append(Piece(mast, [box(-0.04, -0.98, 0.04, 0.42)], ("mast",)))
        sails = [main, [(-0.08, -0.7), (-0.08, 0.26), (-0.62, 0.26)]] if dice.chance(0.75) else [main]
        pieces.append(Piece(cloth, sails, ("sail",)))
    else:
        house = box(-0.5, -0.06, 0.34, 0.42)
        funnel = box(-0.26, -0.5, -0.02, -0.04)
        panes = [ellipse(x, 0.16, 0.09) for x in (-0.32, -0.06, 0.2)]
        pieces.append(Piece(plain(dice, dice.pick(("red", "black", "orange"))), [funnel], ("chimney",)))
        pieces.append(Piece(plain(dice, dice.pick(("white", "white", "yellow", "gray"))), [house]))
        pieces.append(Piece(material(dice, "glass"), panes, ("window",)))
    return pieces


def airplane(dice: Dice) -> list[Piece]:
    """An airliner, or a small propeller plane with wheels."""
    fuselage = [(-1.0, -0.1), (-0.9, -0.17), (0.6, -0.21), (0.88, -0.13), (1.02, 0.02), (0.9, 0.13),
                (0.6, 0.17), (-0.8, 0.13)]  # fmt: skip
    colors = ("white", "gray", "blue", "red", "white")
    skin = body(dice, ("metal",), colors, texture_share=0.2, material_share=0.5)
    paint = plain(dice, dice.pick(("gray", "red", "blue", "orange", "white", "green")))
    wings = [
        [(0.24, 0.02), (-0.1, 0.02), (-0.56, 0.66), (-0.34, 0.66)],
        [(0.2, -0.17), (-0.06, -0.17), (-0.28, -0.54), (-0.12, -0.54)],
    ]
    tail = [[(-0.98, -0.6), (-0.74, -0.6), (-0.44, -0.05), (-0.86, -0.05)],
            [(-0.66, 0.02), (-0.86, 0.02), (-1.0, 0.24), (-0.88, 0.24)]]  # fmt: skip
    pieces = [Piece(paint, tail, ("tail",)), Piece(skin, [fuselage]), Piece(paint, wings, ("wing",))]
    if dice.chance(0.75):
        panes = [box(x - 0.06, -0.11, x + 0.06, 0.01) for x in (-0.45, -0.22, 0.01, 0.24, 0.47)]
        panes.append([(0.68, -0.14), (0.84, -0.11), (0.93, -0.01), (0.68, -0.01)])
        pieces.append(Piece(material(dice, "glass"), panes, ("window",)))
    if dice.chance(0.3):
        pieces = _wheels(dice, (0.1, 0.62), 0.28, 0.13) + pieces
    return pieces


def balloon(dice: Dice) -> list[Piece]:
    """A hot air balloon, most often with its basket."""
    envelope = [(-0.2, 0.44), (-0.52, 0.1), (-0.66, -0.32), (-0.5, -0.76), (-0.2, -0.98), (0.2, -0.98),
                (0.5, -0.76), (0.66, -0.32), (0.52, 0.1), (0.2, 0.44)]  # fmt: skip
    patterns = ("striped", "chequered", "zigzagged", "dotted", "spiralled", "honeycombed")
    cloth = body(dice, ("fabric",), texture_share=0.55, material_share=0.15, textures=patterns)
    pieces = [Piece(cloth, [envelope])]
    if dice.chance(0.72):
        ropes = [stroke([(side * 0.28, 0.2), (side * 0.16, 0.72)], 0.05) for side in (-1, 1)]
        wicker = dice.chance(0.6)
        weave = textured(dice, "woven", "brown", "yellow") if wicker else material(dice, "wood")
        pieces.insert(0, Piece(plain(dice, "brown"), ropes))
        pieces.append(Piece(weave, [box(-0.24, 0.66, 0.24, 1.0)], ("basket",)))
    return pieces
