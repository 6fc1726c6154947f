"""Whatever a layer gives, a tensor with numbers is found in it, or the layer is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.models import IMAGES, Net, answer, eager_answer, make_images, make_net


@pytest.fixture
def net() -> Net:
    return make_net()


@pytest.fixture
def images() -> Tensor:
    return make_images()


class Holder(nn.Module):
    """A network and a module beside it that gives one of the layers' outputs in another form."""

    def __init__(self, net: Net, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.beside = net, Beside(wrap)

    def forward(self, x: Tensor) -> Tensor:
        x = self.net.b.norm(self.net.b.conv(self.net.a(x)))
        self.beside(x)
        return x


class Beside(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(x)


class Named(NamedTuple):
    features: Tensor
    loss: Tensor | None


@dataclasses.dataclass
class Data:
    loss: Tensor | None
    logits: Tensor


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: (x, None),
        lambda x: {"features": x, "attention": x + 1},
        lambda x: Named(x, None),
        lambda x: Data(None, x),
        lambda x: [(x, x + 1)],
        lambda x: torch.quantize_per_tensor(x, 2**-20, 0, torch.qint32),
        lambda x: x.to_sparse(),
    ],
)
def test_whatever_holds_a_layers_output_is_opened(
    net: Net, images: Tensor, wrap: Callable[[Tensor], Any]
) -> None:
    expected = eager_answer(net, "b.norm", images)
    np.testing.assert_allclose(answer(Holder(net, wrap), "beside", images), expected, atol=2e-6)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda x: torch.complex(x, x), "complex numbers"),
        (lambda x: torch.nested.nested_tensor([x[0], x[1, :, :4]]), "a nested tensor"),
        (lambda x: {"p": x, "q": x}, r"a mapping with \['p', 'q'\]"),
        (lambda x: "text", "gives str, not a tensor"),
    ],
)
def test_outputs_that_are_no_activations_are_refused(
    images: Tensor, wrap: Callable[[Tensor], Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=f"layers: '0'.*{message}"):
        answer(nn.Sequential(Beside(wrap)), "0", images)


def test_whole_numbers_and_truth_values_are_averaged_as_numbers(images: Tensor) -> None:
    expected = (images > 0).double().mean((2, 3))
    np.testing.assert_allclose(
        answer(nn.Sequential(Beside(lambda x: x > 0)), "0", images), expected, atol=1e-6
    )


@pytest.mark.parametrize("layer", ["layers.0", "layers.1.linear1", "layers.1.self_attn"])
def test_a_transformers_fast_path_hides_no_layer(images: Tensor, layer: str) -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
    tokens, seen = images.reshape(IMAGES, 24, 8), []
    hook = encoder.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    encoder(tokens)  # with gradients there is no fast path
    hook.remove()
    output = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    np.testing.assert_allclose(answer(encoder, layer, tokens), output.detach().mean(1), atol=1e-5)


def test_a_module_whose_weights_alone_are_used_is_named_with_the_way_out(images: Tensor) -> None:
    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    with pytest.raises(ValueError, match=r"never called 'self_attn\.out_proj'.*the module around it"):
        answer(attention, "self_attn.out_proj", images.reshape(IMAGES, 24, 8))


def test_a_layer_inside_vmap_is_refused(net: Net, images: Tensor) -> None:
    net.forward = torch.func.vmap(lambda image: net.a.conv(image[None])[0])
    with pytest.raises(ValueError, match=r"'a\.conv' runs inside a transform of torch\.func.*outside of it"):
        answer(net, "a.conv", images)
