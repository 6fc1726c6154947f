"""ConceptEvo's story, run as the user runs it, in small; and measures of alignment against planted truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from PIL import Image

import conceptmon_tb as cm
from conceptmon_tb.differential_entropy import map_spread
from demo.conceptevo import report, story
from demo.conceptevo.alignment import (
    CHANCE,
    Neurons,
    area_under_curve,
    compare_neighbours,
    detected_concepts,
    find_intruders,
    presence_areas,
    relative_drift,
    turn_onto,
)
from demo.conceptevo.diversity import (
    coordinate_entropy,
    diversity_claims,
    entropy_by_step,
    mean_cosine,
    mean_shared,
    trainings,
)
from demo.conceptevo.measured import METHODS, SETTINGS
from demo.conceptevo.networks import KINDS
from demo.conceptevo.runs import COLLAPSED, NAMES, again

ROOT = Path(__file__).parents[2]
TINY = ["--quick", "--images", "128", "--epochs", "2", "--seeds", "1", "--repeats", "1", "--quiet"]
CONCEPTS, DIM = 6, 8

Told: TypeAlias = tuple[Path, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The log directory and the answer of one story."""
    logdir = tmp_path_factory.mktemp("story") / "runs"
    options = ["--story", "conceptevo", "--no-server", "--logdir", str(logdir), *TINY]
    command = [sys.executable, "-m", "demo", *options]
    return logdir, subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)


def test_the_story_logs_three_kinds_of_network_and_a_collapse_in_one_space(
    told: Told,
) -> None:
    logdir, done = told
    assert done.returncode == 0, done.stderr
    runs = {name: cm.read_run(logdir / name) for name in NAMES}
    space = cm.SemanticSpace.load(logdir / "space.safetensors")
    assert {run.space.fingerprint for run in runs.values()} == {space.concept_space().fingerprint}
    for name, kind in KINDS.items():
        assert runs[name].steps == (0, 1, 2)
        assert tuple(runs[name].snapshots) == kind.layers
    (table,) = runs["vgg"].evolutions
    assert (table.from_step, table.to_step, len(table.classes)) == (1, 2, 10)
    shared, own = (
        [run.snapshots["stage4"][step].embedding for run in (runs["vgg"], runs["vgg-collapsed"])]
        for step in (1, 2)
    )
    np.testing.assert_array_equal(*shared)  # the rate is not too high before
    assert not np.array_equal(*own)


def test_the_story_is_told_with_figures_and_the_way_to_the_tab(
    told: Told,
) -> None:
    logdir, done = told
    for part in (
        *(kind.title for kind in KINDS.values()),
        "Neighbours of different networks share concepts.",
        "AUC of 'same concept'",
        "entropy falls",
        "matter most",
        f"tensorboard --logdir {logdir}",
    ):
        assert part in done.stdout
    assert "nan" not in done.stdout.split("claims, and what")[0]


def test_the_page_is_written_from_what_was_measured_and_nothing_is_trained_again(
    told: Told, tmp_path: Path
) -> None:
    logdir, _ = told
    page = tmp_path / "docs" / "conceptevo.md"
    page.parent.mkdir()
    page.write_text(report.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    weights = {name: (logdir / "networks" / f"{name}.pt").stat().st_mtime_ns for name in NAMES}
    report.main(["--logdir", str(logdir), *TINY, "--training-seeds", "2", "--write", "--page", str(page)])
    assert {n: (logdir / "networks" / f"{n}.pt").stat().st_mtime_ns for n in NAMES} == weights
    text = page.read_text(encoding="utf-8")
    for title in (*METHODS.values(), *SETTINGS.values(), "75-100%", '"images": 128', "trained 2 times"):
        assert title in text
    check_further_trainings(logdir)
    pictures = sorted((page.parent / "images" / "conceptevo").iterdir())
    assert [path.stem for path in pictures] == ["alignment", "entropy", "one_map", "revert"]
    for path in pictures:
        assert f"images/conceptevo/{path.name}" in text
        with Image.open(path) as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 20, "empty"


def check_further_trainings(logdir: Path) -> None:
    """A second training of each network starts from other weights, and its collapse from its own epochs."""
    runs = {name: cm.read_run(logdir / name) for name in (*NAMES, *(again(name, 1) for name in NAMES))}
    for name, kind in KINDS.items():
        first, second = (run.snapshots[kind.layers[-1]][0] for run in trainings(runs, name))
        assert not np.array_equal(first.embedding, second.embedding)
    for number in (0, 1):
        base, collapsed = (runs[again(name, number)].snapshots["stage4"][1] for name in ("vgg", COLLAPSED))
        np.testing.assert_array_equal(base.embedding, collapsed.embedding)
    *healthy, collapse, apart = diversity_claims(runs, 1)
    counts = [len(claim.measured.margins) for claim in (*healthy, collapse, apart)]
    assert counts == [6, 6, 6, 6, 2, 2]
    by_step = [entropy_by_step(run, "vgg") for run in trainings(runs, "vgg")]
    snapshots = runs["vgg"].snapshots["stage4"]
    assert by_step[0] == pytest.approx({step: snapshots[step].entropy for step in (0, 1, 2)})
    rises = [told[2] - max(told[0], told[1]) for told in by_step]
    assert healthy[-1].measured.margins[:2] == pytest.approx(rises)
    whole = np.concatenate([runs["resnet"].snapshots[layer][2].position for layer in KINDS["resnet"].layers])
    assert entropy_by_step(runs["resnet"], "resnet", whole=True)[2] == map_spread(whole).entropy


def test_single_coordinates_do_not_see_neurons_that_gather_along_a_slanted_line() -> None:
    random = np.random.default_rng(0)
    even = random.uniform(-1, 1, (400, 2)).astype(np.float32)
    line = np.repeat(even[:, :1], 2, axis=1) + 1e-3 * even
    assert coordinate_entropy(even) == pytest.approx(np.log(2), abs=0.1)
    assert coordinate_entropy(line) == pytest.approx(np.log(2), abs=0.1)
    assert map_spread(line).entropy < map_spread(even).entropy - 1
    line[:300] = np.nan  # without a place: all in one
    assert coordinate_entropy(line) < np.log(2) - 1.5


def test_pictures_and_directions_that_neurons_share_are_counted_over_pairs() -> None:
    images = np.array([[0, 1, 2], [2, 1, 7], [5, 6, -1], [-1, -1, -1]])
    sets = [{number for number in row if number >= 0} for row in images.tolist()]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    assert mean_shared(images) == pytest.approx(np.mean([len(sets[i] & sets[j]) for i, j in pairs]))
    assert mean_cosine(np.array([[2.0, 0], [0, 0], [0, 3], [-1, 0]])) == pytest.approx((0 - 1 + 0) / 3)


def test_a_folder_with_a_story_of_other_options_is_refused(
    told: Told,
) -> None:
    with pytest.raises(SystemExit, match=r"other options.*choose another --logdir"):
        story.main(["--logdir", str(told[0]), *TINY, "--width", "5"])


@pytest.mark.parametrize("wrong", [["--epochs", "1"], ["--training-seeds", "0"], ["--layout", "tsne"]])
def test_options_out_of_range_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        story.main(wrong)
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_network_has_its_layers_and_sees_each_picture_by_itself(name: str) -> None:
    torch.manual_seed(0)
    network = KINDS[name].build(7, 4, 32).eval()
    images = torch.rand(3, 3, 32, 32)
    logits = network(images)
    assert logits.shape == (3, 7)
    torch.testing.assert_close(network(images[:1]), logits[:1])
    assert set(KINDS[name].layers) <= {layer for layer, _ in network.named_modules()}


def planted(
    network: str, step: int, noise: float, *, seed: int = 0, turn: np.ndarray | None = None
) -> Neurons:
    """Neurons of six concepts, each near its concept's direction."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(99).standard_normal((DIM, DIM)))[0][:CONCEPTS]
    concept = np.repeat(np.arange(CONCEPTS), 12)
    rows = directions[concept] + noise * random.standard_normal((len(concept), DIM))
    profile = np.eye(CONCEPTS)[concept] + 0.1 * random.standard_normal((len(concept), CONCEPTS))
    vectors = (rows if turn is None else rows @ turn).astype(np.float32)
    return Neurons(network, step, vectors, np.ones(len(concept), bool), profile, concept)


def a_turn(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, DIM)))[0]


def test_neighbours_that_share_concepts_are_told_from_those_that_do_not() -> None:
    near = compare_neighbours([(planted("a", 1, 0.1), planted("b", 1, 0.1, seed=1))])
    assert min(near.area, near.balanced) > 0.999
    assert near.nearest == 1
    assert near.chance == pytest.approx(1 / CONCEPTS)
    assert near.pairs == (12 * CONCEPTS) ** 2
    noise = compare_neighbours([(planted("a", 1, 50), planted("b", 1, 50, seed=1))])
    assert noise.area == pytest.approx(0.5, abs=0.05)
    assert noise.nearest == pytest.approx(1 / CONCEPTS, abs=0.15)


def test_neighbours_are_counted_as_by_a_loop_over_pairs_without_the_neuron_itself() -> None:
    one, other = planted("a", 1, 0.7), planted("a", 2, 0.7, seed=3)
    one.known[::7] = False
    other.concept[::5] = -1
    wins, ways = 0.0, 0
    pairs = [
        (float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)), bool(one.concept[i] == other.concept[j]))
        for i, x in enumerate(one.vectors.astype(float))
        for j, y in enumerate(other.vectors.astype(float))
        if i != j and one.known[i] and other.known[j] and min(one.concept[i], other.concept[j]) >= 0
    ]
    for high in [score for score, same in pairs if same]:
        lower = np.array([score for score, same in pairs if not same])
        wins, ways = wins + (high > lower).sum() + 0.5 * (high == lower).sum(), ways + len(lower)
    found = compare_neighbours([(one, other)])
    assert found.pairs == len(pairs)
    assert found.area == pytest.approx(wins / ways, abs=1e-6)


def test_a_concept_that_many_neurons_detect_counts_no_more_than_others_where_concepts_count_alike() -> None:
    one, other = planted("a", 1, 0.1), planted("b", 1, 0.1, seed=1)
    random = np.random.default_rng(2)
    rare = one.concept > 0  # of all concepts but the first, places mean nothing
    one.vectors[rare] = random.standard_normal((int(rare.sum()), DIM))
    first = np.flatnonzero(one.concept == 0)
    many = np.concatenate([np.repeat(first, 20), np.flatnonzero(rare)])
    crowd = Neurons(
        "a", 1, *(getattr(one, name)[many] for name in ("vectors", "known", "profile", "concept"))
    )
    told = compare_neighbours([(crowd, other)])
    assert told.area > 0.85
    assert told.balanced == pytest.approx((1 + 0.5 * (CONCEPTS - 1)) / CONCEPTS, abs=0.08)


def test_ground_truth_tells_what_planted_detectors_detect() -> None:
    random = np.random.default_rng(0)
    presence = random.random((400, CONCEPTS)) < 0.3
    activations = np.concatenate(
        [presence + 0.3 * random.standard_normal(presence.shape), np.zeros((400, 2))], 1
    )
    activations[:, -1] = random.standard_normal(400)  # answers to nothing; the one before is dead
    areas = presence_areas(activations, presence)
    for neuron, concept in ((0, 0), (2, 5), (CONCEPTS, 1), (CONCEPTS + 1, 3)):
        assert areas[neuron, concept] == pytest.approx(
            area_under_curve(activations[:, neuron], presence[:, concept])
        )
    valid = np.arange(CONCEPTS + 2) != CONCEPTS
    assert detected_concepts(areas, valid).tolist() == [*range(CONCEPTS), -1, -1]


def test_intruders_are_found_where_groups_mean_something_and_by_chance_where_not() -> None:
    neurons = planted("a", 1, 0.1)
    number = np.arange(len(neurons.concept))
    one_source = np.zeros_like(number)
    assert find_intruders(neurons.concept, neurons.vectors, number, one_source, 300) > 0.99
    by_chance = np.random.default_rng(1).permutation(neurons.concept)
    guessed = find_intruders(by_chance, neurons.vectors, number, one_source, 3000)
    assert guessed == pytest.approx(CHANCE, abs=0.05)
    assert np.isnan(find_intruders(number, neurons.vectors, number, one_source, 10)), (
        "no group is large enough"
    )
    assert np.isnan(find_intruders(neurons.concept, neurons.vectors, one_source, one_source, 10)), (
        "one neuron"
    )


def test_places_that_are_turned_at_each_epoch_drift_until_they_are_turned_back() -> None:
    last = planted("a", 9, 0.05)
    still, turned = planted("a", 3, 0.05, seed=4), planted("a", 3, 0.05, seed=4, turn=a_turn(5))
    assert relative_drift([still], last) < 0.3
    assert relative_drift([turned], last) > 0.7
    assert relative_drift([turn_onto(turned, last)], last) == pytest.approx(
        relative_drift([still], last), abs=0.05
    )
    assert compare_neighbours([(last, turned)]).area < 0.8
    assert compare_neighbours([(last, turn_onto(turned, last))]).area > 0.99
