"""Do neighbours in a space of neurons detect the same concepts? Measures of alignment, of plain arrays.

The papers ask people. Here the picture world's ground truth is asked: it tells which concepts each picture
shows, so a neuron detects the concept whose presence its largest activation tells best. Nothing of that is
known to ConceptEvo, which only sees which pictures excite which neuron.

Source: ConceptEvo, dissertation sections 7.3.2 (Fig. 7.4, 7.5) and 7.3.6 (Fig. 7.10).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from conceptmon_tb.snapshot import BoolArray, FloatArray

Matrix = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

CLEAR = 0.75
"""Area under the curve from which a neuron counts as a detector of its best concept."""

RAREST, COMMONEST = 0.01, 0.5
"""Share of pictures that a concept must be shown in, to be told from chance and from its opposite."""

MEMBERS = 5
"""Neurons of a group beside which an intruder is put, as in Fig. 7.4."""

CHANCE = 1 / (MEMBERS + 1)
"""Share of intruders that is found by guessing."""


class Neurons(NamedTuple):
    """Neurons of one network at one epoch.

    Attributes:
        network: Its name.
        step: Its epoch.
        vectors: `(neurons, dim)` places in some space.
        known: `(neurons,)` whether they have one.
        profile: `(neurons, concepts)` how well each tells each concept: area under the curve minus 0.5.
        concept: `(neurons,)` the concept that each detects, -1 where none clearly.
    """

    network: str
    step: int
    vectors: FloatArray
    known: BoolArray
    profile: Matrix
    concept: Ids


class Neighbours(NamedTuple):
    """How well nearness tells that two neurons detect the same.

    Attributes:
        area: Area under the curve of "same concept" by cosine, over all pairs; 0.5 is chance.
        balanced: The same over the pairs of each concept's neurons, and of these the mean: a concept that
            many neurons detect counts no more than others.
        nearest: Share of neurons whose nearest neighbour detects the same.
        chance: That share for a neighbour drawn at random.
        pairs: Pairs that were compared.
    """

    area: float
    balanced: float
    nearest: float
    chance: float
    pairs: int


def presence_areas(activations: npt.NDArray[np.floating], presence: BoolArray) -> Matrix:
    """How well each neuron's activation tells the presence of each concept.

    Args:
        activations: `(images, neurons)`, the largest of each map.
        presence: `(images, concepts)`, each shown in some pictures and not in all.

    Returns:
        `(neurons, concepts)` areas under the curve; 0.5 for a neuron that tells nothing.
    """
    ranks = np.stack([average_ranks(column) for column in activations.T], axis=1)
    present = presence.astype(np.float64)
    count = present.sum(axis=0)
    return (ranks.T @ present - count * (count - 1) / 2) / (count * (len(present) - count))


def usual_concepts(presence: BoolArray) -> Ids:
    """Concepts that are neither too rare nor too common to be told."""
    share = presence.mean(axis=0)
    return np.flatnonzero((share >= RAREST) & (share <= COMMONEST))


def detected_concepts(areas: Matrix, valid: BoolArray) -> Ids:
    """The concept that each neuron tells best, -1 where none clearly or where the neuron is dead."""
    return np.where(valid & (areas.max(axis=1) >= CLEAR), areas.argmax(axis=1), -1)


def compare_neighbours(pairs: Iterable[tuple[Neurons, Neurons]]) -> Neighbours:
    """Hold cosines of neurons against whether they detect the same.

    Only neurons with a place and a clear concept count. A neuron is never compared with itself, not even at
    another epoch: that would be too easy.

    Args:
        pairs: Whose neurons to compare with whose.

    Returns:
        The figures over all pairs together; NaN where no two neurons detect the same, or all do.
    """
    scores, sames, owners, hits, chances = [], [], [], [], []
    for one, other in pairs:
        ours, theirs = (np.flatnonzero(each.known & (each.concept >= 0)) for each in (one, other))
        same = one.concept[ours][None, :] == other.concept[theirs][:, None]
        itself = theirs[:, None] == ours[None, :]
        allowed = ~itself if one.network == other.network else np.ones_like(itself)
        alike = np.where(allowed, cosines(other.vectors[theirs], one.vectors[ours]), -np.inf)
        scores.append(alike[allowed])
        sames.append(same[allowed])
        owners.append(np.broadcast_to(one.concept[ours], alike.shape)[allowed])
        with_choice = np.flatnonzero(allowed.any(axis=1))
        hits.append(same[with_choice, alike[with_choice].argmax(axis=1)] if len(with_choice) else [])
        chances.append((same & allowed)[with_choice].sum(axis=1) / allowed[with_choice].sum(axis=1))
    score, same, owner = np.concatenate(scores), np.concatenate(sames), np.concatenate(owners)
    hit, chance = np.concatenate(hits), np.concatenate(chances)
    areas = [area_under_curve(score[owner == each], same[owner == each]) for each in np.unique(owner)]
    known = [area for area in areas if np.isfinite(area)]
    return Neighbours(
        area_under_curve(score, same),
        float(np.mean(known)) if known else float("nan"),
        float(hit.mean()) if len(hit) else float("nan"),
        float(chance.mean()) if len(chance) else float("nan"),
        len(score),
    )


def find_intruders(
    groups: Ids,
    judge: npt.NDArray[np.floating],
    identity: Ids,
    source: Ids,
    trials: int = 1000,
    seed: int = 0,
) -> float:
    """Put five neurons of a group beside one of another, and let a judge pick the odd one out (Fig. 7.4).

    The judge picks the neuron whose mean cosine to the other five is least.

    Args:
        groups: `(neurons,)` the group of each, -1 for none.
        judge: `(neurons, dim)` what the judge sees of each.
        identity: `(neurons,)` equal for one neuron at several epochs: the five are different neurons.
        source: `(neurons,)` number of the network and epoch. Where there are several, groups of a single one
            are left out, and the five are spread over them as evenly as the group allows.
        trials: How many questions.
        seed: Of the questions.

    Returns:
        Share of intruders that were found; `CHANCE` by guessing. NaN where no group is large enough.
    """
    random = np.random.default_rng(seed)
    members = {group: np.flatnonzero(groups == group) for group in np.unique(groups[groups >= 0])}
    large = [
        group
        for group, own in members.items()
        if len(np.unique(identity[own])) >= MEMBERS
        and (len(np.unique(source[own])) > 1 or len(np.unique(source)) == 1)
    ]
    inside = np.flatnonzero(groups >= 0)
    if not large or len(members) < 2:
        return float("nan")
    alike, found = cosines(judge, judge), 0
    for _ in range(trials):
        group = large[random.integers(len(large))]
        five = _draw_five(members[group], identity, source, random)
        intruder = random.choice(inside[groups[inside] != group])
        asked = random.permutation([*five, intruder])
        shown = alike[np.ix_(asked, asked)]
        found += int(asked[(shown.sum(axis=1) - shown.diagonal()).argmin()] == intruder)
    return found / trials


def _draw_five(own: Ids, identity: Ids, source: Ids, random: np.random.Generator) -> Ids:
    """Five different neurons, one of each source in turn: else they would mostly be of the largest one."""
    drawn = random.permutation(own)
    order = np.argsort(source[drawn], kind="stable")
    _, start, count = np.unique(source[drawn][order], return_index=True, return_counts=True)
    turn = np.empty(len(drawn), np.int64)
    turn[order] = np.arange(len(drawn)) - np.repeat(start, count)
    drawn = drawn[np.argsort(turn, kind="stable")]
    _, first = np.unique(identity[drawn], return_index=True)
    return drawn[np.sort(first)[:MEMBERS]]


def turn_onto(neurons: Neurons, target: Neurons) -> Neurons:
    """Turn and mirror the places of one epoch so that they fit those of another best (Procrustes).

    It takes neurons that both have, so it mends epochs of one network, not different networks.
    """
    both = neurons.known & target.known
    left, _, right = np.linalg.svd(neurons.vectors[both].T.astype(np.float64) @ target.vectors[both])
    return neurons._replace(vectors=(neurons.vectors @ (left @ right)).astype(np.float32))


def relative_drift(earlier: Sequence[Neurons], last: Neurons) -> float:
    """How far neurons are from where they end, though they detect the same then as at the end.

    Args:
        earlier: The network at earlier epochs.
        last: At its last one.

    Returns:
        Mean distance over the mean distance of two different neurons of the two epochs: 0 for neurons that
        stay, 1 for places that have nothing to do with each other. NaN where no neuron keeps its concept.
    """
    moved, apart = [], []
    for one in earlier:
        stays = one.known & last.known & (one.concept >= 0) & (one.concept == last.concept)
        rows, ends = one.vectors[stays].astype(np.float64), last.vectors[stays].astype(np.float64)
        moved.append(np.linalg.norm(rows - ends, axis=1))
        distance = np.linalg.norm(rows[:, None] - ends[None], axis=2)
        apart.append(distance[~np.eye(len(rows), dtype=bool)])
    everything, others = np.concatenate(moved), np.concatenate(apart)
    return float(everything.mean() / others.mean()) if len(others) else float("nan")


def cosines(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> Matrix:
    """Cosine of every row of the one with every row of the other; 0 for rows of zeros."""
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12) for rows in (left, right)]
    product: Matrix = units[0].astype(np.float64) @ units[1].T.astype(np.float64)
    return product


def area_under_curve(score: npt.NDArray[np.floating], positive: BoolArray) -> float:
    """Chance that a positive one has a higher score than a negative one; equal scores count half.

    Example:
        >>> area_under_curve(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False]))
        0.875
    """
    count = int(positive.sum())
    if not 0 < count < len(score):
        return float("nan")
    ranks = average_ranks(score)[positive]
    return float((ranks.sum() - count * (count - 1) / 2) / (count * (len(score) - count)))


def average_ranks(values: npt.NDArray[np.floating]) -> Matrix:
    """Ranks from 0, lowest first; equal values share the mean of theirs."""
    _, place, copies = np.unique(values, return_inverse=True, return_counts=True)
    return (copies.cumsum() - (copies + 1) / 2)[place]
