"""What the dissertation claims of the diversity of concepts (section 7.3.5), and what was measured.

Entropy is told in two ways: that of the tab, which sees places as points of a plane, and the dissertation's
own, the mean of single coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from conceptmon_tb.differential_entropy import map_spread
from conceptmon_tb.evolution import SemanticSpace
from conceptmon_tb.reader import Run
from conceptmon_tb.snapshot import FloatArray, IntArray
from demo.case_studies.claims.base import Measured
from demo.conceptevo.claims import Claim, margins, tell
from demo.conceptevo.networks import BASE, KINDS
from demo.conceptevo.runs import COLLAPSED, again

Entropy = Callable[[FloatArray], float]
"""Of `(neurons, 2)` places between -1 and 1, NaN without one."""


def plane_entropy(position: FloatArray) -> float:
    """The entropy of the tab, in nats per dimension."""
    return map_spread(position).entropy


def coordinate_entropy(position: FloatArray) -> float:
    """The dissertation's entropy: of each coordinate of the map by itself, and the mean of both, in nats.

    It does not say how it estimates them; here it is done as for the plane. Neurons without a place count as
    there.
    """
    return float(np.mean([map_spread(position[:, [axis]]).entropy for axis in range(position.shape[1])]))


ENTROPIES: Mapping[str, Entropy] = {
    "of single coordinates": coordinate_entropy,
    "of places in the plane": plane_entropy,
}


def entropy_by_step(
    run: Run, name: str, entropy: Entropy = plane_entropy, *, whole: bool = False
) -> dict[int, float]:
    """Entropy of a network's neurons by epoch.

    Args:
        run: The run.
        name: One of `NAMES`.
        entropy: Which.
        whole: Of all its layers together; else of the deepest.
    """
    layers = KINDS[BASE if name == COLLAPSED else name].layers
    chosen = [run.snapshots[layer] for layer in (layers if whole else layers[-1:])]
    return {step: entropy(np.concatenate([of[step].position for of in chosen])) for step in sorted(chosen[0])}


def trainings(runs: Mapping[str, Run], name: str) -> list[Run]:
    """All trainings of one of `NAMES`, in the order of their seeds."""
    numbers = range(len(runs))
    return [runs[again(name, number)] for number in numbers if again(name, number) in runs]


def entropy_at(
    runs: Mapping[str, Run], name: str, step: int, entropy: Entropy = plane_entropy, *, whole: bool = False
) -> np.ndarray:
    """Entropy at an epoch, counted from the end where it is negative, `(trainings,)`."""
    told = [list(entropy_by_step(run, name, entropy, whole=whole).items()) for run in trainings(runs, name)]
    return np.array([by_step[step][1] for by_step in told], np.float64)


def diversity_claims(runs: Mapping[str, Run], shared: int) -> Iterator[Claim]:
    """Section 7.3.5: entropy in healthy and in collapsed training.

    Args:
        runs: By name.
        shared: Last epoch before the collapsed training's rate becomes too high.
    """
    for whole in (True, False):
        for name in ENTROPIES:
            yield healthy_claim(runs, name, whole=whole)
    yield collapse_claim(runs, shared)
    yield apart_claim(runs)


def healthy_claim(runs: Mapping[str, Run], name: str, *, whole: bool) -> Claim:
    """Entropy rises in every training of every network, both from before training and from epoch 1.

    The dissertation counts epochs from 0 and does not say whether its first value is that of the untrained
    network. A training agrees by the smaller of the two rises.

    Args:
        runs: By name.
        name: Of the entropy.
        whole: Of all layers of a network; else of the deepest.
    """
    told, rises = [], []
    for kind in KINDS:
        first, second, last = (
            entropy_at(runs, kind, step, ENTROPIES[name], whole=whole) for step in (0, 1, -1)
        )
        told.append(f"{KINDS[kind].title} {tell(first)}, {tell(second)}, {tell(last)}")
        rises.append(np.stack([last - first, last - second]))
    rise = np.concatenate(rises, axis=1)  # (2, trainings)
    before, after = (rise > 0).sum(axis=1)
    neurons = "all neurons' entropy" if whole else "the deepest layer's entropy"
    return Claim(
        f"Concepts become more diverse in healthy training: {neurons} {name} rises.",
        "1.10, 1.90, 2.06, 2.09 (VGG16; single coordinates); *section 7.3.5*",
        Measured(
            f"{'; '.join(told)} before training, after epoch 1 and at the end; of {rise.shape[1]} trainings "
            f"it rises in {before} from before training, in {after} from epoch 1",
            margins(rise.min(axis=0)),
        ),
    )


def collapse_claim(runs: Mapping[str, Run], shared: int) -> Claim:
    """What a rate that is far too high does."""
    bad = trainings(runs, COLLAPSED)
    by_step = [entropy_by_step(run, COLLAPSED) for run in bad]
    end = max(by_step[0])
    before, after, last = (
        np.array([told[step] for told in by_step], np.float64) for step in (shared, shared + 1, end)
    )
    healthy = entropy_at(runs, BASE, -1)
    lost = [~run.snapshots[KINDS[BASE].layers[-1]][end].valid for run in bad]
    accuracy = np.array([run.training[end].get("accuracy/val", np.nan) for run in bad], np.float64)
    text = (
        f"{tell(before)} at epoch {shared}, {tell(after)} one epoch after the rate was raised, {tell(last)} "
        f"at epoch {end}, where the healthy training has {tell(healthy)}; "
        f"{', '.join(str(int(each.sum())) for each in lost)} of {lost[0].size} neurons are without a place "
        f"then, accuracy is {tell(accuracy, '.0%')}; {tell_alerts(bad)}"
    )
    return Claim(
        "A learning rate that is far too high destroys that diversity: the deepest layer's entropy falls.",
        "1.89, 1.48, -1.80, -1.80 (VGG16); *section 7.3.5*",
        Measured(text, margins(before - last)),
    )


def tell_alerts(runs: Sequence[Run]) -> str:
    """When the alert of falling entropy was raised."""
    steps = [min((a.step for a in run.alerts if a.rule == "entropy_falling"), default=None) for run in runs]
    if all(step is None for step in steps):
        return "the alert `entropy_falling` was not raised"
    told = ", ".join("never" if step is None else str(step) for step in steps)
    return f"the alert `entropy_falling` was raised at epoch {told}"


def apart_claim(runs: Mapping[str, Run]) -> Claim:
    """Entropy tells a healthy training from a collapsed one at their end."""
    bad = entropy_at(runs, COLLAPSED, -1)
    good = np.concatenate([entropy_at(runs, name, -1) for name in KINDS])
    return Claim(
        "Entropy tells healthy from collapsed training: the lowest end of a healthy one lies above all "
        "others.",
        "2.09 against -1.80 (VGG16); *section 7.3.5*",
        Measured(
            f"of the deepest layer healthy ends lie between {good.min():.2f} and {good.max():.2f}, "
            f"collapsed ones between {bad.min():.2f} and {bad.max():.2f}",
            margins(good.min() - bad),
        ),
    )


class Start(NamedTuple):
    """How alike the neurons of a deepest layer are, and how much that leaves for entropy to rise.

    Attributes:
        neurons: In the layer.
        shared: Of eight pictures that excite a neuron most, how many are also another's; before training and
            at the last epoch, means over all pairs of neurons.
        cosine: Of two neurons' places, likewise.
        entropy: In the plane, likewise.
        chance: `(draws,)` entropy of as many neurons whose stimuli are drawn at random.
    """

    neurons: int
    shared: tuple[float, float]
    cosine: tuple[float, float]
    entropy: tuple[float, float]
    chance: np.ndarray


def find_start(run: Run, name: str, space: SemanticSpace, draws: int = 10) -> Start:
    """Where a network's diversity starts.

    Args:
        run: A training.
        name: One of `NAMES`.
        space: The space that it was seen in.
        draws: Of random neurons.
    """
    by_step = run.snapshots[KINDS[name].layers[-1]]
    pair = [by_step[min(by_step)], by_step[max(by_step)]]
    random = np.random.default_rng(0)
    count, shape = pair[0].num_neurons, (pair[0].num_neurons, space.k)
    stimuli = [random.integers(space.num_images, size=shape) for _ in range(draws)]
    places = [space.map.project(space.project(each).vectors) for each in stimuli]
    return Start(
        count,
        (mean_shared(pair[0].top_images), mean_shared(pair[1].top_images)),
        (mean_cosine(pair[0].embedding), mean_cosine(pair[1].embedding)),
        (pair[0].entropy, pair[1].entropy),
        np.array([map_spread(place).entropy for place in places], np.float64),
    )


def mean_shared(images: IntArray) -> float:
    """How many of a neuron's pictures, `(neurons, m)` ids or -1, are also another's, on average."""
    neuron, place = np.nonzero(images >= 0)
    holds = np.zeros((len(images), images.max(initial=0) + 1), np.float32)
    holds[neuron, images[neuron, place]] = 1
    return _mean_of_pairs(holds @ holds.T)


def mean_cosine(vectors: FloatArray) -> float:
    """Mean cosine of two rows that are not 0."""
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors[lengths > 0] / lengths[lengths > 0, None]
    return _mean_of_pairs(unit @ unit.T)


def _mean_of_pairs(values: FloatArray) -> float:
    """Mean over all pairs of different rows of a square matrix."""
    pairs = values[np.triu_indices(len(values), 1)]
    return float(pairs.mean()) if pairs.size else float("nan")


def start_lines(runs: Mapping[str, Run], space: SemanticSpace) -> Iterator[str]:
    """The same for all kinds, as a table of the page."""
    yield (
        "| deepest layer, before training and at the last epoch | neurons | pictures that two neurons share, "
        "of 8 | cosine of two neurons | entropy | of random pictures |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, kind in KINDS.items():
        start = find_start(runs[name], name, space)
        cells = [f"{first:.2f}, {last:.2f}" for first, last in (start.shared, start.cosine, start.entropy)]
        yield f"| {kind.title} | {start.neurons} | {' | '.join(cells)} | {tell(start.chance)} |"
