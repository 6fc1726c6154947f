"""Log-likelihood of concepts given sets of images: the inner loop of (soft-)WPMI.

`log p(d | B)` is a sum of `log(1 + q_r (p(d | x_r) - 1) + min_prob)` over the set's images. Where membership
q_r falls with the rank r it is computed as the logarithm of a product of probabilities; where all images
belong alike (WPMI), as a sum of logarithms, which do not change. Either is done for a block of concepts at a
time: of the softmax over all concepts only the normaliser of each image must be known first.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from conceptmon_tb.functional.acceleration import in_threads, kernels_for

_LARGEST_PRODUCT = 1e30  # of float32: far from its 1e38
_FACTORS_AT_ONCE = 4  # of the kernel: with fewer in a float32 product, torch computes
_ROWS_IN_CACHE = 1 << 14  # of a tile: a copy is read in order once, then in any order from the cache
_TILE_BYTES = 1 << 23  # tables in work at one time, where they are not kept
_CONCEPTS_AT_ONCE = 1024  # in one table of the torch code
_ELEMENTS_AT_ONCE = 1 << 16  # a running product of this many float32 stays in the cache
_ROWS_AT_ONCE = 1 << 18  # elements of the rows whose normalisers are computed together


class LogLikelihood:
    """`log p(d | B)` of any image sets B and all concepts d, for one probe and concept set.

    Args:
        concept_activations: `(images, concepts)` any real dtype, finite; not copied.
        scale: Factor of the cosines in the softmax over concepts.
        membership: q_r by rank, in (0, 1].
        min_prob: Added to every probability before the logarithm.
        cache_bytes: Largest table of (logarithms of) probabilities to keep; a larger one is made anew for
            each call.

    Attributes:
        constant: What all log-likelihoods have in common. Calls leave it out: it is large, and float32 would
            round what tells concepts apart.
    """

    def __init__(
        self,
        concept_activations: Tensor,
        scale: float,
        membership: Sequence[float],
        min_prob: float,
        cache_bytes: int,
    ) -> None:
        self._activations = concept_activations
        self._version = _version(concept_activations)
        self._scale = scale
        self._normaliser = _log_normaliser(concept_activations, scale)
        # 1 + q (p - 1) + m = c (1 + p q / c) with c = 1 - q + m, a product of numbers above 1
        rest = [max(1 - q + min_prob, 1 / _LARGEST_PRODUCT) for q in membership]
        self._slope = [q / c for q, c in zip(membership, rest, strict=True)]
        self._group = max(1, int(math.log(_LARGEST_PRODUCT) / math.log1p(max(self._slope))))
        images, concepts = concept_activations.shape
        self._adds = len(set(membership)) == 1
        if self._adds:  # relative to the mean probability: logarithms near 0, of which float32 keeps more
            mean = rest[0] + membership[0] / concepts
            self._factor, self._rest = membership[0] / mean, rest[0] / mean
            rest = [mean] * len(rest)
        self.constant = math.fsum(map(math.log, rest))
        self._keep = 4 * images * concepts <= cache_bytes
        self._kept: list[tuple[slice, Tensor]] = []

    def __call__(self, image_sets: Tensor) -> Tensor:
        """Log-likelihoods of image sets.

        Args:
            image_sets: `(sets, k)` int64 images by rank.

        Returns:
            `(sets, concepts)` float32 without `constant`, in new memory.

        Raises:
            RuntimeError: The concept activations were changed in place.
        """
        few = not self._adds and self._group < _FACTORS_AT_ONCE
        kernels = None if few else kernels_for(self._activations)
        likelihood = self._normaliser.new_empty((image_sets.shape[0], self._activations.shape[1]))
        if image_sets.shape[0] == 0:
            return likelihood
        tile = kernels.TILE if kernels else _CONCEPTS_AT_ONCE
        image_sets = image_sets.to(self._activations.device)
        for tables in self._tables(tile):
            if kernels:
                self._compiled(kernels, image_sets, tables, likelihood)
            else:
                for part, table in tables:
                    self._with_torch(image_sets, table, likelihood[:, part])
        return likelihood

    def _tables(self, tile: int) -> Iterator[list[tuple[slice, Tensor]]]:
        """Tables, each `(images, tile)` float32 of some concepts, a few at a time.

        They hold what `_compiled` multiplies or adds up: probabilities, or logarithms of them.
        """
        if self._kept and self._kept[0][1].shape[1] == tile:
            yield self._kept
            return
        if _version(self._activations) != self._version:
            raise RuntimeError(
                "concept_activations was changed in place since it was given; make a new object from it"
            )
        images, concepts = self._activations.shape
        parts = [slice(start, min(start + tile, concepts)) for start in range(0, concepts, tile)]
        at_once = max(1, _TILE_BYTES // (4 * images * tile))
        if at_once > torch.get_num_threads():
            at_once -= at_once % torch.get_num_threads()
        at_once = len(parts) if self._keep else min(len(parts), at_once)
        memory = self._normaliser.new_zeros((at_once, images, tile))
        for start in range(0, len(parts), at_once):
            tables = list(zip(parts[start : start + at_once], memory, strict=False))
            for part, table in tables:
                self._fill(table[:, : part.stop - part.start], part)
            if self._keep:
                self._kept = tables
            yield tables

    def _fill(self, table: Tensor, part: slice) -> None:
        torch.add(self._normaliser, self._activations[:, part].float(), alpha=self._scale, out=table)
        table.exp_()
        if self._adds:
            table.mul_(self._factor).add_(self._rest).log_()

    def _compiled(
        self, kernels: ModuleType, image_sets: Tensor, tables: list[tuple[slice, Tensor]], out: Tensor
    ) -> None:
        sets, slope = self._padded(image_sets)
        group = self._group - self._group % _FACTORS_AT_ONCE
        likelihood = out.numpy()
        pieces = [(part.start, table.numpy()) for part, table in tables]
        split = -(-torch.get_num_threads() // len(pieces))  # few concepts: threads share the image sets
        chunk = -(-len(sets) // split)
        own = threading.local()  # memory of a thread, which stays in its cache from tile to tile

        def work_on(work: slice) -> None:
            for task in range(work.start, work.stop):
                first, table = pieces[task // split]
                rows = slice(task % split * chunk, (task % split + 1) * chunk)
                if len(table) <= min(_ROWS_IN_CACHE, sets[rows].size):
                    if not hasattr(own, "near"):
                        own.near = np.empty_like(table)
                    np.copyto(own.near, table)
                    table = own.near
                if self._adds:
                    kernels.add_rows(table, sets[rows], first, likelihood[rows])
                else:
                    kernels.log_products(table, sets[rows], slope, group, first, likelihood[rows])

        in_threads(work_on, len(pieces) * split, 1)

    def _padded(self, image_sets: Tensor) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """The sets and slopes, for products with ranks of slope 0, a factor of 1, up to whole groups."""
        size = len(self._slope)
        padded = size if self._adds else size + -size % _FACTORS_AT_ONCE
        sets = np.zeros((len(image_sets), padded), np.uint32)
        sets[:, :size] = image_sets.numpy()
        slope = np.zeros(padded, np.float32)
        slope[:size] = self._slope
        return sets, slope

    def _with_torch(self, image_sets: Tensor, table: Tensor, out: Tensor) -> None:
        """What `kernels.add_rows` and `kernels.log_products` do, in float32 throughout."""
        width = out.shape[1]
        sets_at_once = max(8, _ELEMENTS_AT_ONCE // width)
        for sets, total in zip(
            torch.split(image_sets, sets_at_once), torch.split(out, sets_at_once), strict=True
        ):
            total.zero_()
            product = torch.ones_like(total)
            for rank, images in enumerate(sets.T.contiguous()):
                factor = table.index_select(0, images)[:, :width]
                if self._adds:
                    total.add_(factor)
                    continue
                product.addcmul_(product, factor, value=self._slope[rank])
                if rank % self._group == self._group - 1 or rank == len(self._slope) - 1:
                    total.add_(product.log_())
                    product.fill_(1.0)


def _log_normaliser(concept_activations: Tensor, scale: float) -> Tensor:
    """Minus the logarithm of the softmax's denominator, `(images, 1)` float32."""
    images, concepts = concept_activations.shape
    normaliser = concept_activations.new_empty((images, 1), dtype=torch.float32)
    rows_at_once = max(1, _ROWS_AT_ONCE // concepts)
    for start in range(0, images, rows_at_once):
        part = slice(start, start + rows_at_once)
        scaled = concept_activations[part].float().contiguous() * scale
        torch.logsumexp(scaled, dim=1, keepdim=True, out=normaliser[part])
    return normaliser.neg_()


def _version(tensor: Tensor) -> int | None:
    """Number of in-place changes so far, None where torch does not count them."""
    return None if tensor.is_inference() else tensor._version  # noqa: SLF001  # torch has no public name
