"""Alerts while training runs: rules on what was logged, each alert raised once, with its evidence.

`AlertWatch` follows one run epoch by epoch; a writer has one, and `check_run` makes the same alerts from
event files alone. An alert is raised when a rule's finding reaches its thresholds, and again only after
it ended, or when it became critical. The rules themselves are in `alert_rules`.

Source: dissertation section 8.3.3 (alerts in real time) and 7.3.5 (what poor training looks like).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from conceptmon_tb.alert_records import Alert, AlertReport
from conceptmon_tb.alert_rules import CRITICAL, RULE_FUNCTIONS, AlertRules, Finding
from conceptmon_tb.alert_series import LayerSeries
from conceptmon_tb.reader import Run
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.training_scalars import Role, ScalarMeans, find_tag, role_of

_CALM = 0.5  # of the thresholds: below it an alert is on its way to its end


class ConceptAlert(UserWarning):
    """The Python warning of an alert; `warnings.filterwarnings("error", category=ConceptAlert)` ends a loop.

    Attributes:
        alert: The alert.
    """

    def __init__(self, alert: Alert) -> None:
        super().__init__(str(alert))
        self.alert = alert


class LayerFigures(NamedTuple):
    """What the rules want of one layer at one step; `scale` names what numbers must share to be compared."""

    neurons: int
    d_anchor: float
    mean_pairwise_distance: float
    displacement: float
    interpretable: float
    silent: float
    nonfinite: float
    scale: tuple[Any, ...]
    entropy: float = math.nan

    @classmethod
    def of_snapshot(cls, snapshot: ConceptSnapshot) -> LayerFigures:
        """Take the figures of a snapshot."""
        return cls(
            snapshot.num_neurons,
            snapshot.anchor_distance,
            snapshot.mean_pairwise_distance,
            snapshot.mean_displacement,
            snapshot.num_interpretable,
            snapshot.num_dead + snapshot.num_constant + snapshot.num_nonfinite,
            snapshot.num_nonfinite,
            (snapshot.num_neurons, snapshot.space.fingerprint, snapshot.detector, snapshot.temperature),
            snapshot.entropy,
        )

    @classmethod
    def of_metrics(cls, attrs: Mapping[str, Any]) -> LayerFigures:
        """Take the figures of a payload of kind "metrics"."""
        neurons = int(attrs["neurons"])
        return cls(
            neurons,
            _number(attrs["d_anchor"]),
            _number(attrs["mean_pairwise_distance"]),
            _number(attrs["mean_displacement"]),
            int(attrs["interpretable"]),
            int(attrs["dead"]) + int(attrs["constant"]) + int(attrs["nonfinite"]),
            int(attrs["nonfinite"]),
            (neurons, attrs["space"], attrs["detector"], _number(attrs["temperature"])),
            _number(attrs.get("entropy")),
        )


@dataclass
class _State:
    active: Alert | None = None
    calm: int = 0


@dataclass
class _Layer:
    scale: tuple[Any, ...]
    series: LayerSeries
    states: dict[str, _State] = field(default_factory=dict)


class AlertWatch:
    """Follows one run and raises its alerts.

    Args:
        rules: Which rules are on and what they ask for; None for the defaults.

    Raises:
        TypeError: `rules` is something else.

    Example:
        >>> watch = AlertWatch(AlertRules(steps=2))
        >>> watch.active
        ()
    """

    def __init__(self, rules: AlertRules | None = None) -> None:
        if rules is not None and not isinstance(rules, AlertRules):
            raise TypeError(f"rules must be AlertRules or None, got {type(rules).__name__}")
        self.rules = AlertRules() if rules is None else rules
        self._layers: dict[str, _Layer] = {}
        self._means = ScalarMeans()
        self._training: dict[str, dict[int, float]] = {}
        self.checks = 0

    @property
    def active(self) -> tuple[Alert, ...]:
        """Alerts that hold now, in the order of layers and rules."""
        states = (state for layer in self._layers.values() for state in layer.states.values())
        return tuple(state.active for state in states if state.active is not None)

    def note(self, tag: str, value: float) -> None:
        """Take note of a scalar of the loop; what is neither loss nor accuracy is passed over.

        Args:
            tag: Its tag.
            value: Its value.
        """
        if self.wants(tag):
            self._means.note(tag, value)

    def wants(self, tag: str) -> bool:
        """Whether a scalar may be the training loss or accuracy."""
        return tag in (self.rules.loss_tag, self.rules.accuracy_tag) or role_of(tag) is not None

    def take_training(self) -> dict[str, float]:
        """Return the means of what was noted since the last time, and begin anew: one epoch ends."""
        return self._means.take()

    def check(
        self, step: int, figures: Mapping[str, LayerFigures], training: Mapping[str, float] | None = None
    ) -> AlertReport:
        """Look at one more step.

        Args:
            step: Global step; a layer's steps must rise, an earlier one is passed over.
            figures: Of each layer.
            training: Loss and accuracy of the loop by tag; None takes what was noted.

        Returns:
            What is new, what is over, and what holds.
        """
        for tag, value in (self.take_training() if training is None else training).items():
            self._training.setdefault(tag, {})[step] = value
        loss, accuracy = self._tag("loss"), self._tag("accuracy")
        self.checks += 1
        raised: list[Alert] = []
        ended: list[Alert] = []
        for name, now in figures.items():
            layer = self._layers.get(name)
            if layer is None or layer.scale != now.scale:
                layer = self._layers[name] = _Layer(now.scale, LayerSeries(now.neurons))
            if layer.series.steps and step <= layer.series.steps[-1]:
                continue
            _append(layer.series, step, now, self._value(loss, step), self._value(accuracy, step))
            for rule in self.rules.rules:
                finding = RULE_FUNCTIONS[rule](layer.series, self.rules)
                state = layer.states.setdefault(rule, _State())
                if finding is not None:
                    self._settle(
                        state, finding, Alert(rule, name, step, *_told(name, finding)), raised, ended
                    )
        tags = [tag for tag in (loss, accuracy) if tag is not None and step in self._of(tag)]
        used = {tag: self._training[tag][step] for tag in tags}
        return AlertReport(step, tuple(raised), tuple(ended), self.active, used)

    def _settle(
        self, state: _State, finding: Finding, alert: Alert, raised: list[Alert], ended: list[Alert]
    ) -> None:
        """Raise once, raise again when it became critical, and end only after some calm steps."""
        is_worse = (
            state.active is not None and state.active.severity != CRITICAL and finding.severity == CRITICAL
        )
        if finding.strength >= 1 and (state.active is None or is_worse):
            state.active = alert
            raised.append(alert)
        state.calm = state.calm + 1 if finding.strength < _CALM else 0
        if state.active is not None and state.calm >= self.rules.calm_steps:
            ended.append(state.active)
            state.active = None

    def _tag(self, role: Role) -> str | None:
        given = self.rules.loss_tag if role == "loss" else self.rules.accuracy_tag
        return given if given is not None else find_tag(self._training, role)

    def _of(self, tag: str | None) -> Mapping[int, float]:
        return {} if tag is None else self._training.get(tag, {})

    def _value(self, tag: str | None, step: int) -> float:
        return self._of(tag).get(step, math.nan)


def check_figures(
    figures: Mapping[int, Mapping[str, LayerFigures]],
    training: Mapping[int, Mapping[str, float]],
    watch: AlertWatch,
) -> list[Alert]:
    """Let a watch look at all steps of a run in their order.

    Args:
        figures: Of each layer, by step.
        training: Loss and accuracy by tag, by step.
        watch: A new watch; it goes on from the last step.

    Returns:
        All alerts in the order in which they were raised.
    """
    reports = [watch.check(step, figures[step], training.get(step, {})) for step in sorted(figures)]
    return [alert for report in reports for alert in report.raised]


def check_run(run: Run | str | Path, rules: AlertRules | None = None) -> list[Alert]:
    """Raise the alerts of a run from its event files alone: the same ones as while it was trained.

    Args:
        run: What `read_run` gave, or the run's own directory.
        rules: Which rules are on and what they ask for; None for the defaults.

    Returns:
        All alerts in the order in which they were raised, also those that ended.

    Raises:
        FileNotFoundError: There is no such directory, or it holds no concept data.
        TypeError: `run` is something else.

    Example:
        >>> for alert in check_run(read_run("runs/resnet18")):  # doctest: +SKIP
        ...     print(alert)
    """
    if isinstance(run, (str, Path)):
        from conceptmon_tb.reader import read_run

        run = read_run(run)
    if not isinstance(run, Run):
        raise TypeError(f"run must be a Run or its directory, got {type(run).__name__}")
    figures: dict[int, dict[str, LayerFigures]] = {step: {} for step in run.steps}
    for layer, by_step in run.snapshots.items():
        for step, snapshot in by_step.items():
            figures[step][layer] = LayerFigures.of_snapshot(snapshot)
    return check_figures(figures, run.training, AlertWatch(rules))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _append(series: LayerSeries, step: int, now: LayerFigures, loss: float, accuracy: float) -> None:
    series.steps.append(step)
    for name in (
        "d_anchor",
        "mean_pairwise_distance",
        "displacement",
        "entropy",
        "interpretable",
        "silent",
        "nonfinite",
    ):
        getattr(series, name).append(float(getattr(now, name)))
    series.loss.append(loss)
    series.accuracy.append(accuracy)


def _told(layer: str, finding: Finding) -> tuple[str, str, Mapping[str, Any]]:
    return finding.severity, f"{layer}: {finding.message}", finding.evidence
