"""How evenly neurons spread over the map: differential entropy, the diversity of ConceptEvo.

High where neurons detect many different concepts, low where they gather in few places. The estimate is that
of Kozachenko and Leonenko, from the distance of each point to its k-th neighbour: unlike estimates of single
coordinates it does not depend on how the map is turned, and it sees points that gather along a slanted line.

Source: ConceptEvo, dissertation section 7.3.5; Kozachenko and Leonenko 1987.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 3
FEWEST = 12
"""Of fewer neurons than these the entropy is noise."""

MAP_SIDE = 2.0  # the map lies between -1 and 1
CROWDED = 0.05
_EULER = 0.5772156649015329


class Spread(NamedTuple):
    """How points spread.

    Attributes:
        entropy: Nats per dimension: of the joint entropy an equal share for each. NaN for too few points.
        crowded: Share of the points, 0 to 1, whose k-th neighbour is closer than `least`: what they add to
            the entropy was bounded. NaN for too few points.
    """

    entropy: float
    crowded: float


def estimate_entropy(
    points: npt.NDArray[np.floating[Any]], k: int = NEIGHBOURS, least: float = 0.0
) -> Spread:
    """Estimate the differential entropy of a distribution from points of it.

    It depends on the scale of the points, by the logarithm: compare estimates on one map only.

    Args:
        points: `(points, dimensions)`, all finite.
        k: Which neighbour's distance counts: more smooths, and blurs what is smaller.
        least: Smaller distances count as this one, so that the entropy stays finite where points coincide.

    Returns:
        The estimate; minus infinity where points coincide and `least` is 0.

    Raises:
        ValueError: `points` is no matrix of finite numbers, or `k` or `least` is out of range.

    Example:
        >>> square = np.random.default_rng(0).uniform(0, 2, (4000, 2))
        >>> round(estimate_entropy(square).entropy, 1)  # log 2
        0.7
    """
    if points.ndim != 2 or not points.shape[1] or not np.isfinite(points).all():
        raise ValueError(f"points must be a matrix of finite numbers, got shape {points.shape}")
    if k < 1 or not least >= 0:
        raise ValueError(f"k must be at least 1 and least at least 0, got {k} and {least}")
    count, dim = points.shape
    if count <= k:
        return Spread(math.nan, math.nan)
    distance, copies = _neighbour_distances(points, k)
    with np.errstate(divide="ignore"):
        logs = float(np.average(np.log(np.maximum(distance, least)), weights=copies))
    joint = _digamma(count) - _digamma(k) + math.log(_unit_ball(dim)) + dim * logs
    return Spread(joint / dim, float(np.average(distance < least, weights=copies)))


def map_spread(position: npt.NDArray[np.floating[Any]], k: int = NEIGHBOURS) -> Spread:
    """How evenly a layer's neurons spread over the map.

    Neurons without a place (dead, constant, unknown to the space) answer to nothing, all in the same way:
    they count as being in one place, in the middle of the others. So a layer that dies loses entropy, though
    the few neurons that are left may lie far apart. Distances below a twentieth of what evenly spread neurons
    would have count as that: places closer than this are the same, and the entropy of a layer that gathers in
    one place is some 3 nats below that of an even spread, whatever its size.

    Args:
        position: `(neurons, dimensions)` places between -1 and 1, NaN without one; two on a map, or one of
            its coordinates.
        k: As for `estimate_entropy`.

    Returns:
        The spread; NaN for fewer than 12 neurons.

    Source: ConceptEvo, dissertation section 7.3.5, "Incompatible hyperparameters harm concept diversity".
    """
    count, dim = position.shape
    if count < max(FEWEST, k + 1):
        return Spread(math.nan, math.nan)
    known = np.isfinite(position).all(axis=1)
    places = position.astype(np.float32).astype(np.float64)  # as the log has them
    places[~known] = places[known].mean(axis=0) if known.any() else 0.0
    even = MAP_SIDE * (k / (_unit_ball(dim) * count)) ** (1 / dim)
    return estimate_entropy(places, k, CROWDED * even)


def _neighbour_distances(
    points: npt.NDArray[np.floating[Any]], k: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distance to the k-th other point, for each distinct place, and how many points share it.

    A tree of many equal points is slow, so there is one of the distinct ones only.
    """
    from scipy.spatial import cKDTree  # umap-learn brings it; it takes a while to import

    places, copies = np.unique(points.astype(np.float64), axis=0, return_counts=True)
    nearest, index = cKDTree(places).query(places, [*range(1, min(k + 1, len(places)) + 1)])
    others = copies[index].cumsum(axis=1) - 1
    return nearest[np.arange(len(places)), (others >= k).argmax(axis=1)], copies


def _unit_ball(dim: int) -> float:
    return math.pow(math.pi, dim / 2) / math.gamma(dim / 2 + 1)


def _digamma(whole: int) -> float:
    """The digamma function of a whole number: a harmonic sum."""
    return float((1 / np.arange(1, whole)).sum()) - _EULER
