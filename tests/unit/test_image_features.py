"""The features of a training set's pictures: encoded once, kept, and told by number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Subset

import conceptmon_tb as cm
from conceptmon_tb.training_state import stream_states
from tests.regularizing import unit


class Unlike:
    """Pictures that are drawn anew each time."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> np.ndarray:
        return torch.randint(256, (8, 8, 3), dtype=torch.uint8).numpy()


class Counting:
    """An encoder that remembers how many pictures it was given."""

    name, fingerprint, dim, note = "counting", "counting", 3, ""

    def __init__(self) -> None:
        self.seen = 0

    def image_transform(self, image: object) -> Tensor:
        raise NotImplementedError

    def encode_images(self, images: Sequence[object]) -> Tensor:
        self.seen += len(images)
        colours = torch.tensor(np.array([np.asarray(image).mean((0, 1)) for image in images]))
        return F.normalize(colours.float() + 1, dim=1)

    def encode_text(self, words: Sequence[str]) -> Tensor:
        return unit(len(words), 3)

    def check_words(self, words: Sequence[str]) -> None:
        """Any word will do."""


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8))


def test_features_are_those_of_the_pictures_in_their_order(tmp_path: Path) -> None:
    given, encoder = pictures(150), Counting()
    repeated = [*given, given[7], given[3]]
    features = cm.ImageFeatures(repeated, encoder, progress=False)
    torch.testing.assert_close(features.matrix, Counting().encode_images(repeated))
    assert encoder.seen == features.num_encoded == 150
    torch.testing.assert_close(features[torch.tensor([150, 2])], features.matrix[[7, 2]])


def test_each_picture_is_encoded_once_whatever_happens_to_the_set(tmp_path: Path) -> None:
    given, encoder = pictures(100), Counting()
    cm.ImageFeatures(given[:70], encoder, cache_dir=tmp_path, progress=False)
    assert encoder.seen == 70
    shuffled = [given[i] for i in np.random.default_rng(1).permutation(100)]
    features = cm.ImageFeatures(shuffled, encoder, cache_dir=tmp_path, progress=False)
    assert encoder.seen == 100
    assert features.num_encoded == 30
    torch.testing.assert_close(features.matrix, Counting().encode_images(shuffled))


def test_what_was_encoded_before_an_interruption_is_kept(tmp_path: Path) -> None:
    class Interrupted(Counting):
        def encode_images(self, images: Sequence[object]) -> Tensor:
            if self.seen >= 128:
                raise KeyboardInterrupt
            return super().encode_images(images)

    with pytest.raises(KeyboardInterrupt):
        cm.ImageFeatures(pictures(300), Interrupted(), cache_dir=tmp_path, progress=False)
    assert cm.ImageFeatures(pictures(300), Counting(), cache_dir=tmp_path, progress=False).num_encoded == 172


def test_damaged_files_are_computed_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = cm.ImageFeatures(pictures(20), Counting(), cache_dir=tmp_path, progress=False)
    (file,) = tmp_path.rglob("*.safetensors")
    whole = file.read_bytes()
    for damaged in (whole[:100], whole[:-560] + b"\xff" * 240 + whole[-320:]):
        for other in tmp_path.rglob("*.safetensors"):
            other.unlink()
        file.write_bytes(damaged)
        again = cm.ImageFeatures(pictures(20), Counting(), cache_dir=tmp_path, progress=False)
        assert again.num_encoded == 20
        torch.testing.assert_close(again.matrix, features.matrix)


def test_large_sets_are_mapped_from_a_file() -> None:
    small = cm.ImageFeatures(pictures(30), Counting(), progress=False)
    mapped = cm.ImageFeatures(pictures(30), Counting(), memory_bytes=0, progress=False)
    torch.testing.assert_close(mapped[[4, 29]], small[[4, 29]])
    assert mapped._file is not None
    assert small._file is None


def test_reading_draws_no_random_numbers() -> None:
    before = stream_states()
    cm.ImageFeatures(pictures(5), Counting(), progress=False)
    assert stream_states() == before


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("folder", TypeError, "map-style"),
        ([], ValueError, "empty"),
        ([torch.randn(3, 4, 4)], ValueError, "without its transform"),
        (["a.png"], TypeError, "without its transform"),
        (Unlike(), ValueError, "augmentation"),
    ],
)
def test_what_is_no_picture_is_refused(given: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cm.ImageFeatures(given, Counting(), progress=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ([5], IndexError),
        ([-6], IndexError),
        ([0.5], TypeError),
        ([[0]], TypeError),
        (torch.ones(5) > 0, TypeError),
    ],
)
def test_numbers_that_are_none_are_refused(index: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        cm.ImageFeatures(pictures(5), Counting(), progress=False)[index]  # type: ignore[index]


def test_the_indexed_set_tells_numbers_through_subsets_and_loaders() -> None:
    features = cm.ImageFeatures(pictures(10), Counting(), progress=False)
    labelled = [(torch.zeros(2), label) for label in range(10)]
    part = Subset(features.indexed(labelled), [9, 4, 6])
    _, labels, index = next(iter(DataLoader(part, batch_size=3)))
    assert labels.tolist() == index.tolist() == [9, 4, 6]
    assert features.indexed([{"image": 0}] * 10)[-1] == {"image": 0, "index": 9}
    assert features.indexed(list("abcdefghij"))[2] == ("c", 2)
    with pytest.raises(ValueError, match="9 items"):
        features.indexed(labelled[:9])
