"""How far concepts evolve for the accuracy they buy: a sign of overfitting (ConceptEvo, section 7.3.5).

All is made from what a run has logged. That concepts lose their diversity is told by `snapshot.entropy` and
the alert rule "entropy_falling"; that they stand still while accuracy rises, by "concepts_frozen".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from conceptmon_tb.reader import Run
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.training_scalars import find_tag

MILESTONES = (0.25, 0.5, 0.75)

_NEAR = 0.5  # of the way from one milestone to the next: a logged accuracy farther off stands for neither


class Pace(NamedTuple):
    """How far neurons moved between two accuracy milestones.

    Attributes:
        milestones: The two, 0 to 1.
        from_step: Logged step whose accuracy is nearest to the first.
        to_step: To the second.
        from_accuracy: Accuracy there, 0 to 1.
        to_accuracy: Accuracy there.
        displacement: Mean Euclidean distance of a neuron's embedding at the one to that at the other; NaN
            where no neuron has a place at both.
        relative: The same over the mean distance of two neurons at the later step, which does not depend on
            the scale of the space.
        neurons: Neurons that it is the mean of.
    """

    milestones: tuple[float, float]
    from_step: int
    to_step: int
    from_accuracy: float
    to_accuracy: float
    displacement: float
    relative: float
    neurons: int


def nearest_steps(accuracy: Mapping[int, float], milestones: Sequence[float] = MILESTONES) -> list[int]:
    """Steps whose accuracy is nearest to milestones; of equally near ones the first.

    Args:
        accuracy: By step, 0 to 1.
        milestones: Accuracies, 0 to 1.

    Raises:
        ValueError: There is no accuracy.
    """
    known = {step: value for step, value in sorted(accuracy.items()) if math.isfinite(value)}
    if not known:
        raise ValueError(
            "there is no training accuracy; log it with writer.add_scalar('accuracy/train', ...)"
        )
    return [min(known, key=lambda step: abs(known[step] - goal)) for goal in milestones]


def milestone_displacements(
    run: Run, layer: str, milestones: Sequence[float] = MILESTONES, accuracy_tag: str | None = None
) -> list[Pace]:
    """Measure how far a layer's neurons moved from one accuracy milestone to the next.

    Args:
        run: From `read_run`, with a training accuracy.
        layer: One of its layers.
        milestones: Accuracies, rising. A training that was logged near only one of two neighbouring ones (it
            passed both within one step, or has not come so far) has no displacement between these, and no
            entry.
        accuracy_tag: Scalar that is the training accuracy, a share or in percent; None finds it by name.

    Returns:
        One for each pair of neighbouring milestones with two different steps.

    Raises:
        KeyError: The run has no such layer.
        ValueError: It has no training accuracy, or milestones do not rise.

    Source: dissertation section 7.3.5, "Overfitting slows concept evolution".
    """
    if layer not in run.snapshots:
        raise KeyError(f"no layer {layer!r}; there are {', '.join(run.snapshots)}")
    if any(later <= earlier for earlier, later in pairwise(milestones)):
        raise ValueError(f"milestones must rise, got {list(milestones)}")
    by_step = run.snapshots[layer]
    accuracy = _accuracy_of(run, by_step, accuracy_tag)
    steps = nearest_steps(accuracy, milestones)
    paces = []
    for (first, last), goals in zip(pairwise(steps), pairwise(milestones), strict=True):
        near = _NEAR * (goals[1] - goals[0])
        off = [abs(accuracy[step] - goal) for step, goal in zip((first, last), goals, strict=True)]
        if first >= last or max(off) > near:
            continue
        moved, count = _displacement(by_step[first], by_step[last])
        spread = by_step[last].mean_pairwise_distance
        relative = moved / spread if spread > 0 else math.nan
        paces.append(Pace(goals, first, last, accuracy[first], accuracy[last], moved, relative, count))
    return paces


def compare_pace(
    run: Run,
    reference: Run,
    layer: str,
    milestones: Sequence[float] = MILESTONES,
    accuracy_tag: str | None = None,
) -> dict[tuple[float, float], float]:
    """Hold the pace of one run against that of a well-trained one.

    Args:
        run: From `read_run`.
        reference: Another run, in the same space.
        layer: A layer of both.
        milestones: As for `milestone_displacements`.
        accuracy_tag: As for `milestone_displacements`; the same in both.

    Returns:
        For the milestones that both have: displacement of the run over that of the reference. Below 1 its
        concepts evolve less for the same gain, as in overfitted networks.

    Raises:
        KeyError: A run has no such layer.
        ValueError: A run has no training accuracy, or they are in different spaces.
    """
    spaces = {one.space.fingerprint for one in (run, reference)}
    if len(spaces) > 1:
        raise ValueError("the two runs are in different concept spaces; their distances cannot be compared")
    ours, theirs = (
        {
            pace.milestones: pace.displacement
            for pace in milestone_displacements(one, layer, milestones, accuracy_tag)
        }
        for one in (run, reference)
    )
    return {goals: ours[goals] / theirs[goals] for goals in ours if theirs.get(goals, 0) > 0}


def _accuracy_of(run: Run, by_step: Mapping[int, ConceptSnapshot], tag: str | None) -> dict[int, float]:
    """Training accuracy of the steps that a layer has, 0 to 1."""
    tags = dict.fromkeys(name for scalars in run.training.values() for name in scalars)
    tag = find_tag(tags, "accuracy") if tag is None else tag
    found = {step: run.training.get(step, {}).get(tag or "", math.nan) for step in by_step}
    whole = 100.0 if max((v for v in found.values() if math.isfinite(v)), default=0.0) > 1.5 else 1.0
    return {step: value / whole for step, value in found.items()}


def _displacement(first: ConceptSnapshot, last: ConceptSnapshot) -> tuple[float, int]:
    if first.num_neurons != last.num_neurons or first.space.fingerprint != last.space.fingerprint:
        return math.nan, 0
    both = first.valid & last.valid
    if not both.any():
        return math.nan, 0
    moved = np.linalg.norm(last.embedding[both] - first.embedding[both], axis=1)
    return float(moved.mean(dtype=np.float64)), int(both.sum())
