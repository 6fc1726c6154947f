"""Images as the bridge between models (Step 2.1): the base model's neurons place the images that excite them.

An image's vector is such that the mean of a neuron's stimuli is near the neuron (Eq. 7.4, 7.5). Images are
often more than neurons, so many sets of vectors fit equally well; `METHODS` tells between which to choose.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from conceptmon_tb.evolution.co_activation import CoActivation
from conceptmon_tb.evolution.learning import learn_embedding
from conceptmon_tb.snapshot import BoolArray, FloatArray, IntArray

ImageMethod = Literal["mean", "ridge", "least_squares"]

METHODS = get_args(ImageMethod)
"""How images are placed: "mean" at the mean of the neurons that they excite; "least_squares" where J2 of Eq.
7.5 is least, the shortest such vectors; "ridge" where J2 + 0.05 |v_x|^2 is."""

RIDGE = 0.1

UNKNOWN, DIRECT, INDIRECT = 0, 1, 2
"""How an image is known: not at all; as a stimulus of the base model; by the neurons that it excites most."""

_MOST_STEPS, _PRECISION = 500, 1e-5
_ROWS_AT_ONCE = 1 << 14


class Membership:
    """The matrix of Eq. 7.4, `(neurons, images)`: 1/|X_n| where an image is a stimulus of a neuron, else 0.

    Args:
        stimuli: `(neurons, k)` image ids, -1 for none.
        num_images: Number of images.
    """

    def __init__(self, stimuli: IntArray, num_images: int) -> None:
        self.num_images = num_images
        neuron, place = np.nonzero(stimuli >= 0)
        image = stimuli[neuron, place].astype(np.int64)
        counts = np.bincount(neuron, minlength=len(stimuli))
        order = np.argsort(image, kind="stable")
        weight = (1 / counts[neuron]).astype(np.float32)
        self.counts = np.bincount(image, minlength=num_images)
        self._images, self._weights = torch.from_numpy(image), torch.from_numpy(weight)
        self._neurons = torch.from_numpy(neuron[order])
        self._weights_by_image = torch.from_numpy(weight[order])
        self._by_neuron, self._by_image = _starts(counts), _starts(self.counts)

    def average(self, images: Tensor) -> Tensor:
        """Eq. 7.4: the mean of each neuron's stimuli, `(neurons, dim)` of `(images, dim)` float32."""
        return F.embedding_bag(
            self._images, images, self._by_neuron, mode="sum", per_sample_weights=self._weights
        )

    def collect(self, neurons: Tensor) -> Tensor:
        """The transposed matrix times `(neurons, dim)` float32, as in Eq. 7.6: `(images, dim)`."""
        return F.embedding_bag(
            self._neurons, neurons, self._by_image, mode="sum", per_sample_weights=self._weights_by_image
        )

    def mean_of_neurons(self, neurons: Tensor) -> Tensor:
        """The mean of the neurons that each image excites, `(images, dim)`; 0 for those that excite none."""
        return F.embedding_bag(self._neurons, neurons, self._by_image, mode="mean")


def embed_images(
    vectors: FloatArray,
    placed: BoolArray,
    stimuli: IntArray,
    num_images: int,
    method: ImageMethod = "mean",
) -> tuple[FloatArray, BoolArray]:
    """Place the images that are stimuli of placed neurons.

    Args:
        vectors: `(neurons, dim)` float32, embeddings of the base model's neurons.
        placed: `(neurons,)` bool, neurons that have one.
        stimuli: `(neurons, k)` int32 image ids, -1 for none.
        num_images: Number of images.
        method: One of `METHODS`; docs/evolution.md tells how well each places other models' neurons.

    Returns:
        `(images, dim)` float32, 0 for images that are no stimulus, and `(images,)` bool, whether they are.

    Raises:
        ValueError: There is no such method.

    Source: ConceptEvo, dissertation section 7.2.2, Step 2.1, Eq. 7.4 to 7.6.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    known = np.flatnonzero(placed)
    membership = Membership(stimuli[known], num_images)
    target = torch.from_numpy(vectors[known])
    if method == "mean":
        images = membership.mean_of_neurons(target)
    else:
        images = _solve(membership, target, RIDGE if method == "ridge" else 0.0)
    return images.numpy(), membership.counts > 0


def embed_further_images(
    image_vectors: FloatArray,
    covered: BoolArray,
    top_neurons: IntArray,
    *,
    num_negatives: int,
    repeats: int,
    rate: float,
    seed: int = 0,
    progress: bool = False,
) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Place images outside the base model's stimuli by the neurons that they share with others.

    As neurons in Step 1: images that excite the same neurons are paired by sliding windows, and those that
    are placed already stay where they are.

    Args:
        image_vectors: `(images, dim)` float32 from `embed_images`.
        covered: `(images,)` bool from there.
        top_neurons: `(images, k)` int32, the neurons that each image excites most, -1 for none.
        num_negatives: As for `learn_embedding`.
        repeats: As for `learn_embedding`.
        rate: As for `learn_embedding`.
        seed: As for `learn_embedding`.
        progress: As for `learn_embedding`.

    Returns:
        `(images, dim)` float32 and `(images,)` uint8: `DIRECT`, `INDIRECT`, or `UNKNOWN` for images that no
        chain of shared neurons connects to a covered one.

    Source: ConceptEvo, dissertation section 7.2.2, Step 2.1.
    """
    vectors, placed = learn_embedding(
        CoActivation(top_neurons),
        dim=image_vectors.shape[1],
        num_negatives=num_negatives,
        repeats=repeats,
        rate=rate,
        seed=seed,
        start=image_vectors,
        fixed=covered,
        progress=progress,
        title="Embedding further images",
    )
    coverage = np.where(covered, DIRECT, np.where(placed, INDIRECT, UNKNOWN)).astype(np.uint8)
    return np.where(covered[:, None], image_vectors, vectors), coverage


def average_images(
    stimuli: IntArray, image_vectors: FloatArray, coverage: npt.NDArray[np.uint8]
) -> tuple[FloatArray, IntArray]:
    """Place neurons at the mean of their stimuli that are known directly, else indirectly (Step 2.2).

    Args:
        stimuli: `(neurons, k)` int32 image ids of any model at any epoch, -1 for none.
        image_vectors: `(images, dim)` float32.
        coverage: `(images,)` uint8: `DIRECT`, `INDIRECT` or `UNKNOWN`.

    Returns:
        `(neurons, dim)` float32 and `(neurons,)` int32, how many stimuli each mean is of; a neuron without
        one has a row of zeros. A row depends on nothing but its own stimuli, to the last bit.

    Source: ConceptEvo, dissertation section 7.2.2, Step 2.2.
    """
    vectors = np.zeros((len(stimuli), image_vectors.shape[1]), np.float32)
    counts = np.zeros(len(stimuli), np.int32)
    for first in range(0, len(stimuli), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        ids = stimuli[part].clip(min=0)
        how = np.where(stimuli[part] >= 0, coverage[ids], UNKNOWN)
        used = how == DIRECT
        used |= (how == INDIRECT) & ~used.any(axis=1, keepdims=True)
        counts[part] = used.sum(axis=1)
        total = np.where(used[:, :, None], image_vectors[ids], np.float32(0)).sum(axis=1)
        vectors[part] = total / counts[part, None].clip(min=1)
    return vectors, counts


def _solve(membership: Membership, target: Tensor, ridge: float) -> Tensor:
    """Conjugate gradients on Eq. 7.6 = 0 for all dimensions side by side, from 0: the shortest solution."""
    solution = target.new_zeros(membership.num_images, target.shape[1])
    residual = membership.collect(target)
    direction, left = residual.clone(), residual.square().sum(dim=0)
    enough, tiny = left * _PRECISION**2, torch.finfo(torch.float32).tiny
    for _ in range(_MOST_STEPS):
        if bool((left <= enough).all()):
            break
        image = membership.collect(membership.average(direction)).add_(direction, alpha=ridge)
        step = left / (direction * image).sum(dim=0).clamp(min=tiny)
        solution.addcmul_(direction, step)
        residual.addcmul_(image, step, value=-1)
        before, left = left, residual.square().sum(dim=0)
        direction.mul_(left / before.clamp(min=tiny)).add_(residual)
    return solution


def _starts(counts: npt.NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.concatenate([[0], np.cumsum(counts[:-1])]).astype(np.int64))
