"""Important evolutions against finite differences and plain loops, and no trace in the models."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader

from conceptmon_tb.checkpoints import CheckpointError
from conceptmon_tb.evolution import important_evolutions
from conceptmon_tb.evolution.importance import sensitivity
from conceptmon_tb.evolution.layer_maps import LayerMaps

CLASSES = ["cat", "dog", "bird"]
LAYERS = ["0", "1", "2", "3", "6"]


def make_net(seed: int, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """An in-place ReLU behind two layers that are looked at."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3, 2), nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3),
    )  # fmt: skip
    return net.to(dtype)


def make_images(count: int, seed: int = 3) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measured(before: nn.Module, after: nn.Module, images: Tensor, labels: Tensor, layers: list[str]):
    with LayerMaps(before, layers) as old, LayerMaps(after, layers) as new:
        return sensitivity(old, new, images, labels)


@torch.no_grad()
def restated(
    before: nn.Sequential, after: nn.Sequential, image: Tensor, label: int, layer: int
) -> list[float]:
    """Eq. 7.7 and 7.8 for one image, neuron by neuron, by the quotient itself."""
    before, after, epsilon = copy.deepcopy(before).eval(), copy.deepcopy(after).eval(), 1e-6
    start, end = (net[: layer + 1](image[None]).clone() for net in (before, after))
    found = []
    for neuron in range(start.shape[1]):
        change = torch.zeros_like(start)
        change[:, neuron] = (end - start)[:, neuron]
        logits = [before[layer + 1 :](maps.clone())[0, label] for maps in (start + epsilon * change, start)]
        found.append(float(logits[0] - logits[1]) / epsilon)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_sensitivity_is_the_quotient_of_the_definition(layer: str) -> None:
    before, after, images, labels = make_net(0), make_net(1), make_images(4), torch.tensor([2, 0, 1, 1])
    found = measured(before, after, images, labels, LAYERS)[layer]
    expected = [restated(before, after, images[i], int(labels[i]), int(layer)) for i in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_importance_is_the_share_of_a_class_whose_logit_rises() -> None:
    before, after, images, labels = make_net(0), make_net(1), make_images(11), torch.arange(11) % 3
    table = important_evolutions(
        before, after, images, labels, ["1", "3"], from_step=2, to_step=5, classes=CLASSES, batch_size=4
    )
    assert (table.layers, table.neurons, table.num_images.tolist()) == (("1", "3"), (4, 5), [4, 4, 3])
    for label, name in enumerate(CLASSES):
        for layer in ("1", "3"):
            rows = [restated(before, after, images[i], label, int(layer)) for i in range(label, 11, 3)]
            shares = [sum(row[n] > 0 for row in rows) / len(rows) for n in range(len(rows[0]))]
            columns, means = table.columns(layer), np.mean(rows, axis=0)
            np.testing.assert_allclose(table.score[label, columns], shares, rtol=1e-6)
            np.testing.assert_allclose(table.sensitivity[label, columns], means, rtol=1e-4, atol=1e-7)
            ranked = [(row.neuron, row.score) for row in table.ranked(name, layer)]
            expected = sorted(range(len(shares)), key=lambda n: (-round(shares[n], 6), -means[n]))
            assert ranked == [(n, pytest.approx(shares[n])) for n in expected]


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), count=st.integers(1, 6), batch=st.integers(1, 6))
def test_below_a_linear_head_the_sensitivities_add_up_to_the_change_of_the_logit(
    seed: int, count: int, batch: int
) -> None:
    before, after = make_net(seed), make_net(seed + 1)
    images, labels = make_images(count, seed), torch.randint(0, 3, (count,))
    with LayerMaps(before, ["6"]) as old, LayerMaps(after, ["6"]) as new:
        parts = zip(images.split(batch), labels.split(batch), strict=True)
        changes = np.concatenate([sensitivity(old, new, *part)["6"] for part in parts])
        features = [one.take(images)[1]["6"][..., 0] for one in (old, new)]
    moved = (features[1] - features[0]) @ before[7].weight.detach().T
    np.testing.assert_allclose(changes.sum(1), moved.gather(1, labels[:, None])[:, 0], atol=1e-9)


def test_an_evolution_that_was_planted_comes_first() -> None:
    before = make_net(0)
    after = copy.deepcopy(before)
    with torch.no_grad():
        # Only neuron 2 of the second convolution changes, and its whole map speaks for "bird".
        after[3].bias[2] += 5
        before[7].weight[2, 8:12] = after[7].weight[2, 8:12] = 1
    table = important_evolutions(
        before, after, make_images(9), [0, 1, 2] * 3, ["1", "3"], from_step=0, to_step=1, classes=CLASSES
    )
    first, second = table.ranked("bird", most=2)
    assert (first.layer, first.neuron, first.score) == ("3", 2, 1.0)
    assert first.sensitivity == pytest.approx(20, rel=1e-6)
    assert (second.score, second.sensitivity) == (0, 0)


class Scaled(nn.Module):
    """What many networks begin with, in place or not."""

    def __init__(self, net: nn.Sequential, *, in_place: bool) -> None:
        super().__init__()
        self.net, self.in_place = net, in_place

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.sub_(0.5).mul_(2) if self.in_place else (x - 0.5) * 2)


def test_a_network_that_scales_its_input_in_place_sees_each_image_as_it_is() -> None:
    images, labels = make_images(6), torch.arange(6) % 3
    layers, kept = ["net.1", "net.3"], images.clone()
    found, expected = (
        measured(*(Scaled(make_net(seed), in_place=in_place) for seed in (0, 1)), images, labels, layers)
        for in_place in (True, False)
    )
    for layer in layers:
        np.testing.assert_array_equal(found[layer], expected[layer])
    assert torch.equal(images, kept)


class Shared(nn.Module):
    """One activation for two layers, and what it gives is a tuple."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second, self.head = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.act = Pair()

    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return self.head(self.act(self.second(self.act(self.first(x))[0]))[0]), "more"


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.tanh(), x


def test_of_a_module_that_is_called_twice_the_last_call_counts() -> None:
    before, after, images = Shared(), Shared(), torch.randn(3, 4)
    with torch.no_grad():
        after.second.bias += 1
    found = measured(before, after, images, torch.tensor([0, 1, 2]), ["act"])["act"]
    hidden = before.first(images).tanh()
    changes = after.second(hidden).tanh() - before.second(hidden).tanh()
    np.testing.assert_allclose(found, (changes * before.head.weight).detach(), rtol=1e-4, atol=1e-6)


class Tokens(nn.Module):
    def __init__(self, *, batch_first: bool = False) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.block = nn.TransformerEncoderLayer(8, 2, 8, batch_first=batch_first)
        self.head = nn.Linear(8, 3)
        self.tokens = 1 if batch_first else 0

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).permute(0, 2, 1) if self.tokens else x.flatten(2).permute(2, 0, 1)
        return self.head(self.block(tokens).mean(self.tokens))


def test_a_neuron_of_a_transformer_changes_at_all_its_tokens() -> None:
    before, after, images = Tokens(), Tokens(), torch.randn(3, 8, 2, 2)
    with torch.no_grad():
        after.block.norm2.bias[4] += 3
    found = measured(before, after, images, torch.tensor([0, 1, 2]), ["block"])["block"]
    expected = np.zeros((3, 8))
    expected[:, 4] = 3 * before.head.weight.detach()[:, 4]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["conv", "transformer"])
def test_neurons_that_did_not_change_have_no_importance_at_all(kind: str) -> None:
    # With and without gradients torch may compute in different ways, which differ in the last bits.
    if kind == "conv":
        net, images, layers = make_net(0, torch.float32), make_images(8).float(), LAYERS
    else:
        net, images, layers = Tokens(batch_first=True), torch.randn(8, 8, 2, 2), ["block", "block.linear1"]
    table = important_evolutions(net, copy.deepcopy(net), images, [0] * 8, layers, from_step=0, to_step=1)
    assert (table.positive.sum(), np.abs(table.sensitivity).max()) == (0, 0)


def test_a_neuron_that_is_not_finite_has_no_rank() -> None:
    before, after = make_net(0), make_net(1)
    with torch.no_grad():
        after[1].bias[3] = torch.nan
    table = important_evolutions(before, after, make_images(3), [0] * 3, ["1"], from_step=0, to_step=1)
    assert np.isnan(table.sensitivity[0]).tolist() == [False] * 3 + [True]
    assert (table.positive[0, 3], sorted(row.neuron for row in table.ranked("0"))) == (0, [0, 1, 2])


# ---- where models and images come from ----


def test_epochs_may_be_modules_state_dicts_and_checkpoints(tmp_path: Path) -> None:
    before, after, images, labels = make_net(0), make_net(1), make_images(6), [0, 1] * 3
    path = tmp_path / "epoch3.pt"
    torch.save({"epoch": 3, "model": {f"module.{k}": v for k, v in before.state_dict().items()}}, path)

    def scores(*epochs, **options):
        return important_evolutions(*epochs, images, labels, ["1"], from_step=0, to_step=1, **options).score

    expected = scores(before, after)
    np.testing.assert_array_equal(scores(before.state_dict(), after), expected)
    np.testing.assert_array_equal(scores(path, after), expected)
    np.testing.assert_array_equal(scores(str(path), after.state_dict(), model=lambda: make_net(7)), expected)
    with pytest.raises(ValueError, match="say with model="):
        scores(path, after.state_dict())
    with pytest.raises(CheckpointError, match="before"):
        scores({"other": torch.zeros(2)}, after)
    with pytest.raises(TypeError, match="before must be a module"):
        scores(3, after)


@pytest.mark.parametrize("kept", [lambda net: net, nn.DataParallel, nn.Module.state_dict])
def test_an_earlier_epoch_that_goes_along_with_the_training_is_refused(kept: Callable) -> None:
    net = make_net(0)
    before = kept(net)
    with torch.no_grad():
        net[0].weight += 1
    options = {"images": make_images(2), "labels": [0, 1], "layers": ["1"], "from_step": 0, "to_step": 1}
    with pytest.raises(ValueError, match=r"same weights in memory.*copy\.deepcopy"):
        important_evolutions(before, net, **options)
    partly = copy.deepcopy(net)
    partly[0] = net[0]  # a frozen part may be one and the same
    assert important_evolutions(partly, net, **options).layers == ("1",)


def test_images_may_be_a_dataset_and_classes_may_be_chosen() -> None:
    images, labels = make_images(7), [0, 1, 1, 2, 2, 2, 2]
    dataset = [(image, "whatever") for image in images]

    def table(source, **options):
        return important_evolutions(
            make_net(0), make_net(1), source, labels, ["3"], from_step=0, to_step=1, **options
        )

    whole, chosen = table(images), table(dataset, classes={2: "bird", 0: "cat"})
    assert (whole.classes, chosen.classes) == (("0", "1", "2"), ("bird", "cat"))
    np.testing.assert_array_equal(chosen.score, whole.score[[2, 0]])
    drawn = [table(images, num_images=2, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0].num_images.tolist() == [1, 2, 2]
    np.testing.assert_array_equal(drawn[0].sensitivity, drawn[1].sensitivity)
    assert not np.array_equal(drawn[0].sensitivity, drawn[2].sensitivity)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layers": ["7.x"]}, "no layer"),
        ({"layers": []}, "layers is empty"),
        ({"images": DataLoader(make_images(4))}, r"got DataLoader; of a loader give its dataset"),
        ({"labels": [0, 1]}, "labels has 2 entries for 4 images"),
        ({"labels": [0.5] * 4}, "whole numbers"),
        ({"classes": ["one"]}, "classes has 1 names, but a label is 2"),
        ({"classes": {5: "five"}}, "no image of 'five'"),
        ({"classes": ["a", "a", "b"]}, "one name"),
        ({"from_step": 4}, "from_step must be before to_step"),
        ({"from_step": 0.5}, "whole numbers, got 0.5 and 4"),
        ({"num_images": 0}, "num_images"),
        ({"forward": lambda model, images: images}, "logits"),
        ({"labels": [0, 1, 2, 9]}, "numbers of the model's 3 logits, got 0 to 9"),
        ({"after": nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double()}, "two epochs must be of one"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict, message: str) -> None:
    arguments = {
        "before": make_net(0), "after": make_net(1), "images": make_images(4), "labels": [0, 1, 2, 0],
        "layers": ["1"], "from_step": 0, "to_step": 4, **changed,
    }  # fmt: skip
    with pytest.raises((ValueError, TypeError), match=message):
        important_evolutions(**arguments)


# ---- no trace ----


def trace(net: nn.Module) -> tuple[object, ...]:
    """All that a training goes on from."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    return (
        {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()},
        {name: (p.requires_grad, None if p.grad is None else p.grad.numpy().tobytes(), p._version)
         for name, p in net.named_parameters()},
        [(m.training, len(m._forward_hooks), list(m._backward_hooks)) for m in net.modules()],
        (random.getstate(), numpy_state[1].tobytes(), torch.get_rng_state().numpy().tobytes()),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        (torch.backends.mha.get_fastpath_enabled(), torch.backends.cudnn.benchmark),
    )  # fmt: skip


@pytest.mark.parametrize("fails", [False, True])
def test_both_models_are_bit_for_bit_as_before_also_after_an_exception(fails: bool) -> None:
    before, after = make_net(0, torch.float32).train(), make_net(1, torch.float32).train()
    after[0].requires_grad_(False)
    after[1].eval()
    seen: list[str] = []
    after[7].register_full_backward_hook(lambda *_: seen.append("after"))
    before[7].register_full_backward_hook(lambda *_: seen.append("before"))
    for net in (before, after):
        net(make_images(5).float()).square().sum().backward()
    del seen[:]
    calls = 0

    def forward(model: nn.Module, images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if fails and calls == 4:
            raise KeyboardInterrupt
        torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002
        return model(images)

    noted = [trace(net) for net in (before, after)]
    arguments = (before, after, make_images(6).float(), [0, 1] * 3, ["1", "3"])
    options = {"from_step": 0, "to_step": 1, "forward": forward, "batch_size": 3}
    if fails:
        with pytest.raises(KeyboardInterrupt):
            important_evolutions(*arguments, **options)
    else:
        important_evolutions(*arguments, **options)
    assert [trace(net) for net in (before, after)] == noted
    assert (calls, seen) == (4, [])
    before(make_images(2).float()).sum().backward()
    assert seen == ["before"]
