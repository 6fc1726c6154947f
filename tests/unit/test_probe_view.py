"""Which part of a thumbnail the model sees."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T

from conceptmon_tb.patches import View
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_view import find_view

NORMALIZE = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def pictures(*sizes: tuple[int, int]) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for w, h in sizes]


def view_of(images: list, *steps) -> View | None:
    return find_view(images, T.Compose(steps), range(len(images)))


def test_without_a_transform_a_square_picture_is_its_thumbnail() -> None:
    assert ProbeSet(pictures((64, 64), (64, 64))).view == View(0, 0, 1, 1)


def test_without_a_transform_the_model_sees_more_than_the_thumbnail_of_a_wide_picture() -> None:
    assert ProbeSet(pictures((80, 40))).view == View(-0.5, 0, 1.5, 1)


@pytest.mark.parametrize("size", [(64, 64), (90, 64), (64, 90), (333, 250)])
def test_resize_and_crop_to_the_same_square_as_the_thumbnail(size: tuple[int, int]) -> None:
    view = view_of(pictures(size), T.Resize(32), T.CenterCrop(32), T.ToTensor(), NORMALIZE)
    assert view == pytest.approx((0, 0, 1, 1), abs=0.02)


def test_a_crop_is_found_whatever_the_pictures_shapes() -> None:
    view = view_of(
        pictures((300, 256), (256, 280), (256, 256)),
        T.Resize(256),
        T.CenterCrop(224),
        T.ToTensor(),
        NORMALIZE,
    )
    assert view == pytest.approx((0.0625, 0.0625, 0.9375, 0.9375), abs=0.02)


def test_a_squeezed_picture_is_seen_beyond_the_thumbnail() -> None:
    view = view_of(pictures((80, 40)), T.Resize((32, 32)), T.ToTensor())
    assert view == pytest.approx((-0.5, 0, 1.5, 1), abs=0.02)


def test_mirrored_padded_and_grey_pictures_are_understood() -> None:
    mirror = view_of(pictures((64, 64)), T.RandomHorizontalFlip(1.0), T.ToTensor())
    assert mirror == pytest.approx((1, 0, 0, 1), abs=0.02)
    padded = view_of(pictures((64, 64)), T.Pad(16), T.ToTensor())
    assert padded == pytest.approx((-0.25, -0.25, 1.25, 1.25), abs=0.02)
    grey = view_of([p.convert("L") for p in pictures((64, 64))], T.ToTensor())
    assert grey == pytest.approx((0, 0, 1, 1), abs=0.02)


@pytest.mark.parametrize(
    "steps",
    [
        (T.RandomCrop(32), T.ToTensor()),
        (T.RandomHorizontalFlip(0.5), T.ToTensor()),
        (T.RandomRotation((30, 30)), T.ToTensor()),
        (T.ToTensor(), lambda x: x.transpose(1, 2)),
        (T.ToTensor(), lambda x: (x - x.mean()) / x.std()),
        (T.ToTensor(), lambda x: x.flatten()),
        (lambda image: 1 / 0,),
    ],
    ids=["random crop", "random flip", "rotation", "transposed", "standardised", "no map", "broken"],
)
def test_what_is_no_common_rectangle_is_unknown(steps: tuple) -> None:
    assert view_of(pictures(*[(64, 64)] * 12), *steps) is None


def test_pictures_of_several_shapes_squeezed_into_one_are_unknown() -> None:
    assert view_of(pictures((80, 40), (40, 40)), T.Resize((32, 32)), T.ToTensor()) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("kind", ["array", "grey array", "tensor"])
def test_arrays_and_tensors_are_charted_in_their_own_type(kind: str, dtype: type) -> None:
    array = (np.random.default_rng(0).random((48, 48, 3)) * (255 if dtype is np.uint8 else 1)).astype(dtype)
    image = {
        "array": array,
        "grey array": array[:, :, 0],
        "tensor": torch.from_numpy(array.transpose(2, 0, 1)),
    }
    crop = T.CenterCrop(24)

    def transform(raw: np.ndarray | torch.Tensor) -> torch.Tensor:
        if isinstance(raw, np.ndarray):
            raw = torch.from_numpy(raw if raw.ndim == 2 else raw.transpose(2, 0, 1))
        assert raw.dtype == (torch.uint8 if dtype is np.uint8 else torch.float32)
        return crop(raw.reshape(-1, 48, 48)).float()

    view = find_view([image[kind]], transform, [0])
    assert view == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.02)


def test_the_charts_leave_the_random_streams_alone() -> None:
    probe = ProbeSet(pictures(*[(64, 64)] * 3), T.Compose([T.CenterCrop(32), T.ToTensor()]))
    state = torch.get_rng_state()
    assert probe.view is not None
    assert torch.equal(torch.get_rng_state(), state)
