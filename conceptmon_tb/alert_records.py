"""Alerts on the wire: what an epoch's event says of them, for the tab and for the Text tab.

The record of a step is written with every epoch, also when nothing was raised: so a reader knows that the
rules were looked at, and which training loss and accuracy they had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from conceptmon_tb.metadata import ALERTS_TAG, ALERTS_TEXT_TAG, Payload, make_metadata, pack_payload
from conceptmon_tb.payload_checks import reading

TEXT_PLUGIN_NAME = "text"


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        rule: Name of the rule, of `alert_rules.RULES`.
        layer: The layer.
        step: Global step at which it was raised.
        severity: "warning" or "critical".
        message: One sentence for people, with the layer's name.
        evidence: The numbers it rests on: `series` with `[step, value]` pairs by name, `change`, what the
            rule `needed`, and the `noise` it was held against (None for counts).
    """

    rule: str
    layer: str
    step: int
    severity: str
    message: str
    evidence: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.severity} at step {self.step} ({self.rule}): {self.message}"


@dataclass(frozen=True)
class AlertReport:
    """What a look at one step gave.

    Attributes:
        step: Global step.
        raised: Alerts of this step that were not there before.
        ended: Earlier alerts that are over.
        active: All that hold now.
        training: The training loss and accuracy that were used, by tag.
    """

    step: int
    raised: tuple[Alert, ...]
    ended: tuple[Alert, ...]
    active: tuple[Alert, ...]
    training: Mapping[str, float]


def alert_summary(report: AlertReport) -> summary_pb2.Summary:
    """Make the values that tell of a step's alerts, for the epoch's own event.

    Args:
        report: What the rules said of the step.

    Returns:
        A summary with the record for the tab and, where something was raised or ended, a text.
    """
    summary = summary_pb2.Summary()
    payload = pack_alerts(report)
    record = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8, tensor_content=payload)
    record.tensor_shape.dim.add(size=len(payload))
    summary.value.add(tag=ALERTS_TAG, metadata=make_metadata(summary_pb2.DATA_CLASS_TENSOR), tensor=record)
    if report.raised or report.ended:
        metadata = summary_pb2.SummaryMetadata(data_class=summary_pb2.DATA_CLASS_TENSOR)
        metadata.plugin_data.plugin_name = TEXT_PLUGIN_NAME
        text = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[describe(report).encode()])
        text.tensor_shape.SetInParent()
        summary.value.add(tag=ALERTS_TEXT_TAG, metadata=metadata, tensor=text)
    return summary


def pack_alerts(report: AlertReport) -> bytes:
    """Pack the record of a step: attributes only.

    Args:
        report: What the rules said of the step.

    Returns:
        A container of kind "alerts".
    """
    attrs = {
        "raised": [asdict(alert) for alert in report.raised],
        "ended": [{"rule": a.rule, "layer": a.layer, "step": a.step} for a in report.ended],
        "training": dict(report.training),
    }
    return pack_payload("alerts", report.step, attrs)


def unpack_alerts(payload: Payload) -> tuple[list[Alert], list[tuple[str, str, int]], dict[str, float]]:
    """Undo `pack_alerts`.

    Args:
        payload: A payload of kind "alerts".

    Returns:
        The alerts raised; rule, layer and step of those that ended; and loss and accuracy by tag.

    Raises:
        PayloadError: It is of another kind, or something is missing in it.
    """
    with reading(payload, "alerts"):
        raised = [
            Alert(
                str(entry["rule"]),
                str(entry["layer"]),
                int(entry["step"]),
                str(entry["severity"]),
                str(entry["message"]),
                dict(entry["evidence"]),
            )
            for entry in payload.attrs["raised"]
        ]
        ended = [(str(e["rule"]), str(e["layer"]), int(e["step"])) for e in payload.attrs["ended"]]
        known = {tag: value for tag, value in payload.attrs["training"].items() if value is not None}
        return raised, ended, {str(tag): float(value) for tag, value in known.items()}


def describe(report: AlertReport) -> str:
    """Tell a step's alerts in Markdown, for the Text tab.

    Args:
        report: What the rules said of the step.

    Returns:
        A paragraph for each alert, with its evidence below it.
    """
    parts = [
        f"**{alert.severity}** `{alert.rule}`: {alert.message}.\n\n{_evidence_lines(alert)}"
        for alert in report.raised
    ]
    parts += [
        f"**over** `{alert.rule}` of {alert.layer}, raised at step {alert.step}" for alert in report.ended
    ]
    return "\n\n".join(parts)


def _evidence_lines(alert: Alert) -> str:
    lines: Iterable[str] = (
        f"- {name}: " + ", ".join(f"{value:.4g} at step {step:.0f}" for step, value in points)
        for name, points in alert.evidence["series"].items()
    )
    return "\n".join(lines)
