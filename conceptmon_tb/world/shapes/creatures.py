"""Animals: cat, dog, horse, zebra, bird, fish, butterfly. All look to the right."""

from __future__ import annotations

from conceptmon_tb.world.canvas import Fill, Piece
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.finishes import WHITE, body, flat, material, plain, textured
from conceptmon_tb.world.geometry import Polygon, box, ellipse, stroke
from conceptmon_tb.world.palette import darken, lighten

_COATS = ("brown", "orange", "gray", "black", "white")
_BLACK = flat((16.0, 16.0, 20.0))


def _eye(x: float, y: float, radius: float) -> list[Piece]:
    labels = ("eye", "head")
    return [
        Piece(flat(WHITE), [ellipse(x, y, radius * 1.6)], labels),
        Piece(_BLACK, [ellipse(x + radius * 0.3, y, radius)], labels),
    ]


def _shadowed(fill: Fill, share: float = 0.3) -> Fill:
    return Fill(darken(fill.low, share), darken(fill.high, share), fill.pattern, fill.word)


def _coat(dice: Dice, textures: tuple[str, ...]) -> Fill:
    color = dice.pick(_COATS)
    draw = dice.random()
    if draw < 0.5:
        return material(dice, "fur", color)
    if draw < 0.75:
        return textured(dice, dice.pick(textures), color)
    return plain(dice, color)


def _legs(positions: tuple[float, ...], top: float, bottom: float, width: float) -> list[Polygon]:
    return [box(x - width / 2, top, x + width / 2, bottom) for x in positions]


def cat(dice: Dice) -> list[Piece]:
    """A cat with pointed ears and, mostly, a raised tail."""
    coat = _coat(dice, ("dotted", "marbled", "striped"))
    ears = [[(0.36, -0.5), (0.38, -0.96), (0.62, -0.66)], [(0.62, -0.66), (0.86, -0.96), (0.88, -0.5)]]
    tail = stroke([(-0.62, 0.1), (-0.86, -0.06), (-0.9, -0.36), (-0.74, -0.62)], 0.15)
    pieces = [
        Piece(_shadowed(coat), _legs((-0.48, 0.3), 0.3, 0.94, 0.17), ("leg",)),
        Piece(coat, _legs((-0.3, 0.46), 0.3, 0.98, 0.17), ("leg",)),
        Piece(coat, [ellipse(-0.06, 0.2, 0.62, 0.3)]),
        Piece(_shadowed(coat, 0.15), ears, ("ear", "head")),
        Piece(coat, [ellipse(0.62, -0.36, 0.36, 0.33)], ("head",)),
        Piece(plain(dice, "pink"), [[(0.63, -0.28), (0.77, -0.28), (0.7, -0.2)]], ("head",)),
        *_eye(0.5, -0.42, 0.06),
        *_eye(0.82, -0.42, 0.06),
    ]
    if dice.chance(0.72):
        pieces.insert(0, Piece(_shadowed(coat, 0.15), [tail], ("tail",)))
    return pieces


def dog(dice: Dice) -> list[Piece]:
    """A dog with a long snout and hanging ears."""
    coat = _coat(dice, ("dotted", "marbled"))
    dark = _shadowed(coat, 0.35)
    snout = [(0.62, -0.52), (1.02, -0.38), (1.04, -0.14), (0.62, -0.06)]
    pieces = [
        Piece(dark, _legs((-0.56, 0.28), 0.2, 0.92, 0.16), ("leg",)),
        Piece(coat, _legs((-0.38, 0.42), 0.2, 0.98, 0.16), ("leg",)),
        Piece(coat, [box(-0.64, -0.12, 0.48, 0.36), ellipse(-0.6, 0.12, 0.16, 0.24)]),
        Piece(coat, [ellipse(0.56, -0.38, 0.29, 0.31), snout], ("head",)),
        Piece(_BLACK, [ellipse(1.02, -0.34, 0.09, 0.08)], ("head",)),
        Piece(dark, [ellipse(0.38, -0.36, 0.13, 0.34, 0.25)], ("ear", "head")),
        *_eye(0.66, -0.46, 0.06),
    ]
    if dice.chance(0.72):
        pieces.insert(0, Piece(dark, [stroke([(-0.6, 0.0), (-0.84, -0.2), (-0.96, -0.46)], 0.13)], ("tail",)))
    return pieces


def _equine(dice: Dice, coat: Fill, mane: Fill) -> list[Piece]:
    """The outline that horse and zebra share."""
    neck = [(0.2, 0.2), (0.62, 0.12), (0.8, -0.5), (0.46, -0.74)]
    head = [(0.46, -0.82), (0.7, -0.84), (1.04, -0.46), (1.0, -0.3), (0.84, -0.28), (0.56, -0.46)]
    ears = [[(0.5, -0.76), (0.52, -1.02), (0.66, -0.8)]]
    crest = stroke([(0.6, -0.92), (0.42, -0.72), (0.28, -0.3), (0.2, 0.0)], 0.13)
    pieces = [
        Piece(_shadowed(coat), _legs((-0.5, 0.34), 0.15, 0.94, 0.14), ("leg",)),
        Piece(coat, _legs((-0.34, 0.5), 0.15, 0.98, 0.14), ("leg",)),
        Piece(coat, [ellipse(0.0, 0.1, 0.62, 0.3), neck]),
        Piece(coat, [head], ("head",)),
        Piece(coat, ears, ("ear", "head")),
        Piece(mane, [crest]),
        *_eye(0.7, -0.6, 0.05),
    ]
    if dice.chance(0.72):
        tail = stroke([(-0.58, 0.0), (-0.76, 0.12), (-0.84, 0.56)], 0.16)
        pieces.insert(0, Piece(mane, [tail], ("tail",)))
    return pieces


def horse(dice: Dice) -> list[Piece]:
    """A horse in any finish but stripes."""
    coat = _coat(dice, ("dotted", "marbled", "chequered"))
    return _equine(dice, coat, _shadowed(coat, 0.5))


def zebra(dice: Dice) -> list[Piece]:
    """A striped horse."""
    dark = dice.pick(("black", "black", "black", "brown", "blue", "purple"))
    coat = textured(dice, "striped", dark, "white")
    return _equine(dice, coat, plain(dice, dark))


def bird(dice: Dice) -> list[Piece]:
    """A bird with its wing raised or folded."""
    plumage = body(dice, ("fur",), texture_share=0.2, material_share=0.15)
    wing_fill = plain(dice, dice.pick(("blue", "red", "black", "yellow", "white", "green", "purple")))
    feet = plain(dice, dice.pick(("orange", "black")))
    raised = [(-0.34, -0.1), (0.26, -0.08), (0.08, -0.5), (-0.4, -1.0), (-0.44, -0.5)]
    folded = [(0.3, -0.08), (-0.1, -0.18), (-0.76, 0.24), (-0.2, 0.34), (0.2, 0.22)]
    pieces = [
        Piece(_shadowed(plumage), [[(-0.5, 0.04), (-1.02, -0.1), (-1.0, 0.22), (-0.5, 0.3)]], ("tail",)),
        Piece(plumage, [ellipse(-0.06, 0.1, 0.56, 0.37, -0.15)]),
        Piece(plumage, [ellipse(0.52, -0.36, 0.29)], ("head",)),
        Piece(wing_fill, [raised if dice.chance(0.5) else folded], ("wing",)),
        *_eye(0.58, -0.42, 0.06),
    ]
    if dice.chance(0.75):
        pieces.insert(0, Piece(feet, _legs((-0.08, 0.14), 0.4, 0.92, 0.07), ("leg",)))
    if dice.chance(0.72):
        beak = [(0.74, -0.46), (1.1, -0.3), (0.74, -0.2)]
        pieces.append(Piece(plain(dice, dice.pick(("orange", "yellow", "black"))), [beak], ("beak", "head")))
    return pieces


def fish(dice: Dice) -> list[Piece]:
    """A fish, often scaly."""
    if dice.chance(0.35):
        skin = textured(dice, "scaly")
    else:
        skin = body(dice, ("metal",), texture_share=0.35, material_share=0.2)
    fin_fill = plain(dice, dice.pick(("orange", "red", "blue", "yellow", "purple", "green")))
    upper = [(-0.32, -0.3), (0.1, -0.72), (0.34, -0.32)]
    lower = [(-0.05, 0.3), (-0.2, 0.68), (0.26, 0.32)]
    face = Fill(lighten(skin.low, 0.2), darken(skin.low, 0.15))
    pieces = [
        Piece(fin_fill, [[(-0.52, 0.0), (-1.0, -0.46), (-0.84, 0.0), (-1.0, 0.46)]], ("tail",)),
        Piece(skin, [ellipse(0.04, 0.0, 0.68, 0.4)]),
        Piece(face, [ellipse(0.56, 0.0, 0.2, 0.26)], ("head",)),
        *_eye(0.56, -0.1, 0.07),
    ]
    if dice.chance(0.72):
        pieces.insert(1, Piece(_shadowed(fin_fill, 0.15), [upper, lower], ("fin",)))
    return pieces


def butterfly(dice: Dice) -> list[Piece]:
    """A butterfly seen from above."""
    pattern = ("dotted", "scaly", "marbled", "honeycombed", "cracked", "spiralled")
    upper = body(dice, (), texture_share=0.6, textures=pattern)
    lower = plain(dice, dice.pick(("orange", "yellow", "blue", "purple", "pink", "red", "white")))
    upper_wings: list[Polygon] = []
    lower_wings: list[Polygon] = []
    for side in (-1, 1):
        lower_wings.append(ellipse(side * 0.42, 0.4, 0.38, 0.36))
        right = [(0.0, 0.0), (0.2, -0.62), (0.7, -0.9), (0.99, -0.6), (0.88, -0.1), (0.45, 0.2)]
        upper_wings.append([(side * x, y) for x, y in right])
    feelers = [stroke([(0.0, -0.5), (side * 0.2, -0.88)], 0.05) for side in (-1, 1)]
    return [
        Piece(lower, lower_wings, ("wing",)),
        Piece(upper, upper_wings, ("wing",)),
        Piece(_BLACK, [ellipse(0.0, 0.1, 0.08, 0.5), *feelers]),
        Piece(_BLACK, [ellipse(0.0, -0.44, 0.12)], ("head",)),
    ]
