"""The embedding steps of ConceptEvo, restated from its dissertation (Algorithms 1 to 4) in plain Python.

Loops as in the published code, github.com/poloclub/ConceptEvo, written anew: over neurons and images
for stimuli, over pairs for neurons (a few NumPy operations on single vectors for each), over images and their
neurons for image embedding. Progress bars and files are left out, and the sign of Eq. 7.2 and 7.3 is the one
that goes down the loss. Random draws are handed in, so that both sides learn from the same ones.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


def get_stimuli(activations: Tensor, k: int, batch: int = 256) -> list[list[int]]:
    """Algorithm 2: a sorted list of k images for each neuron, to which each batch's best are offered."""
    values = [[-np.inf] * k for _ in range(activations.shape[1])]
    images = [[-1] * k for _ in range(activations.shape[1])]
    for first in range(0, len(activations), batch):
        part = activations[first : first + batch]
        for neuron in range(part.shape[1]):
            found, at = torch.sort(part[:, neuron], descending=True)
            best, places = found.numpy(), at.numpy()
            for rank in range(min(k, len(best))):
                insert(values[neuron], images[neuron], best[rank], first + int(places[rank]))
    return images


def insert(values: list[float], images: list[int], value: float, image: int) -> None:
    """Put one image where it belongs, and drop the last one."""
    for place, there in enumerate(values):
        if value > there:
            values.insert(place, value)
            images.insert(place, image)
            values.pop()
            images.pop()
            return


def co_activated(stimuli: Ints) -> dict[int, list[int]]:
    """Algorithm 3: the neurons that each image excites."""
    excited: dict[int, list[int]] = {}
    for neuron, images in enumerate(stimuli.tolist()):
        for image in images:
            excited.setdefault(image, []).append(neuron)
    return excited


def sample_pairs(excited: dict[int, list[int]], random: np.random.Generator) -> list[tuple[int, int]]:
    """Algorithm 4: shuffled sliding windows of two."""
    pairs = []
    for neurons in excited.values():
        shuffled = random.permutation(neurons).tolist()
        pairs += list(pairwise(shuffled))
    return pairs


def embed_neurons(vectors: Floats, pairs: Ints, negatives: Ints, rate: float) -> None:
    """Algorithm 1, one pass: gradient descent pair by pair; `vectors` is altered."""
    for (n, m), drawn in zip(pairs.tolist(), negatives.tolist(), strict=True):
        v_n, v_m = vectors[n], vectors[m]
        near = 1 - sigmoid(np.dot(v_n, v_m))
        slope_n, slope_m = near * v_m, near * v_n
        for r in drawn:
            if r not in (n, m):
                v_r = vectors[r]
                slope_n = slope_n - sigmoid(np.dot(v_n, v_r)) * v_r
                slope_m = slope_m - sigmoid(np.dot(v_m, v_r)) * v_r
        vectors[n] = v_n + rate * slope_n
        vectors[m] = v_m + rate * slope_m


def embed_images(
    images: Floats, vectors: Floats, stimuli: Ints, excited: dict[int, list[int]], rate: float
) -> None:
    """Eq. 7.6, one pass: gradient descent image by image; `images` is altered."""
    for image, neurons in excited.items():
        slope = np.zeros(images.shape[1])
        for n in neurons:
            approximated = np.mean([images[x] for x in stimuli[n]], axis=0)
            slope += (approximated - vectors[n]) / len(stimuli[n])
        images[image] -= rate * slope


def image_loss(images: Floats, vectors: Floats, stimuli: Ints) -> float:
    """J2 of Eq. 7.5."""
    return 0.5 * float(np.square(images[stimuli].mean(axis=1) - vectors).sum())


def sigmoid(x: float) -> float:
    """Of a number."""
    return float(1 / (1 + np.exp(-x)))
