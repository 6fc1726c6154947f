"""How diverse a layer's concepts are: anchor distance (Eq. 2.2), spread, displacement, counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_ROWS_AT_ONCE = 512
_PAIR_ROWS_AT_ONCE = 128  # what lies below the diagonal is computed in vain: short blocks have little of it


def anchor_distances(embedding: Tensor, anchors: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Distance from each anchor to its nearest neuron, and which neuron that is.

    Args:
        embedding: `(neurons, dim)` u_j of Eq. 2.1.
        anchors: `(anchors, dim)` unit text embeddings f(a_i).
        mask: `(neurons,)` bool, neurons to consider; None for all.

    Returns:
        `(anchors,)` float32 Euclidean distances, NaN when there is no neuron, differentiable in
        `embedding`; and `(anchors,)` int64 indices into `embedding` (the first of equally near ones), -1
        when there is no neuron.

    Raises:
        ValueError: Shapes do not fit.

    Source: Concept-Monitor, thesis section 2.1.3, Eq. 2.2.
    """
    _check_matrices(embedding, anchors)
    if mask is None:
        mask = torch.ones(embedding.shape[0], dtype=torch.bool, device=embedding.device)
    (nearest,) = _nearest(embedding, anchors, [mask])
    return _distances_to(nearest, embedding, anchors), nearest


def anchor_distance(embedding: Tensor, anchors: Tensor, mask: Tensor | None = None) -> Tensor:
    """d_anchor: mean distance from the anchors to the nearest neuron; low where concepts are diverse.

    The published form takes all neurons, and rewards noise: scattered meaningless neurons come near many
    anchors. With `mask` set to the interpretable neurons it is the gated anchor distance.

    Args:
        embedding: `(neurons, dim)` u_j of Eq. 2.1.
        anchors: `(anchors, dim)` unit text embeddings f(a_i); at least one.
        mask: `(neurons,)` bool, neurons to consider; None for all.

    Returns:
        Scalar float32, NaN when there is no neuron. Differentiable in `embedding`.

    Raises:
        ValueError: Shapes do not fit, or there are no anchors.

    Source: Concept-Monitor, thesis section 2.1.3, Eq. 2.2.

    Example:
        >>> anchor_distance(torch.eye(3)[:2], torch.eye(3)).item() - 2 ** 0.5 / 3 < 1e-6
        True
    """
    _check_some(anchors)
    return anchor_distances(embedding, anchors, mask)[0].mean()


def anchor_distance_by_mask(embedding: Tensor, anchors: Tensor, masks: Sequence[Tensor]) -> list[Tensor]:
    """d_anchor over several sets of neurons, such as all and the interpretable, for the work of one.

    Args:
        embedding: `(neurons, dim)` u_j of Eq. 2.1.
        anchors: `(anchors, dim)` unit text embeddings f(a_i); at least one.
        masks: `(neurons,)` bool each, neurons to consider.

    Returns:
        For each mask what `anchor_distance` gives with it.

    Raises:
        ValueError: Shapes do not fit, or there are no anchors.
    """
    _check_some(anchors)
    _check_matrices(embedding, anchors)
    found = _nearest(embedding, anchors, masks)
    return [_distances_to(nearest, embedding, anchors).mean() for nearest in found]


def mean_pairwise_distance(embedding: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean Euclidean distance over all pairs of different neurons.

    Args:
        embedding: `(neurons, dim)`.
        mask: `(neurons,)` bool, neurons to consider; None for all.

    Returns:
        Scalar float32 in units of the embedding space; NaN with fewer than two neurons.

    Raises:
        ValueError: Shapes do not fit.

    Source: Concept-Monitor, thesis section 4.0.3.
    """
    _check_matrices(embedding, embedding)
    if mask is not None:
        embedding = embedding[_check_mask(mask, embedding.shape[0])]
    neurons = embedding.shape[0]
    if neurons < 2:
        return torch.full((), torch.nan, device=embedding.device)
    points = embedding.detach().double()
    points = points - points.mean(dim=0)
    total = points.new_zeros(())
    for start in range(0, neurons, _PAIR_ROWS_AT_ONCE):
        rows = points[start : start + _PAIR_ROWS_AT_ONCE]
        distance = _squared_distances(rows, points[start:]).clamp_min_(0).sqrt_()
        total += distance.triu_(diagonal=1).sum()
    return (total / (neurons * (neurons - 1) / 2)).float()


def displacement(before: Tensor, after: Tensor, mask: Tensor | None = None) -> Tensor:
    """How far each neuron moved in the language space between two snapshots.

    Args:
        before: `(neurons, dim)`.
        after: `(neurons, dim)` of the same neurons.
        mask: `(neurons,)` bool, neurons valid in both; None for all.

    Returns:
        `(neurons,)` float32 Euclidean distances; NaN where `mask` is False.

    Raises:
        ValueError: Shapes differ.

    Source: Concept-Monitor, thesis section 4.0.3.
    """
    if before.shape != after.shape or before.ndim != 2:
        raise ValueError(
            "before and after must be (neurons, dim) of the same neurons, "
            f"got {tuple(before.shape)} and {tuple(after.shape)}"
        )
    distance: Tensor = torch.linalg.vector_norm(after.float() - before.float(), dim=1)
    if mask is None:
        return distance
    return distance.masked_fill(~_check_mask(mask, before.shape[0]), torch.nan)


def category_counts(best_concept: Tensor, interpretable: Tensor, categories: Sequence[str]) -> dict[str, int]:
    """Interpretable neurons by the category of their best concept.

    Args:
        best_concept: `(neurons,)` integer index of each neuron's best concept; ignored where not
            interpretable.
        interpretable: `(neurons,)` bool.
        categories: `(concepts,)` category names, "" for none.

    Returns:
        Counts for every category among `categories`, zeros included, in order of first appearance.

    Raises:
        ValueError: Shapes differ, or an interpretable neuron's concept is out of range.

    Example:
        >>> category_counts(torch.tensor([1, 0, 1]), torch.tensor([True, False, True]), ["color", "object"])
        {'color': 0, 'object': 2}
    """
    if best_concept.shape != interpretable.shape or best_concept.ndim != 1:
        raise ValueError(
            "best_concept and interpretable must both be (neurons,), "
            f"got {tuple(best_concept.shape)} and {tuple(interpretable.shape)}"
        )
    chosen = best_concept[_check_mask(interpretable, best_concept.shape[0])].tolist()
    if any(not 0 <= concept < len(categories) for concept in chosen):
        raise ValueError(f"best_concept must be in 0..{len(categories) - 1} for interpretable neurons")
    counts = dict.fromkeys(categories, 0)
    for concept in chosen:
        counts[categories[concept]] += 1
    return counts


def _nearest(embedding: Tensor, anchors: Tensor, masks: Sequence[Tensor]) -> list[Tensor]:
    """For every mask the nearest of its neurons to every anchor, `(anchors,)`; -1 where it has none."""
    points = embedding.detach().double()
    chosen = [_check_mask(mask, embedding.shape[0]).nonzero().squeeze(1) for mask in masks]
    found: list[list[Tensor]] = [[] for _ in masks]
    for chunk in torch.split(anchors.detach().double(), _ROWS_AT_ONCE):
        squared = _squared_distances(chunk, points)
        for neurons, nearest in zip(chosen, found, strict=True):
            if neurons.numel() == 0:
                nearest.append(neurons.new_full((chunk.shape[0],), -1))
            elif neurons.numel() == points.shape[0]:
                nearest.append(squared.argmin(dim=1))
            else:
                nearest.append(neurons[squared[:, neurons].argmin(dim=1)])
    return [torch.cat(nearest) for nearest in found]


def _distances_to(nearest: Tensor, embedding: Tensor, anchors: Tensor) -> Tensor:
    """Distance of every anchor to the neuron found for it, `(anchors,)` float32; NaN without one."""
    if bool((nearest < 0).any()):
        return torch.full_like(nearest, torch.nan, dtype=torch.float32)
    # From differences, not from the product: exact where a neuron sits on an anchor.
    distance: Tensor = torch.linalg.vector_norm(embedding.float()[nearest] - anchors.float(), dim=1)
    return distance


def _squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """`(left, right)` squared distances of float64 rows, by one matrix product."""
    with torch.autocast(left.device.type, enabled=False):
        norms = left.square().sum(dim=1, keepdim=True) + right.square().sum(dim=1)
        return torch.addmm(norms, left, right.T, alpha=-2)


def _check_matrices(embedding: Tensor, anchors: Tensor) -> None:
    if embedding.ndim != 2 or anchors.ndim != 2 or embedding.shape[1] != anchors.shape[1]:
        raise ValueError(
            "embedding must be (neurons, dim) and anchors (anchors, dim) with the same dim, "
            f"got {tuple(embedding.shape)} and {tuple(anchors.shape)}"
        )


def _check_some(anchors: Tensor) -> None:
    if anchors.shape[0] == 0:
        raise ValueError("anchors is empty; give at least one anchor embedding")


def _check_mask(mask: Tensor, neurons: int) -> Tensor:
    if mask.dtype != torch.bool or mask.shape != (neurons,):
        raise ValueError(f"mask must be bool of shape ({neurons},), got {mask.dtype} {tuple(mask.shape)}")
    return mask
