"""One writer's alerts: it hears the loop's scalars, looks at every epoch, and tells what it found.

An alert is put into the epoch's own event first, and told to the loop after that: nothing that the loop
does then, ending included, loses it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from conceptmon_tb.alert_history import catch_up
from conceptmon_tb.alert_records import Alert, AlertReport
from conceptmon_tb.alert_rules import AlertRules
from conceptmon_tb.alerts import AlertWatch, ConceptAlert, LayerFigures
from conceptmon_tb.call_site import level_outside
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.training_scalars import scalar_value

OnAlert = Callable[[Alert], Any]
logger = logging.getLogger(__name__)


class AlertLog:
    """The alerts of one writer.

    Args:
        rules: Which rules are on and what they ask for; True for the defaults, False for none.
        on_alert: Called with every new alert, in the loop's own thread, after the epoch was written.

    Raises:
        TypeError: An argument of the wrong type.
    """

    def __init__(self, rules: AlertRules | bool = True, on_alert: OnAlert | None = None) -> None:
        self.raised: list[Alert] = []
        self.checks = 0
        self._pending: list[Alert] = []
        self._last: AlertReport | None = None
        self._caught_up = self._failed = False
        self.configure(rules, on_alert)

    def configure(self, rules: AlertRules | bool = True, on_alert: OnAlert | None = None) -> None:
        """Set rules and callback of a writer that was made elsewhere, before its first epoch.

        Args:
            rules: As for the class.
            on_alert: As for the class.

        Raises:
            RuntimeError: An epoch was looked at already.
            TypeError: An argument of the wrong type.
        """
        if self.checks:
            raise RuntimeError("configure alerts before the first epoch is logged")
        if not isinstance(rules, (AlertRules, bool)):
            raise TypeError(f"alerts must be AlertRules, True or False, got {type(rules).__name__}")
        if on_alert is not None and not callable(on_alert):
            raise TypeError(f"on_alert must be callable or None, got {type(on_alert).__name__}")
        if isinstance(rules, bool):
            rules = AlertRules() if rules else AlertRules(rules=())
        self._watch, self.on_alert = AlertWatch(rules), on_alert

    @property
    def active(self) -> tuple[Alert, ...]:
        """Alerts that hold at the last epoch."""
        return self._watch.active

    def hear(self, event: Any) -> None:
        """Take note of the scalars in an event of the loop."""
        for value in event.summary.value:
            number = scalar_value(value)
            if number is not None:
                self._watch.note(value.tag, number)

    def note(self, scalars: Mapping[str, Any]) -> None:
        """Take note of scalars by tag, for a writer that does not hear them by itself.

        Args:
            scalars: Numbers by tag; what is neither loss nor accuracy is passed over.
        """
        for tag, value in scalars.items():
            if self._watch.wants(tag):
                self._watch.note(tag, float(value))

    def take_training(self) -> dict[str, float]:
        """Return loss and accuracy of the epoch that ends here, by tag."""
        return self._watch.take_training()

    def look(
        self,
        snapshots: Mapping[str, ConceptSnapshot],
        step: int,
        training: Mapping[str, float],
        folder: Path | None,
        resumed_at: int | None,
    ) -> AlertReport | None:
        """Look at one epoch.

        Args:
            snapshots: By layer.
            step: Global step.
            training: What `take_training` gave for it.
            folder: The run's own directory, which is read before the first epoch; None where it cannot be.
            resumed_at: The step from which on this session replaces what is there; None without.

        Returns:
            What to log with the epoch; None where alerts are off or something failed, which is told once.
        """
        if not self._watch.rules.rules:
            return None
        try:
            if not self._caught_up and folder is not None:
                catch_up(self._watch, folder, resumed_at)
            self._caught_up = True
            figures = {layer: LayerFigures.of_snapshot(snapshot) for layer, snapshot in snapshots.items()}
            report = self._watch.check(step, figures, training)
        except Exception as error:  # the epoch itself must not be lost
            if not self._failed:
                message = (
                    f"alerts failed at step {step}: {type(error).__name__}: {error}. Epochs are logged on"
                )
                warnings.warn(message, RuntimeWarning, stacklevel=4)
            self._failed = True
            logger.debug("alerts failed at step %s", step, exc_info=True)
            return None
        self.checks += 1
        self._pending += report.raised
        self.raised += report.raised
        if self._last is not None and self._last.step == step:
            # A second look at a step hides the record of the first: it tells both.
            report = replace(
                report,
                raised=self._last.raised + report.raised,
                ended=self._last.ended + report.ended,
                training={**self._last.training, **report.training},
            )
        self._last = report
        return report

    def tell(self, *, quietly: bool = False) -> None:
        """Warn of what was found since the last time, and call back.

        Args:
            quietly: Only warn: the loop is over and cannot act on it.
        """
        pending, self._pending = self._pending, []
        for alert in pending:
            warnings.warn(ConceptAlert(alert), stacklevel=level_outside())
        if self.on_alert is not None and not quietly:
            for alert in pending:
                self.on_alert(alert)
