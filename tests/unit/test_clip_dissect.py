"""ClipDissect is its similarity function with a cache and a calibrated threshold."""

import math
import pickle

import pytest
import torch

from conceptmon_tb.detectors import ClipDissect, ConceptDetector
from conceptmon_tb.functional import SIMILARITIES

NAMES = ["cos_similarity", "cos_similarity_cubed", "rank_reorder", "wpmi", "soft_wpmi", "top_correlation"]
SETTINGS = [
    *[(name, {}) for name in NAMES],
    (None, {}),
    ("soft_wpmi", {"prior": "background"}),
    ("wpmi", {"prior": "zscore"}),
]


def noise(kind, images, neurons, seed):
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(images, neurons, generator=generator)
    if kind == "sparse relu":
        return (normal - 2.2).relu()  # fires on about 1.4% of the images: ties among the top 100
    if kind == "heavy tail":
        return normal / torch.randn(images, neurons, generator=generator)
    if kind == "very uneven":
        return (normal - torch.linspace(0, 3, neurons)).relu() + 1e-9 * normal.abs()
    return normal


def concept_side(images=600, concepts=40, seed=7):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(images, 6, generator=generator) @ torch.randn(6, concepts, generator=generator)
    return 0.2 + 0.03 * factors + 0.03 * torch.randn(images, concepts, generator=generator)


@pytest.mark.parametrize("name", NAMES)
def test_similarity_by_name_is_the_function_with_the_papers_defaults(name):
    activations, concepts = noise("normal", 300, 6, 0), concept_side(300)
    expected = SIMILARITIES[name](activations, concepts)
    assert torch.equal(ClipDissect(name).similarity(activations, concepts), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prior", ["layer", "background", "zscore"])
def test_similarity_is_that_of_the_function(name, prior):
    options = {"prior": prior} if "wpmi" in name else {}
    activations, concepts = noise("normal", 300, 6, 0), concept_side(300)
    detector = ClipDissect(name, **options)
    expected = SIMILARITIES[name](activations, concepts, **options)
    assert torch.equal(detector.similarity(activations, concepts), expected)
    assert torch.equal(detector.similarity(activations, concepts), expected)


@pytest.mark.parametrize(("name", "options"), SETTINGS)
@pytest.mark.parametrize("kind", ["normal", "sparse relu", "heavy tail", "very uneven"])
def test_at_most_one_percent_of_meaningless_neurons_pass(name, options, kind):
    images, neurons = 600, (500 if name == "rank_reorder" else 2000)
    concepts = concept_side(images)
    detector = ClipDissect(name, **options)
    layer = noise(kind, images, neurons, seed=11)
    threshold = detector.null_threshold(layer, concepts, level=0.01)
    passed = (detector.similarity(layer, concepts).amax(dim=1) > threshold).float().mean().item()
    assert passed <= 0.01 + 3 * math.sqrt(0.01 * 0.99 * (1 / 256 + 1 / neurons))


@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_neurons_that_follow_a_concept_pass(name, options):
    concepts = concept_side()
    planted = concepts[:, :20] + 0.01 * noise("normal", 600, 20, 0)
    layer = torch.cat([planted, noise("normal", 600, 40, 1)], dim=1)
    detector = ClipDissect(name, **options)
    best = detector.similarity(layer, concepts).amax(dim=1)
    assert (best[:20] > detector.null_threshold(layer, concepts)).float().mean() >= 0.9


def test_the_null_of_neurons_without_ties_is_that_of_permuted_neurons():
    concepts = concept_side()
    layer = noise("normal", 600, 50, 0)
    detector = ClipDissect(num_null=2000)
    fast = detector.null_threshold(layer, concepts, level=0.1)
    permuted = torch.stack([column[torch.randperm(600)] for column in layer.T.repeat(40, 1)], dim=1)
    slow = detector.similarity(permuted, concepts).amax(dim=1).quantile(0.9).item()
    assert fast == pytest.approx(slow, abs=0.15)


def test_the_threshold_repeats_with_the_seed_and_leaves_the_global_random_state_alone():
    concepts, layer = concept_side(), noise("sparse relu", 600, 30, 0)
    before = torch.get_rng_state()
    detector = ClipDissect()
    first = detector.null_threshold(layer, concepts, seed=1)
    assert detector.null_threshold(layer, concepts, seed=1) == first
    assert ClipDissect().null_threshold(layer, concepts, seed=1) == first
    assert detector.null_threshold(layer, concepts, seed=2) != first
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_of_dead_neurons_has_zero_similarity_and_no_threshold(name):
    detector = ClipDissect(name)
    layer, concepts = torch.zeros(50, 4), concept_side(50)
    assert not detector.similarity(layer, concepts).any()
    assert math.isnan(detector.null_threshold(layer, concepts))


def test_too_few_null_neurons_for_the_level_is_an_error():
    with pytest.raises(ValueError, match="draw at least 999"):
        ClipDissect().null_threshold(noise("normal", 50, 4, 0), concept_side(50), level=0.001)


def test_the_concept_side_is_prepared_once(monkeypatch):
    detector = ClipDissect("cos_cubed")
    prepared = []
    prepare = detector._prepare
    monkeypatch.setattr(detector, "_prepare", lambda concepts: prepared.append(1) or prepare(concepts))
    layer, concepts = noise("normal", 100, 4, 0), concept_side(100)
    detector.similarity(layer, concepts)
    detector.null_threshold(layer, concepts)
    detector.similarity(layer, concepts.clone())
    assert len(prepared) == 1


@pytest.mark.parametrize("inference", [False, True])
def test_the_cache_sees_that_the_concept_side_changed_in_place(inference):
    layer = noise("normal", 100, 4, 0)
    detector = ClipDissect("cos_cubed")
    with torch.inference_mode(inference):
        concepts = concept_side(100)
        before = detector.similarity(layer, concepts)
        concepts[:, 0] = concepts[:, 1]
        after = detector.similarity(layer, concepts)
    assert torch.equal(after[:, 0], after[:, 1])
    assert not torch.equal(before[:, 0], after[:, 0])


@pytest.mark.parametrize("name", ["cos", "cos_cubed", "rank_reorder", "wpmi", "soft_wpmi", "top_correlation"])
@pytest.mark.parametrize("inference", [False, True])
def test_an_equal_concept_side_is_not_that_of_a_tensor_that_changed_since(name, inference):
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(60, 5, generator=generator)
    content = 0.2 + 0.1 * torch.rand(60, 6, generator=generator)
    detector = ClipDissect(name)
    with torch.inference_mode(inference):
        first = content.clone()
        expected = detector.similarity(activations, first)
        first.copy_(content.flip(0))
    assert torch.equal(detector.similarity(activations, content.clone()), expected)


def test_detectors_can_be_pickled():
    detector = ClipDissect("soft_wpmi", top_k=20)
    layer, concepts = noise("normal", 100, 4, 0), concept_side(100)
    expected = detector.similarity(layer, concepts)
    assert torch.equal(pickle.loads(pickle.dumps(detector)).similarity(layer, concepts), expected)


def test_it_is_a_concept_detector_that_describes_itself():
    assert isinstance(ClipDissect(), ConceptDetector)
    assert ClipDissect("cos_cubed").describe() == "clip-dissect cos_similarity_cubed"
    assert ClipDissect().describe() == "clip-dissect top_correlation"
    assert ClipDissect(prior="zscore").describe() == "clip-dissect soft_wpmi (prior=zscore)"
    assert ClipDissect("wpmi").describe() == "clip-dissect wpmi (prior=layer)"
    assert ClipDissect(softmax_scale=2.0).describe() == "clip-dissect soft_wpmi (prior=zscore, a=2.0)"


def test_the_temperature_follows_similarity_and_prior():
    assert ClipDissect("cos_cubed").default_temperature == 0.01
    assert ClipDissect("soft_wpmi", prior="layer").default_temperature == 0.1
    assert ClipDissect("soft_wpmi", prior="zscore").default_temperature > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"similarity": "softwpmi"}, r"similarity must be one of 'cos'.*'soft_wpmi'.*got 'softwpmi'"),
        ({"similarity": "cos_cubed", "top_k": 3}, "cos_similarity_cubed has no parameter 'top_k'; .* none"),
        ({"similarity": "cos", "prior": "layer"}, "cos_similarity has no parameter 'prior'"),
        ({"topk": 3}, "soft_wpmi has no parameter 'topk'; its parameters are: 'top_k', 'a'"),
        ({"prior": "mean"}, "prior must be one of 'layer', 'background', 'zscore', got 'mean'"),
        ({"top_k": 0}, "top_k must be a whole number, at least 1"),
        ({"top_k": 5.5}, "top_k must be a whole number, at least 1, got 5.5"),
        ({"num_null": 0}, "num_null must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_at_once_with_the_right_ones(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClipDissect(**arguments)
