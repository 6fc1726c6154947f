"""Movement between accuracy milestones, and entropy through the log."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import conceptmon_tb as cm
from conceptmon_tb.alerts import ConceptAlert, check_run
from conceptmon_tb.differential_entropy import map_spread
from conceptmon_tb.evolution import compare_pace, milestone_displacements
from conceptmon_tb.evolution.diagnosis import nearest_steps
from conceptmon_tb.reader import Run
from conceptmon_tb.snapshot import ConceptSnapshot
from tests.synthetic import make_snapshots, make_space

ACCURACY = [0.1, 0.22, 0.31, 0.48, 0.55, 0.7, 0.77, 0.9]
SNAPSHOTS = [one["layer4"] for one in make_snapshots(len(ACCURACY), {"layer4": 40})]


def make_run(
    accuracy: Sequence[float] = ACCURACY, snapshots: Sequence[ConceptSnapshot] = SNAPSHOTS, **others: float
) -> Run:
    training = {step: {"accuracy/train": value, **others} for step, value in enumerate(accuracy)}
    by_step = {"layer4": dict(enumerate(snapshots))}
    return Run(tuple(range(len(snapshots))), by_step, snapshots[0].space, None, training=training)


def restated(first: ConceptSnapshot, last: ConceptSnapshot) -> float:
    both = [neuron for neuron in range(first.num_neurons) if first.valid[neuron] and last.valid[neuron]]
    ways = [math.dist(first.embedding[neuron], last.embedding[neuron]) for neuron in both]
    return sum(ways) / len(ways)


@pytest.mark.parametrize("whole", [1, 100])
def test_displacement_is_that_between_the_steps_nearest_to_the_milestones(whole: int) -> None:
    first, second = milestone_displacements(make_run([whole * value for value in ACCURACY]), "layer4")
    assert (first.milestones, first.from_step, first.to_step) == ((0.25, 0.5), 1, 3)
    assert (second.milestones, second.from_step, second.to_step) == ((0.5, 0.75), 3, 6)
    assert (second.from_accuracy, second.to_accuracy) == (pytest.approx(0.48), pytest.approx(0.77))
    for pace in (first, second):
        begin, end = SNAPSHOTS[pace.from_step], SNAPSHOTS[pace.to_step]
        assert pace.displacement == pytest.approx(restated(begin, end), rel=1e-5)
        assert pace.relative == pytest.approx(pace.displacement / end.mean_pairwise_distance)
        assert pace.neurons == (begin.valid & end.valid).sum()


def test_milestones_that_are_passed_within_one_step_or_fallen_below_have_no_displacement() -> None:
    assert milestone_displacements(make_run([0.1, 0.2, 0.8] + [0.9] * 5), "layer4") == []
    later = milestone_displacements(make_run([0.1, 0.45, 0.8] + [0.9] * 5), "layer4")
    assert [(pace.milestones, pace.from_step, pace.to_step) for pace in later] == [((0.5, 0.75), 1, 2)]
    assert milestone_displacements(make_run([0.9, 0.5, 0.2] + [0.1] * 5), "layer4") == []
    assert milestone_displacements(make_run([0.1] * 8), "layer4") == []


def test_a_training_that_has_not_come_as_far_is_not_compared_with_one_that_has() -> None:
    slow = make_run([0.1, 0.2, 0.25, 0.26, 0.27, 0.28, 0.29, 0.3])
    assert milestone_displacements(slow, "layer4") == []
    assert compare_pace(slow, make_run(), "layer4") == {}
    found = compare_pace(make_run(other=0.5), make_run(other=0.1), "layer4", accuracy_tag="accuracy/train")
    assert found == {(0.25, 0.5): 1, (0.5, 0.75): 1}


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 1))
def test_the_nearest_step_is_as_near_as_any_and_the_first_of_these(values: list[float], goal: float) -> None:
    (found,) = nearest_steps(dict(enumerate(values)), [goal])
    distances = [abs(value - goal) for value in values]
    assert found == distances.index(min(distances))


def test_a_run_whose_neurons_moved_half_as_far_has_half_the_pace() -> None:
    slow = []
    for snapshot in SNAPSHOTS:
        between = (SNAPSHOTS[0].embedding + snapshot.embedding) / 2
        slow.append(dataclasses.replace(snapshot, embedding=between, valid=np.ones(40, bool)))
    fast = [dataclasses.replace(snapshot, valid=np.ones(40, bool)) for snapshot in SNAPSHOTS]
    found = compare_pace(make_run(snapshots=slow), make_run(snapshots=fast), "layer4")
    assert found == {(0.25, 0.5): pytest.approx(0.5, rel=1e-5), (0.5, 0.75): pytest.approx(0.5, rel=1e-5)}


def test_what_cannot_be_compared_is_named() -> None:
    with pytest.raises(KeyError, match="no layer 'x'; there are layer4"):
        milestone_displacements(make_run(), "x")
    with pytest.raises(ValueError, match="no training accuracy"):
        milestone_displacements(dataclasses.replace(make_run(), training={}), "layer4")
    with pytest.raises(ValueError, match="milestones must rise"):
        milestone_displacements(make_run(), "layer4", (0.5, 0.25))
    other = [dataclasses.replace(one, space=make_space(7)) for one in SNAPSHOTS]
    with pytest.raises(ValueError, match="different concept spaces"):
        compare_pace(make_run(), make_run(snapshots=other), "layer4")
    assert len(milestone_displacements(make_run(other=0.5), "layer4", accuracy_tag="accuracy/train")) == 2


# ---- entropy ----


def gathered(snapshot: ConceptSnapshot, share: float) -> ConceptSnapshot:
    """Part of the neurons in one place."""
    position = snapshot.position.copy()
    position[: int(share * len(position))] = 0.1
    return dataclasses.replace(snapshot, position=position)


def test_a_snapshot_tells_the_entropy_of_its_places_and_so_do_the_log_and_the_scalars(tmp_path: Path) -> None:
    with cm.ConceptWriter(tmp_path) as writer:
        for epoch, snapshots in enumerate(make_snapshots(3, {"large": 40, "small": 8})):
            cm.add_concepts(writer, snapshots, epoch)
    run, logged = cm.read_run(tmp_path), EventAccumulator(str(tmp_path)).Reload()
    scalars = {event.step: event.value for event in logged.Scalars("concepts/large/entropy")}
    assert "concepts/small/entropy" not in logged.Tags()["scalars"]
    for step, snapshots in enumerate(make_snapshots(3, {"large": 40, "small": 8})):
        expected = map_spread(snapshots["large"].position).entropy
        assert run.snapshots["large"][step].entropy == expected
        assert scalars[step] == pytest.approx(expected, rel=1e-6)
        assert np.isnan(run.snapshots["small"][step].entropy)


def test_places_that_gather_are_told_while_training_and_from_the_log_alike(tmp_path: Path) -> None:
    shares = [0, 0, 0, 0.6, 0.7, 0.8, 0.8]
    warned = []
    with cm.ConceptWriter(tmp_path, on_alert=warned.append) as writer:
        for epoch, share in enumerate(shares):
            with pytest.warns(ConceptAlert) if epoch == 5 else contextlib.nullcontext():
                cm.add_concepts(writer, {"layer4": gathered(SNAPSHOTS[-1], share)}, epoch)
    assert [(alert.rule, alert.step) for alert in warned] == [("entropy_falling", 5)]
    assert list(cm.read_run(tmp_path).alerts) == check_run(tmp_path) == warned
    with cm.ConceptWriter(
        tmp_path, on_alert=warned.append
    ) as writer:  # an alert that holds is not raised again
        cm.add_concepts(writer, {"layer4": gathered(SNAPSHOTS[-1], 0.8)}, len(shares))
        assert [alert.rule for alert in writer.alerts.active] == ["entropy_falling"]
    assert len(warned) == 1
