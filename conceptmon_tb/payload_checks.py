"""Is a payload what its place in the log says? Readers check once and then rely on its content.

A checksum proves that a payload is as it was written, not that it was written well: whoever shares a
log directory can put anything into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from conceptmon_tb.jpeg_header import read_jpeg_size
from conceptmon_tb.metadata import Payload, PayloadError, shown

MAX_TILE = 2048
MAX_PIXELS = 1 << 28  # of an image page: 65,536 thumbnails of the usual 64 pixels
_PIXELS_PER_BYTE = 256  # at most: a sequential JPEG has two bits or more for each block of 64

_FLOATS, _IDS = ("<f4", "<f2"), ("<u2", "<i4")
_NEURON_ARRAYS = {
    "position": (2, _FLOATS),
    "concept_ids": (2, _IDS),
    "similarity": (2, _FLOATS),
    "flags": (1, ("|u1",)),
    "displacement": (1, _FLOATS),
    "top_images": (2, _IDS),
}
_SPACE_ARRAYS = {
    "words": ("text_embedding", "position"),
    "anchors": ("anchor_embedding", "anchor_position"),
}
_CODECS = {"space": ("residual", "|i1"), "mean": ("residual", "|i1"), "half": ("rows", "<f2")}
_METRIC_TEXTS = ("layer", "space", "detector")
_METRIC_COUNTS = ("neurons", "interpretable", "dead", "constant", "nonfinite")
_METRIC_NUMBERS = (
    "threshold", "threshold_level", "d_anchor", "d_anchor_gated", "mean_pairwise_distance",
    "mean_displacement", "temperature",
)  # fmt: skip
_MORE_METRIC_NUMBERS = (
    "entropy", "explanation_fit", "concepts_per_neuron", "redundant", "probe_images", "probe_total",
)  # fmt: skip
METRICS = frozenset(
    {*_METRIC_TEXTS, *_METRIC_COUNTS, *_METRIC_NUMBERS, *_MORE_METRIC_NUMBERS}
    | {"category_counts", "anchors", "tracked", "note"}
)
"""Attributes of a payload "metrics" that a reader knows, and that were checked."""

_MAX_COUNT = 2**31 - 1
_MAX_WHOLE = 2**53  # beyond that JSON's readers do not agree about a whole number
_JPEG_HEAD = 1 << 16


def check_payload(payload: Payload, kind: str, step: int) -> None:
    """Check that a payload belongs where it was found and that its content fits together.

    Args:
        payload: Any payload.
        kind: The kind it should be: "neurons", "metrics", "embedding", "space", "images", "alerts" or
            "evolutions".
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
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise PayloadError(f"malformed {kind} payload: {shown(error)}") from error


def _check_neurons(payload: Payload) -> None:
    shapes = {name: payload.arrays[name].shape for name in _NEURON_ARRAYS}
    fits = (
        all(len(shapes[name]) == dimensions for name, (dimensions, _) in _NEURON_ARRAYS.items())
        and len({shape[0] for shape in shapes.values()}) == 1
        and shapes["position"][1] == 2
        and shapes["concept_ids"] == shapes["similarity"]
        and shapes["concept_ids"][1] > 0
    )
    patches = payload.arrays.get("top_patches")
    if patches is not None and (patches.dtype != np.uint8 or patches.shape != (*shapes["top_images"], 4)):
        raise ValueError(f"top_patches {patches.dtype} {patches.shape} for top_images {shapes['top_images']}")
    if not fits:
        raise ValueError(f"shapes {shapes}")
    for name, (_, dtypes) in _NEURON_ARRAYS.items():
        _check_dtype(payload, name, dtypes)
    _check_explanations(payload, neurons=shapes["flags"][0])


def _check_explanations(payload: Payload, neurons: int) -> None:
    arrays = payload.arrays
    ids = arrays.get("explanation_ids")
    if (ids is None) != ("explanation_weights" not in arrays):
        raise ValueError("explanation_ids and explanation_weights come together")
    if ids is not None and (ids.ndim != 2 or len(ids) != neurons or ids.dtype.str not in _IDS):
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


def _check_dtype(payload: Payload, name: str, dtypes: tuple[str, ...]) -> None:
    dtype = payload.arrays[name].dtype
    if dtype.str not in dtypes:
        raise TypeError(f"{name} is {dtype}")


def _check_metrics(payload: Payload) -> None:
    attrs = payload.attrs
    _check_texts({name: attrs[name] for name in _METRIC_TEXTS} | {"note": attrs.get("note", "")})
    for name in _METRIC_COUNTS:
        _check_count(name, attrs[name])
    _check_numbers(attrs[name] for name in _METRIC_NUMBERS)
    _check_numbers(attrs.get(name) for name in _MORE_METRIC_NUMBERS)
    for name, count in attrs["category_counts"].items():
        _check_count(name, count)
    for neuron in attrs["tracked"]:
        _check_count("tracked", neuron)
    distances, neurons = attrs["anchors"]["nearest_distance"], attrs["anchors"]["nearest_neuron"]
    if not isinstance(distances, list) or not isinstance(neurons, list) or len(distances) != len(neurons):
        raise TypeError("anchors must have as many distances as neurons")
    _check_numbers((*distances, *neurons))
    if not all(type(neuron) is int for neuron in neurons):
        raise TypeError("neurons nearest to anchors must be whole numbers")


def _check_embedding(payload: Payload) -> None:
    _check_texts({name: payload.attrs[name] for name in ("codec", "space")})
    name, dtype = _CODECS[payload.attrs["codec"]]
    rows, scale = payload.arrays[name], payload.arrays["scale"]
    if rows.ndim != 2 or scale.shape != rows.shape[:1]:
        raise ValueError(f"scale {scale.shape} for rows {rows.shape}")
    _check_dtype(payload, name, (dtype,))
    _check_dtype(payload, "scale", _FLOATS)
    if payload.attrs["codec"] == "mean":
        _check_dtype(payload, "base", _FLOATS)
        if payload.arrays["base"].shape != rows.shape[1:]:
            raise ValueError(f"base {payload.arrays['base'].shape} for rows {rows.shape}")


def _check_space(payload: Payload) -> None:
    attrs, arrays = payload.attrs, payload.arrays
    for owner, names in _SPACE_ARRAYS.items():
        if not isinstance(attrs[owner], list) or not all(isinstance(text, str) for text in attrs[owner]):
            raise TypeError(f"{owner} must be a list of texts")
        for name in names:
            shape = arrays[name].shape
            if len(shape) != 2 or shape[0] != len(attrs[owner]):
                raise ValueError(f"{name} has shape {shape} for {len(attrs[owner])} {owner}")
            if name.endswith("position") and shape[1] != 2:
                raise ValueError(f"{name} has shape {shape}")
            _check_dtype(payload, name, _FLOATS)
    dim, own = arrays["text_embedding"].shape[1], arrays["anchor_embedding"].shape[1]
    if attrs["anchors"] and dim != own:
        raise ValueError(f"anchors have embeddings of {own} dimensions, words of {dim}")
    if not isinstance(attrs["categories"], list) or len(attrs["categories"]) != len(attrs["words"]):
        raise ValueError(f"{len(attrs['categories'])} categories for {len(attrs['words'])} words")
    _check_texts(dict(enumerate(attrs["categories"])))
    _check_texts({name: attrs[name] for name in ("encoder", "note", "projection", "fingerprint")})
    _check_texts({"encoder_fingerprint": attrs.get("encoder_fingerprint", "")})


def _check_images(payload: Payload) -> None:
    tile, columns = payload.attrs["tile"], payload.attrs["columns"]
    ids, jpeg = payload.arrays["ids"], payload.arrays["jpeg"]
    for name, count in (("tile", tile), ("columns", columns)):
        _check_count(name, count)
    if not 1 <= tile <= MAX_TILE or columns < 1 or ids.ndim != 1 or not len(ids) or jpeg.ndim != 1:
        raise ValueError(f"tile {tile}, columns {columns}, ids {ids.shape}, jpeg {jpeg.shape}")
    _check_dtype(payload, "ids", ("<i4",))
    _check_dtype(payload, "jpeg", ("|u1",))
    width, height = read_jpeg_size(jpeg[:_JPEG_HEAD].tobytes())
    expected = columns * tile, math.ceil(len(ids) / columns) * tile
    if (width, height) != expected:
        raise ValueError(f"a page of {width} x {height} pixels where {len(ids)} tiles take {expected}")
    if width * height > MAX_PIXELS:
        raise ValueError(f"a page of {width} x {height} pixels; at most {MAX_PIXELS} are shown")
    if width * height > _PIXELS_PER_BYTE * jpeg.size:
        # A browser would take gigabytes of memory for pictures of which some hundred bytes are there.
        raise ValueError(
            f"a page of {width} x {height} pixels in {jpeg.size} bytes, which cannot be all of it"
        )


def _check_alerts(payload: Payload) -> None:
    attrs = payload.attrs
    for entry in [*attrs["raised"], *attrs["ended"]]:
        if not isinstance(entry["rule"], str) or not isinstance(entry["layer"], str):
            raise TypeError("rule and layer must be texts")
        if type(entry["step"]) is not int or not -(2**63) <= entry["step"] < 2**63:
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


def _check_evolutions(payload: Payload) -> None:
    attrs, arrays = payload.attrs, payload.arrays
    if type(attrs["from_step"]) is not int or not -_MAX_WHOLE <= attrs["from_step"] < payload.step:
        raise ValueError("from_step must be a whole number before the step")
    for name in ("classes", "layers"):
        if not isinstance(attrs[name], list) or not attrs[name]:
            raise TypeError(f"{name} must be a list of texts")
        _check_texts(dict(enumerate(attrs[name])))
        if len(set(attrs[name])) != len(attrs[name]):
            raise ValueError(f"{name} must differ from each other")
    if not isinstance(attrs["neurons"], list) or len(attrs["neurons"]) != len(attrs["layers"]):
        raise ValueError("neurons must have a number for each layer")
    for count in attrs["neurons"]:
        _check_count("neurons", count)
    shape = len(attrs["classes"]), sum(attrs["neurons"])
    for name, expected, dtypes in (
        ("num_images", shape[:1], ("<i4",)),
        ("scale", shape[:1], _FLOATS),
        ("positive", shape, ("|u1", "<u2", "<i4")),
        ("sensitivity", shape, _FLOATS),
    ):
        _check_dtype(payload, name, dtypes)
        if arrays[name].shape != expected:
            raise ValueError(f"{name} has shape {arrays[name].shape} where {expected} was due")
    images, positive = arrays["num_images"], arrays["positive"]
    if (images < 1).any() or (positive < 0).any() or (positive > images[:, None]).any():
        raise ValueError("positive must be numbers of the class's images, and each class must have some")


def _check_texts(texts: Mapping[Any, object]) -> None:
    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a text")


def _check_count(name: str, value: object) -> None:
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        raise ValueError(f"{name} must be a number from 0 to {_MAX_COUNT}")


def _check_numbers(values: Iterable[object]) -> None:
    for value in values:
        if value is not None and type(value) not in (int, float):
            raise TypeError("figures must be numbers")
        if type(value) is int and abs(value) > _MAX_WHOLE:
            raise ValueError("figures must be numbers of a usual size")


_CHECKS: dict[str, Callable[[Payload], None]] = {
    "neurons": _check_neurons,
    "metrics": _check_metrics,
    "embedding": _check_embedding,
    "space": _check_space,
    "images": _check_images,
    "alerts": _check_alerts,
    "evolutions": _check_evolutions,
}
