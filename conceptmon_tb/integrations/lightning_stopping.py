"""Ends a training of Lightning's Trainer on what the alert rules found."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Literal

from conceptmon_tb.activations import check_choice
from conceptmon_tb.alert_records import Alert
from conceptmon_tb.alert_rules import CRITICAL, RULES
from conceptmon_tb.integrations.lightning import (
    ConceptMonitorCallback,
    LightningHooks,
    tensorboard_logger,
    trainers_writer,
)
from conceptmon_tb.writer import alerts_of

Severity = Literal["warning", "critical"]
DEFAULT_RULES = ("diversity_falling", "interpretable_collapsing", "dead_growing")
logger = logging.getLogger(__name__)


class ConceptEarlyStopping(LightningHooks):
    """Ends the training when an alert holds, as Lightning's EarlyStopping does on a metric.

        Trainer(callbacks=[ConceptMonitorCallback(monitor), ConceptEarlyStopping(patience=2)])

    It looks at the end of each epoch, after the concepts of the epoch were logged: list it behind
    `ConceptMonitorCallback`. Process 0 decides for all. `alert` tells afterwards what ended the training.

    Args:
        rules: Rules whose alerts count, of `conceptmon_tb.alert_rules.RULES`; by default those that tell of
            damage: diversity falling, interpretable neurons collapsing, dead neurons growing.
        layers: Layers whose alerts count; None for all.
        patience: At so many logged epochs in a row an alert must hold, the one that raised it included.
        severity: "warning" counts all alerts, "critical" only critical ones.
        stop: False only says, in the log, that the training would have ended.

    Raises:
        ImportError: Lightning is not installed.
        TypeError: `patience` is not a whole number.
        ValueError: A rule or severity is unknown, or `patience` is below 1.
    """

    def __init__(
        self,
        rules: str | Iterable[str] = DEFAULT_RULES,
        *,
        layers: str | Iterable[str] | None = None,
        patience: int = 1,
        severity: Severity = "warning",
        stop: bool = True,
    ) -> None:
        self.rules = (rules,) if isinstance(rules, str) else tuple(rules)
        unknown = [rule for rule in self.rules if rule not in RULES]
        if unknown or not self.rules:
            raise ValueError(
                f"rules must be of {', '.join(RULES)}, got {unknown[0] if unknown else 'none'!r}"
            )
        check_choice("severity", severity, Severity)
        if isinstance(patience, bool) or not isinstance(patience, int):
            raise TypeError(f"patience must be a whole number, got {type(patience).__name__}: {patience!r}")
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        self.layers = None if layers is None else {layers} if isinstance(layers, str) else set(layers)
        self.patience, self.severity, self.stop = patience, severity, stop
        self.alert: Alert | None = None
        self._held: dict[tuple[str, str], int] = {}
        self._looks = 0

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Refuse a Trainer that logs nowhere, and an order that would judge every epoch one epoch late."""
        if trainer.fast_dev_run:
            return
        tensorboard_logger(trainer, type(self).__name__)
        places = [i for i, one in enumerate(trainer.callbacks) if isinstance(one, ConceptMonitorCallback)]
        if not places:
            logger.warning(
                "ConceptEarlyStopping has no ConceptMonitorCallback beside it in Trainer(callbacks=...): it "
                "can end the training only on concepts that the module itself logs"
            )
        if places and trainer.callbacks.index(self) < max(places):
            raise ValueError(
                "list ConceptEarlyStopping behind ConceptMonitorCallback in Trainer(callbacks=...)"
            )

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Count for how long alerts hold, and end the training where one holds long enough."""
        if trainer.fast_dev_run:
            return
        writer = trainers_writer(trainer)
        reason = None if writer is None else self._reason(alerts_of(writer))
        if reason is not None and self.alert is None:
            self.alert = reason
            verb = "ends" if self.stop else "would end"
            logger.warning("training %s after epoch %d: %s", verb, trainer.current_epoch, reason)
        ends = trainer.strategy.reduce_boolean_decision(self.stop and reason is not None, all=False)
        trainer.should_stop = trainer.should_stop or ends

    def state_dict(self) -> dict[str, Any]:
        """For how long each alert holds."""
        return {"held": [[layer, rule, count] for (layer, rule), count in self._held.items()]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on counting."""
        self._held = {(layer, rule): count for layer, rule, count in state_dict["held"]}

    def _reason(self, log: Any) -> Alert | None:
        if log.checks != self._looks:  # epochs at which nobody looked do not count
            self._looks = log.checks
            active = [alert for alert in log.active if self._counts(alert)]
            self._held = {
                (alert.layer, alert.rule): self._held.get((alert.layer, alert.rule), 0) + 1
                for alert in active
            }
            return next((a for a in active if self._held[a.layer, a.rule] >= self.patience), None)
        return None

    def _counts(self, alert: Alert) -> bool:
        return (
            alert.rule in self.rules
            and (self.layers is None or alert.layer in self.layers)
            and (self.severity != CRITICAL or alert.severity == CRITICAL)
        )
