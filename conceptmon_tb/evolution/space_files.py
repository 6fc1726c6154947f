"""Semantic spaces as safetensors files: arrays as they are, everything else as one JSON text.

Nothing in a file is executed. A file that was altered is found out by the checksum of its whole content, one
without that (written before there was one) by the space's fingerprint. What does not fit together is refused
too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save

from conceptmon_tb.evolution.image_embedding import INDIRECT
from conceptmon_tb.evolution.semantic_space import SemanticSpace

FORMAT = "conceptmon semantic space 1"

_ARRAYS: Mapping[str, npt.DTypeLike] = {
    "vectors": np.float32, "placed": np.bool_, "stimuli": np.int32, "image_vectors": np.float32,
    "coverage": np.uint8, "landmarks": np.float32, "landmark_position": np.float32,
    "word_vectors": np.float32,
}  # fmt: skip
_ABOUT = {"format", "fingerprint", "space", "checksum"}
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
    about["checksum"] = _checksum(about["space"], arrays)
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
        _check_fit(space)
        is_whole = space.fingerprint == about["fingerprint"]
        is_whole &= about.keys() <= _ABOUT  # a checksum under an altered name is not a missing one
        is_whole &= about.get("checksum") in (None, _checksum(about["space"], arrays))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpaceFileError(
            f"{str(path)!r} is damaged ({type(error).__name__}: {error}); copy it again"
        ) from error
    if not is_whole:
        raise SpaceFileError(f"{str(path)!r} is damaged (its content has another fingerprint); copy it again")
    return space


def _checksum(texts: str, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Of all that is in a file, also of what places and names do not depend on."""
    digest = hashlib.sha256(texts.encode("utf-8", "surrogatepass"))
    for name in _ARRAYS:
        digest.update(f"{arrays[name].dtype.str}{arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()


def _check_fit(space: SemanticSpace) -> None:
    """Refuse arrays that do not fit together: a fingerprint tells that they are as written, not written well.

    Raises:
        ValueError: They do not.
    """
    neurons, words = sum(space.layers.values()), len(space.words)
    images, dim = space.image_vectors.shape
    (landmarks, _), (_, k) = space.landmarks.shape, space.stimuli.shape
    shapes = {
        "vectors": (neurons, dim), "placed": (neurons,), "stimuli": (neurons, k),
        "image_vectors": (images, dim), "coverage": (images,), "landmarks": (landmarks, dim),
        "landmark_position": (landmarks, 2), "word_vectors": (words, dim),
    }  # fmt: skip
    for name, dtype in _ARRAYS.items():
        array = getattr(space, name)
        if array.shape != shapes[name] or array.dtype != dtype:
            raise ValueError(
                f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shapes[name]}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
    if not (k and words and landmarks and space.num_covered and space.coverage.max() <= INDIRECT):
        raise ValueError("it has no stimuli, words, landmarks or known images")
    if not -1 <= space.stimuli.min() <= space.stimuli.max() < images:
        raise ValueError(f"stimuli are none of {images} images")
    texts = (*space.words, *space.categories, *space.layers)
    if not all(isinstance(text, str) for text in texts) or not isinstance(space.settings, Mapping):
        raise ValueError("words, layers or settings are of another kind")
    if not len(set(space.words)) == words == len(space.categories):
        raise ValueError(f"{words} words, not all different, and {len(space.categories)} categories")
    for name in ("landmarks", "word_vectors"):
        if not getattr(space, name).any(axis=1).all():
            raise ValueError(f"{name} has a row without direction")
