"""How the lexicon takes phrases apart and leads inflected forms to lemmas."""

from __future__ import annotations

import pytest

from conceptmon_tb.lexicon.morphology import find_lemmas
from conceptmon_tb.lexicon.phrases import PhraseReader, split_words
from conceptmon_tb.lexicon.table import load_table

TABLE = load_table()
READER = PhraseReader(TABLE)


def read(phrase: str) -> list[tuple[str, float]]:
    return [
        (TABLE.lemmas[piece.lemmas[0][0]] if piece.lemmas else f"?{piece.spelling}", round(piece.weight, 3))
        for piece in READER.read(phrase)
    ]


def rarity(lemma: str) -> float:
    return float(TABLE.rarity[TABLE.number[lemma]])


# Phrases.


def test_compounds_win_over_their_words_and_rare_words_and_heads_over_others() -> None:
    assert read("red telephone booths") == [
        ("red", round(rarity("red"), 3)),
        ("telephone_booth", round(1.5 * rarity("telephone_booth"), 3)),
    ]
    assert read("Wheels of vehicles") == [
        ("wheel", round(1.5 * rarity("wheel"), 3)),
        ("vehicle", round(rarity("vehicle"), 3)),
    ]
    assert rarity("telephone_booth") > rarity("vehicle") > rarity("object") > 0


@pytest.mark.parametrize(
    ("phrase", "lemmas"),
    [
        ("The top boundary of horizontal objects", ["top", "boundary", "horizontal", "object"]),
        ("red-c", ["red"]),
        ("ball_pit-s", ["ball", "pit"]),
        ("wine cellar-bottle storage", ["wine_cellar", "bottle", "storage"]),
        ("horse-drawn carriage", ["horse_drawn", "carriage"]),
        ("people's faces", ["people", "face"]),
        ("tench, Tinca tinca", ["tench", "tinca_tinca"]),
        ("the", ["?the"]),
        ("", ["?"]),
        ("a zxqv dog", ["?zxqv", "dog"]),
    ],
)
def test_phrases_are_taken_apart(phrase: str, lemmas: list[str]) -> None:
    assert [lemma for lemma, _ in read(phrase)] == lemmas


@pytest.mark.parametrize(
    ("word", "lemmas"),
    [
        ("glasses", ["glasses", "glass"]),
        ("men", ["men", "man"]),
        ("hosting", ["host"]),
        ("seed", ["seed"]),
        ("gas", ["gas"]),
        ("pottedplant", ["pot", "plant"]),
        ("zxqv", []),
    ],
)
def test_a_word_may_be_of_several_lemmas(word: str, lemmas: list[str]) -> None:
    assert [TABLE.lemmas[lemma] for lemma, _ in READER.find(word)] == lemmas


def test_words_after_a_hyphen_qualify() -> None:
    garage, indoor = read("garage-indoor")
    assert garage == ("garage", round(1.5 * rarity("garage"), 3))
    assert indoor == ("indoor", round(0.4 * rarity("indoor"), 3))


def test_split_words_knows_typographic_signs() -> None:
    assert split_words("A dog’s T-shirt, e_mail") == ["a", "dog", "t", "shirt", "e", "mail"]


# Morphology.


LEMMAS = {("dog", "n"), ("fly", "n"), ("fly", "v"), ("stop", "v"), ("make", "v"), ("big", "a"), ("axis", "n"),
          ("ax", "n"), ("church", "n"), ("axes", "n")}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "part", "lemmas"),
    [
        ("dogs", "n", ["dog"]),
        ("flies", "n", ["fly"]),
        ("flies", "v", ["fly"]),
        ("stopped", "v", ["stop"]),
        ("stopping", "v", ["stop"]),
        ("making", "v", ["make"]),
        ("churches", "n", ["church"]),
        ("bigger", "a", ["big"]),
        ("axes", "n", ["axes", "ax", "axis"]),
        ("dog", "v", []),
        ("s", "n", []),
    ],
)
def test_inflected_forms_are_led_to_lemmas(form: str, part: str, lemmas: list[str]) -> None:
    exceptions = {("axes", "n"): ["ax", "axis"], ("bigger", "a"): ["big"]}
    assert find_lemmas(form, part, lambda *word: word in LEMMAS, exceptions) == lemmas
