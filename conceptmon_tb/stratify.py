"""A smaller probe set that stands for the whole: evenly chosen, the same for the same size and seed."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def choose_images(
    total: int, size: int, strata: Sequence[Hashable] | None = None, seed: int = 0
) -> npt.NDArray[np.int32]:
    """Choose images evenly over the classes of a probe set.

    Every class gives its share, rounded so that the shares add up, and at least one image where there are
    as many images as classes. Without classes, each of `size` equal stretches of the probe's order gives one.

    Args:
        total: Images of the probe set.
        size: How many to choose, at most `total`.
        strata: Class of each image; None where there are none.
        seed: Of the choice; sizes and seed alone decide.

    Returns:
        `(size,)` ids, ascending.

    Example:
        >>> choose_images(8, 4, "aaaaaabb").tolist()
        [0, 1, 2, 7]
    """
    dice = random.Random(f"{seed} probe images")  # noqa: S311  # the same numbers in every version of Python
    lots = [dice.random() for _ in range(total)]
    members: dict[Hashable, list[int]] = {}
    for image in range(total):
        stratum = ((image + 1) * size - 1) // total if strata is None else strata[image]
        members.setdefault(stratum, []).append(image)
    shares = _share_out([len(images) for images in members.values()], size)
    chosen: list[int] = []
    for images, share in zip(members.values(), shares, strict=True):
        chosen += sorted(images, key=lots.__getitem__)[:share]
    return np.array(sorted(chosen), dtype=np.int32)


def _share_out(counts: Sequence[int], size: int) -> list[int]:
    """Largest remainders, with one for each class as far as possible."""
    total = sum(counts)
    exact = [count * size / total for count in counts]
    least = 1 if size >= len(counts) else 0
    shares = [max(least, int(share)) for share in exact]
    by_need = sorted(range(len(counts)), key=lambda i: (shares[i] - exact[i], i))
    while (missing := size - sum(shares)) != 0:
        for i in by_need if missing > 0 else reversed(by_need):
            if missing == 0:
                break
            if missing > 0 and shares[i] < counts[i]:
                shares[i], missing = shares[i] + 1, missing - 1
            elif missing < 0 and shares[i] > least:
                shares[i], missing = shares[i] - 1, missing + 1
    return shares


def class_labels(source: Any, indices: npt.NDArray[np.int64]) -> list[Hashable] | None:
    """The class of every image of a data set, where it is known without reading the images.

    Args:
        source: A map-style data set: torchvision's keep `targets` or `labels`, a list holds `(image, label)`
            pairs, and a folder has `files` in a folder for each class. A `Subset` has them of its whole.
        indices: `(images,)` numbers of items.

    Returns:
        `(images,)` labels; None where there are none, or only one.
    """
    labels = _labels_of(source, indices)
    return labels if labels is not None and len(set(labels)) > 1 else None


def _labels_of(source: Any, indices: npt.NDArray[np.int64]) -> list[Hashable] | None:
    if hasattr(source, "dataset") and hasattr(source, "indices"):  # torch.utils.data.Subset
        return _labels_of(source.dataset, np.asarray(source.indices)[indices])
    for name in ("targets", "labels"):
        known = getattr(source, name, None)
        if known is None or isinstance(known, (str, Mapping)) or not hasattr(known, "__len__"):
            continue
        values = np.asarray(known)
        if len(values) == len(source) and values.ndim == 1:
            found: list[Hashable] = values[indices].tolist()
            return found
    if isinstance(source, (list, tuple)):
        items = [source[i] for i in indices.tolist()]
        labels = [
            item[1] if isinstance(item, (tuple, list)) and len(item) > 1 and isinstance(item[1], Hashable)
            else None
            for item in items
        ]  # fmt: skip
        return None if None in labels else labels
    files = getattr(source, "files", None)
    if isinstance(files, list) and len(files) == len(source):
        return [files[i].parent for i in indices.tolist()]
    return None
