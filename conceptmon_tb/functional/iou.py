"""Intersection over union of activation maps and concept masks, the similarity of Network Dissection.

`iou` takes all masks at once; `IouTally` counts the same pixels image by image, so that neither maps nor
masks are ever held together, and follows the published rule for images that are annotated in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from conceptmon_tb.detectors.base import Sums

MAX_PIXELS_AT_ONCE = 1 << 20
"""Pixels of enlarged maps held at once: 4 MiB in float32, which caches hold."""

MAX_CELLS_FOR_PRODUCTS = 64
"""Sides up to which interpolation by two matrix products is faster than torch's own on the CPU."""


class ConceptMasks(NamedTuple):
    """Where concepts are in one image.

    Attributes:
        concept_ids: `(present,)` int64, the concepts that occur, each once.
        masks: `(present, rows, columns)` bool, where they are.
        annotated: `(categories,)` bool, the categories for which the image is annotated at all.
    """

    concept_ids: Tensor
    masks: Tensor
    annotated: Tensor


class IouCounts(NamedTuple):
    """Pixels counted over all images, and what they come to.

    Attributes:
        truth: `(concepts,)` int64, pixels of each concept.
        activation: `(neurons, concepts)` int64, pixels where the neuron is on, in the images that are
            annotated for the concept's category.
        intersect: `(neurons, concepts)` int64, pixels of both.
        iou: `(neurons, concepts)` float32 in [0, 1]; 0 where nothing was counted.
    """

    truth: Tensor
    activation: Tensor
    intersect: Tensor
    iou: Tensor


def iou(activation_masks: Tensor, concept_masks: Tensor) -> Tensor:
    """Share of pixels where both are on among those where either is, over all images.

    Args:
        activation_masks: `(images, neurons, height, width)` bool, thresholded activation maps.
        concept_masks: `(images, concepts, height, width)` bool.

    Returns:
        `(neurons, concepts)` float32 in [0, 1]; 0 where neither is on anywhere.

    Raises:
        ValueError: Shapes do not fit.

    Source: Network Dissection (Bau et al., CVPR 2017); Concept-Monitor, thesis section 2.1.1.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[[True, True, False]]]])
        >>> iou(mask, torch.tensor([[[[False, True, True]]]])).item() == 1 / torch.tensor(3.0)
        tensor(True)
    """
    fits = activation_masks.ndim == concept_masks.ndim == 4
    if not fits or (activation_masks.shape[0], activation_masks.shape[2:]) != (
        concept_masks.shape[0],
        concept_masks.shape[2:],
    ):
        raise ValueError(
            "activation_masks and concept_masks must be (images, neurons or concepts, height, width) over "
            f"the same pixels, got {tuple(activation_masks.shape)} and {tuple(concept_masks.shape)}"
        )
    neurons = activation_masks.transpose(0, 1).flatten(1).double()  # exact counts beyond 2**24 pixels
    concepts = concept_masks.transpose(0, 1).flatten(1).double()
    both = neurons @ concepts.T
    either = neurons.sum(dim=1, keepdim=True) + concepts.sum(dim=1) - both
    return (both / either.clamp_min(1)).float()


class IouTally:
    """Counts pixels of neurons, and of neurons and concepts, one image after the other, as exact integers.

    Images count for a concept only when they are annotated for its category: a data set joined from
    several sources does not tell where the textures are in images that were searched for objects. Memory is
    that of the counts, whatever the number of images.

    Args:
        num_neurons: Neurons of the layer.
        categories: `(concepts,)` int64, the category of each concept, numbered from 0.
        num_categories: How many categories there are.
        num_pairings: How often to count: an image's maps may be paired with its own masks, and for
            comparison with those of other images.

    Source: Network Dissection (Bau et al., CVPR 2017), section 2.3.
    """

    def __init__(
        self, num_neurons: int, categories: Tensor, num_categories: int, num_pairings: int = 1
    ) -> None:
        self._categories = categories
        self._activation = torch.zeros(num_pairings, num_neurons, num_categories, dtype=torch.int64)
        self._intersect = torch.zeros(num_pairings, num_neurons, len(categories), dtype=torch.int64)

    @property
    def num_pairings(self) -> int:
        """How often is counted."""
        return len(self._intersect)

    def add(self, neurons: Tensor, on: Tensor, paired: Mapping[int, ConceptMasks]) -> None:
        """Count some neurons of an image.

        Args:
            neurons: `(active,)` int64, each once.
            on: `(active, pixels)` float32 zeros and ones, where they are on, at the masks' resolution.
            paired: By number of the pairing, the masks to compare with, all of one resolution.
        """
        masks = torch.cat([image.masks.flatten(1) for image in paired.values()])
        with torch.autocast(on.device.type, enabled=False):  # half precision would round the counts
            # Sums of zeros and ones: exact in float32 up to 2**24 pixels of one image.
            both = (on @ masks.to(on.device, torch.float32).T).cpu().long()
            area = on.sum(dim=1).cpu().long()
        neurons, start = neurons.cpu(), 0
        for pairing, image in paired.items():
            end = start + len(image.concept_ids)
            self._intersect[pairing][neurons[:, None], image.concept_ids] += both[:, start:end]
            self._activation[pairing][neurons] += area[:, None] * image.annotated
            start = end

    def merge(self, sums: Sums) -> None:
        """Count what all ranks of a distributed training have counted, each in images of its own.

        Args:
            sums: Over the ranks.
        """
        self._activation = sums.sum(self._activation)
        self._intersect = sums.sum(self._intersect)

    def counts(self, truth: Tensor, pairing: int = 0) -> IouCounts:
        """What has been counted so far.

        Args:
            truth: `(concepts,)` int64, pixels of each concept in all images.
            pairing: Number of the pairing.
        """
        activation = self._activation[pairing][:, self._categories]
        intersect = self._intersect[pairing].clone()
        either = activation + truth - intersect
        ratio = intersect.double() / either.double().clamp_min(1)
        return IouCounts(truth, activation, intersect, ratio.float())


def active_pixels(
    maps: Tensor, thresholds: Tensor, rows: int, columns: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Where neurons are on in one image, at the resolution of its masks.

    Maps are enlarged by bilinear interpolation, and a pixel is on above the threshold. Neurons that are
    off everywhere are left out before: interpolation gives nothing above the largest activation, and with
    a quantile of 0.005 most neurons are off in most images.

    Args:
        maps: `(neurons, map rows, map columns)` any real dtype, all neurons of one image.
        thresholds: `(neurons,)` float32 T_k; a neuron with NaN is never on.
        rows: Rows of the masks.
        columns: Columns of the masks.

    Yields:
        Some neurons at a time, so that at most `MAX_PIXELS_AT_ONCE` pixels (or one neuron's) are held:
        `(active,)` int64 neurons, and `(active, rows * columns)` float32 zeros and ones.
    """
    maps = maps.detach().float()
    thresholds = thresholds.to(maps.device)
    active = (maps.flatten(1).amax(dim=1) > thresholds).nonzero().squeeze(1)
    if len(active) == 0:
        return
    for neurons in torch.split(active, max(1, MAX_PIXELS_AT_ONCE // (rows * columns))):
        large = enlarge(maps[neurons], rows, columns).flatten(1)
        yield neurons, torch.gt(large, thresholds[neurons, None], out=torch.empty_like(large))


def enlarge(maps: Tensor, rows: int, columns: int) -> Tensor:
    """Bring maps to another resolution by bilinear interpolation.

    A map's cells are taken to tile the image, their values to sit at the cells' centres (as in the published
    PyTorch code; the older Caffe code places them at the centres of the receptive fields). Beyond the outer
    centres the outermost value holds. Maps finer than the masks are averaged by a triangle filter.

    Args:
        maps: `(neurons, map rows, map columns)` float32.
        rows: Rows wanted.
        columns: Columns wanted.

    Returns:
        `(neurons, rows, columns)` float32.
    """
    if maps.shape[1:] == (rows, columns):
        return maps
    plain = maps.device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"
    if plain and max(maps.shape[1:]) <= MAX_CELLS_FOR_PRODUCTS:
        down, across = _weights(maps.shape[1], rows), _weights(maps.shape[2], columns)
        with torch.autocast("cpu", enabled=False):
            return down @ maps @ across.T
    finer = maps.shape[1] > rows or maps.shape[2] > columns
    return F.interpolate(
        maps[None], size=(rows, columns), mode="bilinear", align_corners=False, antialias=finer
    )[0]


@lru_cache(maxsize=64)
def _weights(cells: int, pixels: int) -> Tensor:
    """`(pixels, cells)`, how much each cell of an axis weighs in each pixel."""
    with torch.inference_mode(False), torch.no_grad():
        one_each = torch.eye(cells, dtype=torch.float32)[None, None]
        size = (pixels, cells)
        return F.interpolate(one_each, size, mode="bilinear", align_corners=False, antialias=cells > pixels)[
            0, 0
        ]
