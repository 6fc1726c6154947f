"""The concept diversity loss against a reference that reads like Eq. 3.1, and in every kind of step."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Subset

import conceptmon_tb as cm
from conceptmon_tb import functional
from conceptmon_tb.regularizer import batch_anchor_distance
from conceptmon_tb.training_state import stream_states

WORDS = ("red", "green", "dog", "house", "striped", "sky", "wood")
BATCH, DIM = 12, 5


class Words:
    """A text encoder of fixed vectors; pictures are its features already."""

    name, fingerprint, dim, note = "fixed", "fixed", DIM, ""

    def image_transform(self, image: object) -> Tensor:
        raise NotImplementedError

    def encode_images(self, images: object) -> Tensor:
        raise NotImplementedError

    def encode_text(self, words: Sequence[str]) -> Tensor:
        return torch.cat([unit(1, DIM, seed=sum(map(ord, word))) for word in words])

    def check_words(self, words: Sequence[str]) -> None:
        if "nonsense" in words:
            raise ValueError("unknown word")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.norm(self.conv(x))).mean((2, 3)))


def unit(rows: int, dim: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))
    return F.normalize(drawn, dim=1)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


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


def make(
    model: nn.Module, layers: str | Sequence[str] = "norm", **options: object
) -> cm.ConceptDiversityLoss:
    return cm.ConceptDiversityLoss(model, layers, cm.ConceptSet(WORDS), Words(), **options)  # type: ignore[arg-type]


def reference(
    activations: np.ndarray, concepts: np.ndarray, text: np.ndarray, anchors: np.ndarray, temperature: float
) -> float:
    """Eq. 3.1 in loops; neurons that are the same for all images are left out."""

    def direction(values: np.ndarray) -> np.ndarray:
        cubed = (values - values.mean()) ** 3
        return cubed / math.sqrt((cubed**2).sum())

    places = []
    for neuron in activations.T:
        if neuron.max() == neuron.min():
            continue
        similarity = [direction(neuron) @ direction(concept) for concept in concepts.T]
        weights = [math.exp((s - max(similarity)) / temperature) for s in similarity]
        places.append(sum(w * v for w, v in zip(weights, text, strict=True)) / sum(weights))
    distances = [min(math.sqrt(((place - anchor) ** 2).sum()) for place in places) for anchor in anchors]
    return sum(distances) / len(distances)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-4), (torch.float64, 1e-9)])
def test_the_value_is_that_of_the_formula(temperature: float, dtype: torch.dtype, tolerance: float) -> None:
    activations, concepts = random(20, 9, dtype=dtype), random(20, 7, seed=1, dtype=dtype)
    activations[:, 4] = 3.0
    text, anchors = unit(7, 6).to(dtype), unit(4, 6, seed=3).to(dtype)
    value = batch_anchor_distance(activations, concepts, text, anchors, temperature=temperature)
    assert value.dtype == dtype
    arrays = (part.double().numpy() for part in (activations, concepts, text, anchors))
    assert value.item() == pytest.approx(reference(*arrays, temperature), abs=tolerance)


def test_the_value_is_what_the_monitors_functions_give_in_a_row() -> None:
    activations, concepts, text = random(64, 30), random(64, 11, seed=1), unit(11, 8)
    similarity = functional.cos_cubed(activations.requires_grad_(), concepts)
    embedding = functional.embed_neurons(similarity, text, 0.01)
    expected = functional.anchor_distance(embedding, text)
    assert batch_anchor_distance(activations, concepts, text).item() == pytest.approx(
        expected.item(), abs=2e-5
    )


@pytest.mark.parametrize("temperature", [0.03, 0.3])
def test_gradients_are_those_of_finite_differences(temperature: float) -> None:
    activations = random(10, 6, dtype=torch.float64)
    activations[:, 2] = 0.0  # a dead neuron has no gradient, and disturbs no other
    concepts, text = random(10, 5, seed=1, dtype=torch.float64), unit(5, 4).double()

    def loss(living: Tensor) -> Tensor:
        whole = torch.cat([living[:, :2], activations[:, 2:3], living[:, 2:]], dim=1)
        return batch_anchor_distance(whole, concepts, text, temperature=temperature)

    living = activations[:, [0, 1, 3, 4, 5]].clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, living, eps=1e-7, atol=1e-6, rtol=1e-4)


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


@given(st.integers(2, 24), st.integers(1, 12), st.integers(1, 9), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_images_and_of_neurons_means_nothing(
    images: int, neurons: int, concepts: int, dice: object
) -> None:
    activations = random(images, neurons, dtype=torch.float64).requires_grad_()
    seen, text = random(images, concepts, seed=1, dtype=torch.float64), unit(concepts, 6).double()
    by_image = torch.tensor(dice.sample(range(images), images))  # type: ignore[attr-defined]
    by_neuron = torch.tensor(dice.sample(range(neurons), neurons))  # type: ignore[attr-defined]
    value = batch_anchor_distance(activations, seen, text, temperature=0.1)
    shuffled = batch_anchor_distance(
        activations[by_image][:, by_neuron], seen[by_image], text, temperature=0.1
    )
    assert shuffled.item() == pytest.approx(value.item(), abs=1e-9)
    (one,) = torch.autograd.grad(value, activations)
    (other,) = torch.autograd.grad(shuffled, activations)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert 0 <= value.item() <= 2


@given(st.floats(1e-3, 1e3), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_a_neurons_scale_and_offset_mean_nothing(scale: float, offset: float) -> None:
    activations, concepts = random(16, 5, dtype=torch.float64), random(16, 4, seed=1, dtype=torch.float64)
    expected = batch_anchor_distance(activations, concepts, unit(4, 3).double())
    value = batch_anchor_distance(activations * scale + offset, concepts, unit(4, 3).double())
    assert value.item() == pytest.approx(expected.item(), abs=1e-7)


@pytest.mark.parametrize("bad", [0.0, 5.0, math.nan, math.inf])
def test_neurons_that_say_nothing_are_left_out_without_harming_the_others(bad: float) -> None:
    activations, concepts, text = random(16, 5), random(16, 4, seed=1), unit(4, 3)
    spoilt = torch.cat([activations, torch.full((16, 1), bad)], dim=1).requires_grad_()
    value = batch_anchor_distance(spoilt, concepts, text)
    assert value.item() == pytest.approx(batch_anchor_distance(activations, concepts, text).item(), abs=1e-6)
    value.backward()
    assert bool(torch.isfinite(spoilt.grad).all())
    assert not spoilt.grad[:, 5].any()
    assert spoilt.grad[:, :5].any()


def test_a_dead_layer_has_a_finite_distance_and_no_gradient() -> None:
    activations, text = torch.zeros(8, 3, requires_grad=True), unit(4, 3)
    value = batch_anchor_distance(activations, random(8, 4), text)
    assert value.item() == pytest.approx((text.mean(0) - text).norm(dim=1).mean().item(), abs=1e-6)
    value.backward()
    assert not activations.grad.any()


def test_a_descent_on_it_brings_neurons_to_the_anchors() -> None:
    activations, concepts, text = random(64, 24).requires_grad_(), random(64, 10, seed=1), unit(10, 8)
    optimizer = torch.optim.Adam([activations], lr=0.05)
    values = []
    for _ in range(100):
        value = batch_anchor_distance(activations, concepts, text)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.3 * values[0]


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


class Unlike:
    """Pictures that are drawn anew each time."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> np.ndarray:
        return torch.randint(256, (8, 8, 3), dtype=torch.uint8).numpy()


class Counting:
    """An encoder that remembers how many pictures it was given."""

    name, fingerprint, dim, note = "counting", "counting", 3, ""

    def __init__(self) -> None:
        self.seen = 0

    def image_transform(self, image: object) -> Tensor:
        raise NotImplementedError

    def encode_images(self, images: Sequence[object]) -> Tensor:
        self.seen += len(images)
        colours = torch.tensor(np.array([np.asarray(image).mean((0, 1)) for image in images]))
        return F.normalize(colours.float() + 1, dim=1)

    def encode_text(self, words: Sequence[str]) -> Tensor:
        return unit(len(words), 3)

    def check_words(self, words: Sequence[str]) -> None:
        """Any word will do."""


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 6, 5, 3), dtype=np.uint8))


def test_features_are_those_of_the_pictures_in_their_order(tmp_path: object) -> None:
    given, encoder = pictures(150), Counting()
    repeated = [*given, given[7], given[3]]
    features = cm.ImageFeatures(repeated, encoder, progress=False)
    torch.testing.assert_close(features.matrix, Counting().encode_images(repeated))
    assert encoder.seen == features.num_encoded == 150
    torch.testing.assert_close(features[torch.tensor([150, 2])], features.matrix[[7, 2]])


def test_each_picture_is_encoded_once_whatever_happens_to_the_set(tmp_path: object) -> None:
    given, encoder = pictures(100), Counting()
    cm.ImageFeatures(given[:70], encoder, cache_dir=tmp_path, progress=False)
    assert encoder.seen == 70
    shuffled = [given[i] for i in np.random.default_rng(1).permutation(100)]
    features = cm.ImageFeatures(shuffled, encoder, cache_dir=tmp_path, progress=False)
    assert encoder.seen == 100
    assert features.num_encoded == 30
    torch.testing.assert_close(features.matrix, Counting().encode_images(shuffled))


def test_what_was_encoded_before_an_interruption_is_kept(tmp_path: object) -> None:
    class Interrupted(Counting):
        def encode_images(self, images: Sequence[object]) -> Tensor:
            if self.seen >= 128:
                raise KeyboardInterrupt
            return super().encode_images(images)

    with pytest.raises(KeyboardInterrupt):
        cm.ImageFeatures(pictures(300), Interrupted(), cache_dir=tmp_path, progress=False)
    assert cm.ImageFeatures(pictures(300), Counting(), cache_dir=tmp_path, progress=False).num_encoded == 172


def test_damaged_files_are_computed_anew(tmp_path: object, caplog: pytest.LogCaptureFixture) -> None:
    features = cm.ImageFeatures(pictures(20), Counting(), cache_dir=tmp_path, progress=False)
    (file,) = tmp_path.rglob("*.safetensors")  # type: ignore[attr-defined]
    whole = file.read_bytes()
    for damaged in (whole[:100], whole[:-560] + b"\xff" * 240 + whole[-320:]):
        for other in tmp_path.rglob("*.safetensors"):  # type: ignore[attr-defined]
            other.unlink()
        file.write_bytes(damaged)
        again = cm.ImageFeatures(pictures(20), Counting(), cache_dir=tmp_path, progress=False)
        assert again.num_encoded == 20
        torch.testing.assert_close(again.matrix, features.matrix)


def test_large_sets_are_mapped_from_a_file() -> None:
    small = cm.ImageFeatures(pictures(30), Counting(), progress=False)
    mapped = cm.ImageFeatures(pictures(30), Counting(), memory_bytes=0, progress=False)
    torch.testing.assert_close(mapped[[4, 29]], small[[4, 29]])
    assert mapped._file is not None
    assert small._file is None


def test_reading_draws_no_random_numbers(net: Net) -> None:
    before = stream_states()
    cm.ImageFeatures(pictures(5), Counting(), progress=False)
    assert stream_states() == before


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("folder", TypeError, "map-style"),
        ([], ValueError, "empty"),
        ([torch.randn(3, 4, 4)], ValueError, "without its transform"),
        (["a.png"], TypeError, "without its transform"),
        (Unlike(), ValueError, "augmentation"),
    ],
)
def test_what_is_no_picture_is_refused(given: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cm.ImageFeatures(given, Counting(), progress=False)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ([5], IndexError),
        ([-6], IndexError),
        ([0.5], TypeError),
        ([[0]], TypeError),
        (torch.ones(5) > 0, TypeError),
    ],
)
def test_numbers_that_are_none_are_refused(index: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        cm.ImageFeatures(pictures(5), Counting(), progress=False)[index]  # type: ignore[index]


def test_the_indexed_set_tells_numbers_through_subsets_and_loaders() -> None:
    features = cm.ImageFeatures(pictures(10), Counting(), progress=False)
    labelled = [(torch.zeros(2), label) for label in range(10)]
    part = Subset(features.indexed(labelled), [9, 4, 6])
    _, labels, index = next(iter(DataLoader(part, batch_size=3)))
    assert labels.tolist() == index.tolist() == [9, 4, 6]
    assert features.indexed([{"image": 0}] * 10)[-1] == {"image": 0, "index": 9}
    assert features.indexed(list("abcdefghij"))[2] == ("c", 2)
    with pytest.raises(ValueError, match="9 items"):
        features.indexed(labelled[:9])
