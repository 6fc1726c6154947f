"""Snapshots to `Summary` protos: the writing side of the wire.

One `Summary` holds everything of one epoch, so that no reader ever sees half of it. Nothing here
touches a file: hand the result to any writer with `add_summary` (torch's `FileWriter` has it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

from conceptmon_tb.atlas import pack_images
from conceptmon_tb.metadata import (
    IMAGES_TAG,
    MAX_TENSOR_NEURONS,
    PROBE_TEXT_TAG,
    SECONDS_TAG,
    SPACE_TAG,
    layer_tag,
    make_metadata,
)
from conceptmon_tb.payloads import pack_embedding, pack_metrics, pack_neurons, pack_space
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace, ProbeImages

SCALAR_PLUGIN_NAME = "scalars"
TEXT_PLUGIN_NAME = "text"


def concept_summary(
    snapshots: Mapping[str, ConceptSnapshot], step: int, images: ProbeImages | None = None
) -> summary_pb2.Summary:
    """Make the summary of one epoch: all layers, their scalars, and new thumbnails.

    Args:
        snapshots: Snapshot of each layer, by layer name.
        step: Global step; it is also stored in every payload.
        images: Thumbnails that no earlier summary of this run has sent, or None.

    Returns:
        A summary for one Event.

    Raises:
        ValueError: Arrays of a snapshot disagree about the number of neurons.
    """
    summary = summary_pb2.Summary()
    for layer, snapshot in snapshots.items():
        # The number of neurons alone decides: a tag must keep its data class as long as the run goes on.
        add_neurons = _add_blob if snapshot.num_neurons > MAX_TENSOR_NEURONS else _add_tensor
        add_neurons(summary, layer_tag(layer, "neurons"), pack_neurons(snapshot, step))
        _add_tensor(summary, layer_tag(layer, "metrics"), pack_metrics(snapshot, step))
        _add_blob(summary, layer_tag(layer, "embedding"), pack_embedding(snapshot, step))
        for name, value in layer_scalars(snapshot).items():
            _add_scalar(summary, layer_tag(layer, name), value)
    if images is not None and len(images.ids):
        _add_blob(summary, IMAGES_TAG, pack_images(images, step))
    return summary


def space_summary(space: ConceptSpace, step: int) -> summary_pb2.Summary:
    """Make the summary that defines the concept space; write it before the first epoch that uses it.

    Args:
        space: The space.
        step: First global step that uses it.

    Returns:
        A summary for one Event.
    """
    summary = summary_pb2.Summary()
    _add_blob(summary, SPACE_TAG, pack_space(space, step))
    return summary


def cost_summary(seconds: float) -> summary_pb2.Summary:
    """Make the summary that says what looking at the model cost at one step.

    Args:
        seconds: Time of the forward passes and of scoring together.

    Returns:
        A summary for one Event: an ordinary scalar.
    """
    summary = summary_pb2.Summary()
    _add_scalar(summary, SECONDS_TAG, seconds)
    return summary


def probe_summary(snapshots: Mapping[str, ConceptSnapshot]) -> summary_pb2.Summary:
    """Make the summary that says that only a part of the probe set is looked at.

    Args:
        snapshots: Snapshot of each layer of one step.

    Returns:
        A summary for one Event: a text for TensorBoard's own tab; empty where all images are looked at.
    """
    summary = summary_pb2.Summary()
    for snapshot in snapshots.values():
        if snapshot.probe_images == snapshot.probe_total:
            continue
        _add_text(
            summary,
            PROBE_TEXT_TAG,
            f"Every epoch of this run looks at the same {snapshot.probe_images:,} of "
            f"{snapshot.probe_total:,} probe images, to keep to the time given by `max_seconds`.",
        )
        break
    return summary


def layer_scalars(snapshot: ConceptSnapshot) -> dict[str, float]:
    """Return the figures of a layer that are also ordinary scalars, by the last part of their tag.

    Args:
        snapshot: One layer at one moment.

    Returns:
        Finite values only: a scalar that is not known (no displacement at the first epoch, no
        gated distance without interpretable neurons) is left out rather than logged as NaN.
    """
    scalars: dict[str, float] = {
        "d_anchor": snapshot.anchor_distance,
        "d_anchor_gated": snapshot.anchor_distance_gated,
        "interpretable": snapshot.num_interpretable,
        "mean_pairwise_distance": snapshot.mean_pairwise_distance,
        "displacement": snapshot.mean_displacement,
        "entropy": snapshot.entropy,
        "explanation_fit": snapshot.mean_explanation_fit,
        "concepts_per_neuron": snapshot.concepts_per_neuron,
    }
    if snapshot.num_redundant is not None:
        scalars["redundant"] = snapshot.num_redundant
    for category, count in snapshot.category_counts.items():
        if category:
            scalars[f"interpretable/{category}"] = count
    return {name: float(value) for name, value in scalars.items() if math.isfinite(value)}


def _add_tensor(summary: summary_pb2.Summary, tag: str, payload: bytes) -> None:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_UINT8, tensor_content=payload)
    tensor.tensor_shape.dim.add(size=len(payload))
    summary.value.add(tag=tag, metadata=make_metadata(summary_pb2.DATA_CLASS_TENSOR), tensor=tensor)


def _add_text(summary: summary_pb2.Summary, tag: str, text: str) -> None:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode("utf-8")])
    tensor.tensor_shape.SetInParent()
    metadata = summary_pb2.SummaryMetadata(data_class=summary_pb2.DATA_CLASS_TENSOR)
    metadata.plugin_data.plugin_name = TEXT_PLUGIN_NAME
    summary.value.add(tag=tag, metadata=metadata, tensor=tensor)


def _add_blob(summary: summary_pb2.Summary, tag: str, payload: bytes) -> None:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[payload])
    tensor.tensor_shape.dim.add(size=1)
    summary.value.add(tag=tag, metadata=make_metadata(summary_pb2.DATA_CLASS_BLOB_SEQUENCE), tensor=tensor)


def _add_scalar(summary: summary_pb2.Summary, tag: str, value: float) -> None:
    metadata = summary_pb2.SummaryMetadata(data_class=summary_pb2.DATA_CLASS_SCALAR)
    metadata.plugin_data.plugin_name = SCALAR_PLUGIN_NAME
    # A plain value, as torch's add_scalar writes: scripts on EventAccumulator.Scalars() see only those.
    summary.value.add(tag=tag, metadata=metadata, simple_value=value)
