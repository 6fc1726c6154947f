"""Logs made by somebody who means harm, with the real wire: real protobufs in real event files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2

from conceptmon_tb.alert_records import Alert, AlertReport, alert_summary
from conceptmon_tb.event_files import frame_record
from conceptmon_tb.evolution_records import Evolutions, evolutions_summary
from conceptmon_tb.metadata import SPACE_TAG, parse_layer_tag
from conceptmon_tb.snapshot import ConceptSpace, ProbeImages
from conceptmon_tb.summary import concept_summary, space_summary
from tests.synthetic import START_TIME, WORDS, make_images, make_snapshots, make_space

LONG = "long" + "x" * 10_000
TEXTS = {
    "markup": "<img src=x onerror=window.top.hacked=1>",
    "the end of a script": "</script><script>window.top.hacked=1</script><!--",
    "the end of an SVG": "]]></text></svg><svg onload=window.top.hacked=1>",
    "quotes": "\"'`onpointermove=window.top.hacked=1 x=\"",
    "a template": "${window.top.hacked=1} {{window.top.hacked=1}}",
    "a script's address": "javascript:window.top.hacked=1",
    "a style": "red;background:url(//evil.example/x)}*{display:none",
    "a path upwards": "../../../../etc/passwd",
    "escapes of a path": "..%2f..%2f%00%c0%af",
    "NUL": "before\x00after",
    "control letters": "bell\x07 escape\x1b[31m delete\x7f",
    "an override of direction": "abc\u202egpj.exe",
    "isolates of direction": "\u2067\u2067\u2066never closed",
    "text from right to left": "\u05e9\u05dc\u05d5\u05dd 12",
    "half a letter": "half\ud800 a letter",
    "a formula": "=HYPERLINK(\"//evil.example\",\"x\")",
    "another formula": "@SUM(1+1)*cmd|' /C calc'!A0",
    "a wide formula": "\uff1d1+1",
    "a formula on the next line": "\n=1+1",
    "a name of objects": "__proto__",
    "another name of objects": "constructor",
    "marks upon marks": "Z" + "\u0301" * 300,
    "10 kB": LONG,
    "10 kB of emoji": "🦓" * 2500,
    "nothing": "",
    "a space": " ",
    "lines": "first\nsecond\r\nthird",
}  # fmt: skip
"""What words, layers, tags, categories and texts are made of."""

WHOLE = {name: text for name, text in TEXTS.items() if "\ud800" not in text}
"""Those that a protobuf can hold."""

NAMES = {
    name: text.replace("\x00", "").encode()[:200].decode(errors="ignore")
    for name, text in WHOLE.items()
    if text.strip() and not text.startswith("../")
}
"""Those that a folder can be called: without NUL; a slash in one makes a folder in a folder."""

_LONG_AND_SHORT = ("markup", "the end of a script", "10 kB", "an override of direction", "quotes")
_CATEGORIES = [*(TEXTS[name] for name in _LONG_AND_SHORT), "constructor"]

Change = Callable[[summary_pb2.Summary.Value], None]
"""Does something bad to a value of one epoch."""

SPACE = make_space()
SMALL = {"victim": 4, "other": 3}
ATTACKED = 1
EPOCHS = 3


def write_events(folder: Path, events: list[event_pb2.Event], name: str = "stranger") -> None:
    """Write an event file as TensorBoard's writer would, but of anything."""
    folder.mkdir(parents=True, exist_ok=True)
    first = event_pb2.Event(wall_time=START_TIME, file_version="brain.Event:2")
    records = [frame_record(event.SerializeToString()) for event in (first, *events)]
    (folder / f"events.out.tfevents.1700000000.{name}.1.0").write_bytes(b"".join(records))


def make_event(step: int, summary: summary_pb2.Summary, wall_time: float | None = None) -> event_pb2.Event:
    """One event with values."""
    return event_pb2.Event(wall_time=wall_time or START_TIME + 30 * step, step=step, summary=summary)


def hostile_words(space: ConceptSpace) -> ConceptSpace:
    """The space with every word, category, anchor and note made of `TEXTS`."""
    texts, names = list(TEXTS.values()), list(WORDS)
    return dataclasses.replace(
        space,
        words=tuple(f"{texts[i % len(texts)]}{i // len(texts) or ''}" for i in range(len(space.words))),
        categories=tuple(_CATEGORIES[names.index(name)] for name in space.categories),
        anchors=tuple(texts[-i - 1] or "-" for i in range(len(space.anchors))),
        encoder=TEXTS["markup"],
        encoder_fingerprint=TEXTS["quotes"],
        note=TEXTS["the end of a script"] + TEXTS["an override of direction"] + LONG,
    )


def write_hostile_content(folder: Path, layers: Mapping[str, int], epochs: int = 3) -> None:
    """Write a run in which everything that is text is hostile, and all else is right."""
    space = hostile_words(SPACE)
    texts = list(TEXTS.values())
    images = make_images(SPACE, 16)
    events = [make_event(0, space_summary(space, 0))]
    for step, snapshots in enumerate(make_snapshots(epochs, layers, space=SPACE)):
        changed = {
            name: dataclasses.replace(
                snapshot,
                space=space,
                category_counts={
                    space.categories[SPACE.categories.index(category)]: count
                    for category, count in snapshot.category_counts.items()
                },
                detector=TEXTS["markup"],
                descriptions=tuple(texts[i % len(texts)] for i in range(snapshot.num_neurons)),
            )
            for name, snapshot in snapshots.items()
        }
        events.append(make_event(step, concept_summary(changed, step, images if step == 0 else None)))
        events.append(make_event(step, alert_summary(hostile_report(step, list(layers)))))
        for text in WHOLE.values():
            scalar = summary_pb2.Summary.Value(tag=text, simple_value=float(step))
            events.append(make_event(step, summary_pb2.Summary(value=[scalar])))
    events.append(make_event(epochs - 1, evolutions_summary(_table(texts, layers, 0, epochs - 1))))
    write_events(folder, events)


def _table(classes: Sequence[str], layers: Mapping[str, int], first: int, last: int) -> Evolutions:
    """A table of evolutions with four images of each class."""
    shape = len(classes), sum(layers.values())
    images, neurons = np.full(len(classes), 4, np.int32), tuple(layers.values())
    positive = np.arange(shape[0] * shape[1], dtype=np.int32).reshape(shape) % 5
    sensitivity = positive.astype(np.float32)
    return Evolutions(first, last, tuple(classes), images, tuple(layers), neurons, positive, sensitivity)


def hostile_report(step: int, layers: list[str]) -> AlertReport:
    """Alerts whose rule, message and series are hostile."""
    raised = tuple(
        Alert(text[:100], layers[0], step, "warning", f"{text} of {name}", _evidence(text))
        for name, text in WHOLE.items()
        if step == 0
    )
    return AlertReport(step, raised, (), raised, dict.fromkeys(WHOLE.values(), 1.0))


def _evidence(name: str) -> dict[str, Any]:
    return {"series": {name: [[0, 1.0], [1, 2.0]]}, "change": 1.0, "needed": 0.5, "noise": None}


def write_attacked_layers(folder: Path, changes: Mapping[str, tuple[str, Change]]) -> None:
    """Write a run with a layer for each change, done to it at the epoch `ATTACKED`; layer "other" is whole.

    Args:
        folder: The run's directory.
        changes: Kind of payload and what is done to it, by the layer's name.
    """

    def change(value: summary_pb2.Summary.Value) -> None:
        layer, kind = parse_layer_tag(value.tag) or ("", "")
        if layer in changes and changes[layer][0] == kind:
            changes[layer][1](value)

    write_attacked(folder, "", change, layers={**dict.fromkeys(changes, SMALL["victim"]), "other": 3})


def write_attacked_epochs(folder: Path, tag: str, changes: Sequence[Change]) -> None:
    """Write a run in which every second epoch has a value with this tag changed, each in its own way."""
    epochs = 2 * len(changes) + 1
    attacks = dict(zip(range(1, epochs, 2), changes, strict=True))

    def change(value: summary_pb2.Summary.Value, epoch: int) -> None:
        if value.tag == tag and epoch in attacks:
            attacks[epoch](value)

    _write(folder, change, epochs, SMALL)


def write_attacked_tables(folder: Path, changes: Sequence[Change]) -> None:
    """Write a run with a good table of evolutions from step 0, and one from -1, -2, ... for each change."""
    last, layers, events = EPOCHS - 1, {"victim": SMALL["victim"]}, []
    write_attacked(folder, "none", lambda value: None)
    for number, change in enumerate(changes, 1):
        summary = evolutions_summary(_table(("cat", "dog"), layers, -number, last))
        change(summary.value[0])
        events.append(make_event(last, summary))
    write_events(folder, events, "tables")


def write_attacked(
    folder: Path,
    tag: str,
    change: Change,
    *,
    wall_time: float | None = None,
    step: int | None = None,
    every_epoch: bool = False,
    layers: Mapping[str, int] = SMALL,
) -> None:
    """Write a run of three epochs; a value with this tag is changed at the epoch `ATTACKED`.

    Args:
        folder: The run's directory.
        tag: Which value, "" for all; that of the space is changed where it is.
        change: What is done to it.
        wall_time: Of that epoch's event, where it is another one.
        step: Of that epoch's event, where it is another one.
        every_epoch: Whether all epochs are changed.
        layers: Number of neurons by layer.
    """

    def change_there(value: summary_pb2.Summary.Value, epoch: int) -> None:
        if tag in ("", value.tag) and (epoch == ATTACKED or every_epoch or tag == SPACE_TAG):
            change(value)

    _write(folder, change_there, EPOCHS, layers, wall_time, step)


def _write(
    folder: Path,
    change: Callable[[summary_pb2.Summary.Value, int], None],
    epochs: int,
    layers: Mapping[str, int],
    wall_time: float | None = None,
    step: int | None = None,
) -> None:
    images = make_images(SPACE, 16)
    events = []
    for epoch, snapshots in enumerate(make_snapshots(epochs, layers, space=SPACE)):
        is_attacked = epoch == ATTACKED
        number = step if step is not None and is_attacked else epoch
        summary = summary_pb2.Summary()
        if epoch == 0:
            summary.MergeFrom(space_summary(SPACE, number))
        part = ProbeImages(images.ids[epoch::epochs], images.thumbnails[epoch::epochs])
        summary.MergeFrom(concept_summary(snapshots, number, part))
        summary.MergeFrom(alert_summary(AlertReport(number, (), (), (), {"loss": 1.0})))
        if epoch == epochs - 1 and number == epoch:
            summary.MergeFrom(evolutions_summary(_table(("cat",), layers, 0, epoch)))
        for value in summary.value:
            change(value, epoch)
        events.append(make_event(number, summary, wall_time if is_attacked else None))
    write_events(folder, events)
