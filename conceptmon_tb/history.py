"""What a run's folder already holds, for a writer that goes on in it.

Event files are read without verifying TensorBoard's checksums, and events without concepts are not even
parsed: a log of 200 MB takes a fraction of a second. Payloads have a checksum of their own, so an epoch that
a crash or a bad disk spoilt does not count as logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorboard.compat.proto import event_pb2, tensor_pb2

from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.metadata import (
    IMAGES_TAG,
    SPACE_TAG,
    TAG_PREFIX,
    Payload,
    PayloadError,
    parse_evolutions_tag,
    parse_layer_tag,
    unpack_payload,
)

_SMALL = 256  # bytes; session events have some 20
_Parts = dict[tuple[str, int], set[str]]


@dataclass
class History:
    """What earlier sessions logged and did not purge.

    Attributes:
        steps: Complete epochs by layer.
        space_steps: Steps at which a space was sent.
        image_steps: Steps at which thumbnails were sent.
        evolutions: Pairs of steps whose important evolutions were sent.
        looks: Probe images looked through at each step, and images of the whole probe set, where told.
        starts: How many START events there are.
        unpurged: Steps by layer that a START event hides from everybody but TensorBoard's Python loader,
            which ignores the first one of a run.
        sizes: Bytes of each event file by its name, as read.
    """

    steps: dict[str, set[int]] = field(default_factory=dict)
    space_steps: set[int] = field(default_factory=set)
    image_steps: set[int] = field(default_factory=set)
    evolutions: set[tuple[int, int]] = field(default_factory=set)
    looks: dict[int, tuple[int, int]] = field(default_factory=dict)
    starts: int = 0
    unpurged: dict[str, list[int]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def last_step(self, layer: str) -> int | None:
        """The last step of a layer; None without any."""
        return max(self.steps.get(layer, ()), default=None)

    @property
    def last_look(self) -> tuple[int, int] | None:
        """Probe images looked through at the last step, and how many the probe set had; None if unknown."""
        return self.looks[max(self.looks)] if self.looks else None

    def purge(self, first_step: int) -> dict[str, list[int]]:
        """Forget what was logged from a step on.

        Args:
            first_step: The step at which a session starts again.

        Returns:
            The forgotten steps of each layer that has some.
        """
        gone = {layer: sorted(s for s in steps if s >= first_step) for layer, steps in self.steps.items()}
        for steps in (*self.steps.values(), self.space_steps, self.image_steps):
            steps.difference_update([step for step in steps if step >= first_step])
        self.evolutions = {pair for pair in self.evolutions if pair[1] < first_step}
        self.looks = {step: look for step, look in self.looks.items() if step < first_step}
        return {layer: steps for layer, steps in gone.items() if steps}


def read_history(folder: str | Path) -> History:
    """Read what a folder's event files hold of concepts, in TensorBoard's order.

    Args:
        folder: The run's own directory; it need not exist.

    Returns:
        Its history, empty for a fresh run. What cannot be read does not count as logged.
    """
    history = History()
    for path in event_files(folder) if Path(folder).is_dir() else ():
        history.sizes[path.name] = path.stat().st_size
        parts: _Parts = {}
        for event in _concept_events(path):
            if event.session_log.status == event_pb2.SessionLog.START:
                _start(history, event.step)
                parts.clear()
            else:
                _take(history, parts, event)
    return history


def _concept_events(path: Path) -> Iterator[event_pb2.Event]:
    prefix = TAG_PREFIX.encode()
    with suppress(OSError):
        for record in read_records(path, verify=False):
            if record.data is not None and (len(record.data) < _SMALL or prefix in record.data):
                with suppress(DecodeError):
                    yield event_pb2.Event.FromString(record.data)


def _start(history: History, step: int) -> None:
    gone = history.purge(step)
    if history.starts:
        for layer, steps in list(history.unpurged.items()):
            history.unpurged[layer] = [s for s in steps if s < step]
    else:
        history.unpurged = gone
    history.starts += 1


def _take(history: History, parts: _Parts, event: event_pb2.Event) -> None:
    step = event.step
    for value in event.summary.value:
        if value.tag == SPACE_TAG:
            history.space_steps.add(step)
        elif value.tag == IMAGES_TAG:
            history.image_steps.add(step)
        elif (pair := parse_evolutions_tag(value.tag)) is not None:
            if pair[1] == step and _read(value.tensor) is not None:
                history.evolutions.add(pair)
        elif (found := parse_layer_tag(value.tag)) is not None:
            payload = _read(value.tensor)
            if payload is None:
                continue
            layer, kind = found
            look = payload.attrs.get("probe_images"), payload.attrs.get("probe_total")
            if isinstance(look[0], int) and isinstance(look[1], int):
                history.looks[step] = look[0], look[1]
            kinds = parts.setdefault((layer, step), set())
            kinds.add(kind)
            if kinds >= {"neurons", "metrics"}:
                history.steps.setdefault(layer, set()).add(step)


def _read(tensor: tensor_pb2.TensorProto) -> Payload | None:
    try:
        return unpack_payload(tensor.string_val[0] if tensor.string_val else tensor.tensor_content)
    except PayloadError:
        return None
