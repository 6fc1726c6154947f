"""Probe sets that also know where concepts are: what Network Dissection compares activation maps with."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm.auto import tqdm

from conceptmon_tb.broden import BrodenDataset
from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.functional.iou import ConceptMasks
from conceptmon_tb.masks import ImageMasks, WorldMasks
from conceptmon_tb.patches import View
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_source import MapDataset
from conceptmon_tb.snapshot import IntArray
from conceptmon_tb.world import WorldDataset

logger = logging.getLogger(__name__)

_NUM_RECENT = 512  # masks that do not fit the cache and are still kept: those of a batch, for every layer


class MaskedProbe(ProbeSet):
    """A probe set whose pictures come with pixel masks of concepts.

    Masks follow the pictures through the transform: where it shows a part of every picture (a central
    crop), or mirrors it, so do the masks. They are packed to bits and kept in memory as far as
    `mask_cache_bytes` reach; further ones are read anew each time.

    Args:
        source: As in `ProbeSet`.
        masks: From the number of an item of `source` to its masks.
        concepts: What the masks' concept ids mean; with categories, an image counts for a concept only if
            it is annotated for the concept's category.
        transform: As in `ProbeSet`.
        mask_cache_bytes: Memory for masks.
        **options: Further keyword arguments of `ProbeSet`.

    Raises:
        TypeError: `masks` cannot be called, or `concepts` is no concept set.

    Example:
        >>> probe = MaskedProbe.world(20, size=32)
        >>> image = probe.masks(3)
        >>> image.masks.shape[0] == len(image.concept_ids) and image.masks.shape[1:] == (32, 32)
        True
    """

    def __init__(
        self,
        source: MapDataset | Sequence[Any] | str | Path,
        masks: Callable[[int], ImageMasks],
        concepts: ConceptSet,
        transform: Callable[[Any], Tensor] | None = None,
        *,
        mask_cache_bytes: int = 1 << 29,
        **options: Any,
    ) -> None:
        if not callable(masks):
            raise TypeError(
                f"masks must be a function from an item's number to ImageMasks, got {type(masks).__name__}"
            )
        if not isinstance(concepts, ConceptSet):
            raise TypeError(f"concepts must be a ConceptSet, got {type(concepts).__name__}")
        super().__init__(source, transform, **options)
        self.concepts = concepts
        self.mask_cache_bytes = mask_cache_bytes
        self._read_masks = masks
        self._kept: dict[int, _Packed] = {}
        self._kept_bytes = 0
        self._recent: OrderedDict[int, _Packed] = OrderedDict()
        self._areas: tuple[Tensor, Tensor] | None = None

    @classmethod
    def world(
        cls,
        num_images: int = 2000,
        size: int = 64,
        seed: int = 1_000_003,
        transform: Callable[[Any], Tensor] | None = None,
        **options: Any,
    ) -> MaskedProbe:
        """Held-out pictures of the picture world with exact masks of all its concepts.

        Args:
            num_images: How many.
            size: Side in pixels.
            seed: Of the pictures; with equal arguments they are those of `ProbeSet.world`.
            transform: As in `ProbeSet`.
            **options: Further keyword arguments of `MaskedProbe`.

        Returns:
            The probe set.
        """
        if num_images < 1:
            raise ValueError(f"num_images must be at least 1, got {num_images}")
        pictures = WorldDataset(num_images, seed, size=size)
        return cls(pictures, WorldMasks(pictures), ConceptSet.world(), transform, **options)

    @classmethod
    def broden(
        cls,
        root: str | Path,
        split: str | None = None,
        transform: Callable[[Any], Tensor] | None = None,
        *,
        categories: Sequence[str] | None = None,
        **options: Any,
    ) -> MaskedProbe:
        """Pictures and masks of a directory in Broden's layout.

        Args:
            root: The directory that holds `index.csv`.
            split: "train" or "val"; None for all.
            transform: As in `ProbeSet`.
            categories: Categories to use; None for all.
            **options: Further keyword arguments of `MaskedProbe`.

        Returns:
            The probe set; its `concepts` are the labels with their categories.
        """
        pictures = BrodenDataset(root, split, categories)
        return cls(pictures, pictures.masks, pictures.concepts, transform, **options)

    def part(self, images: Sequence[int] | IntArray) -> MaskedProbe:
        """Some of the pictures with their masks; see `ProbeSet.part`."""
        part = super().part(images)
        assert isinstance(part, MaskedProbe)
        part._forget_masks()  # noqa: SLF001
        return part

    def _forget_masks(self) -> None:
        self._kept, self._kept_bytes, self._recent, self._areas = {}, 0, OrderedDict(), None
        self.__dict__.pop("_view", None)

    @cached_property
    def category_ids(self) -> Tensor:
        """`(concepts,)` int64, the category of each concept; `num_categories - 1` for those without one."""
        place = {category: i for i, category in enumerate(self.concepts.category_names)}
        return torch.tensor([place.get(category, len(place)) for category in self.concepts.categories])

    @property
    def num_categories(self) -> int:
        """Categories of the concepts, and one more for concepts without a category."""
        return len(self.concepts.category_names) + 1

    def masks(self, image: int) -> ConceptMasks:
        """Where concepts are in the model's input for one image.

        Args:
            image: Id of the image, 0 up to `len(self)`.

        Returns:
            Concept ids in `concepts`, their masks, and the categories that the image is annotated for;
            every image is annotated for concepts without a category.

        Raises:
            TypeError: `masks` gave something else than `ImageMasks`, or ids that are no whole numbers.
            ValueError: The masks have a wrong shape or an unknown concept id.
        """
        packed = self._packed(image)
        annotated = torch.ones(self.num_categories, dtype=torch.bool)
        if packed.annotated is not None:
            known = [category in packed.annotated for category in self.concepts.category_names]
            annotated[: len(known)] = torch.tensor(known, dtype=torch.bool)
        ids = torch.from_numpy(packed.concept_ids.astype(np.int64))
        return ConceptMasks(ids, torch.from_numpy(packed.unpack()), annotated)

    def _packed(self, image: int) -> _Packed:
        """From memory, where it is: all images up to the limit, and of further ones the most recent."""
        for kept in (self._kept, self._recent):
            if image in kept:
                return kept[image]
        masks = _check_masks(self._read_masks(int(self._indices[image])), len(self.concepts), image)
        packed = _Packed(masks.seen_through(self._view))
        if self._kept_bytes + packed.num_bytes <= self.mask_cache_bytes:
            self._kept[image] = packed
            self._kept_bytes += packed.num_bytes
        else:
            self._recent[image] = packed
            if len(self._recent) > _NUM_RECENT:
                self._recent.popitem(last=False)
        return packed

    def concept_shares(self, *, progress: bool = False) -> Tensor:
        """How much of each image shows each concept: the exact counterpart of a CLIP's concept activations.

        Args:
            progress: Show a progress bar while masks are read, the first time.

        Returns:
            `(images, concepts)` float32, shares of the pixels in [0, 1].
        """
        return self._read_areas(progress)[0]

    def concept_pixels(self, *, progress: bool = False) -> Tensor:
        """How many pixels show each concept, in all images together.

        Args:
            progress: Show a progress bar while masks are read, the first time.

        Returns:
            `(concepts,)` int64.
        """
        return self._read_areas(progress)[1]

    def _read_areas(self, progress: bool) -> tuple[Tensor, Tensor]:
        if self._areas is None:
            shares = torch.zeros(len(self), len(self.concepts), dtype=torch.float32)
            pixels = torch.zeros(len(self.concepts), dtype=torch.int64)
            for i in tqdm(range(len(self)), "Reading the masks", disable=not progress):
                image = self.masks(i)
                area = image.masks.flatten(1).sum(dim=1)
                shares[i, image.concept_ids] = area.float() / (image.masks.shape[1] * image.masks.shape[2])
                pixels[image.concept_ids] += area
            self._areas = shares, pixels
        return self._areas

    @cached_property
    def _view(self) -> View | None:
        if self.view is None:
            logger.warning(
                "transform does not show one and the same rectangle of every picture, so masks are taken to "
                "lie over the model's whole input; where it crops or rotates, give masks that fit"
            )
        return self.view


class _Packed:
    """Masks of an image at one bit a pixel."""

    def __init__(self, image: ImageMasks) -> None:
        self.concept_ids = image.concept_ids
        self.annotated = image.annotated
        self._shape = present, rows, columns = image.masks.shape
        self._bits = np.packbits(image.masks.reshape(present, rows * columns), axis=1)

    @property
    def num_bytes(self) -> int:
        return self._bits.nbytes + self.concept_ids.nbytes

    def unpack(self) -> npt.NDArray[np.bool_]:
        pixels = self._shape[1] * self._shape[2]
        return np.unpackbits(self._bits, axis=1, count=pixels).view(np.bool_).reshape(self._shape)


def _check_masks(image: object, num_concepts: int, number: int) -> ImageMasks:
    if not isinstance(image, ImageMasks):
        raise TypeError(f"masks must give ImageMasks, got {type(image).__name__} for image {number}")
    ids = np.asarray(image.concept_ids)
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"concept_ids of image {number} must be whole numbers, got {ids.dtype}")
    if isinstance(image.annotated, str):
        raise TypeError(f"annotated of image {number} must be a set of categories, got {image.annotated!r}")
    if (
        image.masks.ndim != 3
        or image.masks.dtype != np.bool_
        or ids.shape != image.masks.shape[:1]
        or 0 in image.masks.shape[1:]
    ):
        raise ValueError(
            f"masks of image {number} must be (concepts present, rows, columns) bool, one for each of "
            f"{ids.shape} concept_ids, got {image.masks.shape} {image.masks.dtype}"
        )
    if len(np.unique(ids)) != len(ids) or (len(ids) and not 0 <= ids.min() <= ids.max() < num_concepts):
        raise ValueError(
            f"concept_ids of image {number} must name concepts 0..{num_concepts - 1}, each once, "
            f"got {ids.tolist()!r:.120}"
        )
    return replace(image, concept_ids=ids.astype(np.int32))
