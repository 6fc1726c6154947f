"""The concept diversity loss in every kind of step: what it sees, what it leaves alone, what it refuses."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import conceptmon_tb as cm
from conceptmon_tb.regularizer import batch_anchor_distance
from conceptmon_tb.training_state import stream_states
from tests.regularizing import DIM, WORDS, Net, Words, random, unit

BATCH = 12


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net()


@pytest.fixture
def images() -> Tensor:
    return random(BATCH, 3, 8, 8, seed=1)


@pytest.fixture
def features() -> Tensor:
    return unit(BATCH, DIM, seed=2)


def make(model: nn.Module, layers: str | Sequence[str] = "norm", **options: Any) -> cm.ConceptDiversityLoss:
    return cm.ConceptDiversityLoss(model, layers, cm.ConceptSet(WORDS), Words(), **options)


def test_gradients_reach_the_weights_as_finite_differences_say(
    net: Net, images: Tensor, features: Tensor
) -> None:
    model, batch = net.double(), images.double()
    with make(model, temperature=0.1, beta=2.5) as diversity:
        model(batch)
        diversity(features).backward()
        weight, gradients = model.conv.weight, model.conv.weight.grad.flatten()
        steepest = gradients.abs().argmax()
        values = []
        for shift in (1e-6, -2e-6):
            with torch.no_grad():
                weight.view(-1)[steepest] += shift
            model(batch)
            values.append(diversity(features).item())
    assert gradients[steepest].abs() > 1e-3
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(gradients[steepest].item(), rel=1e-3)
    assert model.head.weight.grad is None  # it comes after the layer


def test_the_loss_is_beta_times_the_mean_over_layers(net: Net, images: Tensor, features: Tensor) -> None:
    with make(net, ["norm", "head"], beta=0.5) as diversity:
        net(images)
        loss = diversity(features)
        one, other = (diversity.d_anchor[layer].item() for layer in ("norm", "head"))
    assert one != other
    assert loss.item() == pytest.approx(0.5 * (one + other) / 2)


def test_the_pooled_activations_are_the_monitors(net: Net, images: Tensor, features: Tensor) -> None:
    text = Words().encode_text(WORDS)
    for pooling, pooled in (
        ("mean", net.norm(net.conv(images)).mean((2, 3))),
        ("max", net.norm(net.conv(images)).amax((2, 3))),
    ):
        with make(net, pooling=pooling) as diversity:
            net(images)  # its in-place ReLU comes after the layer, and is not seen
            expected = batch_anchor_distance(pooled, features @ text.T, text)
            assert diversity(features).item() == pytest.approx(expected.item(), abs=1e-6)


def test_features_need_not_have_unit_length(net: Net, images: Tensor, features: Tensor) -> None:
    with make(net) as diversity:
        net(images)
        expected = diversity(features).item()
        net(images)
        lengths = torch.arange(1.0, BATCH + 1)[:, None]
        assert diversity(lengths * features).item() == pytest.approx(expected, abs=1e-4)


def test_without_weight_training_is_bit_for_bit_as_without(
    net: Net, images: Tensor, features: Tensor
) -> None:
    plain = copy.deepcopy(net)
    F.cross_entropy(plain(images), torch.arange(BATCH) % 4).backward()
    with make(net, beta=0) as diversity:
        loss = F.cross_entropy(net(images), torch.arange(BATCH) % 4) + diversity(features)
        loss.backward()
        assert diversity.d_anchor["norm"] > 0
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad)


def test_no_random_number_is_drawn(net: Net, images: Tensor, features: Tensor) -> None:
    before = stream_states()
    with make(net) as diversity:
        net(images)
        diversity(features).backward()
    assert stream_states() == before


def test_forwards_in_evaluation_or_without_gradient_are_not_seen(
    net: Net, images: Tensor, features: Tensor
) -> None:
    with make(net) as diversity:
        net(images)
        net.eval()
        net(images[:5])
        net.train()
        with torch.no_grad():
            net(images[:6])
        copy.deepcopy(net)(images[:7])  # averaged weights are such a copy
        diversity(features).backward()
    assert net.conv.weight.grad.any()


def test_a_frozen_layer_in_evaluation_mode_is_seen(net: Net, images: Tensor, features: Tensor) -> None:
    net.norm.eval()
    with make(net) as diversity:
        net(images)
        diversity(features).backward()
    assert net.conv.weight.grad.any()


def test_gradients_accumulate_over_parts_of_a_batch(net: Net, images: Tensor, features: Tensor) -> None:
    net.norm.eval()
    expected = torch.zeros_like(net.conv.weight)
    with make(net) as diversity:
        for half in (slice(0, 6), slice(6, 12)):
            net(images[half])
            (gradient,) = torch.autograd.grad(diversity(features[half]), net.conv.weight)
            expected += gradient
        for half in (slice(0, 6), slice(6, 12)):
            net(images[half])
            diversity(features[half]).backward()
    torch.testing.assert_close(net.conv.weight.grad, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_it_is_computed_in_float32(
    net: Net, images: Tensor, features: Tensor, dtype: torch.dtype
) -> None:
    with make(net) as diversity:
        net(images)
        expected = diversity(features).item()
        with torch.autocast("cpu", dtype=dtype):
            loss = F.cross_entropy(net(images), torch.arange(BATCH) % 4)
            value = diversity(features)
        (loss + value).backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, abs=0.05)
    assert all(bool(torch.isfinite(p.grad).all()) for p in net.parameters() if p.grad is not None)


def test_a_model_in_half_precision_can_be_trained(net: Net, images: Tensor, features: Tensor) -> None:
    model = net.to(torch.bfloat16)
    with make(model) as diversity:
        model(images.bfloat16())
        diversity(features).backward()
    assert model.conv.weight.grad.dtype == torch.bfloat16
    assert model.conv.weight.grad.any()


def train(
    step: Callable[[Tensor, Tensor], Tensor], net: Net, images: Tensor, features: Tensor
) -> list[float]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        loss = step(images, features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_compiled_models_and_steps_train_as_plain_ones(net: Net, images: Tensor, features: Tensor) -> None:
    labels = torch.arange(BATCH) % 4

    def losses(compile_model: bool, compile_step: bool) -> list[float]:
        torch.compiler.reset()
        plain = copy.deepcopy(net)
        with make(plain) as diversity:
            model = torch.compile(plain, backend="aot_eager", fullgraph=True) if compile_model else plain

            def step(images: Tensor, features: Tensor) -> Tensor:
                return F.cross_entropy(model(images), labels) + diversity(features)

            if compile_step:
                step = torch.compile(step, backend="eager", fullgraph=True)
            return train(step, plain, images, features)

    expected = losses(False, False)
    assert losses(True, False) == pytest.approx(expected, abs=1e-4)
    assert losses(False, True) == pytest.approx(expected, abs=1e-4)


def test_a_model_compiled_and_run_before_is_refused_with_the_way_out(
    net: Net, images: Tensor, features: Tensor
) -> None:
    torch.compiler.reset()
    model = torch.compile(net, backend="eager")
    model(images)
    with make(model) as diversity:
        model(images)
        with pytest.raises(RuntimeError, match="make the regularizer first"):
            diversity(features)
    torch.compiler.reset()


def test_checkpointed_layers_are_seen(net: Net, images: Tensor, features: Tensor) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, reentrant: bool) -> Tensor:
            return checkpoint(self.net, x.requires_grad_(), use_reentrant=reentrant)

    model = Checkpointed()
    with make(model, "net.norm") as diversity:
        out = model(images, False)
        (out.sum() + diversity(features)).backward()
        assert net.conv.weight.grad.any()
        model.zero_grad()
        diversity._taps[0].take()
        model(images, True)
        with pytest.raises(RuntimeError, match="use_reentrant=False"):
            diversity(features)


def test_hooks_are_gone_after_close_an_error_and_when_it_is_dropped(net: Net) -> None:
    hooks = net.norm._forward_hooks
    with pytest.raises(RuntimeError, match="given nothing"), make(net) as diversity:
        diversity(unit(BATCH, DIM))
    assert not hooks
    diversity = make(net)
    assert len(hooks) == 1
    del diversity
    gc.collect()
    assert not hooks


def test_a_closed_one_says_so(net: Net, images: Tensor, features: Tensor) -> None:
    diversity = make(net)
    diversity.close()
    diversity.close()
    net(images)
    with pytest.raises(RuntimeError, match="closed"):
        diversity(features)


def test_the_model_can_be_copied_and_pickled(net: Net, images: Tensor) -> None:
    with make(net):
        for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
            torch.testing.assert_close(other.eval()(images), copy.deepcopy(net).eval()(images))
        assert list(net.state_dict()) == list(Net().state_dict())


def test_a_copy_of_it_belongs_to_no_model_and_says_so(net: Net, images: Tensor, features: Tensor) -> None:
    with make(net) as diversity:
        for other in (copy.deepcopy(diversity), pickle.loads(pickle.dumps(diversity))):
            net(images)
            with pytest.raises(RuntimeError, match="has given nothing"):
                other(features)
            other.close()
        assert diversity(features).requires_grad


def test_the_layouts_patterns_find_the_two_curves_and_no_other(net: Net) -> None:
    kinds = ("d_anchor", "d_anchor_gated", "d_anchor_batch")
    tags = [f"concepts/{layer}/{kind}" for layer in ("block.1", "block11") for kind in kinds]
    net.add_module("block", nn.Sequential(nn.ReLU(), nn.ReLU()))
    with make(net, "block.1") as diversity:
        ((charts,),) = (category.items() for category in diversity.layout().values())
    assert charts[0] == "block.1"
    found = [[tag for tag in tags if re.match(pattern, tag)] for pattern in charts[1][1]]
    assert found == [["concepts/block.1/d_anchor"], ["concepts/block.1/d_anchor_batch"]]


def test_it_has_no_weights_and_no_state(net: Net) -> None:
    with make(net) as diversity:
        assert list(diversity.parameters()) == []
        assert diversity.state_dict() == {}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (unit(BATCH - 1, DIM), ValueError, "holds 11 images, but layer 'norm' gave 12"),
        (unit(1, DIM), ValueError, "drop_last"),
        (unit(BATCH, DIM + 1), ValueError, "same encoder"),
        (torch.arange(BATCH), TypeError, "not the index"),
        (list(range(BATCH)), TypeError, "not the index"),
        (torch.full((BATCH, DIM), torch.nan), ValueError, "image_features: there are NaN"),
    ],
)
def test_features_that_do_not_fit_are_refused(
    net: Net, images: Tensor, given: object, error: type[Exception], message: str
) -> None:
    with make(net) as diversity:
        net(images)
        with pytest.raises(error, match=message):
            diversity(given)


def test_a_forward_serves_one_call(net: Net, images: Tensor, features: Tensor) -> None:
    with make(net) as diversity:
        with pytest.raises(RuntimeError, match="training mode"):
            diversity(features)
        net(images)
        diversity(features)
        with pytest.raises(RuntimeError, match="training mode"):
            diversity(features)


def test_nan_in_a_layer_is_named_or_left_out(net: Net, images: Tensor, features: Tensor) -> None:
    with torch.no_grad():
        net.conv.weight[3] = torch.nan
    with make(net, "conv") as diversity:
        net(images)
        with pytest.raises(ValueError, match="layer 'conv': there are NaN"):
            diversity(features)
    with make(net, "conv", check_finite=False) as diversity:
        net(images)
        assert math.isfinite(diversity(features).item())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": "layer9"}, ValueError, "no layer 'layer9'"),
        ({"layers": []}, ValueError, "at least one layer"),
        ({"layers": ["norm", "norm"]}, ValueError, "each once"),
        ({"beta": -1}, ValueError, "beta"),
        ({"beta": "1"}, TypeError, "beta"),
        ({"temperature": 0.0}, ValueError, "temperature"),
        ({"pooling": "sum"}, ValueError, "pooling"),
        ({"anchors": []}, ValueError, "anchors"),
        ({"anchors": ["nonsense"]}, ValueError, "unknown word"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    net: Net, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(net, **{"layers": "norm", **options})
    assert not net.norm._forward_hooks


def test_a_layer_that_the_forward_does_not_call_is_named(net: Net, images: Tensor, features: Tensor) -> None:
    with make(net, "unused") as diversity:
        net(images)
        with pytest.raises(RuntimeError, match="'unused' has given nothing"):
            diversity(features)


def test_data_parallel_is_refused(net: Net) -> None:
    with pytest.raises(ValueError, match="DistributedDataParallel"):
        make(nn.DataParallel(net))
