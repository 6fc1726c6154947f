import copy
import pickle
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms as T

from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.detectors import ClipDissect
from conceptmon_tb.monitor import ConceptMonitor
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.snapshot import ConceptSnapshot


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.second = nn.Sequential(nn.Conv2d(6, 8, 3, 2), nn.ReLU(inplace=True), nn.Dropout(0.3))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)).mean(dim=(2, 3)))


@cache
def world() -> ProbeSet:
    return ProbeSet.world(120, size=32)


def make(**options: object) -> ConceptMonitor:
    settings = {"layers": ["first", "second"], "probe": world(), "detector": ClipDissect("cos_cubed")}
    return ConceptMonitor(**(settings | {"progress": False} | options))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def test_a_snapshot_has_the_shapes_and_types_it_documents(net: Net) -> None:
    monitor = make(anchors=["dog", "sky"], track={"second": [1, 5]}, top_concepts=3, num_images=4)
    seen = monitor.observe(net)
    assert list(seen) == ["first", "second"]
    snapshot = seen["second"]
    dim = monitor.encoder.dim
    expected = {
        "embedding": ((8, dim), np.float32),
        "concept_ids": ((8, 3), np.int32),
        "similarity": ((8, 3), np.float32),
        "interpretable": ((8,), np.bool_),
        "valid": ((8,), np.bool_),
        "position": ((8, 2), np.float32),
        "top_images": ((8, 4), np.int32),
        "displacement": ((8,), np.float32),
        "top_patches": ((8, 4, 4), np.uint8),
        "anchor_nearest_distance": ((2,), np.float32),
        "anchor_nearest_neuron": ((2,), np.int32),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(snapshot, name)
        assert (array.shape, array.dtype) == (shape, dtype), name
    assert snapshot.tracked == (1, 5)
    assert snapshot.threshold_level == 0.01
    assert snapshot.space is monitor.space
    assert set(snapshot.category_counts) == {"object", "scene", "part", "material", "texture", "color"}
    assert sum(snapshot.category_counts.values()) == snapshot.num_interpretable
    assert "cos_similarity_cubed" in snapshot.detector


def test_embeddings_and_distances_are_those_of_the_thesis(net: Net) -> None:
    monitor = make(temperature=0.05, threshold=0.1)
    snapshot = monitor.observe(net)["first"]
    net.eval()
    with torch.no_grad():
        activations = torch.cat([net.first(batch).mean(dim=(2, 3)) for batch in world().batches()])
    pictures = monitor.encoder.encode_images(list(world().pictures())).numpy()
    text = monitor.encoder.encode_text(monitor.concepts.words).numpy()
    similarity = ClipDissect("cos_cubed").similarity(activations, torch.from_numpy(pictures @ text.T)).numpy()
    placed = []
    for neuron in range(6):
        weights = [np.exp(float(s) / 0.05) for s in similarity[neuron]]
        placed.append(sum(w * text[i] for i, w in enumerate(weights)) / sum(weights))
    assert np.allclose(snapshot.embedding, placed, atol=1e-4)
    nearest = [min(np.linalg.norm(u - v) for u in placed) for v in text]
    assert snapshot.anchor_distance == pytest.approx(sum(nearest) / len(nearest), abs=1e-4)
    pairs = [np.linalg.norm(placed[i] - placed[j]) for i in range(6) for j in range(i)]
    assert snapshot.mean_pairwise_distance == pytest.approx(np.mean(pairs), abs=1e-4)
    assert snapshot.threshold == 0.1
    assert snapshot.threshold_level is None
    assert (snapshot.interpretable == (similarity.max(axis=1) > 0.1)).all()
    assert (snapshot.concept_ids[:, 0] == similarity.argmax(axis=1)).all()
    order = np.argsort(-activations.numpy(), axis=0, kind="stable")[:8].T
    assert (snapshot.top_images == order).all()


SQUARE = 8


class Spotter(nn.Module):
    """One neuron answers to red, one to blue, one to nothing; strided convolutions, as in a ResNet."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 3, 3, 2, 1, groups=g, bias=False) for g in (1, 3, 3)]
        self.spot = nn.Sequential(*(part for conv in layers for part in (conv, nn.ReLU())))
        with torch.no_grad():
            for conv in layers:
                conv.weight[:] = 1 / 9
            colour = torch.tensor([[1.0, 0, -1], [-1, 0, 1], [-1, -1, -1]])
            layers[0].weight[:] = colour[:, :, None, None] / 9

    def forward(self, x: Tensor) -> Tensor:
        return self.spot(x).mean(dim=(2, 3))


def plant_squares(num_images: int, seed: int = 0) -> tuple[ProbeSet, np.ndarray]:
    """A red and a blue square in each grey picture; `(colour, image, (left, top))` in pixels."""
    rng = np.random.default_rng(seed)
    pictures = np.full((num_images, 64, 96, 3), 20, np.uint8)
    corner = np.stack([rng.integers(16, 40, (num_images, 2)), rng.integers(48, 72, (num_images, 2))])
    corner[..., 1] = rng.integers(0, 56, (2, num_images))
    for i, (red, blue) in enumerate(zip(*corner, strict=True)):
        for channel, (x, y) in ((0, red), (2, blue)):
            pictures[i, y : y + SQUARE, x : x + SQUARE, channel] = rng.integers(180, 255)
    return ProbeSet([Image.fromarray(picture) for picture in pictures], tensor_of), corner


def tensor_of(picture: Image.Image) -> Tensor:
    """The middle of a wide picture, as a model's input."""
    array = np.array(picture.crop((8, 0, 88, 64)), dtype=np.float32) / 255
    return torch.from_numpy(array.transpose(2, 0, 1))


def test_patches_hold_what_the_neuron_answers_to() -> None:
    probe, corner = plant_squares(40)
    snapshot = make(layers=["spot"], probe=probe).observe(Spotter())["spot"]
    assert snapshot.valid.tolist() == [True, True, False]
    assert snapshot.top_patches is not None
    assert (snapshot.top_patches.shape, snapshot.top_patches.dtype) == ((3, 8, 4), np.uint8)
    assert not snapshot.top_patches[2].any()
    for colour in (0, 1):
        for rank, image in enumerate(snapshot.top_images[colour]):
            left, top, right, bottom = snapshot.top_patches[colour, rank] / 255.0 * 64
            x, y = corner[colour, image] - (16, 0)  # the thumbnail is the picture's central square
            assert left - 0.3 <= x
            assert x + SQUARE <= right + 0.3
            assert top - 0.3 <= y
            assert y + SQUARE <= bottom + 0.3
            assert (right - left) * (bottom - top) <= (2.5 * SQUARE + 1) ** 2


def test_patches_are_unknown_without_a_map_or_a_common_view(net: Net) -> None:
    assert make(layers=["head"]).observe(net)["head"].top_patches is None
    cropped = ProbeSet.world(60, transform=T.Compose([T.RandomCrop(32), T.ToTensor()]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert make(probe=cropped).observe(net)["first"].top_patches is None


def test_displacement_is_measured_from_the_last_observation_of_the_same_model(net: Net) -> None:
    monitor = make()
    other = Net()
    first = monitor.observe(net)["first"]
    monitor.observe(other)
    assert np.isnan(first.displacement).all()
    assert (monitor.observe(net)["first"].displacement[first.valid] == 0).all()
    with torch.no_grad():
        net.first[0].weight.neg_()
    moved = monitor.observe(net)["first"]
    both = first.valid & moved.valid
    expected = np.linalg.norm(moved.embedding - first.embedding, axis=1)
    assert np.allclose(moved.displacement[both], expected[both], atol=1e-5)
    assert moved.displacement[both].max() > 0


def test_what_is_collected_may_be_scored_later_and_elsewhere(net: Net) -> None:
    live, later = make(), make()
    seen, collected = [], []
    for _ in range(2):
        seen.append(live.observe(net))
        collected.append(pickle.dumps(later.collect(net)))
        with torch.no_grad():
            net.second[0].weight.neg_()

    for observed, pickled in zip(seen, collected, strict=True):
        scored = later.score(pickle.loads(pickled), net)
        for layer, snapshot in observed.items():
            np.testing.assert_array_equal(scored[layer].embedding, snapshot.embedding)
            np.testing.assert_array_equal(scored[layer].displacement, snapshot.displacement)
    assert np.nanmax(seen[1]["second"].displacement) > 0
    assert np.isnan(later.score(pickle.loads(collected[0]))["second"].displacement).all()


def test_a_failed_observation_is_not_the_one_that_displacement_starts_from(net: Net) -> None:
    monitor = make()
    monitor.observe(net)
    weight = net.second[0].weight
    net.second[0] = nn.Conv2d(5, 8, 3)
    with pytest.raises(RuntimeError):
        monitor.observe(net)
    net.second[0] = nn.Conv2d(6, 8, 3, 2)
    net.second[0].weight = weight
    assert (np.nan_to_num(monitor.observe(net)["first"].displacement) == 0).all()


def test_dead_constant_and_nan_neurons_are_counted_and_never_interpretable(net: Net) -> None:
    with torch.no_grad():
        net.first[1].weight[:3] = 0
        net.first[1].bias[:3] = torch.tensor([-1.0, 2.0, float("nan")])
    snapshot = make(anchors=["dog"]).observe(net)["first"]
    assert snapshot.valid.tolist() == [False, False, False, True, True, True]
    assert (snapshot.num_dead, snapshot.num_constant, snapshot.num_nonfinite) == (1, 1, 1)
    assert not snapshot.interpretable[:3].any()
    assert (snapshot.concept_ids[:3] == -1).all()
    assert (snapshot.top_images[:3] == -1).all()
    assert (snapshot.similarity[:3] == 0).all()
    assert (snapshot.embedding[:3] == 0).all()
    assert np.isnan(snapshot.position[:3]).all()
    assert np.isfinite(snapshot.position[3:]).all()
    assert snapshot.anchor_nearest_neuron[0] >= 3


def test_a_layer_without_any_valid_neuron_gives_nan_and_no_error(net: Net) -> None:
    with torch.no_grad():
        net.first[1].weight.zero_()
        net.first[1].bias.fill_(-1.0)
    snapshot = make(anchors=["dog"]).observe(net)["first"]
    assert np.isnan([snapshot.anchor_distance, snapshot.anchor_distance_gated]).all()
    assert snapshot.num_interpretable == 0
    assert snapshot.anchor_nearest_neuron.tolist() == [-1]


def test_monitoring_every_epoch_does_not_change_the_training_by_one_bit() -> None:
    def train(watch: ConceptMonitor | None) -> tuple[list[float], dict[str, Tensor], Tensor, float]:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002 (the global stream is what is watched)
        net, losses = Net(), []
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for _ in range(3):
            for _ in range(2):
                images, labels = torch.rand(8, 3, 32, 32), torch.randint(0, 4, (8,))
                loss = nn.functional.cross_entropy(net(images), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            if watch is not None:
                watch.observe(net)
        return losses, net.state_dict(), torch.get_rng_state(), float(np.random.rand())  # noqa: NPY002

    with_it, without = train(make()), train(None)
    assert with_it[0] == without[0]
    assert with_it[3] == without[3]
    assert torch.equal(with_it[2], without[2])
    for name, value in without[1].items():
        assert torch.equal(with_it[1][name], value), name


def test_the_same_model_gives_the_same_snapshot_in_another_process_of_thought(net: Net) -> None:
    one, two = (make().observe(copy.deepcopy(net))["second"] for _ in range(2))
    for name in ("embedding", "concept_ids", "similarity", "position", "top_images"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert one.threshold == two.threshold
    assert one.space.fingerprint == two.space.fingerprint


def test_the_default_is_the_bundled_world_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    monitor = make()
    assert monitor.concepts == ConceptSet.world()
    assert [r.getMessage() for r in caplog.records if "demo encoder" in r.getMessage()]
    assert "demo encoder" in monitor.space.note
    assert monitor.space.projection == "umap+shepard15"


def test_words_outside_the_demo_vocabulary_are_refused_or_warned_about() -> None:
    with pytest.raises(ValueError, match="OpenClipEncoder"):
        make(concepts=ConceptSet(["giraffe", "spanner"]))
    with pytest.warns(UserWarning, match="giraffe"):
        make(anchors=["dog", "sky", "giraffe"])


def test_the_anchor_set_can_be_the_anchors(net: Net) -> None:
    snapshot = make(anchors=["dog", "sky"], anchor_set="anchors").observe(net)["second"]
    assert snapshot.anchor_distance == pytest.approx(snapshot.anchor_nearest_distance.mean(), abs=1e-6)


def test_an_unknown_layer_is_refused_before_any_work_with_the_nearest_names(net: Net) -> None:
    with pytest.raises(ValueError, match="nearest names: first"):
        make(layers=["frist"]).observe(net)


def test_a_tracked_neuron_that_does_not_exist_is_named(net: Net) -> None:
    with pytest.raises(ValueError, match=r"track\['first'\] names neuron 6, but the layer has 6"):
        make(track={"first": [6]}).observe(net)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"anchors": "dog"}, TypeError, "anchors"),
        ({"anchors": [3]}, TypeError, "anchors"),
        ({"anchors": {"dog": 1}}, TypeError, "anchors"),
        ({"anchors": ["dog", " "]}, ValueError, "anchors"),
        ({"anchors": ["dog", "dog"]}, ValueError, "anchors.*once"),
        ({"anchor_set": "words"}, ValueError, "anchor_set"),
        ({"anchor_set": "anchors"}, ValueError, "needs anchors"),
        ({"layers": []}, ValueError, "layers"),
        ({"layers": [1]}, TypeError, "layers"),
        ({"layers": ["first", "first"]}, ValueError, "layers"),
        ({"threshold": "high"}, ValueError, "threshold"),
        ({"threshold": float("nan")}, ValueError, "threshold"),
        ({"threshold": None}, TypeError, "threshold"),
        ({"threshold_level": 0}, ValueError, "threshold_level"),
        ({"temperature": 0}, ValueError, "temperature"),
        ({"temperature": "hot"}, TypeError, "temperature"),
        ({"track": {"third": [1]}}, ValueError, "third"),
        ({"track": {"first": [-1]}}, ValueError, "numbered from 0"),
        ({"track": {"first": ["a"]}}, TypeError, "neuron numbers"),
        ({"track": [1]}, TypeError, "track"),
        ({"top_concepts": 0}, ValueError, "top_concepts"),
        ({"num_images": 9}, ValueError, "num_images"),
        ({"pooling": "sum"}, ValueError, "pooling"),
        ({"tokens": "last"}, ValueError, "tokens"),
        ({"precision": "fp8"}, ValueError, "precision"),
        ({"probe": [1, 2]}, TypeError, "probe"),
        ({"concepts": ["dog"]}, TypeError, "concepts"),
        ({"detector": "soft_wpmi"}, TypeError, "detector"),
        ({"encoder": "ViT-B-16"}, TypeError, "encoder"),
    ],
)
def test_a_wrong_argument_is_named_at_once(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(**options)


def test_one_layer_may_be_given_by_its_name_alone(net: Net) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = make(layers="second").observe(net)
    assert list(seen) == ["second"]
    assert isinstance(seen["second"], ConceptSnapshot)


def test_too_few_meaningless_neurons_are_refused_before_any_training():
    with pytest.raises(ValueError, match=r"num_null=10 meaningless neurons cannot tell level=0\.01"):
        ConceptMonitor(["0"], detector=ClipDissect(num_null=10))
    ConceptMonitor(["0"], detector=ClipDissect(num_null=10), threshold=0.1)
