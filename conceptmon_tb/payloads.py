"""Snapshots and spaces to containers and back: which arrays and attributes each payload holds.

`summary` wraps what is made here into protos; `reader` and the plugin unwrap it. Both directions
stand side by side, because they must agree. The tables are in `docs/event_format.md`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.embedding_codec import (
    base_embedding,
    decode_embedding,
    encode_embedding,
    stored_text_embedding,
)
from conceptmon_tb.metadata import Payload, PayloadError, pack_payload
from conceptmon_tb.payload_checks import reading
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace, FloatArray, IntArray

FLAG_INTERPRETABLE = 1
FLAG_VALID = 2
FLAG_UNKNOWN = 4

_NO_ID = 0xFFFF
_HALF_ARRAYS = ("explanation_weights", "explanation_fit", "num_concepts")


def pack_neurons(snapshot: ConceptSnapshot, step: int) -> bytes:
    """Pack what the tab wants of every neuron at every epoch (60 to 117 bytes per neuron).

    Args:
        snapshot: One layer at one moment.
        step: Global step.

    Returns:
        A container of kind "neurons".

    Raises:
        ValueError: Arrays of the snapshot disagree about the number of neurons.
    """
    _check_shapes(snapshot)
    flags = snapshot.interpretable * FLAG_INTERPRETABLE + snapshot.valid * FLAG_VALID
    if snapshot.unknown is not None:
        flags += snapshot.unknown * FLAG_UNKNOWN
    arrays = {
        "position": np.asarray(snapshot.position, dtype=np.float32),
        "concept_ids": _narrow_ids(snapshot.concept_ids),
        "similarity": np.asarray(snapshot.similarity, dtype=np.float32),
        "flags": flags.astype(np.uint8),
        "displacement": np.asarray(snapshot.displacement, dtype=np.float32),
        "top_images": _narrow_ids(snapshot.top_images),
    }
    if snapshot.top_patches is not None:
        arrays["top_patches"] = np.asarray(snapshot.top_patches, dtype=np.uint8)
    if snapshot.explanation_ids is not None:
        arrays["explanation_ids"] = _narrow_ids(snapshot.explanation_ids)
    for name in _HALF_ARRAYS:
        if (values := getattr(snapshot, name)) is not None:
            arrays[name] = np.asarray(values).astype(np.float16)
    attrs = {"descriptions": list(snapshot.descriptions)} if snapshot.descriptions else {}
    return pack_payload("neurons", step, attrs, arrays)


def pack_metrics(snapshot: ConceptSnapshot, step: int) -> bytes:
    """Pack the figures of a whole layer: attributes only.

    Args:
        snapshot: One layer at one moment.
        step: Global step.

    Returns:
        A container of kind "metrics".
    """
    attrs: dict[str, Any] = {
        "layer": snapshot.layer,
        "space": snapshot.space.fingerprint,
        "neurons": snapshot.num_neurons,
        "threshold": snapshot.threshold,
        "threshold_level": snapshot.threshold_level,
        "interpretable": snapshot.num_interpretable,
        "category_counts": dict(snapshot.category_counts),
        "d_anchor": snapshot.anchor_distance,
        "d_anchor_gated": snapshot.anchor_distance_gated,
        "mean_pairwise_distance": snapshot.mean_pairwise_distance,
        "mean_displacement": snapshot.mean_displacement,
        "dead": snapshot.num_dead,
        "constant": snapshot.num_constant,
        "nonfinite": snapshot.num_nonfinite,
        "anchors": {
            "nearest_distance": np.asarray(snapshot.anchor_nearest_distance, dtype=np.float32),
            "nearest_neuron": np.asarray(snapshot.anchor_nearest_neuron),
        },
        "detector": snapshot.detector,
        "temperature": snapshot.temperature,
        "tracked": list(snapshot.tracked),
    }
    if np.isfinite(snapshot.entropy):
        attrs["entropy"] = snapshot.entropy
    if snapshot.explanation_ids is not None:
        attrs["explanation_fit"] = snapshot.mean_explanation_fit
        attrs["concepts_per_neuron"] = snapshot.concepts_per_neuron
        attrs["redundant"] = snapshot.num_redundant
    if snapshot.probe_images is not None:
        attrs["probe_images"], attrs["probe_total"] = snapshot.probe_images, snapshot.probe_total
    if snapshot.space.note:
        attrs["note"] = snapshot.space.note
    return pack_payload("metrics", step, attrs)


def pack_embedding(snapshot: ConceptSnapshot, step: int) -> bytes:
    """Pack the embedding of every neuron (about one byte per dimension).

    Args:
        snapshot: One layer at one moment.
        step: Global step.

    Returns:
        A container of kind "embedding".
    """
    codec, arrays = encode_embedding(snapshot.embedding, _space_base(snapshot.space))
    return pack_payload("embedding", step, {"space": snapshot.space.fingerprint, "codec": codec}, arrays)


def pack_space(space: ConceptSpace, step: int) -> bytes:
    """Pack the whole concept space, text embeddings included.

    Args:
        space: The space.
        step: First global step that uses it.

    Returns:
        A container of kind "space".
    """
    attrs = {
        "words": list(space.words),
        "categories": list(space.categories),
        "anchors": list(space.anchors),
        "encoder": space.encoder,
        "encoder_fingerprint": space.encoder_fingerprint,
        "projection": space.projection,
        "note": space.note,
        "fingerprint": space.fingerprint,
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        "text_embedding": np.asarray(space.text_embedding).astype(np.float16),
        "position": np.asarray(space.position, dtype=np.float32),
        "anchor_embedding": np.asarray(space.anchor_embedding).astype(np.float16),
        "anchor_position": np.asarray(space.anchor_position, dtype=np.float32),
    }
    return pack_payload("space", step, attrs, arrays)


def unpack_space(payload: Payload) -> ConceptSpace:
    """Undo `pack_space`.

    Args:
        payload: A payload of kind "space".

    Returns:
        The space, with the fingerprint that it was written with.

    Raises:
        PayloadError: It is of another kind, or something is missing in it.
    """
    with reading(payload, "space"):
        attrs, arrays = payload.attrs, payload.arrays
        space = ConceptSpace(
            words=tuple(attrs["words"]),
            categories=tuple(attrs["categories"]),
            text_embedding=stored_text_embedding(arrays["text_embedding"]),
            position=arrays["position"].astype(np.float32),
            anchors=tuple(attrs["anchors"]),
            anchor_embedding=stored_text_embedding(arrays["anchor_embedding"]),
            anchor_position=arrays["anchor_position"].astype(np.float32),
            encoder=attrs["encoder"],
            encoder_fingerprint=attrs.get("encoder_fingerprint", ""),
            projection=attrs["projection"],
            note=attrs["note"],
        )
        # The embeddings were rounded on the way; the space is still the one that the writer named.
        vars(space)["fingerprint"] = str(attrs["fingerprint"])
        return space


def unpack_snapshot(
    layer: str, neurons: Payload, metrics: Payload, embedding: Payload | None, space: ConceptSpace
) -> ConceptSnapshot:
    """Undo `pack_neurons`, `pack_metrics` and `pack_embedding`.

    Args:
        layer: Name of the layer.
        neurons: Payload of kind "neurons".
        metrics: Payload of kind "metrics" of the same step.
        embedding: Payload of kind "embedding" of the same step; None gives zeros.
        space: The space that `metrics` names.

    Returns:
        The snapshot.

    Raises:
        PayloadError: A payload is of another kind, something is missing in it, or they do not fit together.
    """
    with reading(neurons, "neurons"), reading(metrics, "metrics"):
        arrays, attrs = neurons.arrays, metrics.attrs
        flags = arrays["flags"]
        unknown = (flags & FLAG_UNKNOWN) != 0
        check_concepts(neurons, len(space.words))
        if len(flags) != attrs["neurons"]:
            raise ValueError(f"{len(flags)} neurons where the step's metrics tell of {attrs['neurons']}")
        if embedding is not None:
            check_embedding(embedding, len(flags), space)
        return ConceptSnapshot(
            layer=layer,
            space=space,
            embedding=(
                unpack_embedding(embedding, space)
                if embedding is not None
                else np.zeros((len(flags), space.text_embedding.shape[1]), np.float32)
            ),
            concept_ids=widen_ids(arrays["concept_ids"]),
            similarity=arrays["similarity"].astype(np.float32),
            interpretable=(flags & FLAG_INTERPRETABLE) != 0,
            valid=(flags & FLAG_VALID) != 0,
            position=arrays["position"].astype(np.float32),
            top_images=widen_ids(arrays["top_images"]),
            displacement=arrays["displacement"].astype(np.float32),
            threshold=_number(attrs["threshold"]),
            threshold_level=attrs["threshold_level"],
            category_counts=dict(attrs["category_counts"]),
            anchor_distance=_number(attrs["d_anchor"]),
            anchor_distance_gated=_number(attrs["d_anchor_gated"]),
            mean_pairwise_distance=_number(attrs["mean_pairwise_distance"]),
            num_dead=int(attrs["dead"]),
            num_constant=int(attrs["constant"]),
            num_nonfinite=int(attrs["nonfinite"]),
            anchor_nearest_distance=np.array(
                [_number(value) for value in attrs["anchors"]["nearest_distance"]], dtype=np.float32
            ),
            anchor_nearest_neuron=np.array(attrs["anchors"]["nearest_neuron"], dtype=np.int32),
            detector=attrs["detector"],
            temperature=_number(attrs["temperature"]),
            tracked=tuple(attrs["tracked"]),
            top_patches=arrays.get("top_patches"),
            explanation_ids=widen_ids(arrays["explanation_ids"]) if "explanation_ids" in arrays else None,
            descriptions=tuple(neurons.attrs.get("descriptions", ())),
            probe_images=attrs.get("probe_images"),
            probe_total=attrs.get("probe_total"),
            unknown=unknown if unknown.any() else None,
            **{name: arrays[name].astype(np.float32) for name in _HALF_ARRAYS if name in arrays},
        )


def unpack_embedding(payload: Payload, space: ConceptSpace) -> FloatArray:
    """Undo `pack_embedding`.

    Args:
        payload: Payload of kind "embedding".
        space: The space that it names, as read.

    Returns:
        `(neurons, dim)` float32.

    Raises:
        PayloadError: It is of another kind, or something is missing in it.
    """
    with reading(payload, "embedding"):
        return decode_embedding(payload.attrs["codec"], payload.arrays, base_embedding(space.text_embedding))


def check_embedding(embedding: Payload, neurons: int, space: ConceptSpace) -> None:
    """Check that embeddings are of as many neurons as a layer has, and in its space.

    Args:
        embedding: Payload of kind "embedding".
        neurons: Number of neurons.
        space: The space that the metrics of the same step name.

    Raises:
        PayloadError: They are of others, or in another one.
    """
    with reading(embedding, "embedding"):
        rows = embedding.arrays["rows" if embedding.attrs["codec"] == "half" else "residual"]
        expected = (neurons, space.text_embedding.shape[1])
        if rows.shape != expected:
            raise ValueError(f"shape {rows.shape} where {expected} was due")
        if embedding.attrs["space"] != space.fingerprint:
            raise ValueError(f"in space {embedding.attrs['space']!r} instead of {space.fingerprint!r}")


def check_concepts(neurons: Payload, num_words: int) -> None:
    """Check that neurons name concepts that their space has.

    Args:
        neurons: Payload of kind "neurons", or what is left of one.
        num_words: Number of words of the space.

    Raises:
        PayloadError: A concept's number is beyond the words.
    """
    for name in ("concept_ids", "explanation_ids"):
        ids = neurons.arrays.get(name)
        largest = int(widen_ids(ids).max(initial=-1)) if ids is not None else -1
        if largest >= num_words:
            raise PayloadError(f"{name} has concept {largest}; its space has {num_words} words")


def widen_ids(ids: npt.NDArray[Any]) -> IntArray:
    """Return ids as int32 with -1 for none, whichever width they were sent in.

    Args:
        ids: uint16 with 65535 for none, or int32 with -1.

    Returns:
        int32 of the same shape.
    """
    wide = ids.astype(np.int32)
    if ids.dtype == np.uint16:
        wide[wide == _NO_ID] = -1
    return wide


@lru_cache(maxsize=8)
def _space_base(space: ConceptSpace) -> FloatArray:
    return base_embedding(stored_text_embedding(space.text_embedding))


def _narrow_ids(ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    ids = np.asarray(ids)
    if ids.size and ids.max() >= _NO_ID:
        return ids.astype(np.int32)
    return np.where(ids < 0, _NO_ID, ids).astype(np.uint16)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _check_shapes(snapshot: ConceptSnapshot) -> None:
    patches, images = snapshot.top_patches, snapshot.top_images
    if patches is not None and np.shape(patches) != (*np.shape(images), 4):
        raise ValueError(
            f"snapshot.top_patches of layer {snapshot.layer!r} has shape {np.shape(patches)}; "
            f"expected {(*np.shape(images), 4)}: a box for each of snapshot.top_images"
        )
    neurons = snapshot.num_neurons
    if len(snapshot.descriptions) not in (0, neurons):
        raise ValueError(
            f"snapshot.descriptions of layer {snapshot.layer!r} has {len(snapshot.descriptions)} texts; "
            f"expected one for each of {neurons} neurons, or none"
        )
    expected = {
        "embedding": 2, "concept_ids": 2, "similarity": 2, "interpretable": 1,
        "position": 2, "top_images": 2, "displacement": 1, "explanation_ids": 2, "explanation_weights": 2,
        "explanation_fit": 1, "num_concepts": 1, "unknown": 1,
    }  # fmt: skip
    for name, dimensions in expected.items():
        array = getattr(snapshot, name)
        if array is None:
            continue
        shape = np.shape(array)
        if len(shape) != dimensions or shape[0] != neurons:
            raise ValueError(
                f"snapshot.{name} of layer {snapshot.layer!r} has shape {shape}; "
                f"expected {dimensions} dimensions, the first of {neurons} neurons as in snapshot.valid"
            )
