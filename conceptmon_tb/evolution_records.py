"""Important evolutions on the wire: which neurons' change between two epochs matters to which class.

One record holds the table of one pair of epochs, for all classes and layers. It has a tag of its own, so that
pairs may be logged in any order. What importance is and how it is measured: `evolution.importance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from conceptmon_tb.metadata import (
    Payload,
    PayloadError,
    evolutions_tag,
    make_metadata,
    pack_payload,
    parse_evolutions_tag,
)
from conceptmon_tb.payload_checks import reading
from conceptmon_tb.snapshot import FloatArray, IntArray

_COUNTS: tuple[npt.DTypeLike, ...] = (np.uint8, np.uint16, np.int32)


class Evolution(NamedTuple):
    """One row of the table.

    Attributes:
        class_name: The class.
        layer: The neuron's layer.
        neuron: Its number in the layer.
        from_step: Epoch at which it begins.
        to_step: Epoch at which it ends.
        score: Importance I of Eq. 7.9, 0 to 1: the share of the class's images whose logit rises along it.
        sensitivity: By how much the logit rises on average, to first order (the mean of S of Eq. 7.8).
    """

    class_name: str
    layer: str
    neuron: int
    from_step: int
    to_step: int
    score: float
    sensitivity: float


@dataclass(frozen=True, eq=False)
class Evolutions:
    """How important the evolution of every neuron between two epochs is to classes.

    Attributes:
        from_step: Epoch t, at which evolutions begin.
        to_step: Epoch t', at which they end.
        classes: Names of the classes.
        num_images: `(classes,)` int32, images of each that were looked at: |X_c|.
        layers: Names of the layers.
        neurons: Number of neurons of each layer.
        positive: `(classes, neurons)` int32, the neurons of all layers one after the other: images of the
            class whose logit rises along the neuron's evolution.
        sensitivity: `(classes, neurons)` float32, by how much it rises on average; NaN for a neuron whose
            activations or gradients are not finite, which has no rank.

    Raises:
        TypeError: Steps are no whole numbers.
        ValueError: The fields do not fit together.

    Source: ConceptEvo, dissertation section 7.2.3, Eq. 7.7-7.9.
    """

    from_step: int
    to_step: int
    classes: tuple[str, ...]
    num_images: IntArray
    layers: tuple[str, ...]
    neurons: tuple[int, ...]
    positive: IntArray
    sensitivity: FloatArray

    def __post_init__(self) -> None:
        check_steps(self.from_step, self.to_step)
        for name in ("classes", "layers"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty; name at least one")
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name} must be different from each other, got {getattr(self, name)}")
        shape = (len(self.classes), sum(self.neurons))
        if len(self.neurons) != len(self.layers) or np.shape(self.num_images) != shape[:1]:
            raise ValueError(
                f"{len(self.layers)} layers with {len(self.neurons)} numbers of neurons, and "
                f"{len(self.classes)} classes with {np.shape(self.num_images)} numbers of images"
            )
        for name in ("positive", "sensitivity"):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} has shape {np.shape(getattr(self, name))}; expected {shape}")
        images, positive = np.asarray(self.num_images), np.asarray(self.positive)
        if (images < 1).any() or (positive < 0).any() or (positive > images[:, None]).any():
            raise ValueError("positive must be numbers of the class's images, and each class must have some")

    @cached_property
    def score(self) -> FloatArray:
        """`(classes, neurons)` float32, importance I of Eq. 7.9; 0 for neurons without rank."""
        return (self.positive / np.maximum(self.num_images, 1)[:, None]).astype(np.float32)

    def columns(self, layer: str) -> slice:
        """Which columns of `positive`, `sensitivity` and `score` a layer has.

        Raises:
            KeyError: There is no such layer.
        """
        if layer not in self.layers:
            raise KeyError(f"no layer {layer!r}; there are {', '.join(self.layers)}")
        at = self.layers.index(layer)
        start = sum(self.neurons[:at])
        return slice(start, start + self.neurons[at])

    def order(self, class_name: str, layer: str | None = None) -> npt.NDArray[np.intp]:
        """Columns in the order of importance, the most important first; of a layer or of all.

        Scores are shares of some images, so many are equal: those are told apart by the mean sensitivity.

        Args:
            class_name: One of `classes`.
            layer: One of `layers`; None for all.

        Returns:
            Columns of `score`; those without rank are left out.

        Raises:
            KeyError: There is no such class or layer.
        """
        if class_name not in self.classes:
            raise KeyError(f"no class {class_name!r}; there are {', '.join(self.classes)}")
        row = self.classes.index(class_name)
        columns = np.arange(self.positive.shape[1])[slice(None) if layer is None else self.columns(layer)]
        return columns[rank(self.positive[row, columns], self.sensitivity[row, columns])]

    def ranked(
        self, class_name: str, layer: str | None = None, most: int | None = None, *, least: bool = False
    ) -> list[Evolution]:
        """The evolutions that matter most to a class.

        Args:
            class_name: One of `classes`.
            layer: One of `layers`; None for all together.
            most: At most so many; None for all.
            least: Begin with the least important one.

        Returns:
            Rows, the most important first.

        Raises:
            KeyError: There is no such class or layer.
        """
        columns = self.order(class_name, layer)
        return [self._row(class_name, column) for column in columns[:: -1 if least else 1][:most].tolist()]

    def place(self, column: int) -> tuple[str, int]:
        """Layer and neuron of a column."""
        return places_of([column], self.layers, self.neurons)[0]

    def _row(self, class_name: str, column: int) -> Evolution:
        row = self.classes.index(class_name)
        score, sensitivity = float(self.score[row, column]), float(self.sensitivity[row, column])
        return Evolution(class_name, *self.place(column), self.from_step, self.to_step, score, sensitivity)


def check_steps(from_step: object, to_step: object) -> None:
    """Refuse what are no two steps, the earlier one first.

    Raises:
        TypeError: They are no whole numbers.
        ValueError: They are not in order.
    """
    if not isinstance(from_step, (int, np.integer)) or not isinstance(to_step, (int, np.integer)):
        raise TypeError(f"from_step and to_step must be whole numbers, got {from_step!r} and {to_step!r}")
    if from_step >= to_step:
        raise ValueError(f"from_step must be before to_step, got {from_step} and {to_step}")


def rank(positive: npt.NDArray[np.integer[Any]], sensitivity: FloatArray) -> npt.NDArray[np.intp]:
    """Order one class's neurons: by score, equal ones by mean sensitivity, then by number.

    Args:
        positive: `(neurons,)`, images with a rising logit.
        sensitivity: `(neurons,)`; neurons where it is not finite are left out.

    Returns:
        Indices of the others, the most important first.
    """
    known = np.flatnonzero(np.isfinite(sensitivity))
    order = np.lexsort((-sensitivity[known], -positive[known].astype(np.int64)))
    ranked: npt.NDArray[np.intp] = known[order]
    return ranked


def places_of(columns: Sequence[int], layers: Sequence[str], neurons: Sequence[int]) -> list[tuple[str, int]]:
    """Layer and neuron of each of some columns, where the neurons of all layers follow one another."""
    ends = np.cumsum(neurons)
    found = np.searchsorted(ends, columns, side="right").tolist()
    return [
        (layers[at], column - int(ends[at]) + neurons[at]) for column, at in zip(columns, found, strict=True)
    ]


def evolutions_summary(evolutions: Evolutions) -> summary_pb2.Summary:
    """Make the summary that logs a table, for an event of its own at `to_step`.

    Args:
        evolutions: The table.

    Returns:
        A summary for one Event.
    """
    summary = summary_pb2.Summary()
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[pack_evolutions(evolutions)])
    tensor.tensor_shape.dim.add(size=1)
    tag = evolutions_tag(evolutions.from_step, evolutions.to_step)
    summary.value.add(tag=tag, metadata=make_metadata(summary_pb2.DATA_CLASS_BLOB_SEQUENCE), tensor=tensor)
    return summary


def pack_evolutions(evolutions: Evolutions) -> bytes:
    """Pack a table: 3 bytes per class and neuron where no class has more than 255 images.

    Args:
        evolutions: The table.

    Returns:
        A container of kind "evolutions".
    """
    largest = int(np.max(evolutions.num_images, initial=0))
    counts = next(dtype for dtype in _COUNTS if largest <= np.iinfo(dtype).max)
    # Half precision is fine to one part in 2,000, but not for gradients of 1e-7: those of a class share a
    # scale.
    sizes = np.where(np.isfinite(evolutions.sensitivity), np.abs(evolutions.sensitivity), 0)
    scale = sizes.max(axis=1, initial=0)
    scaled = evolutions.sensitivity / np.where(scale > 0, scale, 1)[:, None]
    attrs = {
        "from_step": evolutions.from_step,
        "classes": list(evolutions.classes),
        "layers": list(evolutions.layers),
        "neurons": list(evolutions.neurons),
    }
    arrays = {
        "num_images": np.asarray(evolutions.num_images, np.int32),
        "positive": evolutions.positive.astype(counts),
        "scale": scale.astype(np.float32),
        "sensitivity": scaled.astype(np.float16),
    }
    return pack_payload("evolutions", evolutions.to_step, attrs, arrays)


def unpack_evolutions(payload: Payload, tag: str | None = None) -> Evolutions:
    """Undo `pack_evolutions`.

    Args:
        payload: A payload of kind "evolutions", checked.
        tag: The tag that it was found under; None where it has none.

    Returns:
        The table; sensitivities to one part in 2,000 of a class's largest one.

    Raises:
        PayloadError: It is of another kind, or not what its tag says.
    """
    with reading(payload, "evolutions"):
        attrs, arrays = payload.attrs, payload.arrays
        pair = int(attrs["from_step"]), payload.step
        if tag is not None and parse_evolutions_tag(tag) != pair:
            raise PayloadError(f"evolutions from step {pair[0]} to {pair[1]} under {tag!r}")
        return Evolutions(
            *pair,
            tuple(attrs["classes"]),
            arrays["num_images"].astype(np.int32),
            tuple(attrs["layers"]),
            tuple(attrs["neurons"]),
            arrays["positive"].astype(np.int32),
            scale_sensitivity(arrays["sensitivity"], arrays["scale"]),
        )


def scale_sensitivity(
    stored: npt.NDArray[np.floating[Any]], scale: npt.NDArray[np.floating[Any]]
) -> FloatArray:
    """Stored sensitivities as they were.

    Args:
        stored: `(classes, neurons)` as in the payload.
        scale: `(classes,)` of each class.

    Returns:
        `(classes, neurons)` float32; what is not a finite number is NaN.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = stored.astype(np.float32) * scale.astype(np.float32)[:, None]
    scaled[~np.isfinite(scaled)] = np.nan
    return scaled
