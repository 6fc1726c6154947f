"""Labelled images, class by class: samples of them, and batches that may hold several classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.probe import ProbeSet

Images: TypeAlias = Tensor | ProbeSet | Sequence[Any]
Classes: TypeAlias = Mapping[int, str] | Sequence[str]


@dataclass(frozen=True, eq=False)
class ClassImages:
    """Images of some classes.

    Attributes:
        images: `(images, channels, height, width)` model inputs; a probe set; or anything with a length
            whose items are such inputs, alone or followed by a label.
        labels: `(images,)` int64.
        classes: Name by logit, in the order of the results.
    """

    images: Images
    labels: npt.NDArray[np.int64]
    classes: Mapping[int, str]

    @classmethod
    def of(cls, images: Images, labels: Any, classes: Classes | None) -> ClassImages:
        """Check what a user gave.

        Args:
            images: As above.
            labels: `(images,)` whole numbers: the logit of each image's class.
            classes: Name by logit, which also chooses classes; or the names of all logits, of which those
                with images count; None: all with images, named by their numbers.

        Raises:
            TypeError: Labels are no whole numbers, or images cannot be looked up by number.
            ValueError: Numbers of images and labels differ, names are repeated, or a class has no images.
        """
        if not isinstance(images, ProbeSet) and not (
            hasattr(images, "__len__") and hasattr(images, "__getitem__")
        ):
            raise TypeError(
                f"images must be a tensor, a ProbeSet or a dataset, got {type(images).__name__}; "
                f"of a loader give its dataset (loader.dataset) and its labels in that order"
            )
        found = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise TypeError(f"labels must be whole numbers, one per image, got {found.dtype} {found.shape}")
        if len(found) != len(images):
            raise ValueError(f"labels has {len(found)} entries for {len(images)} images")
        there = np.unique(found).tolist()
        if classes is None:
            named = {int(label): str(label) for label in there}
        elif isinstance(classes, Mapping):
            named = {int(label): str(name) for label, name in classes.items()}
        else:
            if there and there[-1] >= len(classes):
                raise ValueError(f"classes has {len(classes)} names, but a label is {there[-1]}")
            named = {int(label): str(classes[label]) for label in there}
        lacking = [name for label, name in named.items() if label not in there]
        if lacking or not named:
            raise ValueError(f"classes: there is no image of {lacking[0]!r}" if lacking else "no images")
        if len(set(named.values())) != len(named):
            raise ValueError("classes: two of them have one name; give each its own")
        return cls(images, found.astype(np.int64), named)

    def sample(self, most: int, rng: np.random.Generator, share: float = 1.0) -> npt.NDArray[np.int64]:
        """Some images of every class, class by class.

        Args:
            most: Of each class, at most so many.
            rng: Draws them.
            share: Of each class, at most this share of its images, but one at least.

        Returns:
            Their numbers.
        """
        chosen = []
        for label in self.classes:
            own = np.flatnonzero(self.labels == label)
            chosen.append(np.sort(rng.permutation(own)[: min(most, max(1, int(share * len(own))))]))
        return np.concatenate(chosen)

    def batches(
        self, chosen: npt.NDArray[np.int64], size: int
    ) -> Iterator[tuple[Tensor, Tensor, npt.NDArray[np.intp]]]:
        """Images in batches.

        Args:
            chosen: Numbers of images.
            size: Images per batch.

        Yields:
            Model inputs, the logit of each one's class `(batch,)` int64, and the class's number in the order
            of `classes`.
        """
        row = {label: number for number, label in enumerate(self.classes)}
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            labels = self.labels[part]
            yield (
                self._stack(part),
                torch.from_numpy(labels),
                np.array([row[label] for label in labels.tolist()]),
            )

    def _stack(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        if isinstance(self.images, Tensor):
            return self.images[torch.from_numpy(chosen).to(self.images.device)]
        return torch.stack([_input(self.images, number) for number in chosen.tolist()])


def _input(images: Any, number: int) -> Tensor:
    if isinstance(images, ProbeSet):
        return images.model_input(number)
    item = images[number]
    item = item[0] if isinstance(item, (tuple, list)) else item
    if not isinstance(item, Tensor):
        raise TypeError(
            f"images: item {number} is {type(item).__name__}; model inputs are needed, tensors (channels, "
            f"height, width): give the dataset its evaluation transform, or a ProbeSet with one"
        )
    return item
