"""Neuron payloads of one layer, step by step: only what is asked for is read, decoded and kept.

Small layers are tensors: TensorBoard's data provider answers them all at once, and the record store keeps
what fits. Large layers are blobs, read one by one; of each only the part that is asked for is kept, because
a whole training of 100,000 neurons takes half a gigabyte, and what the map draws of it a quarter of that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from conceptmon_tb.metadata import Payload, PayloadError, layer_tag
from conceptmon_tb.payloads import widen_ids
from conceptmon_tb.plugin.entry import LoggedLayer
from conceptmon_tb.plugin.records import Flaw, GoneError, Point, RecordStore, read_blob
from conceptmon_tb.plugin.source import BlobPoint, Source

Part = Literal["all", "frames", "details"]

_TOP = ("concept_ids", "similarity")
_FRAMES = ("position", "flags", "displacement")
_DETAILS = ("top_images", "top_patches")
_EXPLANATIONS = ("explanation_ids", "explanation_weights", "explanation_fit", "num_concepts")
_NAMES: Mapping[Part, tuple[str, ...]] = {
    "all": (*_FRAMES, *_TOP, *_DETAILS, *_EXPLANATIONS),
    "frames": (*_FRAMES, *_TOP),
    "details": (*_TOP, *_DETAILS, *_EXPLANATIONS),
}
_READERS = 2
_INT32_MAX = 2**31 - 1


def read_neurons(
    store: RecordStore, logged: LoggedLayer, steps: Collection[int], part: Part
) -> dict[int, Payload]:
    """Read the payloads of some steps.

    Args:
        store: Verified records.
        logged: The layer.
        steps: Some of its steps.
        part: What is needed of them.

    Returns:
        Payloads by step, which have at least the arrays of the part; of "frames", at least the best concept.
        Steps whose payload turns out to be damaged are left out and noted in the store.
    """
    source, run, layer, entry = logged
    tag = layer_tag(layer, "neurons")
    points = sorted(point for point in entry.steps if point[0] in steps)
    if entry.blobs is not None:
        blobs = [entry.blobs[step] for step, _ in points]
        # The data server stalls on some reads: the others need not wait for those.
        with ThreadPoolExecutor(_READERS) as pool:
            parts = list(pool.map(lambda blob: _read_part(store, source, run, tag, blob, part), blobs))
        read = {point: payload for point, payload in zip(points, parts, strict=True) if payload is not None}
    elif entry.neurons_signature is not None and points:
        found = store.payloads(source, run, tag, entry.neurons_signature, set(points))
        read = {record.point: payload for record, payload in found}
    else:
        read = {}
    usable = {}
    for point, payload in read.items():
        size = len(next(iter(payload.arrays.values())))
        if size == entry.neurons:
            usable[point[0]] = payload
        else:
            reason = f"{size} neurons where the metrics of this step tell of {entry.neurons}"
            store.note_flaw(source, run, tag, point, Flaw("size", reason))
    return usable


def stack_neurons(
    found: list[Payload], steps: list[int], neurons: int, part: Part
) -> dict[str, npt.NDArray[Any]]:
    """Stack steps into one array per name; steps with fewer concepts or images are filled up.

    Args:
        found: Payload of each step.
        steps: The steps.
        neurons: Number of neurons of the layer.
        part: Which arrays to make.

    Returns:
        Arrays of the answer `layer`, as in `docs/http_api.md`.
    """
    concepts, images = count_concepts(found), count_images(found)
    if part == "frames":
        concepts = 1
    empty: dict[str, tuple[tuple[int, ...], npt.DTypeLike, float]] = {
        "position": ((2,), np.float32, np.nan),
        "concept_ids": ((concepts,), np.int32, -1),
        "similarity": ((concepts,), np.float32, 0),
        "flags": ((), np.uint8, 0),
        "displacement": ((), np.float32, np.nan),
        "top_images": ((images,), np.int32, -1),
        "top_patches": ((images, 4), np.uint8, 0),
    }
    if not any("top_patches" in payload.arrays for payload in found):
        del empty["top_patches"]
    numbers = np.clip(np.array(steps, dtype=np.int64), -_INT32_MAX, _INT32_MAX).astype(np.int32)
    stacked: dict[str, npt.NDArray[Any]] = {"steps": numbers}
    for name, (shape, dtype, fill) in empty.items():
        if name in _NAMES[part]:
            stacked[name] = np.full((len(found), neurons, *shape), fill, dtype)
            for target, payload in zip(stacked[name], found, strict=True):
                _fill(target, name, payload.arrays)
    return stacked


def count_concepts(found: Iterable[Payload]) -> int:
    """Concepts logged of every neuron, the most of several steps."""
    return max((_size(payload, "top_concepts", "concept_ids") for payload in found), default=0)


def count_images(found: Iterable[Payload]) -> int:
    """Images logged of every neuron, the most of several steps."""
    return max((_size(payload, "images", "top_images") for payload in found), default=0)


def bytes_per_neuron(part: Part, concepts: int, images: int) -> int:
    """Size of an answer for one neuron at one step."""
    frame, details = 8 + 4 + 4 + 1 + 4, concepts * 8 + images * (4 + 4)
    return {"frames": frame, "details": details, "all": frame + details}[part]


def _size(payload: Payload, attribute: str, name: str) -> int:
    """Width of an array; what was cut down to a part tells it as an attribute."""
    return int(payload.attrs[attribute]) if payload.kind != "neurons" else payload.arrays[name].shape[1]


def _fill(target: npt.NDArray[Any], name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    source = arrays.get(name)
    if source is None:
        return
    if name in ("concept_ids", "top_images"):
        source = widen_ids(source[:, : target.shape[1]])
    if name == "position":
        # Half a place, or one at infinity, is none: nothing can be drawn there.
        target[...] = np.where(np.isfinite(source).all(axis=1, keepdims=True), source, np.nan)
    elif target.ndim == 1:
        target[...] = source
    else:
        width = min(source.shape[1], target.shape[1])
        target[:, :width] = source[:, :width]


def _read_part(
    store: RecordStore, source: Source, run: str, tag: str, blob: BlobPoint, part: Part
) -> Payload | None:
    """Return at least one part of a blob, from the cache where it is there; None where it cannot be used."""
    point: Point = (blob.step, blob.wall_time)
    keys = {name: (source.experiment, run, tag, *point, name) for name in _NAMES}
    for name in dict.fromkeys((part, "all")):
        payload = store.cache.get(keys[name])
        if payload is not None:
            return payload
    try:
        whole = read_blob(source, "neurons", blob.step, blob.key or "")
    except GoneError:
        return None
    except PayloadError as error:
        store.note_flaw(source, run, tag, point, Flaw.of(error))
        return None
    cut = _cut(whole, part)
    store.cache.put(keys[part], cut)
    return cut


def _cut(payload: Payload, part: Part) -> Payload:
    """Copy the arrays of one part, so that the rest need not be kept."""
    if part == "all":
        return payload
    arrays = {name: array for name, array in payload.arrays.items() if name in _NAMES[part]}
    if part == "frames":
        arrays |= {name: arrays[name][:, :1] for name in ("concept_ids", "similarity")}
    # The checksum held, so what the attributes say of the widths is what the arrays had.
    attrs: dict[str, Any] = {"top_concepts": count_concepts([payload]), "images": count_images([payload])}
    if part == "details":
        attrs["descriptions"] = payload.attrs.get("descriptions", [])
    arrays = {name: np.array(array) for name, array in arrays.items()}
    nbytes = sum(array.nbytes for array in arrays.values())
    return Payload(part, payload.step, attrs, arrays, payload.version, nbytes)
