"""Wrapped and odd models answer as the plain model does, or say what to do instead."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

import conceptmon_tb as cm
from tests.models import Net, answer, eager_answer, make_images, make_net, run


@pytest.fixture
def net() -> Net:
    return make_net()


@pytest.fixture
def images() -> Tensor:
    return make_images()


def data_parallel(net: Net, images: Tensor) -> nn.Module:
    return nn.DataParallel(net)


def part_parallel(net: Net, images: Tensor) -> nn.Module:
    net.b = nn.DataParallel(net.b)
    return net


def averaged(net: Net, images: Tensor) -> nn.Module:
    return AveragedModel(net)


def channels_last(net: Net, images: Tensor) -> nn.Module:
    return net.to(memory_format=torch.channels_last)


def part_checkpointed(net: Net, images: Tensor) -> nn.Module:
    net.b = checkpoint_wrapper(net.b)
    return net


class CheckpointingNet(Net):
    use_reentrant = True

    def forward(self, x: Tensor) -> Tensor:
        x = checkpoint(lambda x: self.b(self.a(x)), x, use_reentrant=self.use_reentrant)
        return self.head(self.dropout(x.mean((2, 3))))


class OtherCheckpointingNet(CheckpointingNet):
    use_reentrant = False


def checkpointed_reentrant(net: Net, images: Tensor) -> nn.Module:
    net.__class__ = CheckpointingNet
    return run(net, images.requires_grad_())


def checkpointed(net: Net, images: Tensor) -> nn.Module:
    net.__class__ = OtherCheckpointingNet
    return run(net, images.requires_grad_())


class CalledNet(Net):
    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(x)


def called(net: Net, images: Tensor) -> nn.Module:
    net.__class__ = CalledNet
    return net


class InferenceNet(Net):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def in_inference_mode(net: Net, images: Tensor) -> nn.Module:
    net.__class__ = InferenceNet
    return net


class FunctionalNet(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return torch.func.functional_call(self.net, dict(self.net.named_parameters()), (x,))


def called_by_torch_func(net: Net, images: Tensor) -> nn.Module:
    return FunctionalNet(net)


@pytest.mark.parametrize(
    "prepare",
    [
        data_parallel,
        part_parallel,
        averaged,
        channels_last,
        part_checkpointed,
        checkpointed_reentrant,
        checkpointed,
        called,
        in_inference_mode,
        called_by_torch_func,
    ],
)
def test_the_layers_answer_as_those_of_the_plain_model(
    net: Net, images: Tensor, prepare: Callable[[Net, Tensor], nn.Module]
) -> None:
    prefix = "net." if prepare is called_by_torch_func else ""
    expected = {layer: eager_answer(net, layer, images) for layer in ("b.conv", "b", "head")}
    model = prepare(net, images).train()
    for layer, values in expected.items():
        np.testing.assert_allclose(answer(model, prefix + layer, images), values, atol=2e-6)
    assert all(module.training for module in model.modules())


def scripted(net: Net, images: Tensor) -> nn.Module:
    return torch.jit.script(net)


def traced(net: Net, images: Tensor) -> nn.Module:
    return torch.jit.trace(net.eval(), images)


def part_scripted(net: Net, images: Tensor) -> nn.Module:
    net.b = torch.jit.script(net.b)
    return net


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("layer", ["b.conv", "b"])
@pytest.mark.parametrize("prepare", [scripted, traced, part_scripted])
def test_layers_of_torchscript_are_refused_with_the_way_out(
    net: Net, images: Tensor, prepare: Callable[[Net, Tensor], nn.Module], layer: str
) -> None:
    model = prepare(net, images)
    with pytest.raises(ValueError, match=r"compiled by torch.jit.*load_state_dict\(scripted"):
        answer(model, layer, images)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_beside_a_scripted_part_all_layers_can_be_seen(net: Net, images: Tensor) -> None:
    expected = {layer: eager_answer(net, layer, images) for layer in ("a.conv", "head")}
    statistics = copy.deepcopy(net.b.state_dict())
    model = part_scripted(net, images)
    for layer, values in expected.items():
        np.testing.assert_allclose(answer(model, layer, images), values, atol=2e-6)
    assert all(module.training for module in model.modules())
    for name, value in model.b.state_dict().items():
        assert torch.equal(value, statistics[name]), name


def test_what_is_left_of_a_traced_or_exported_model_can_be_seen(net: Net, images: Tensor) -> None:
    expected = eager_answer(net, "b.conv", images)
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(net.eval(), (images[:4],), dynamic_shapes=sizes)
    for model in (torch.fx.symbolic_trace(net), torch.export.unflatten(program)):
        np.testing.assert_allclose(answer(model, "b.conv", images), expected, atol=2e-6)
    for model, layer in ((torch.fx.symbolic_trace(net), "b"), (program.module(), "b.conv")):
        with pytest.raises(ValueError, match=rf"never called {layer!r}.*torch\.export\.unflatten\(program\)"):
            answer(model, layer, images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_are_run_as_they_are_and_averaged_in_float32(
    net: Net, images: Tensor, dtype: torch.dtype
) -> None:
    net.to(dtype)
    for layer in ("b.conv", "head"):
        values = answer(net, layer, images)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, eager_answer(net, layer, images.to(dtype)), rtol=1e-5, atol=1e-6)


def test_an_autocast_around_the_training_does_not_reach_the_probe(net: Net, images: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = answer(net, "b.conv", images)
    np.testing.assert_allclose(values, eager_answer(net, "b.conv", images), atol=2e-6)


@pytest.mark.parametrize(
    "norm",
    [
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_made_by_a_rule_answer_as_in_evaluation_and_take_no_step(
    net: Net, images: Tensor, norm: Callable[..., nn.Module]
) -> None:
    net.b.conv = norm(net.b.conv)
    net(images)
    loss = net(images).sum() + net.b.conv.weight.square().sum()
    before, made = copy.deepcopy(net.state_dict()), vars(net.b.conv).get("weight")
    reference = make_net()
    reference.b.conv = norm(reference.b.conv)
    reference.load_state_dict(before)

    values = answer(net, "b.conv", images)

    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert vars(net.b.conv).get("weight") is made  # one made anew would have no gradient
    loss.backward()
    with torch.no_grad():
        maps = reference.eval().b.conv(reference.a(images))
    np.testing.assert_allclose(values, maps.mean((2, 3)), atol=2e-6)


def test_a_shared_module_has_all_its_names_and_its_last_call_counts(net: Net, images: Tensor) -> None:
    net.b.relu = net.a.relu
    expected = eager_answer(net, "b", images)
    for layer in ("a.relu", "b.relu"):
        np.testing.assert_allclose(answer(net, layer, images), expected, atol=2e-6)


def test_layers_of_different_width_are_refused(images: Tensor) -> None:
    class Growing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.repeat(1, 2, 1, 1) if len(x) < 4 else x

    with pytest.raises(ValueError, match="gave 3 neurons and then 6"):
        answer(nn.Sequential(Growing()), "0", images)


def test_a_lazy_model_is_watched_after_its_first_batch(images: Tensor) -> None:
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())
    torch.manual_seed(3)
    with pytest.raises(ValueError, match=r"'0\.weight' is not made yet.*run one batch"):
        answer(model, "0", images)
    assert float(torch.rand(())) == float(torch.rand((), generator=torch.Generator().manual_seed(3)))
    model(images)
    np.testing.assert_allclose(answer(model, "0", images), eager_answer(model, "0", images), atol=1e-6)


def test_a_model_without_values_is_refused(net: Net, images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"'a\.conv\.weight' is on the meta device.*to_empty"):
        answer(net.to("meta"), "b.conv", images)


def test_observing_works_in_inference_mode_and_afterwards(net: Net) -> None:
    monitor = cm.ConceptMonitor(
        ["b.conv"], cm.ProbeSet.world(30, size=16), detector=cm.ClipDissect("cos_cubed"), progress=False
    )
    with torch.inference_mode():
        inside = monitor.observe(net)["b.conv"]
    outside = monitor.observe(net)["b.conv"]
    np.testing.assert_array_equal(inside.similarity, outside.similarity)
    net(torch.rand(2, 3, 16, 16)).sum().backward()


def test_an_averaged_models_neurons_are_followed_from_epoch_to_epoch(net: Net) -> None:
    monitor = cm.ConceptMonitor(
        ["b.conv"], cm.ProbeSet.world(30, size=16), detector=cm.ClipDissect("cos_cubed"), progress=False
    )
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    assert np.isnan(monitor.observe(average)["b.conv"].displacement).all()
    average.update_parameters(net)
    assert not monitor.observe(average)["b.conv"].displacement.any()
    with torch.no_grad():
        net.b.conv.weight.normal_()
    average.update_parameters(net)
    assert monitor.observe(average)["b.conv"].displacement.any()


def test_neurons_that_answer_with_nan_or_infinity_are_interpreted_as_nothing(net: Net) -> None:
    with torch.no_grad():
        net.b.conv.bias[1], net.b.conv.bias[2] = float("nan"), float("inf")
    monitor = cm.ConceptMonitor(
        ["b.conv"], cm.ProbeSet.world(30, size=16), detector=cm.ClipDissect("cos_cubed"), progress=False
    )
    snapshot = monitor.observe(net)["b.conv"]
    assert not snapshot.interpretable[[1, 2]].any()
    assert np.isfinite(snapshot.best_similarity[[0, 3, 4, 5]]).all()
