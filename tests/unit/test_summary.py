"""One Summary per epoch: tags, metadata, size."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from tensorboard.compat.proto import summary_pb2, types_pb2

from conceptmon_tb.metadata import PLUGIN_NAME, parse_layer_tag, unpack_payload
from conceptmon_tb.payloads import pack_neurons
from conceptmon_tb.snapshot import ConceptSnapshot, ProbeImages
from conceptmon_tb.summary import concept_summary, layer_scalars, space_summary
from tests.synthetic import make_images, make_snapshots, make_space, widen


def make(layers: dict[str, int], epochs: int = 2) -> dict[str, ConceptSnapshot]:
    return list(make_snapshots(epochs, layers))[-1]


def test_all_layers_of_an_epoch_are_in_one_summary() -> None:
    summary = concept_summary(make({"a": 4, "b/c": 5}), 7)
    parsed = [parse_layer_tag(value.tag) for value in summary.value]
    kinds = ("neurons", "metrics", "embedding")
    assert [item for item in parsed if item] == [("a", kind) for kind in kinds] + [
        ("b/c", kind) for kind in kinds
    ]
    steps = {
        unpack_payload(_bytes(v)).step
        for v in summary.value
        if v.metadata.plugin_data.plugin_name == PLUGIN_NAME
    }
    assert steps == {7}


def test_every_value_has_a_data_class() -> None:
    images = make_images(make_space())
    summary = concept_summary(make({"a": 4}), 0, ProbeImages(images.ids[:3], images.thumbnails[:3]))
    summary.value.extend(space_summary(make_space(), 0).value)
    classes = {value.tag: value.metadata.data_class for value in summary.value}
    assert classes["concepts/a/neurons"] == summary_pb2.DATA_CLASS_TENSOR
    assert classes["concepts/a/metrics"] == summary_pb2.DATA_CLASS_TENSOR
    assert classes["concepts/a/embedding"] == summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    assert classes["concepts/space/images"] == summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    assert classes["concepts/space/definition"] == summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    assert classes["concepts/a/d_anchor"] == summary_pb2.DATA_CLASS_SCALAR
    assert 0 not in classes.values()


def test_tensors_are_raw_bytes_and_blobs_are_strings_of_rank_one() -> None:
    values = {value.tag: value for value in concept_summary(make({"a": 4}), 0).value}
    tensor, blob = values["concepts/a/neurons"].tensor, values["concepts/a/embedding"].tensor
    assert tensor.dtype == types_pb2.DT_UINT8
    assert [d.size for d in tensor.tensor_shape.dim] == [len(tensor.tensor_content)]
    assert (blob.dtype, [d.size for d in blob.tensor_shape.dim]) == (types_pb2.DT_STRING, [1])


@pytest.mark.parametrize(("neurons", "is_blob"), [(512, False), (513, True)])
def test_the_neurons_of_a_big_layer_are_a_blob_of_the_same_bytes(neurons: int, is_blob: bool) -> None:
    snapshot = widen(make({"a": 4})["a"], neurons)
    value = next(v for v in concept_summary({"a": snapshot}, 3).value if v.tag == "concepts/a/neurons")
    blob, tensor = summary_pb2.DATA_CLASS_BLOB_SEQUENCE, summary_pb2.DATA_CLASS_TENSOR
    assert value.metadata.data_class == (blob if is_blob else tensor)
    assert list(value.tensor.string_val) == ([_bytes(value)] if is_blob else [])
    assert _bytes(value) == pack_neurons(snapshot, 3)


def test_scalars_are_plain_values_and_only_finite_ones() -> None:
    snapshot = make({"a": 4}, epochs=1)["a"]
    assert math.isnan(snapshot.mean_displacement)
    values = {value.tag: value for value in concept_summary({"a": snapshot}, 0).value}
    assert "concepts/a/displacement" not in values
    assert "concepts/a/d_anchor_gated" not in values
    assert values["concepts/a/d_anchor"].simple_value == np.float32(snapshot.anchor_distance)
    assert values["concepts/a/interpretable/scene"].simple_value == 0
    assert set(layer_scalars(snapshot)) >= {"d_anchor", "interpretable", "mean_pairwise_distance"}


def test_words_without_category_make_no_scalar_of_their_own() -> None:
    snapshot = dataclasses.replace(make({"a": 4})["a"], category_counts={"": 3, "scene": 1})
    assert "interpretable/" not in layer_scalars(snapshot)


def test_without_new_images_no_atlas_is_written() -> None:
    none = ProbeImages(np.zeros(0, np.int32), np.zeros((0, 64, 64, 3), np.uint8))
    for images in (None, none):
        tags = [value.tag for value in concept_summary(make({"a": 4}), 0, images).value]
        assert "concepts/space/images" not in tags


@pytest.mark.parametrize(("neurons", "explained"), [(64, False), (144, True), (512, True)])
def test_an_epoch_takes_at_most_128_bytes_per_neuron_besides_the_embedding(
    neurons: int, explained: bool
) -> None:
    snapshot = make({"layer4.1.conv2": neurons})["layer4.1.conv2"]
    assert snapshot.concept_ids.shape[1] == 5
    assert snapshot.top_images.shape[1] == 8
    assert snapshot.top_patches is not None
    assert snapshot.explanation_ids is not None
    if not explained:
        names = ("explanation_ids", "explanation_weights", "explanation_fit", "num_concepts")
        snapshot = dataclasses.replace(snapshot, **dict.fromkeys(names))
    summary = concept_summary({snapshot.layer: snapshot}, 39)
    kept = [v for v in summary.value if v.tag.endswith(("/neurons", "/metrics"))]
    size = summary_pb2.Summary(value=kept).ByteSize()
    assert size <= 128 * neurons


def _bytes(value: summary_pb2.Summary.Value) -> bytes:
    return value.tensor.tensor_content or value.tensor.string_val[0]
