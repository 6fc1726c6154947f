"""Thumbnails of probe images as one JPEG atlas: many small pictures, one record, one request."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from conceptmon_tb.metadata import Payload, PayloadError, pack_payload
from conceptmon_tb.payload_checks import reading
from conceptmon_tb.snapshot import ProbeImages

JPEG_QUALITY = 88

Thumbnails = npt.NDArray[np.uint8]


def pack_images(images: ProbeImages, step: int) -> bytes:
    """Pack thumbnails into one JPEG atlas, row by row.

    Args:
        images: At least one thumbnail.
        step: Global step of the first snapshot that refers to them.

    Returns:
        A container of kind "images".

    Raises:
        ValueError: There is no thumbnail, or ids and thumbnails differ in number.
    """
    count = len(images.ids)
    if not count or len(images.thumbnails) != count:
        raise ValueError(
            f"images has {count} ids and {len(images.thumbnails)} thumbnails; "
            "pass as many of each, at least one"
        )
    tile = images.thumbnails.shape[1]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    atlas = np.zeros((rows, columns, tile, tile, 3), dtype=np.uint8)
    atlas.reshape(rows * columns, tile, tile, 3)[:count] = images.thumbnails
    picture = Image.fromarray(atlas.transpose(0, 2, 1, 3, 4).reshape(rows * tile, columns * tile, 3))
    file = io.BytesIO()
    # Colour is stored at half resolution in blocks of 16 pixels: other tiles would bleed into each other.
    picture.save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0" if tile % 16 == 0 else "4:4:4")
    arrays: dict[str, npt.NDArray[Any]] = {
        "ids": np.asarray(images.ids, dtype=np.int32),
        "jpeg": np.frombuffer(file.getvalue(), np.uint8),
    }
    return pack_payload("images", step, {"tile": tile, "columns": columns}, arrays)


def cut_atlas(payload: Payload) -> Thumbnails:
    """Undo `pack_images`, but for what JPEG loses.

    Args:
        payload: A payload of kind "images".

    Returns:
        `(images, size, size, 3)` uint8 thumbnails in the order of the payload's ids.

    Raises:
        PayloadError: It is of another kind, no JPEG, or of another size than it says.
    """
    with reading(payload, "images"):
        tile, columns = int(payload.attrs["tile"]), int(payload.attrs["columns"])
        count = len(payload.arrays["ids"])
        try:
            with Image.open(io.BytesIO(payload.arrays["jpeg"].tobytes()), formats=("JPEG",)) as picture:
                atlas = np.asarray(picture.convert("RGB"))
        except (OSError, Image.DecompressionBombError) as error:
            raise PayloadError(f"malformed images payload: {error}") from error
        rows = atlas.shape[0] // tile
        if atlas.shape[1] != columns * tile or rows * columns < count:
            size = f"{atlas.shape[1]} x {atlas.shape[0]}"
            raise PayloadError(f"an atlas of {size} pixels for {count} tiles of {tile}")
        grid = atlas[: rows * tile].reshape(rows, tile, columns, tile, 3).transpose(0, 2, 1, 3, 4)
        thumbnails: Thumbnails = grid.reshape(rows * columns, tile, tile, 3)[:count].copy()
        return thumbnails
