from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from conceptmon_tb.activations import collect_activations, scan_maps
from conceptmon_tb.named_layers import find_layers
from conceptmon_tb.pooling import pool_output

LAYERS = ("conv", "relu", "head")


def values_of(*arguments: Any, **options: Any) -> dict[str, Tensor]:
    seen = collect_activations(*arguments, **options)
    return {layer: activations.values for layer, activations in seen.items()}


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(5, 4)
        self.unused = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x))
        return self.head(x.mean(dim=(2, 3))).mul_(0)


@pytest.fixture
def model() -> Small:
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_conv_maps_are_pooled_over_space_and_in_place_operations_alter_nothing(
    model: Small, images: Tensor, pooling: str
) -> None:
    with torch.no_grad():
        maps = model.conv(images).numpy()
    got = values_of(model, ["conv"], images.split(4), 10, pooling=pooling)["conv"]
    assert got.shape == (10, 5)
    assert got.dtype == torch.float32
    for image in range(10):
        for neuron in range(5):
            values = [maps[image, neuron, y, x] for y in range(6) for x in range(6)]
            expected = max(values) if pooling == "max" else sum(values) / len(values)
            assert got[image, neuron] == pytest.approx(float(expected), abs=1e-6)


def test_linear_outputs_are_kept_as_they_were_before_the_model_overwrote_them(
    model: Small, images: Tensor
) -> None:
    with torch.no_grad():
        expected = model.head(torch.relu(model.conv(images)).mean(dim=(2, 3)))
    got = values_of(model, ["head"], images.split(4), 10)["head"]
    assert torch.allclose(got, expected, atol=1e-6)
    assert got.abs().max() > 0


def test_the_size_of_batches_does_not_matter(model: Small, images: Tensor) -> None:
    one = values_of(model, LAYERS, images.split(10), 10)
    many = values_of(model, LAYERS, images.split(3), 10)
    for layer in LAYERS:
        assert torch.allclose(one[layer], many[layer], atol=1e-6)


def test_hooks_are_gone_afterwards_also_when_the_forward_fails(model: Small, images: Tensor) -> None:
    values_of(model, LAYERS, images.split(4), 10)
    with pytest.raises(RuntimeError):
        values_of(model, LAYERS, [torch.rand(2, 7, 8, 8)], 2)
    assert not any(module._forward_hooks for module in model.modules())
    assert model.training


def test_an_unknown_layer_lists_the_nearest_names(model: Small) -> None:
    with pytest.raises(ValueError, match=r"no layer 'convv'.*conv"):
        find_layers(model, ["convv"])


def test_names_with_a_wrappers_prefix_are_understood(model: Small, images: Tensor) -> None:
    wrapped = nn.DataParallel(model)
    got = values_of(wrapped, ["module.conv", "conv"], images.split(5), 10)
    assert torch.equal(got["module.conv"], got["conv"])


def test_a_compiled_model_gives_what_the_plain_one_gives(model: Small, images: Tensor) -> None:
    plain = values_of(model, LAYERS, images.split(5), 10)
    compiled = values_of(torch.compile(model), LAYERS, images.split(5), 10)
    assert all(torch.equal(plain[layer], compiled[layer]) for layer in LAYERS)


def test_a_layer_that_is_never_called_is_named(model: Small, images: Tensor) -> None:
    with pytest.raises(ValueError, match="never called 'unused'"):
        values_of(model, ["unused"], images.split(4), 10)


def test_of_a_layer_called_twice_the_last_call_counts(images: Tensor) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.relu(x).repeat(1, 2, 1, 1) + 1)

    got = values_of(Twice(), ["relu"], images.split(4), 10)["relu"]
    assert got.shape == (10, 6)
    assert got.min() >= 1


def test_rows_that_are_not_images_are_refused(images: Tensor) -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.reshape(-1, 64))

    with pytest.raises(ValueError, match="30 rows for a batch of 10"):
        values_of(Windows(), ["inner"], [images], 10)


def test_class_token_is_taken_where_the_model_has_one() -> None:
    model = VisionTransformer(16, 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3).eval()
    images = torch.rand(4, 3, 16, 16)
    kept: list[Tensor] = []
    handle = model.encoder.layers[0].register_forward_hook(lambda m, a, out: kept.append(out.detach()))
    auto, mean = (
        values_of(model, ["encoder.layers.encoder_layer_0"], [images], 4, tokens=tokens)
        for tokens in ("auto", "mean")
    )
    handle.remove()
    assert torch.allclose(auto["encoder.layers.encoder_layer_0"], kept[0][:, 0])
    assert torch.allclose(mean["encoder.layers.encoder_layer_0"], kept[1].mean(dim=1))


def test_channels_last_maps_of_a_swin_are_pooled_over_space() -> None:
    model = SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=3).eval()
    got = values_of(model, ["features.0", "features.1", "features.3"], [torch.rand(2, 3, 32, 32)], 2)
    assert [got[layer].shape[1] for layer in got] == [12, 12, 24]


def test_tuples_and_mappings_give_their_first_or_named_tensor() -> None:
    value = torch.rand(2, 3)
    for output in ((value, None), [value], {"last_hidden_state": value, "x": value * 2}, {"only": value}):
        assert torch.equal(pool_output(output, nn.Identity(), "layer", "mean", "mean"), value)
    with pytest.raises(ValueError, match=r"'layer' gives a mapping with \['a', 'b'\]"):
        pool_output({"a": value, "b": value}, nn.Identity(), "layer", "mean", "mean")
    with pytest.raises(TypeError, match="NoneType"):
        pool_output(None, nn.Identity(), "layer", "mean", "mean")


def test_a_batch_second_transformer_is_turned_around() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, batch_first=False)
    assert pool_output(torch.rand(5, 2, 8), layer, "layer", "mean", "mean").shape == (2, 8)


def test_bf16_gives_nearly_the_same(model: Small, images: Tensor) -> None:
    exact = values_of(model, ["conv"], images.split(4), 10)["conv"]
    half = values_of(model, ["conv"], images.split(4), 10, precision="bf16")["conv"]
    assert half.dtype == torch.float32
    assert np.abs((half - exact).numpy()).max() < 0.02


@pytest.mark.parametrize("batch", [3, 4])
def test_the_cell_of_the_largest_activation_is_noted_for_each_image_and_neuron(
    model: Small, images: Tensor, batch: int
) -> None:
    with torch.no_grad():
        maps = model.conv(images).numpy()
    seen = collect_activations(model, ["conv", "head"], images.split(batch), 10)
    peaks = seen["conv"].peaks
    assert peaks is not None
    assert peaks.grid == (6, 6)
    assert peaks.cell.dtype == torch.uint8
    for image in range(10):
        for neuron in range(5):
            assert peaks.cell[image, neuron] - 1 == maps[image, neuron].argmax()
    assert seen["head"].peaks is None


def test_peaks_of_channels_last_maps_are_those_of_the_map_turned_round() -> None:
    model = SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=3).eval()
    images = torch.rand(2, 3, 32, 24)
    with torch.no_grad():
        maps = model.features[:2](images).permute(0, 3, 1, 2)
    peaks = collect_activations(model, ["features.1"], [images], 2)["features.1"].peaks
    assert peaks is not None
    assert peaks.grid == (8, 6)
    assert torch.equal(peaks.cell.long() - 1, maps.flatten(2).argmax(dim=2))


@pytest.mark.parametrize("tokens", ["mean", "cls"])
def test_tokens_are_a_map_where_they_are_pooled_and_the_model_cuts_its_input_into_patches(
    tokens: str,
) -> None:
    model = VisionTransformer(16, 4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3).eval()
    images = torch.rand(3, 3, 16, 16)
    kept: list[Tensor] = []
    handle = model.encoder.register_forward_hook(lambda m, a, out: kept.append(out.detach()))
    peaks = collect_activations(model, ["encoder"], [images], 3, tokens=tokens)["encoder"].peaks
    handle.remove()
    if tokens == "cls":
        assert peaks is None
        return
    assert peaks is not None
    assert peaks.grid == (4, 4)
    assert torch.equal(peaks.cell.long() - 1, kept[0][:, 1:].argmax(dim=1))


def test_a_sequence_that_is_no_image_has_no_peaks() -> None:
    model = nn.Sequential(nn.Flatten(2), nn.Linear(64, 12), nn.ReLU())
    assert collect_activations(model, ["2"], [torch.rand(2, 3, 8, 8)], 2)["2"].peaks is None


class Counting(nn.Module):
    def __init__(self, whole_forwards: list[bool]) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        self.relu = nn.ReLU()
        self.done = lambda: whole_forwards.append(True)  # what is kept in the model is put back

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x = self.relu(self.second(x))
        x = self.third(x)
        self.done()
        return x


@pytest.mark.parametrize(
    ("layers", "whole"),
    [(["first"], 1), (["second", "first"], 1), (["relu"], 1), (["third"], 1), (["relu", "third"], 1)],
)
def test_forwards_end_after_the_last_call_of_the_last_layer(
    images: Tensor, layers: list[str], whole: int
) -> None:
    whole_forwards: list[bool] = []
    model = Counting(whole_forwards)
    ended_early = values_of(model, layers, images.split(3), 10)
    assert len(whole_forwards) == whole

    whole_forwards.clear()
    handle = model.third.register_forward_hook(lambda *_: None)
    left_alone = values_of(model, layers, images.split(3), 10)
    handle.remove()
    assert len(whole_forwards) == 4
    assert all(torch.equal(ended_early[layer], left_alone[layer]) for layer in layers)


def test_a_layer_that_a_later_batch_calls_more_often_still_gives_a_value(images: Tensor) -> None:
    class Growing(Counting):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(len(x)):
                x = self.relu(x)
            return self.third(self.first(x))

    assert values_of(Growing([]), ["relu", "first"], images.split([2, 3, 4, 1]), 10)["first"].shape == (10, 4)


class Gathering:
    """A scan that keeps what a detector must not keep, to be looked at."""

    passes = 2

    def __init__(self) -> None:
        self.maps: dict[str, dict[int, Tensor]] = {}
        self.ended = 0

    def update(self, layer: str, maps: Tensor, start: int) -> None:
        self.maps.setdefault(layer, {})[start] = maps.clone()

    def end_pass(self) -> None:
        self.ended += 1


def test_a_scan_sees_the_maps_of_every_batch_in_every_pass(images: Tensor) -> None:
    model, scan = Counting([]), Gathering()
    seen = collect_activations(model, ["relu", "second"], images.split(4), 10, scan=scan)
    first, scan.maps = scan.maps, {}
    scan_maps(model, ["relu", "second"], images.split(4), 10, scan)

    assert scan.ended == 2
    with torch.no_grad():
        second = model.second(model.relu(model.first(images)))
    for layer, expected in (("second", second), ("relu", second.relu())):
        assert sorted(first[layer]) == [0, 4, 8]
        for start, maps in first[layer].items():
            torch.testing.assert_close(maps, expected[start : start + 4])
            assert torch.equal(maps, scan.maps[layer][start])
        torch.testing.assert_close(seen[layer].values, expected.mean(dim=(2, 3)))


def test_layers_without_maps_give_a_scan_nothing(images: Tensor) -> None:
    scan = Gathering()
    collect_activations(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), ["1"], [images], 10, scan=scan)
    assert scan.maps == {}
