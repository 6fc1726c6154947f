import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from conceptmon_tb.activations import collect_activations, find_layers, pool_output

LAYERS = ("conv", "relu", "head")


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
    got = collect_activations(model, ["conv"], images.split(4), 10, pooling=pooling)["conv"]
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
    got = collect_activations(model, ["head"], images.split(4), 10)["head"]
    assert torch.allclose(got, expected, atol=1e-6)
    assert got.abs().max() > 0


def test_the_size_of_batches_does_not_matter(model: Small, images: Tensor) -> None:
    one = collect_activations(model, LAYERS, images.split(10), 10)
    many = collect_activations(model, LAYERS, images.split(3), 10)
    for layer in LAYERS:
        assert torch.allclose(one[layer], many[layer], atol=1e-6)


def test_hooks_are_gone_afterwards_also_when_the_forward_fails(model: Small, images: Tensor) -> None:
    collect_activations(model, LAYERS, images.split(4), 10)
    with pytest.raises(RuntimeError):
        collect_activations(model, LAYERS, [torch.rand(2, 7, 8, 8)], 2)
    assert not any(module._forward_hooks for module in model.modules())
    assert model.training


def test_an_unknown_layer_lists_the_nearest_names(model: Small) -> None:
    with pytest.raises(ValueError, match=r"no layer 'convv'.*conv"):
        find_layers(model, ["convv"])


def test_names_with_a_wrappers_prefix_are_understood(model: Small, images: Tensor) -> None:
    wrapped = nn.DataParallel(model)
    got = collect_activations(wrapped, ["module.conv", "conv"], images.split(5), 10)
    assert torch.equal(got["module.conv"], got["conv"])


def test_a_compiled_model_gives_what_the_plain_one_gives(model: Small, images: Tensor) -> None:
    plain = collect_activations(model, LAYERS, images.split(5), 10)
    compiled = collect_activations(torch.compile(model), LAYERS, images.split(5), 10)
    assert all(torch.equal(plain[layer], compiled[layer]) for layer in LAYERS)


def test_a_layer_that_is_never_called_is_named(model: Small, images: Tensor) -> None:
    with pytest.raises(ValueError, match="never called 'unused'"):
        collect_activations(model, ["unused"], images.split(4), 10)


def test_of_a_layer_called_twice_the_last_call_counts(images: Tensor) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.relu(x).repeat(1, 2, 1, 1) + 1)

    got = collect_activations(Twice(), ["relu"], images.split(4), 10)["relu"]
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
        collect_activations(Windows(), ["inner"], [images], 10)


def test_class_token_is_taken_where_the_model_has_one() -> None:
    model = VisionTransformer(16, 8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=3).eval()
    images = torch.rand(4, 3, 16, 16)
    kept: list[Tensor] = []
    handle = model.encoder.layers[0].register_forward_hook(lambda m, a, out: kept.append(out.detach()))
    auto, mean = (
        collect_activations(model, ["encoder.layers.encoder_layer_0"], [images], 4, tokens=tokens)
        for tokens in ("auto", "mean")
    )
    handle.remove()
    assert torch.allclose(auto["encoder.layers.encoder_layer_0"], kept[0][:, 0])
    assert torch.allclose(mean["encoder.layers.encoder_layer_0"], kept[1].mean(dim=1))


def test_channels_last_maps_of_a_swin_are_pooled_over_space() -> None:
    model = SwinTransformer([4, 4], 12, [1, 1], [2, 2], [4, 4], num_classes=3).eval()
    got = collect_activations(
        model, ["features.0", "features.1", "features.3"], [torch.rand(2, 3, 32, 32)], 2
    )
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
    exact = collect_activations(model, ["conv"], images.split(4), 10)["conv"]
    half = collect_activations(model, ["conv"], images.split(4), 10, precision="bf16")["conv"]
    assert half.dtype == torch.float32
    assert np.abs((half - exact).numpy()).max() < 0.02
