"""A part of a probe set stands for the whole, and is the same for the same size and seed."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Subset

import conceptmon_tb as cm
from conceptmon_tb.stratify import choose_images, class_labels


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([50, 30, 20], 10, [5, 3, 2]),
        ([97, 1, 1, 1], 10, [7, 1, 1, 1]),
        ([40, 40, 20], 3, [1, 1, 1]),
        ([10, 10, 10], 2, [1, 1, 0]),
        ([3, 5], 8, [3, 5]),
    ],
)
def test_every_class_gives_its_share_and_none_is_lost(
    counts: list[int], size: int, expected: list[int]
) -> None:
    strata = [name for name, count in zip("abcd", counts, strict=False) for _ in range(count)]
    chosen = choose_images(len(strata), size, strata, seed=3)
    assert len(set(chosen.tolist())) == size
    assert (np.diff(chosen) > 0).all()
    found = Counter(strata[image] for image in chosen)
    assert [found[name] for name in "abcd"[: len(counts)]] == expected


def test_without_classes_every_stretch_gives_one() -> None:
    chosen = choose_images(1000, 100, seed=1)
    assert (chosen // 10 == np.arange(100)).all()
    assert len(set((chosen % 10).tolist())) > 5


@pytest.mark.parametrize("strata", [None, ["a", "b"] * 500])
def test_size_and_seed_decide_alone(strata: list[str] | None) -> None:
    first = choose_images(1000, 340, strata, seed=5)
    np.random.seed(0)  # noqa: NPY002 (the global stream must not matter)
    assert choose_images(1000, 340, strata, seed=5).tolist() == first.tolist()
    assert choose_images(1000, 340, strata, seed=6).tolist() != first.tolist()


def picture(shade: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (shade, 0, 0))


class Targets:
    """As torchvision's data sets keep their labels."""

    targets = [0, 0, 1, 1, 2, 2]  # noqa: RUF012

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Image.Image:
        raise AssertionError("labels must not cost reading pictures")


def test_labels_are_found_without_reading_pictures() -> None:
    every = np.arange(6)
    assert class_labels(Targets(), every) == [0, 0, 1, 1, 2, 2]
    assert class_labels(Targets(), np.array([1, 4])) == [0, 2]
    assert class_labels(Subset(Targets(), [5, 0, 3]), np.array([0, 2])) == [2, 1]
    assert class_labels([(picture(i), i % 2) for i in range(4)], np.arange(4)) == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "source",
    [
        [picture(0), picture(1)],
        [(picture(0), 7), (picture(1), 7)],
        [(picture(0), [1]), (picture(1), [2])],
        SimpleNamespace(targets="names.txt"),
        SimpleNamespace(targets={"a": 1}),
    ],
)
def test_where_there_are_no_classes_there_are_none(source: object) -> None:
    assert class_labels(source, np.arange(2)) is None


def test_a_folder_with_folders_has_their_names_as_classes(tmp_path: Path) -> None:
    for name, count in (("cats", 6), ("dogs", 2)):
        (tmp_path / name).mkdir()
        for i in range(count):
            picture(40 * i).save(tmp_path / name / f"{i}.png")
    probe = cm.ProbeSet(tmp_path)
    assert [Path(str(c)).name for c in probe.classes or []] == ["cats"] * 6 + ["dogs"] * 2
    assert cm.ProbeSet(tmp_path / "cats").classes is None


def test_a_part_shows_its_pictures_and_remembers_the_whole() -> None:
    whole = cm.ProbeSet([picture(20 * i) for i in range(10)])
    fingerprint = whole.fingerprint
    part = whole.part([1, 4, 7])
    assert (len(part), part.total) == (3, 10)
    assert [part.picture(i).getpixel((0, 0))[0] for i in range(3)] == [20, 80, 140]
    assert part.fingerprint != fingerprint
    assert part.thumbnails[:, 0, 0, 0].tolist() == [20, 80, 140]
    assert next(part.batches()).shape[0] == 3
    assert part.part([2]).picture(0).getpixel((0, 0))[0] == 140
    assert part.part([2]).total == 10
    assert (len(whole), whole.total, whole.fingerprint) == (10, 10, fingerprint)


def test_a_part_of_a_probe_with_masks_has_its_own_masks() -> None:
    whole = cm.MaskedProbe.world(12, size=32)
    shares = whole.concept_shares()
    part = whole.part([2, 3, 11])
    assert isinstance(part, cm.MaskedProbe)
    assert part.concept_shares().tolist() == shares[[2, 3, 11]].tolist()
    assert whole.concept_shares() is shares
