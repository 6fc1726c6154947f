"""The picture world: deterministic, and its labels are true of its pixels."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb import world
from conceptmon_tb.world.palette import RGB

HELD_OUT = 90_000
SUBJECTS = world.CATEGORIES["object"][:21]


@pytest.fixture(scope="module")
def pictures() -> list[world.Picture]:
    return [world.draw_picture(HELD_OUT, index) for index in range(3000)]


@pytest.fixture(scope="module")
def presence(pictures: list[world.Picture]) -> np.ndarray:
    return world.concept_presence(pictures)


def overlap(presence: np.ndarray) -> np.ndarray:
    """Jaccard index of every pair of concepts over the pictures, 0 on the diagonal."""
    truth = presence.astype(float)
    both = truth.T @ truth
    count = truth.sum(axis=0)
    jaccard = both / np.maximum(count[:, None] + count[None, :] - both, 1)
    np.fill_diagonal(jaccard, 0)
    return jaccard


def test_importing_the_world_does_not_import_torch() -> None:
    code = "import sys, conceptmon_tb.world; assert not {'torch', 'open_clip', 'umap'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_concept_belongs_to_one_category_only() -> None:
    assert len(set(world.WORDS)) == len(world.WORDS)
    assert len(world.CATEGORIES) == 6
    assert 95 <= len(world.WORDS) <= 115


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6))
def test_the_same_seed_and_index_give_the_same_picture(seed: int, index: int) -> None:
    first, second = world.draw_picture(seed, index), world.draw_picture(seed, index)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.segments, second.segments)
    assert first.regions == second.regions


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    code = "import conceptmon_tb.world as w; print(int(w.draw_picture(4, 77).image.astype(int).sum()))"
    fresh = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    assert int(fresh.stdout) == int(world.draw_picture(4, 77).image.astype(int).sum())


def test_other_seeds_give_other_pictures() -> None:
    assert not np.array_equal(world.draw_picture(1, 0).image, world.draw_picture(2, 0).image)


@pytest.mark.parametrize("size", [32, 64, 96, 224])
def test_image_and_masks_have_the_size_asked_for(size: int) -> None:
    picture = world.draw_picture(3, 5, size)
    assert picture.image.shape == (size, size, 3)
    assert picture.image.dtype == np.uint8
    assert picture.mask("sky").shape == (size, size)


def test_areas_agree_with_the_masks(pictures: list[world.Picture]) -> None:
    for picture in pictures[:40]:
        from_masks = [picture.mask(word).mean() for word in world.WORDS]
        assert np.allclose(picture.areas, from_masks, atol=1e-6)


def test_a_concept_is_present_when_its_mask_covers_the_share_of_its_category(
    pictures: list[world.Picture],
) -> None:
    shares = np.array([world.MIN_AREA[world.CATEGORY_OF[word]] for word in world.WORDS])
    shares[world.CONCEPT_ID["star"]] = 0.004
    for picture in pictures[:40]:
        assert np.array_equal(picture.presence, picture.areas >= shares.astype(np.float32))


def test_every_concept_occurs(presence: np.ndarray) -> None:
    rare = [word for word, count in zip(world.WORDS, presence.sum(axis=0), strict=True) if count < 20]
    assert rare == []


def test_no_two_concepts_always_occur_together(presence: np.ndarray) -> None:
    jaccard = overlap(presence)
    worst = np.unravel_index(jaccard.argmax(), jaccard.shape)
    assert jaccard.max() < 0.9, [world.WORDS[i] for i in worst]


def test_parts_occur_without_their_owners_and_owners_without_their_parts(presence: np.ndarray) -> None:
    pairs = [("bird", "beak"), ("fish", "fin"), ("boat", "hull"), ("chair", "seat"), ("flower", "petal"),
             ("lamp", "lampshade"), ("balloon", "basket"), ("tree", "trunk")]  # fmt: skip
    for owner, part in pairs:
        with_owner, with_part = (presence[:, world.CONCEPT_ID[word]] for word in (owner, part))
        assert (with_owner & ~with_part).any(), f"every {owner} has a {part}"
        assert (with_part & ~with_owner).any(), f"every {part} is on a {owner}"


def test_objects_carry_textures_and_materials(presence: np.ndarray) -> None:
    subject = presence[:, [world.CONCEPT_ID[word] for word in SUBJECTS]].any(axis=1)
    for word in world.CATEGORIES["texture"] + world.CATEGORIES["material"]:
        assert (subject & presence[:, world.CONCEPT_ID[word]]).any(), word


def test_zebras_are_striped_and_horses_need_not_be() -> None:
    zebras = [world.draw_picture(6, i, kind="object", subject="zebra") for i in range(20)]
    horses = [world.draw_picture(6, i, kind="object", subject="horse") for i in range(20)]
    assert all((p.mask("striped") & p.mask("zebra")).any() for p in zebras)
    assert not any((p.mask("striped") & p.mask("horse")).any() for p in horses)


@pytest.mark.parametrize("color", world.CATEGORIES["color"])
def test_the_colour_of_a_word_gets_that_word(color: str) -> None:
    pixel = np.array(RGB[color], np.uint8)
    assert world.CATEGORIES["color"][world.name_colors(pixel)] == color


def test_colour_masks_agree_with_the_pixels(pictures: list[world.Picture]) -> None:
    for picture in pictures[:40]:
        names = world.name_colors(picture.image)
        for i, color in enumerate(world.CATEGORIES["color"]):
            assert np.array_equal(picture.mask(color), names == i)


def test_colour_masks_split_the_picture(pictures: list[world.Picture]) -> None:
    colors = sum(pictures[0].mask(color).astype(int) for color in world.CATEGORIES["color"])
    assert np.all(colors == 1)


def test_a_swatch_shows_its_colour() -> None:
    swatches = [world.draw_picture(8, i, kind="color") for i in range(60)]
    named = [p.presence[world.CONCEPT_ID[p.shown or ""]] for p in swatches]
    assert np.mean(named) > 0.85


def test_a_mask_of_an_unknown_word_names_the_word() -> None:
    with pytest.raises(KeyError, match="giraffe"):
        world.draw_picture(0, 0).mask("giraffe")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 4}, "size=4"),
        ({"kind": "poster"}, "kind='poster'"),
        ({"subject": "giraffe"}, "subject='giraffe'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_a_bad_argument_is_named(change: dict[str, object], message: str) -> None:
    arguments: dict[str, Any] = {"seed": 0, "index": 0} | change
    with pytest.raises(ValueError, match=message):
        world.draw_picture(**arguments)


def test_the_classification_task_shows_each_class() -> None:
    dataset = world.WorldDataset(400, seed=3, task="objects")
    assert dataset.classes == world.CLASSES
    counts = np.bincount(dataset.labels, minlength=10)
    assert counts.min() >= 20
    for index in range(20):
        picture = dataset.picture(index)
        assert picture.subject == dataset.classes[dataset[index][1]]


def test_a_dataset_gives_the_same_items_each_time_and_ends() -> None:
    dataset = world.WorldDataset(3, seed=1)
    image, label = dataset[-1]
    assert np.array_equal(np.asarray(image), dataset.picture(2).image)
    assert label == -1
    assert len(list(dataset)) == 3
    with pytest.raises(IndexError, match="3"):
        dataset[3]


def test_a_datasets_presence_is_that_of_its_pictures() -> None:
    dataset = world.WorldDataset(12, seed=2)
    expected = world.concept_presence(dataset.picture(i) for i in range(12))
    assert np.array_equal(dataset.presence, expected)
    assert dataset.images.shape == (12, 64, 64, 3)
