"""Semantic spaces as safetensors files: arrays as they are, everything else as one JSON text.

Nothing in a file is executed. A file that was altered is found out by the fingerprint in it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save

from conceptmon_tb.evolution.semantic_space import SemanticSpace

FORMAT = "conceptmon semantic space 1"

_ARRAYS: Mapping[str, npt.DTypeLike] = {
    "vectors": np.float32, "placed": np.bool_, "stimuli": np.int32, "image_vectors": np.float32,
    "coverage": np.uint8, "landmarks": np.float32, "landmark_position": np.float32,
    "word_vectors": np.float32,
}  # fmt: skip
_TEXTS = tuple(field.name for field in dataclasses.fields(SemanticSpace) if field.name not in _ARRAYS)


class SpaceFileError(ValueError):
    """A file is no semantic space, or a damaged one; the message says which and the mend."""


def save_space(space: SemanticSpace, path: str | Path) -> None:
    """Write a space to a file, whole or not at all.

    Args:
        space: The space.
        path: Where to; a file that is there is replaced.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(path)
    arrays: dict[str, npt.NDArray[Any]] = {
        name: np.ascontiguousarray(getattr(space, name), dtype=dtype) for name, dtype in _ARRAYS.items()
    }
    texts = {name: getattr(space, name) for name in _TEXTS}
    texts["layers"], texts["settings"] = dict(space.layers), dict(space.settings)
    about = {"format": FORMAT, "fingerprint": space.fingerprint, "space": json.dumps(texts)}
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(save(arrays, about))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_space(path: str | Path) -> SemanticSpace:
    """Read a space.

    Args:
        path: A file that `save_space` wrote.

    Returns:
        The same space, bit for bit.

    Raises:
        FileNotFoundError: There is no such file.
        SpaceFileError: It is none of ours, damaged, or of a later version.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"space file {str(path)!r} does not exist; make it with SemanticSpace.save")
    try:
        with safe_open(str(path), framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in _ARRAYS if name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise SpaceFileError(f"{str(path)!r} is no safetensors file: {error}") from error
    if about.get("format") != FORMAT:
        there = about.get("format", "something else")
        raise SpaceFileError(f"{str(path)!r} holds {there!r}, and this version reads {FORMAT!r}")
    try:
        texts = json.loads(about["space"])
        texts["words"], texts["categories"] = tuple(texts["words"]), tuple(texts["categories"])
        space = SemanticSpace(**arrays, **texts)
        is_whole = space.fingerprint == about["fingerprint"]
    except (KeyError, TypeError, ValueError) as error:
        raise SpaceFileError(
            f"{str(path)!r} is damaged ({type(error).__name__}: {error}); copy it again"
        ) from error
    if not is_whole:
        raise SpaceFileError(f"{str(path)!r} is damaged (its content has another fingerprint); copy it again")
    return space
