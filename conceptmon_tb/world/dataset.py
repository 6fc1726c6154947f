"""Map-style data sets of world pictures, for training loops, probe sets and tests."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.picture import Picture, draw_picture
from conceptmon_tb.world.vocabulary import CLASSES, WORDS

_SCENE_SHARE = 0.9  # of the classification task's pictures; the others show the object before a backdrop
_LABEL_STREAM = 1  # keeps the labels' dice apart from the pictures' dice


class WorldDataset:
    """Pictures of the world as `(PIL.Image, class id)` pairs; each is drawn when first asked for, then kept.

    Args:
        num_images: How many.
        seed: Which world; another seed gives held-out pictures.
        size: Pixels per side.
        task: "objects" for pictures of the ten `CLASSES`; None for the mixture of all kinds, which is
            what a probe set wants: its class ids are all -1.

    Attributes:
        classes: Names of the class ids; () without a task.

    Example:
        >>> pictures = WorldDataset(4, seed=0, task="objects")
        >>> image, label = pictures[0]
        >>> image.size, pictures.classes[label] in CLASSES
        ((64, 64), True)
    """

    def __init__(
        self, num_images: int, seed: int, size: int = 64, task: Literal["objects"] | None = None
    ) -> None:
        if num_images < 0:
            raise ValueError(f"num_images={num_images} must not be negative")
        if task not in ("objects", None):
            raise ValueError(f'task={task!r} is unknown; use "objects" or None')
        self.num_images = num_images
        self.seed = seed
        self.size = size
        self.task = task
        self.classes: tuple[str, ...] = CLASSES if task == "objects" else ()
        self._drawn = np.zeros(num_images, bool)
        self._images = np.zeros((num_images, size, size, 3), np.uint8)
        self._presence = np.zeros((num_images, len(WORDS)), bool)

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        index = self._checked(index)
        self._draw(index)
        return Image.fromarray(self._images[index]), self._label(index)

    def __repr__(self) -> str:
        return f"WorldDataset({self.num_images}, seed={self.seed}, size={self.size}, task={self.task!r})"

    def picture(self, index: int) -> Picture:
        """Picture `index` with its masks and regions, drawn anew."""
        index = self._checked(index)
        if self.task is None:
            return draw_picture(self.seed, index, self.size)
        dice = self._dice(index)
        subject = dice.pick(CLASSES)
        kind = "scene" if dice.chance(_SCENE_SHARE) else "object"
        return draw_picture(self.seed, index, self.size, kind=kind, subject=subject)

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """All pictures, `(images, size, size, 3)` uint8 RGB."""
        self._draw_all()
        return self._images

    @cached_property
    def presence(self) -> npt.NDArray[np.bool_]:
        """Which concepts each picture shows, `(images, concepts)` bool in the order of `world.WORDS`."""
        self._draw_all()
        return self._presence

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """Class ids, `(images,)` int64; -1 without a task."""
        return np.array([self._label(i) for i in range(self.num_images)], np.int64)

    def _checked(self, index: int) -> int:
        position = index + self.num_images if index < 0 else index
        if not 0 <= position < self.num_images:
            raise IndexError(f"index={index} is outside the {self.num_images} pictures")
        return position

    def _label(self, index: int) -> int:
        if self.task is None:
            return -1
        return CLASSES.index(self._dice(index).pick(CLASSES))

    def _dice(self, index: int) -> Dice:
        return Dice(self.seed, index, _LABEL_STREAM)

    def _draw_all(self) -> None:
        for index in range(self.num_images):
            self._draw(index)

    def _draw(self, index: int) -> None:
        if self._drawn[index]:
            return
        picture = self.picture(index)
        self._images[index] = picture.image
        self._presence[index] = picture.presence
        self._drawn[index] = True
