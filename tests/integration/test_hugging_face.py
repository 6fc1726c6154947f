"""Models of Transformers and models that Accelerate offloads answer as they do when called by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from torch import Tensor, nn

from tests.loops import transformers_model
from tests.models import answer, eager_answer, make_images, make_net


def hidden_states(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    model.eval()
    with torch.no_grad():
        states: tuple[Tensor, ...] = model(images, output_hidden_states=True).hidden_states
    model.train()
    return states


@pytest.mark.parametrize("checkpointing", [None, True, False], ids=["", "reentrant", "not reentrant"])
def test_layers_of_a_vit_answer_as_its_hidden_states(checkpointing: bool | None) -> None:
    torch.manual_seed(0)
    model, images = transformers_model("transformers_vit"), torch.rand(10, 3, 32, 32)
    states = hidden_states(model, images)
    if checkpointing is not None:
        model.gradient_checkpointing_enable({"use_reentrant": checkpointing})
        model(images).logits.sum().backward()
    np.testing.assert_allclose(answer(model, "vit.layers.0", images), states[1][:, 0], atol=1e-5)
    expected = model.vit.layernorm(states[-1]).detach()
    np.testing.assert_allclose(answer(model, "vit", images), expected[:, 0], atol=1e-5)  # a ModelOutput
    mean = answer(model, "vit.layernorm", images, tokens="mean")
    np.testing.assert_allclose(mean, expected.mean(1), atol=1e-5)
    assert all(module.training for module in model.modules())


def test_maps_of_a_resnet_answer_as_its_hidden_states() -> None:
    torch.manual_seed(0)
    model, images = transformers_model("transformers_resnet"), torch.rand(10, 3, 32, 32)
    expected = hidden_states(model, images)[1].mean((2, 3))
    np.testing.assert_allclose(answer(model, "resnet.encoder.stages.0", images), expected, atol=1e-5)


def test_a_model_of_two_towers_is_watched_through_the_one_that_sees() -> None:
    import transformers

    tower: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**tower, "intermediate_size": 32, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1}
    vision = {**tower, "intermediate_size": 32, "image_size": 32, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    model, images = transformers.CLIPModel(config), torch.rand(10, 3, 32, 32)
    states = hidden_states(model.vision_model, images)
    layer = "vision_model.encoder.layers.0"
    with pytest.raises(TypeError, match=r"CLIPModel failed.*forward=lambda model, images"):
        answer(model, layer, images)
    values = answer(
        model, layer, images, forward=lambda model, images: model.get_image_features(pixel_values=images)
    )
    np.testing.assert_allclose(values, states[1][:, 0], atol=1e-5)


def test_an_offloaded_model_is_brought_in_and_put_away_again() -> None:
    net, images = make_net(), make_images()
    expected = eager_answer(net, "b.conv", images)
    net.eval()
    cpu_offload(net, execution_device=torch.device("cpu"))
    np.testing.assert_allclose(answer(net, "b.conv", images), expected, atol=2e-6)
    assert all(parameter.is_meta for parameter in net.parameters())
