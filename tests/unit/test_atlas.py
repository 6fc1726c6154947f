"""Thumbnails as one JPEG atlas."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from conceptmon_tb.atlas import cut_atlas, pack_images
from conceptmon_tb.metadata import PayloadError, unpack_payload
from conceptmon_tb.snapshot import ProbeImages
from tests.synthetic import make_images, make_space


@pytest.mark.parametrize(("count", "tile"), [(1, 64), (7, 64), (30, 50)])
def test_the_atlas_holds_the_thumbnails_in_order(count: int, tile: int) -> None:
    images = make_images(make_space(), tile)
    chosen = ProbeImages(images.ids[:count], images.thumbnails[:count])
    payload = unpack_payload(pack_images(chosen, 3))
    columns = payload.attrs["columns"]
    atlas = np.asarray(Image.open(io.BytesIO(payload.arrays["jpeg"].tobytes())))
    thumbnails = cut_atlas(payload)
    for index in range(count):
        row, column = divmod(index, columns)
        cut = atlas[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
        errors = np.abs(chosen.thumbnails.astype(int) - cut).mean(axis=(1, 2, 3))
        assert errors.argmin() == index
        assert errors[index] < 20
        np.testing.assert_array_equal(thumbnails[index], cut)
    assert payload.arrays["ids"].tolist() == list(range(count))


def test_an_atlas_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        pack_images(ProbeImages(np.zeros(0, np.int32), np.zeros((0, 64, 64, 3), np.uint8)), 0)


def test_an_atlas_that_is_no_jpeg_or_of_another_size_is_refused() -> None:
    images = make_images(make_space())
    payload = unpack_payload(pack_images(ProbeImages(images.ids[:4], images.thumbnails[:4]), 0))
    text = np.frombuffer(b"GIF89a", np.uint8)
    with pytest.raises(PayloadError, match="malformed images payload"):
        cut_atlas(dataclasses.replace(payload, arrays={**payload.arrays, "jpeg": text}))
    with pytest.raises(PayloadError, match="128 x 128 pixels for 4 tiles of 32"):
        cut_atlas(dataclasses.replace(payload, attrs={"tile": 32, "columns": 2}))
