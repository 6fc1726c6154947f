"""When does a layer's training look wrong? Rules on series of plain numbers, one value per logged step.

Every rule is a pure function of a layer's series up to now. It answers with a `Finding`, whose strength is
how far beyond the rule's thresholds the series is: 1 is where an alert is raised. `alerts` turns findings
into alerts that are raised once. Rules count logged steps, so neither the unit of the steps nor gaps
between them matter, and a step without a value (NaN) is passed over.

Source: dissertation sections 7.3.5 and 8.3.3; thesis sections 2.1.3 and 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from conceptmon_tb.alert_series import (
    NOISE_STEPS,
    LayerSeries,
    Points,
    last_points,
    noise_of,
    trend_of,
    unbroken_points,
    usual_hop,
    values_of,
)

RULES = (
    "diversity_falling",
    "entropy_falling",
    "anchor_distance_rising",
    "interpretable_collapsing",
    "dead_growing",
    "concepts_frozen",
)
WARNING, CRITICAL = "warning", "critical"

_MOST_STRENGTH = 1e6  # neurons that do not move at all
_CHANCE = 2.0  # twice how far the estimate of an entropy is off, about, times the root of the neurons
_LEAST_NEURONS = 3  # of a handful of neurons a share tells nothing


@dataclass(frozen=True)
class AlertRules:
    """Which rules are on, and what they ask for; all counts of steps are counts of logged steps.

    Attributes:
        rules: Names of the rules that are on, of `RULES`.
        steps: For how many steps in a row something must hold.
        least_fall: Share of its best level by which the mean pairwise distance must have fallen, or d_anchor
            risen, for "diversity_falling".
        least_entropy_fall: By how many nats per dimension the differential entropy of the neurons' places
            must have fallen, for "entropy_falling".
        trend_steps: Steps over which "anchor_distance_rising" looks for its two trends.
        least_rise: Share by which d_anchor must rise over them.
        least_loss_fall: Share by which the loss must fall over them.
        least_collapse: Share of the interpretable neurons that must be lost.
        least_dead: Share of the layer's neurons that must have lost their signal.
        least_accuracy_gain: By how much (1 is all) training accuracy must rise over `steps`.
        most_movement: The way that neurons may go for it and still count as frozen: displacements in mean
            pairwise distances, per unit of accuracy (healthy demo runs go 4 and more).
        noise_factor: How many times its own noise a trend must exceed.
        calm_steps: An alert is over when its finding was below half of the thresholds for so many steps.
        loss_tag: Scalar that is the training loss; None finds it by its name.
        accuracy_tag: Scalar that is the training accuracy, 0 to 1 or in percent; None finds it by its name.

    Raises:
        ValueError: A rule's name is unknown, or a number is out of range.
    """

    rules: tuple[str, ...] = RULES
    steps: int = 3
    least_fall: float = 0.15
    least_entropy_fall: float = 0.5
    trend_steps: int = 5
    least_rise: float = 0.05
    least_loss_fall: float = 0.02
    least_collapse: float = 0.3
    least_dead: float = 0.05
    least_accuracy_gain: float = 0.1
    most_movement: float = 1.5
    noise_factor: float = 4.0
    calm_steps: int = 2
    loss_tag: str | None = None
    accuracy_tag: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", (self.rules,) if isinstance(self.rules, str) else tuple(self.rules))
        unknown = [name for name in self.rules if name not in RULES]
        if unknown:
            raise ValueError(f"rules has no {unknown[0]!r}; choose from {', '.join(RULES)}")
        for name, least in (("steps", 1), ("trend_steps", 3), ("calm_steps", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name in _SHARES:
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)!r}")
        for name in ("noise_factor", "most_movement", "least_entropy_fall"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)!r}")


_SHARES = (
    "least_fall",
    "least_rise",
    "least_loss_fall",
    "least_collapse",
    "least_dead",
    "least_accuracy_gain",
)


@dataclass(frozen=True)
class Finding:
    """What a rule sees at the last step of a series.

    Attributes:
        strength: 1 or more raises an alert, below one half lets it end.
        severity: "warning" or "critical".
        message: A sentence without the layer's name and without its full stop.
        evidence: The numbers it rests on, as JSON values: `series` has `[step, value]` pairs by name.
    """

    strength: float
    severity: str
    message: str
    evidence: Mapping[str, Any]


def diversity_falling(series: LayerSeries, rules: AlertRules) -> Finding | None:
    """Concepts have been less diverse than they were, for several steps in a row.

    Diversity is read from the mean pairwise distance, which falls with it, and from d_anchor, which rises;
    the clearer of the two counts. What it was is the best median of three steps before.

    Args:
        series: The layer up to now.
        rules: The thresholds.

    Returns:
        The finding; None while there are too few steps.
    """
    found = [
        _below_best(series, "mean_pairwise_distance", 1, rules),
        _below_best(series, "d_anchor", -1, rules),
    ]
    return max((one for one in found if one is not None), key=lambda one: one.strength, default=None)


def entropy_falling(series: LayerSeries, rules: AlertRules) -> Finding | None:
    """Neurons have gathered in fewer places than they were in, for several steps in a row (ConceptEvo).

    Entropy may be negative, so what counts is a difference. What it was is the best median of three steps
    before.

    Args:
        series: The layer up to now.
        rules: The thresholds.

    Returns:
        The finding; None while there are too few steps, and for layers of fewer than 12 neurons.

    Source: dissertation section 7.3.5, "Incompatible hyperparameters harm concept diversity".
    """
    points = series.known("entropy")
    best = series.best_before("entropy", rules.steps, 1)
    if best is None:
        return None
    recent = points[-rules.steps :]
    gap = best[1] - max(values_of(recent))
    noise = usual_hop(values_of(points[-NOISE_STEPS:]))
    chance = _CHANCE / math.sqrt(series.neurons) if series.neurons else 0.0
    needed = max(rules.least_entropy_fall, noise, chance)
    severity = CRITICAL if gap >= 2 * rules.least_entropy_fall else WARNING
    message = (
        f"concepts became less diverse: the entropy of the neurons' places fell from {_show(best[1])} "
        f"(step {best[0]:.0f}) to {_show(recent[-1][1])}, for {rules.steps} logged steps; the learning rate "
        f"may be too high"
    )
    evidence = _evidence({"entropy": [best, *recent]}, -gap, needed, noise)
    return Finding(_ratio(gap, needed), severity, message, evidence)


def anchor_distance_rising(series: LayerSeries, rules: AlertRules) -> Finding | None:
    """d_anchor rises while the loss falls: the network gets better at its task with fewer concepts.

    Both trends are lines through the last steps whose slope is the median over all pairs of points.

    Args:
        series: The layer up to now.
        rules: The thresholds.

    Returns:
        The finding; None while there are too few steps, or without a loss.
    """
    distances, losses = (last_points(series, name, rules.trend_steps) for name in ("d_anchor", "loss"))
    if distances is None or losses is None:
        return None
    rise, fall = trend_of(distances), -trend_of(losses)
    level, loss_level = abs(median(values_of(distances))), abs(median(values_of(losses)))
    noise, loss_noise = noise_of(series.known("d_anchor")), noise_of(series.known("loss"))
    needed = max(rules.least_rise * level, rules.noise_factor * noise)
    loss_needed = max(rules.least_loss_fall * loss_level, rules.noise_factor * loss_noise)
    strength = min(_ratio(rise, needed), _ratio(fall, loss_needed))
    message = (
        f"the anchor distance rose by {rise / level if level else 0:.0%} to {_show(distances[-1][1])} over "
        f"{len(distances)} logged steps while the loss fell to {_show(losses[-1][1])}: "
        f"the network covers fewer concepts as it fits its data better"
    )
    evidence = _evidence({"d_anchor": distances, "loss": losses}, rise, needed, noise)
    return Finding(strength, WARNING, message, evidence)


def interpretable_collapsing(series: LayerSeries, rules: AlertRules) -> Finding | None:
    """Many of the neurons that were interpretable no longer are, at two steps in a row.

    Args:
        series: The layer up to now.
        rules: The thresholds.

    Returns:
        The finding; None while there are too few steps.
    """
    points = series.known("interpretable")
    best = series.best_before("interpretable", 2, 1)
    if best is None:
        return None
    was, now = best[1], max(values_of(points[-2:]))
    lost = was - now
    needed = max(rules.least_collapse * was, rules.least_dead * series.neurons, _LEAST_NEURONS)
    severity = CRITICAL if lost >= 2 * rules.least_collapse * was else WARNING
    message = (
        f"interpretable neurons fell from {was:.0f} (step {best[0]}) to {points[-1][1]:.0f} "
        f"of {series.neurons}"
    )
    evidence = _evidence({"interpretable": [best, *points[-2:]]}, -lost, needed, None)
    return Finding(_ratio(lost, needed), severity, message, evidence)


def dead_growing(series: LayerSeries, rules: AlertRules) -> Finding | None:
    """Neurons lose their signal: dead, constant or not finite, at two steps in a row.

    A neuron with a NaN or infinite activation counts at once: that is never noise.

    Args:
        series: The layer up to now.
        rules: The thresholds.

    Returns:
        The finding; None while there are too few steps.
    """
    points = series.known("silent")
    broken = series.nonfinite[-1] if series.nonfinite else 0
    best = series.best_before("silent", 2, -1)
    if broken > 0 and points:
        message = f"{broken:.0f} of {series.neurons} neurons have activations that are not finite"
        grown = [[series.steps[-1], broken]]
        return Finding(
            max(1.0, float(broken)), CRITICAL, message, _evidence({"nonfinite": grown}, broken, 1, None)
        )
    if best is None:
        return None
    was, now = best[1], min(values_of(points[-2:]))
    needed = max(rules.least_dead * series.neurons, _LEAST_NEURONS)
    severity = CRITICAL if now >= 5 * rules.least_dead * series.neurons else WARNING
    message = (
        f"neurons without signal (dead or constant) rose from {was:.0f} (step {best[0]}) to "
        f"{points[-1][1]:.0f} of {series.neurons}"
    )
    evidence = _evidence({"silent": [best, *points[-2:]]}, now - was, needed, None)
    return Finding(_ratio(now - was, needed), severity, message, evidence)


def concepts_frozen(series: LayerSeries, rules: AlertRules) -> Finding | None:
    """Neurons keep their concepts while training accuracy rises fast: a sign of overfitting (ConceptEvo).

    As in ConceptEvo, movement is measured by what it buys: the way that neurons went for a given gain in
    training accuracy. Its unit is the mean distance of two neurons, so it does not depend on the space.

    Args:
        series: The layer up to now.
        rules: The thresholds.

    Returns:
        The finding; None while there are too few steps, without an accuracy, and where it does not rise: an
        alert does not end because all training images are known.

    Source: dissertation section 7.3.5, "Overfitting slows concept evolution".
    """
    moved = unbroken_points(series, "displacement", rules.steps)
    hits = unbroken_points(series, "accuracy", rules.steps + 1)
    spreads = values_of(series.known("mean_pairwise_distance")[-NOISE_STEPS:])
    if moved is None or hits is None or not spreads or median(spreads) <= 0:
        return None
    whole = 100.0 if max(values_of(series.known("accuracy")[-NOISE_STEPS:])) > 1.5 else 1.0
    gain = (hits[-1][1] - hits[0][1]) / whole
    noise = noise_of(series.known("accuracy")) / whole
    needed = max(rules.least_accuracy_gain, rules.noise_factor * noise)
    if gain < needed:
        return None  # of neurons that rest where nothing is learned it cannot be told
    way = sum(values_of(moved)) / median(spreads)
    slowness = min(rules.most_movement * gain / way, _MOST_STRENGTH) if way > 0 else _MOST_STRENGTH
    message = (
        f"training accuracy rose by {gain:.0%} to {hits[-1][1] / whole:.0%} in {rules.steps} logged steps "
        f"while neurons hardly moved ({way:.2g} times their mean distance): the network may be learning its "
        f"images by heart"
    )
    evidence = _evidence({"displacement": moved, "accuracy": hits}, gain, needed, noise)
    return Finding(min(_ratio(gain, needed), slowness), WARNING, message, evidence)


Rule = Callable[[LayerSeries, AlertRules], "Finding | None"]
RULE_FUNCTIONS: Mapping[str, Rule] = {
    "diversity_falling": diversity_falling,
    "entropy_falling": entropy_falling,
    "anchor_distance_rising": anchor_distance_rising,
    "interpretable_collapsing": interpretable_collapsing,
    "dead_growing": dead_growing,
    "concepts_frozen": concepts_frozen,
}


def _below_best(series: LayerSeries, name: str, sign: int, rules: AlertRules) -> Finding | None:
    points = series.known(name)
    best = series.best_before(name, rules.steps, sign)
    if best is None or best[1] <= 0:
        return None
    was, recent = best[1], points[-rules.steps :]
    # The step that is nearest to what it was: all of them must be this far away.
    gap = min(sign * (was - value) for value in values_of(recent))
    noise = usual_hop(values_of(points[-NOISE_STEPS:]))
    needed = max(rules.least_fall * was, noise)
    what = "the mean distance of two neurons" if sign > 0 else "the anchor distance"
    message = (
        f"concepts became less diverse: {what} {'fell' if sign > 0 else 'rose'} from {_show(was)} "
        f"(step {best[0]}) to {_show(recent[-1][1])}, for {rules.steps} logged steps"
    )
    severity = CRITICAL if gap >= 2 * rules.least_fall * was else WARNING
    evidence = _evidence({name: [best, *recent]}, -sign * gap, needed, noise)
    return Finding(_ratio(gap, needed), severity, message, evidence)


def _ratio(measured: float, needed: float) -> float:
    if needed <= 0:
        return 0.0
    return max(0.0, measured / needed)


def _evidence(
    series: Mapping[str, Points], change: float, needed: float, noise: float | None
) -> dict[str, Any]:
    told = {name: [[int(step), float(value)] for step, value in points] for name, points in series.items()}
    return {"series": told, "change": float(change), "needed": float(needed), "noise": noise}


def _show(value: float) -> str:
    return f"{value:.3g}"
