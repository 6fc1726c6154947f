"""What earlier sessions of a run logged, as far as the alert rules want it: so a resumed run goes on.

Neither embeddings nor labels are decoded, so it is quick also for a large log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2

from conceptmon_tb.alert_records import unpack_alerts
from conceptmon_tb.alerts import AlertWatch, LayerFigures, check_figures
from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.metadata import ALERTS_TAG, PayloadError, parse_layer_tag, unpack_payload
from conceptmon_tb.payload_checks import check_payload
from conceptmon_tb.training_scalars import TrainingTimeline


def catch_up(watch: AlertWatch, folder: str | Path, before: int | None = None) -> None:
    """Let a watch look at what a run's folder holds already; nothing is raised anew for it.

    Args:
        watch: A new watch.
        folder: The run's own directory; it need not exist.
        before: Only steps before this one: a session that resumes there replaces the others.
    """
    figures: dict[int, dict[str, LayerFigures]] = {}
    used: dict[int, dict[str, float]] = {}
    timeline = TrainingTimeline()
    for event in _events(Path(folder)):
        timeline.take_event(event)
        if event.session_log.status == event_pb2.SessionLog.START:
            for by_step in (figures, used):
                for step in [step for step in by_step if step >= event.step]:
                    del by_step[step]
        for value in event.summary.value:
            with suppress(PayloadError):
                _take(value, event.step, figures, used)
    for step, training in used.items():
        timeline.correct(step, training)
    kept = {step: layers for step, layers in figures.items() if before is None or step < before}
    check_figures(kept, timeline.known, watch)


def _take(
    value: event_pb2.Summary.Value,
    step: int,
    figures: dict[int, dict[str, LayerFigures]],
    used: dict[int, dict[str, float]],
) -> None:
    layer, kind = parse_layer_tag(value.tag) or ("", "")
    if kind != "metrics" and value.tag != ALERTS_TAG:
        return
    payload = unpack_payload(value.tensor.tensor_content)
    check_payload(payload, kind or "alerts", step)
    if kind == "metrics":
        figures.setdefault(step, {})[layer] = LayerFigures.of_metrics(payload.attrs)
    else:
        used[step] = unpack_alerts(payload)[2]


def _events(folder: Path) -> Iterator[event_pb2.Event]:
    for path in event_files(folder) if folder.is_dir() else ():
        with suppress(OSError):
            for record in read_records(path, verify=False):
                if record.data is not None:
                    with suppress(DecodeError):
                        yield event_pb2.Event.FromString(record.data)
