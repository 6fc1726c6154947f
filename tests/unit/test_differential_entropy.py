"""The estimate against distributions whose entropy is known, and against a plain restatement."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.differential_entropy import CROWDED, Spread, estimate_entropy, map_spread


def restated(points: np.ndarray, k: int, least: float) -> float:
    """Kozachenko and Leonenko, with all pairs of points."""
    count, dim = points.shape
    total = 0.0
    for point in points:
        distance = sorted(math.dist(point, other) for other in points)[k]
        total += math.log(max(distance, least))
    digamma = [-0.5772156649 + sum(1 / i for i in range(1, n)) for n in (count, k)]
    ball = {1: 2.0, 2: math.pi, 3: 4 / 3 * math.pi}[dim]
    return (digamma[0] - digamma[1] + math.log(ball) + dim * total / count) / dim


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000), count=st.integers(5, 60), dim=st.integers(1, 3), k=st.integers(1, 4),
    equal=st.integers(0, 20),
)  # fmt: skip
def test_the_estimate_is_that_of_the_formula_also_where_points_coincide(
    seed: int, count: int, dim: int, k: int, equal: int
) -> None:
    points = np.random.default_rng(seed).normal(size=(count, dim))
    points[: min(equal, count)] = points[0]
    assert estimate_entropy(points, k, 0.01).entropy == pytest.approx(restated(points, k, 0.01))


KNOWN = {
    "square": (lambda rng, n: rng.uniform(-1, 1, (n, 2)), math.log(2)),
    "narrow": (lambda rng, n: rng.uniform(0, 1, (n, 2)) * [2.0, 0.2], (math.log(2) + math.log(0.2)) / 2),
    "normal": (lambda rng, n: rng.normal(0, 0.3, (n, 2)), 0.5 * math.log(2 * math.pi * math.e * 0.09)),
    "slanted": (
        lambda rng, n: rng.normal(size=(n, 2)) @ np.linalg.cholesky([[1, 0.99], [0.99, 1]]).T,
        0.5 * math.log(2 * math.pi * math.e) + 0.25 * math.log(1 - 0.99**2),
    ),
    "line": (lambda rng, n: rng.normal(size=(n, 1)), 0.5 * math.log(2 * math.pi * math.e)),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_entropies_are_found(name: str) -> None:
    draw, expected = KNOWN[name]
    found = np.array([estimate_entropy(draw(np.random.default_rng(seed), 800)).entropy for seed in range(8)])
    assert found.mean() == pytest.approx(expected, abs=0.04)
    assert found.std() < 0.04


def test_turning_changes_nothing_and_enlarging_adds_its_logarithm() -> None:
    points = np.random.default_rng(1).normal(size=(300, 2)) * [1, 0.2]
    turn = np.array([[math.cos(0.7), -math.sin(0.7)], [math.sin(0.7), math.cos(0.7)]])
    plain = estimate_entropy(points).entropy
    assert estimate_entropy(points @ turn).entropy == pytest.approx(plain)
    assert estimate_entropy(3 * points + 5).entropy == pytest.approx(plain + math.log(3))


def test_points_that_coincide_have_no_lower_bound_but_the_one_that_is_given() -> None:
    together = np.zeros((30, 2))
    assert estimate_entropy(together) == Spread(-math.inf, 0.0)
    assert estimate_entropy(together, least=0.1) == Spread(pytest.approx(restated(together, 3, 0.1)), 1.0)
    assert np.isnan(estimate_entropy(together[:3]).entropy)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros(3),),
        (np.zeros((3, 0)),),
        (np.full((9, 2), np.nan),),
        (np.zeros((9, 2)), 0),
        (np.zeros((9, 2)), 1, -1),
    ],
)
def test_what_is_no_matrix_of_points_is_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="must be"):
        estimate_entropy(*arguments)


# ---- layers on the map ----


@pytest.mark.parametrize("count", [12, 100, 3000])
def test_a_layer_that_gathers_in_one_place_is_three_nats_below_an_even_one_whatever_its_size(
    count: int,
) -> None:
    even = map_spread(np.random.default_rng(0).uniform(-1, 1, (count, 2)).astype(np.float32))
    gathered = map_spread(np.full((count, 2), 0.3, np.float32))
    assert gathered.crowded == 1
    assert gathered.entropy - math.log(2) == pytest.approx(math.log(CROWDED), abs=0.25)
    assert even.entropy == pytest.approx(math.log(2), abs=0.3)


def test_neurons_without_a_place_lower_the_entropy_though_the_others_lie_far_apart() -> None:
    alive = np.random.default_rng(2).uniform(-1, 1, (200, 2)).astype(np.float32)
    entropies = []
    for dead in (0, 50, 100, 190, 200):
        position = alive.copy()
        position[:dead] = np.nan
        spread = map_spread(position)
        assert spread.crowded == pytest.approx(dead / 200, abs=0.05)
        entropies.append(spread.entropy)
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[0] - entropies[-1] > 2.5


def test_a_handful_of_neurons_has_no_entropy() -> None:
    assert np.isnan(map_spread(np.random.default_rng(0).normal(size=(11, 2))).entropy)
    assert np.isfinite(map_spread(np.random.default_rng(0).normal(size=(12, 2))).entropy)


def test_many_equal_places_take_no_longer() -> None:
    code = (
        "import numpy as np, time; from conceptmon_tb.differential_entropy import map_spread\n"
        "places = np.random.default_rng(0).normal(size=(40_000, 2)); places[5000:] = np.nan\n"
        "map_spread(places[:100]); start = time.process_time(); map_spread(places)\n"
        "assert time.process_time() - start < 2; import sys; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
