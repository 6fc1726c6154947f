"""Reverting evolutions against a network that is put together by hand, and a planted neuron."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from conceptmon_tb.evolution import RevertTest, draw_revert_test, important_evolutions, revert_test
from conceptmon_tb.evolution.layer_maps import LayerMaps
from conceptmon_tb.evolution.revert import divide
from tests.unit.test_evolution_importance import CLASSES, Shared, make_images, make_net, trace
from tests.unit.test_evolution_records import make_table


@torch.no_grad()
def restated(
    before: nn.Sequential, after: nn.Sequential, images: Tensor, layer: int, neurons: list[int]
) -> Tensor:
    """The later network in two halves, with some neurons' maps of the earlier one in between."""
    before, after = copy.deepcopy(before).eval(), copy.deepcopy(after).eval()
    maps = after[: layer + 1](images).clone()
    maps[:, neurons] = before[: layer + 1](images)[:, neurons]
    return after[layer + 1 :](maps)


@pytest.mark.parametrize("layer", ["0", "1", "2", "3", "6"])
def test_reverted_neurons_have_the_maps_of_the_earlier_epoch(layer: str) -> None:
    before, after, images = make_net(0), make_net(1), make_images(5)
    with LayerMaps(before, [layer, "7"]) as old, LayerMaps(after, [layer, "7"]) as new:
        maps = old.take(images)[1][layer]
        new.take(images)
        wanted = torch.zeros(5, maps.shape[1], dtype=torch.bool)
        wanted[:, [0, 3]] = True
        logits = new.run_with(images, layer, maps, wanted)
        everything = new.run_with(images, layer, maps, torch.ones_like(wanted))
        plain = new.take(images)[0]
    torch.testing.assert_close(logits, restated(before, after, images, int(layer), [0, 3]))
    torch.testing.assert_close(
        everything, restated(before, after, images, int(layer), list(range(maps.shape[1])))
    )
    torch.testing.assert_close(plain, restated(before, after, images, int(layer), []))


def test_of_a_module_that_is_called_twice_the_last_call_is_reverted() -> None:
    before, after, images = Shared(), Shared(), torch.randn(3, 4)
    with torch.no_grad():
        after.first.bias += 1
    with LayerMaps(before, ["act"]) as old, LayerMaps(after, ["act"]) as new:
        maps = old.take(images)[1]["act"]
        new.take(images)
        logits = new.run_with(images, "act", maps, torch.ones(3, 6, dtype=torch.bool))
    torch.testing.assert_close(logits, before(images)[0])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), bins=st.integers(1, 5))
def test_bins_share_out_all_neurons_by_rank(seed: int, bins: int) -> None:
    table = make_table(seed=seed, most=4)
    for layer, members in divide(table, bins, np.random.default_rng(seed)).items():
        parts, drawn = members[:, :-1], members[:, -1]
        assert (parts.sum(axis=1) == 1).all()
        sizes = parts.sum(axis=2)
        assert ((sizes.max(axis=1) - sizes.min(axis=1)) <= 1).all()
        assert (drawn.sum(axis=1) == sizes[:, 0]).all()
        for row, name in enumerate(table.classes):
            ranked = [one.neuron for one in table.ranked(name, layer)]
            assert [neuron for part in parts[row] for neuron in ranked if part[neuron]] == ranked


def test_accuracy_changes_are_those_of_the_network_put_together_by_hand() -> None:
    before, after, images = make_net(4), make_net(5), make_images(12)
    labels = torch.arange(12) % 3
    test = revert_test(
        before, after, images, labels, ["1", "3"], from_step=1, to_step=9, repeats=1, bins=2, batch_size=5,
        classes=CLASSES,
    )  # fmt: skip
    table = important_evolutions(
        before, after, images, labels, ["1", "3"], from_step=1, to_step=9, classes=CLASSES
    )
    plain = (restated(before, after, images, 1, []).argmax(1) == labels).double()
    assert test.bins == ("0-50%", "50-100%", "random")
    for row, name in enumerate(CLASSES):
        own = labels == row
        assert test.accuracy[0, row] == pytest.approx(float(plain[own].mean()))
        for at, layer in enumerate(("1", "3")):
            ranked = [one.neuron for one in table.ranked(name, layer)]
            for part, neurons in enumerate(np.array_split(ranked, 2)):
                logits = restated(before, after, images[own], int(layer), neurons.tolist())
                change = float((logits.argmax(1) == row).double().mean() - plain[own].mean())
                assert test.change[0, row, at, part] == pytest.approx(change, abs=1e-6)


def test_accuracy_may_be_that_of_the_largest_few_logits() -> None:
    before, after, images = make_net(4), make_net(5), make_images(30)
    labels = torch.arange(30) % 3
    arguments = (before, after, images, labels, ["3"])
    test = revert_test(*arguments, from_step=0, to_step=1, repeats=1, top=2)
    largest = restated(before, after, images, 3, []).topk(2).indices
    expected = [float((largest[labels == row] == row).any(1).double().mean()) for row in range(3)]
    assert test.accuracy[0].tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="top must be less than the model's 3 logits, got 3"):
        revert_test(*arguments, from_step=0, to_step=1, repeats=1, top=3)


def test_a_network_that_gives_no_numbers_recognises_nothing() -> None:
    before, after = make_net(4), make_net(5)
    with torch.no_grad():
        after[3].bias[2] = torch.nan
    labels = [0, 1, 2] * 3
    test = revert_test(
        before, after, make_images(9), labels, ["3"], from_step=0, to_step=1, bins=5, repeats=1
    )
    assert test.accuracy.tolist() == [[0.0] * 3]
    assert (test.change[..., :4] == 0).all()  # the neuron without rank is in the last bin
    assert test.change[..., 4].mean() > 0


def planted(width: int = 8) -> tuple[nn.Sequential, nn.Sequential, Tensor, Tensor]:
    """Neuron 5 alone learns to tell class 1 from class 0; the others evolve to no effect."""
    torch.manual_seed(0)
    images = torch.randn(80, 4)
    labels = (images[:, 0] > 0).long()
    before = nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2))
    with torch.no_grad():
        before[1].weight.zero_()
        before[1].weight[1, 5], before[1].bias[:] = 1.0, torch.tensor([0.0, 0.0])
        before[0].weight[5], before[0].bias[5] = 0, -0.1
    after = copy.deepcopy(before)
    with torch.no_grad():
        after[0].weight += torch.randn(width, 4)
        after[0].weight[5] = torch.tensor([9.0, 0, 0, 0])
        after[0].bias[5] = 0
    return before, after, images, labels


def test_reverting_the_planted_neuron_costs_the_accuracy() -> None:
    before, after, images, labels = planted()
    table = important_evolutions(before, after, images, labels, ["0"], from_step=0, to_step=1)
    assert (table.ranked("1")[0].neuron, table.ranked("1")[0].score) == (5, 1.0)
    test = revert_test(
        before, after, images, labels, ["0"], from_step=0, to_step=1, classes={1: "right"}, bins=8, repeats=5
    )
    assert test.accuracy.tolist() == [[1.0]] * 5
    changes = [row.change for row in test.table()]
    assert changes[:8] == [-1.0] + [0.0] * 7
    assert test.table()[0].over_repeats == 0
    assert -1 <= changes[8] <= 0


def test_repeats_draw_other_images_and_the_same_seed_draws_them_again() -> None:
    arguments = (make_net(4), make_net(5), make_images(40), torch.arange(40) % 3, ["3"])
    one, again, other = (
        revert_test(*arguments, from_step=0, to_step=1, repeats=3, bins=2, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.change, again.change)
    assert one.num_images.tolist() == [7, 6, 6]
    assert not np.array_equal(one.change, other.change)
    assert len({row.tobytes() for row in one.change}) == 3


def test_neither_model_keeps_a_trace() -> None:
    before, after = make_net(0).train(), make_net(1).train()
    noted = [trace(net) for net in (before, after)]
    revert_test(before, after, make_images(6), [0, 1] * 3, ["1"], from_step=0, to_step=1, repeats=2, bins=2)
    assert [trace(net) for net in (before, after)] == noted


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bins": 6}, "'3' has 5 neurons, too few for 6 bins"),
        ({"repeats": 0}, "repeats"),
        ({"to_step": 0}, "before"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict, message: str) -> None:
    options = {"from_step": 0, "to_step": 1, **changed}
    with pytest.raises(ValueError, match=message):
        revert_test(make_net(0), make_net(1), make_images(4), [0, 1, 2, 0], ["3"], **options)


def make_test() -> RevertTest:
    change = np.zeros((2, 3, 2, 3), np.float32)
    change[..., 0] = -0.5
    change[0, :, :, 1], change[:, 1, :, 2] = -0.2, -0.3
    counts = np.array([4, 4, 4], np.int32)
    names = ("0-50%", "50-100%", "random")
    return RevertTest(
        1, 9, ("a", "b", "c"), counts, ("x", "y"), names, np.full((2, 3), 0.75, np.float32), change
    )


def test_the_table_tells_means_and_both_deviations() -> None:
    first, second, drawn = make_test().table()
    assert first == ("0-50%", pytest.approx(-0.5), pytest.approx(0), pytest.approx(0))
    assert second == ("50-100%", pytest.approx(-0.1), pytest.approx(0.1), pytest.approx(0))
    assert drawn == ("random", pytest.approx(-0.1), pytest.approx(0), pytest.approx(np.std([0, -0.3, 0])))
    assert "accuracy 0.750" in str(make_test())
    assert "-0.500" in str(make_test())
    with pytest.raises(KeyError, match="no layer 'z'"):
        make_test().table("z")


def test_the_figure_has_a_bar_for_each_bin_and_a_panel_for_each_pair() -> None:
    figure = draw_revert_test([make_test(), make_test()])
    assert len(figure.axes) == 2
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([-50, -10, -10])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0-50%", "50-100%", "random"]
    with pytest.raises(ValueError, match="tests is empty"):
        draw_revert_test([])
