"""The bundled excerpt of WordNet, and the vectors of its synsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conceptmon_tb.lexicon import LexiconEncoder
from conceptmon_tb.lexicon.surfaces import DEFINED, VERB, rate_surfaces
from conceptmon_tb.lexicon.surfaces import RELATED as RELATED_LOOKS
from conceptmon_tb.lexicon.table import ASSETS, TABLE_FILE, Links, load_table, pack_table, unpack_table
from conceptmon_tb.lexicon.vectors import DECAY, SynsetVectors, add_up, draw_directions
from conceptmon_tb.lexicon.wordnet import Pointer, Synset, read_wordnet

TABLE = load_table()


# Vectors.


def test_places_are_sums_of_directions_from_the_root_down() -> None:
    vectors = SynsetVectors(TABLE)
    synset = TABLE.senses.of(TABLE.number["dog"])[0][0]

    def place(node: int) -> np.ndarray:
        total = draw_directions(np.array([node]), 512)[0].double().numpy() * TABLE.content[node]
        for parent, weight in TABLE.parents.of(node):
            assert parent < node
            total = total + DECAY * weight * place(parent)
        return total

    expected = place(synset)
    found = vectors._embed_places(np.array([synset]))[0].numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_directions_are_corners_that_hardly_correlate() -> None:
    numbers = np.concatenate([np.arange(300), (1 << 40) + np.arange(300)])
    drawn = draw_directions(numbers, 512)
    torch.testing.assert_close(drawn.abs(), torch.full_like(drawn, 512**-0.5))
    cosines = (drawn @ drawn.T)[~torch.eye(600, dtype=torch.bool)]
    assert float(cosines.abs().max()) < 6 * 512**-0.5
    assert abs(float(cosines.std()) - 512**-0.5) < 0.002
    assert float(drawn.sign().mean(dim=0).abs().max()) < 6 * 600**-0.5


def test_sums_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    known = np.array([2, 3, 7, 11])
    vectors = torch.from_numpy(rng.normal(size=(4, 5)).astype(np.float32))
    links = Links(np.array([0, 2, 2, 5]), np.array([7, 2, 3, 11, 11]), rng.random(5))
    expected = np.zeros((3, 5))
    for row in range(3):
        for target, weight in links.of(row):
            expected[row] += weight * vectors[list(known).index(target)].numpy()
    np.testing.assert_allclose(add_up(links, known, vectors).numpy(), expected, atol=1e-6)


# Table.


def test_a_packed_table_is_the_same_again() -> None:
    start = np.array([0, 2, 2])
    links = Links(start, np.array([70_000, 1]), np.array([1.0, 0.2]))
    fractions = np.array([255, 51], np.uint8)
    packed = pack_table(
        {"lemmas": "a_b\nc", "kin": "lines n line\nlined p line", "exceptions": "axes n ax axis"},
        {"parts": np.array([0, 2], np.uint8), **dict.fromkeys(("rarity", "content", "surface"), fractions)},
        dict.fromkeys(("senses", "parents", "relations", "surroundings", "gloss"), links),
        np.array([0.5, -1], np.float32),
    )
    table = unpack_table(packed)
    assert table.lemmas == ("a_b", "c")
    assert table.exceptions == {("axes", "n"): ["ax", "axis"]}
    assert table.kin == {("lines", "n"): ["line"], ("lined", "p"): ["line"]}
    np.testing.assert_allclose(table.surface, [1, 0.2])
    assert table.gloss.of(0) == [(70_000, 1.0), (1, 0.2)]
    assert table.gloss.of(1) == []
    np.testing.assert_allclose(table.rarity, [1, 0.2])
    np.testing.assert_array_equal(table.common, np.array([0.5, -1], np.float32))
    packed["rarity"] = packed["rarity"] - 1
    assert unpack_table(packed).digest != table.digest


def test_the_bundled_table_is_small_and_has_its_licence() -> None:
    assert (ASSETS / TABLE_FILE).stat().st_size < 1_500_000
    assert "Princeton University" in (ASSETS / "LICENSE.wordnet").read_text()
    assert len(TABLE.lemmas) > 50_000


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="install conceptmon-tb anew"):
        LexiconEncoder(tmp_path / "none.npz")


def test_wordnets_files_are_read(tmp_path: Path) -> None:
    noun = (
        "  1 licence\n"
        '00000001 03 n 01 entity 0 000 | that which is; "an example"  \n'
        "00000002 05 n 02 man-eater 0 Shark 0 002 @ 00000001 n 0000 + 00000009 a 0101 | a big fish  \n"
    )
    (tmp_path / "data.noun").write_text(noun)
    (tmp_path / "data.adj").write_text("00000009 00 s 01 sharky(p) 0 000 | like a shark  \n")
    (tmp_path / "index.sense").write_text(
        "man-eater%1:05:00:: 00000002 1 4\nsharky%5:00:00:big:00 00000009 1 0\n"
    )
    for name in ("data.verb", "data.adv", "noun.exc", "verb.exc", "adv.exc"):
        (tmp_path / name).write_text("")
    (tmp_path / "noun.exc").write_text("sharkes shark\n")
    (tmp_path / "adj.exc").write_text("")
    found = read_wordnet(tmp_path, tmp_path)
    assert [synset.lemmas for synset in found.synsets] == [("entity",), ("man_eater", "shark"), ("sharky",)]
    assert found.synsets[0].definition == "that which is;"
    assert found.synsets[1].targets("@") == [0]
    assert found.synsets[1].targets("+ =") == [2]
    assert [(sense.synset, sense.count) for sense in found.senses["man_eater"]] == [(1, 4)]
    assert found.exceptions["n"] == {"sharkes": ["shark"]}


def test_looks_are_seeds_their_hyponyms_and_in_part_what_derives_from_them() -> None:
    def synset(part: str, field: int, lemma: str, *pointers: tuple[str, int]) -> Synset:
        return Synset(part, field, (lemma,), tuple(Pointer(*pointer) for pointer in pointers), "")

    synsets = [
        synset("n", 6, "decoration"),
        synset("n", 6, "design", ("@", 0), ("~", 2), ("~", 3), ("~", 4)),
        synset("n", 6, "stripe", ("@", 1)),
        synset("n", 6, "emblem", ("@", 1)),
        synset("n", 25, "belt", ("@", 1)),
        synset("a", 0, "patterned", ("&", 6)),
        synset("a", 0, "striped", ("&", 5), ("+", 2)),
        synset("v", 30, "stripe", ("+", 2)),
        synset("a", 0, "stripy", ("+", 2)),
        synset("a", 0, "barred"),
        synset("n", 6, "zebra_crossing"),
    ]
    glosses = [[]] * 9 + [["mark", "stripe"]] * 2
    seeds = [(6, "design", "decoration")], ["patterned"]
    expected = [0, 1, 1, 0, 0, 1, 1, VERB, RELATED_LOOKS, DEFINED, 0]
    np.testing.assert_array_equal(rate_surfaces(synsets, glosses, *seeds), expected)
    with pytest.raises(ValueError, match="no 'design' below 'fabric'"):
        rate_surfaces(synsets, glosses, [(6, "design", "fabric")], [])
