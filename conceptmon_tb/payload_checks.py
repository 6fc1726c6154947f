"""Is a payload what its place in the log says? Readers check once and then rely on its content.

A checksum proves that a payload is as it was written, not that it was written well: whoever shares a
log directory can put anything into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from conceptmon_tb.metadata import Payload, PayloadError

_NEURON_ARRAYS = {
    "position": 2,
    "concept_ids": 2,
    "similarity": 2,
    "flags": 1,
    "displacement": 1,
    "top_images": 2,
}
_SPACE_ARRAYS = {
    "words": ("text_embedding", "position"),
    "anchors": ("anchor_embedding", "anchor_position"),
}


def check_payload(payload: Payload, kind: str, step: int) -> None:
    """Check that a payload belongs where it was found and that its content fits together.

    Args:
        payload: Any payload.
        kind: The kind it should be: "neurons", "metrics", "embedding", "space", "images" or
            "alerts".
        step: The step of the event that carried it.

    Raises:
        PayloadError: It is of another kind or step, or its content does not fit together.
    """
    with reading(payload, kind):
        if payload.step != step:
            raise PayloadError(f"a payload of step {payload.step} in an event of step {step}")
        _CHECKS[kind](payload)


@contextmanager
def reading(payload: Payload, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong while a payload's content is read into `PayloadError`.

    Args:
        payload: The payload being read.
        kind: The kind it must be.

    Raises:
        PayloadError: It is of another kind, or its content is not as expected.
    """
    if payload.kind != kind:
        raise PayloadError(f"a payload of kind {payload.kind!r} where {kind!r} was expected")
    try:
        yield
    except PayloadError:
        raise
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PayloadError(f"malformed {kind} payload: {error!r}") from error


def _check_neurons(payload: Payload) -> None:
    shapes = {name: payload.arrays[name].shape for name in _NEURON_ARRAYS}
    fits = (
        all(len(shapes[name]) == dimensions for name, dimensions in _NEURON_ARRAYS.items())
        and len({shape[0] for shape in shapes.values()}) == 1
        and shapes["position"][1] == 2
        and shapes["concept_ids"] == shapes["similarity"]
    )
    patches = payload.arrays.get("top_patches")
    if patches is not None and (patches.dtype != np.uint8 or patches.shape != (*shapes["top_images"], 4)):
        raise ValueError(f"top_patches {patches.dtype} {patches.shape} for top_images {shapes['top_images']}")
    if not fits:
        raise ValueError(f"shapes {shapes}")
    _check_explanations(payload, neurons=shapes["flags"][0])


def _check_explanations(payload: Payload, neurons: int) -> None:
    arrays = payload.arrays
    ids = arrays.get("explanation_ids")
    if (ids is None) != ("explanation_weights" not in arrays):
        raise ValueError("explanation_ids and explanation_weights come together")
    if ids is not None and (ids.ndim != 2 or len(ids) != neurons or ids.dtype.kind not in "iu"):
        raise ValueError(f"explanation_ids {ids.dtype} {ids.shape} for {neurons} neurons")
    shapes: dict[str, tuple[int, ...]] = {"explanation_fit": (neurons,), "num_concepts": (neurons,)}
    shapes["explanation_weights"] = (neurons, *(ids.shape[1:] if ids is not None else ()))
    for name in shapes.keys() & arrays.keys():
        if arrays[name].shape != shapes[name] or arrays[name].dtype.kind != "f":
            raise ValueError(f"{name} {arrays[name].dtype} {arrays[name].shape} where {shapes[name]} was due")
    descriptions = payload.attrs.get("descriptions", [])
    if not isinstance(descriptions, list) or not all(isinstance(text, str) for text in descriptions):
        raise TypeError("descriptions must be a list of texts")
    if len(descriptions) not in (0, neurons):
        raise ValueError(f"{len(descriptions)} descriptions for {neurons} neurons")


def _check_metrics(payload: Payload) -> None:
    if type(payload.attrs["neurons"]) is not int or not isinstance(payload.attrs["space"], str):
        raise TypeError("neurons must be a number and space a text")


def _check_embedding(payload: Payload) -> None:
    rows = payload.arrays["rows" if payload.attrs["codec"] == "half" else "residual"]
    scale = payload.arrays["scale"]
    if rows.ndim != 2 or scale.shape != rows.shape[:1]:
        raise ValueError(f"scale {scale.shape} for rows {rows.shape}")


def _check_space(payload: Payload) -> None:
    attrs = payload.attrs
    for owner, names in _SPACE_ARRAYS.items():
        for name in names:
            shape = payload.arrays[name].shape
            if len(shape) != 2 or shape[0] != len(attrs[owner]):
                raise ValueError(f"{name} has shape {shape} for {len(attrs[owner])} {owner}")
    if len(attrs["categories"]) != len(attrs["words"]):
        raise ValueError(f"{len(attrs['categories'])} categories for {len(attrs['words'])} words")
    for name in ("encoder", "note", "projection", "fingerprint"):
        if not isinstance(attrs[name], str):
            raise TypeError(f"{name} must be a text")


def _check_images(payload: Payload) -> None:
    tile, columns = int(payload.attrs["tile"]), int(payload.attrs["columns"])
    if tile < 1 or columns < 1 or not payload.arrays["jpeg"].size or payload.arrays["ids"].ndim != 1:
        raise ValueError(f"tile {tile}, columns {columns}")


def _check_alerts(payload: Payload) -> None:
    attrs = payload.attrs
    for entry in [*attrs["raised"], *attrs["ended"]]:
        if not isinstance(entry["rule"], str) or not isinstance(entry["layer"], str):
            raise TypeError("rule and layer must be texts")
        if type(entry["step"]) is not int:
            raise TypeError("step must be a whole number")
    for entry in attrs["raised"]:
        if not isinstance(entry["message"], str) or entry["severity"] not in ("warning", "critical"):
            raise ValueError("message must be a text and severity warning or critical")
        for points in entry["evidence"]["series"].values():
            if not all(len(point) == 2 and type(point[0]) is int for point in points):
                raise ValueError("a series of evidence must be pairs of step and value")
            _check_numbers(value for _, value in points)
        _check_numbers(entry["evidence"].get(name) for name in ("change", "needed", "noise"))
    _check_numbers(attrs["training"].values())


def _check_numbers(values: Iterable[object]) -> None:
    if not all(value is None or type(value) in (int, float) for value in values):
        raise TypeError("figures must be numbers")


_CHECKS: dict[str, Callable[[Payload], None]] = {
    "neurons": _check_neurons,
    "metrics": _check_metrics,
    "embedding": _check_embedding,
    "space": _check_space,
    "images": _check_images,
    "alerts": _check_alerts,
}
