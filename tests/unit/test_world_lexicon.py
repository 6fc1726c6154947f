"""The lexicon: what the bundled encoder may be asked, and what pictures are called."""

from __future__ import annotations

import numpy as np
import pytest

from conceptmon_tb import world
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.lexicon import ENTRIES, SYNONYMS, caption, entry_labels, phrase, taxonomy


@pytest.mark.parametrize("word", world.WORDS)
def test_every_concept_is_known_as_itself(word: str) -> None:
    assert world.is_known(word)
    assert world.canonical(word) == word


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("Automobile", "car"),
        ("ships", "boat"),
        ("grey", "gray"),
        ("hot air balloon", "balloon"),
        ("ANIMAL", "animal"),
    ],
)
def test_synonyms_plurals_and_capitals_mean_the_concept(word: str, meaning: str) -> None:
    assert world.canonical(word) == meaning


@pytest.mark.parametrize("word", ["giraffe", "laptop", "a giraffe", "a photo of a", "", "car wash", "stairs"])
def test_words_outside_the_lexicon_are_not_known(word: str) -> None:
    assert not world.is_known(word)


@pytest.mark.parametrize("text", ["a red car", "a photo of a striped horse in the field", "something green"])
def test_phrases_of_known_words_are_known(text: str) -> None:
    assert world.is_known(text)


def test_no_synonym_has_two_meanings() -> None:
    others = [word for words in SYNONYMS.values() for word in words]
    assert len(others) == len(set(others))
    assert not set(others) & set(ENTRIES)


def test_captions_and_phrases_stay_within_the_lexicon() -> None:
    dice = Dice(5)
    texts = [caption(world.draw_picture(5, i), dice) for i in range(300)]
    texts += [phrase(entry, dice) for entry in ENTRIES]
    assert [text for text in texts if not world.is_known(text)] == []


def test_a_picture_of_a_cat_is_labelled_animal_too() -> None:
    picture = world.draw_picture(1, 2, kind="object", subject="cat")
    labels = dict(zip(ENTRIES, entry_labels(picture), strict=True))
    assert labels["cat"]
    assert labels["animal"]
    assert labels["object"]
    assert not labels["scene"]


def test_the_taxonomy_is_symmetric_and_puts_relatives_closer() -> None:
    wanted = taxonomy()
    row = {entry: i for i, entry in enumerate(ENTRIES)}
    assert np.array_equal(wanted, wanted.T)
    assert np.all(np.diag(wanted) == 1)
    assert wanted[row["cat"], row["dog"]] > wanted[row["cat"], row["cup"]] > wanted[row["cat"], row["red"]]
