"""The rules against plain restatements of what they ask for, and the laws that alerts keep."""

import dataclasses
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptmon_tb.alert_records import Alert, AlertReport, describe, pack_alerts, unpack_alerts
from conceptmon_tb.alert_rules import RULE_FUNCTIONS, RULES, AlertRules
from conceptmon_tb.alert_series import LayerSeries
from conceptmon_tb.alerts import AlertWatch, ConceptAlert, LayerFigures, check_figures
from conceptmon_tb.metadata import PayloadError, pack_payload, unpack_payload
from conceptmon_tb.payload_checks import check_payload
from conceptmon_tb.training_scalars import find_tag, role_of

NAN = math.nan
QUIET = {
    "d_anchor": 0.4,
    "mean_pairwise_distance": 0.5,
    "displacement": 0.2,
    "interpretable": 80,
    "silent": 0,
    "nonfinite": 0,
}


def figures(neurons=100, **changed):
    return LayerFigures(neurons, **{**QUIET, **changed}, scale=("a space",))


def raised(columns, training=None, rules=None, first=0, every=1):
    """Alerts of one layer from columns of values, as (rule, step)."""
    length = len(next(iter(columns.values())))
    steps = [first + every * i for i in range(length)]
    by_step = {
        step: {"layer4": figures(**{name: values[i] for name, values in columns.items()})}
        for i, step in enumerate(steps)
    }
    scalars = {
        step: {tag: values[i] for tag, values in (training or {}).items() if not math.isnan(values[i])}
        for i, step in enumerate(steps)
    }
    return [(alert.rule, alert.step) for alert in check_figures(by_step, scalars, AlertWatch(rules))]


# ---- diversity_falling ----


def test_diversity_falling_needs_all_of_the_last_steps_below_the_best_by_a_share():
    assert raised({"mean_pairwise_distance": [0.5, 0.5, 0.5, 0.42, 0.42, 0.42]}) == [("diversity_falling", 5)]
    assert raised({"mean_pairwise_distance": [0.5, 0.5, 0.5, 0.43, 0.43, 0.43]}) == []
    assert raised({"mean_pairwise_distance": [0.5, 0.5, 0.5, 0.3, 0.3, 0.5, 0.3, 0.3]}) == []


def test_diversity_also_falls_where_the_anchor_distance_rises():
    assert raised({"d_anchor": [0.4, 0.4, 0.4, 0.47, 0.47, 0.47]}) == [("diversity_falling", 5)]
    assert raised({"d_anchor": [0.47, 0.47, 0.47, 0.4, 0.4, 0.4]}) == []


def test_a_slow_decline_is_found_and_one_spike_is_no_level_to_fall_from():
    slow = [0.5 - 0.01 * i for i in range(14)]
    restated = next(i for i in range(3, 14) if max(slow[i - 2 : i + 1]) <= 0.85 * max(slow))
    assert raised({"mean_pairwise_distance": slow}) == [("diversity_falling", restated)]
    assert raised({"mean_pairwise_distance": [0.4, 0.4, 0.4, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4]}) == []


def test_diversity_of_a_restless_layer_must_fall_by_more_than_its_usual_hop():
    restless = [0.5, 0.35, 0.5, 0.35, 0.5, 0.35, 0.5, 0.42, 0.42, 0.42]
    assert raised({"mean_pairwise_distance": restless}) == []


# ---- entropy_falling ----


def test_entropy_falling_needs_all_of_the_last_steps_below_the_best_by_a_difference():
    assert raised({"entropy": [0.1, 0.1, 0.1, -0.41, -0.41, -0.41]}) == [("entropy_falling", 5)]
    assert raised({"entropy": [0.1, 0.1, 0.1, -0.39, -0.39, -0.39]}) == []
    assert raised({"entropy": [0.1, 0.1, 0.1, -2.0, -2.0, 0.1, -2.0, -2.0]}) == []
    assert raised({"entropy": [-0.41, -0.41, -0.41, 0.1, 0.1, 0.1]}) == []
    assert raised({"entropy": [-1.0, -1.0, -1.0, -1.6, -1.6, NAN, -1.6]}) == [("entropy_falling", 6)]


def test_one_spike_is_no_entropy_to_fall_from_and_a_restless_curve_must_fall_farther():
    assert raised({"entropy": [-1.0, -1.0, -1.0, 0.5, -1.0, -1.0, -1.0, -1.0]}) == []
    restless = [0.0, -0.8, 0.0, -0.8, 0.0, -0.8, 0.0, -0.7, -0.7, -0.7]
    assert raised({"entropy": restless}) == []
    calm = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.7, -0.7, -0.7]
    assert raised({"entropy": calm}) == [("entropy_falling", 9)]


def test_of_few_neurons_the_entropy_must_fall_farther_than_chance_takes_it():
    steps, fall = list(range(6)), [0.0, 0.0, 0.0, -0.55, -0.55, -0.55]
    for neurons, strength in ((12, 0.55 / (2 / math.sqrt(12))), (100, 1.1)):
        finding = RULE_FUNCTIONS["entropy_falling"](LayerSeries(neurons, steps, entropy=fall), AlertRules())
        assert finding.strength == pytest.approx(strength)


def test_a_fall_of_entropy_tells_its_numbers_and_is_critical_at_twice_the_threshold():
    steps, fall = list(range(6)), [0.1, 0.2, 0.1, -0.6, -0.9, -0.8]
    finding = RULE_FUNCTIONS["entropy_falling"](LayerSeries(100, steps, entropy=fall), AlertRules())
    assert finding.evidence["change"] == pytest.approx(-0.75)  # from the median of the first two to -0.6
    told = finding.evidence["series"]["entropy"]
    assert told == [[1, pytest.approx(0.15)], [3, -0.6], [4, -0.9], [5, -0.8]]
    assert (finding.strength, finding.severity) == (pytest.approx(1.5), "warning")
    farther = LayerSeries(100, steps, entropy=[0.1, 0.2, 0.1, -0.9, -0.9, -0.9])
    assert RULE_FUNCTIONS["entropy_falling"](farther, AlertRules()).severity == "critical"


# ---- anchor_distance_rising ----


RISING = [0.4 + 0.01 * i for i in range(5)]
FALLING_LOSS = [2.0 - 0.2 * i for i in range(5)]


def test_a_rising_anchor_distance_alerts_only_while_the_loss_falls():
    only = AlertRules(rules=("anchor_distance_rising",))
    assert raised({"d_anchor": RISING}, {"loss/train": FALLING_LOSS}, only) == [("anchor_distance_rising", 4)]
    assert raised({"d_anchor": RISING}, {"loss/train": FALLING_LOSS[::-1]}, only) == []
    assert raised({"d_anchor": RISING[::-1]}, {"loss/train": FALLING_LOSS}, only) == []
    assert raised({"d_anchor": RISING}, None, only) == []
    assert raised({"d_anchor": RISING}, {"loss/val": FALLING_LOSS}, only) == []


def test_the_trend_of_the_anchor_distance_is_the_median_slope_over_four_times_its_noise():
    rng = np.random.default_rng(0)
    series = LayerSeries(
        100, list(range(9)), d_anchor=(0.4 + 0.006 * np.arange(9) + rng.normal(0, 0.002, 9)).tolist()
    )
    series.loss = [2.0 - 0.1 * i for i in range(9)]
    finding = RULE_FUNCTIONS["anchor_distance_rising"](series, AlertRules())
    last = np.array(series.d_anchor[-5:])
    slopes = [(last[j] - last[i]) / (j - i) for i in range(5) for j in range(i + 1, 5)]
    bends = np.abs(np.convolve(series.d_anchor, [1, -2, 1], mode="valid"))
    noise = 1.4826 * np.median(bends) / np.sqrt(6)
    assert finding.evidence["change"] == pytest.approx(4 * np.median(slopes))
    assert finding.evidence["noise"] == pytest.approx(noise)
    assert finding.strength == pytest.approx(4 * np.median(slopes) / max(0.05 * np.median(last), 4 * noise))


# ---- interpretable_collapsing, dead_growing ----


def test_interpretable_neurons_collapse_at_two_steps_in_a_row():
    assert raised({"interpretable": [80, 80, 80, 55, 55]}) == [("interpretable_collapsing", 4)]
    assert raised({"interpretable": [80, 80, 80, 57, 57]}) == []
    assert raised({"interpretable": [80, 80, 80, 20, 80, 20, 80]}) == []
    assert raised({"interpretable": [4, 4, 4, 2, 2]}) == []


def test_neurons_that_die_are_told_at_two_steps_in_a_row_and_again_when_they_are_many():
    assert raised({"silent": [0, 0, 0, 5, 5]}) == [("dead_growing", 4)]
    assert raised({"silent": [0, 0, 0, 4, 4]}) == []
    assert raised({"silent": [9, 9, 9, 9, 9]}) == []
    assert raised({"silent": [0, 0, 0, 90, 0, 90, 0]}) == []
    assert raised({"silent": [0, 0, 6, 6, 30, 30, 40]}) == [("dead_growing", 3), ("dead_growing", 5)]


def test_a_neuron_that_is_not_finite_is_told_at_once():
    assert raised({"nonfinite": [0, 1], "silent": [0, 1]}) == [("dead_growing", 1)]


# ---- concepts_frozen ----


def test_concepts_are_frozen_where_accuracy_rises_and_neurons_stay():
    learning = {"accuracy/train": [NAN, 0.2, 0.3, 0.4, 0.5, 0.6]}
    still, moving = [NAN, *[0.02] * 5], [NAN, *[0.2] * 5]
    assert raised({"displacement": still}, learning) == [("concepts_frozen", 4)]
    assert raised({"displacement": moving}, learning) == []
    assert raised({"displacement": still}, {"accuracy/train": [NAN, *[0.9] * 5]}) == []
    assert raised({"displacement": still}, {"accuracy/val": learning["accuracy/train"]}) == []
    percent = {"acc_train": [100 * value for value in learning["accuracy/train"]]}
    assert raised({"displacement": still}, percent) == [("concepts_frozen", 4)]


def test_the_way_that_neurons_go_is_counted_in_mean_distances_per_accuracy():
    series = LayerSeries(100, [0, 1, 2, 3], displacement=[NAN, 0.1, 0.2, 0.3])
    series.mean_pairwise_distance = [0.5, 0.5, 0.4, 0.6]
    series.accuracy = [0.1, 0.2, 0.3, 0.5]
    finding = RULE_FUNCTIONS["concepts_frozen"](series, AlertRules(noise_factor=0))
    assert finding.strength == pytest.approx(min(0.4 / 0.1, 1.5 / ((0.1 + 0.2 + 0.3) / 0.5 / 0.4)))


def test_a_step_without_displacement_leaves_the_rule_silent():
    learning = {"accuracy/train": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    assert raised({"displacement": [NAN, 0.0, 0.0, NAN, 0.0, 0.0]}, learning) == []


# ---- once, and again only after an end ----


def test_an_alert_is_raised_once_and_again_only_after_it_ended():
    watch = AlertWatch()
    silent = [0, 0, 9, 9, 9, 3, 9, 9, 0, 0, 9, 9]
    reports = [watch.check(i, {"layer4": figures(silent=n)}, {}) for i, n in enumerate(silent)]
    assert [report.step for report in reports if report.raised] == [3, 11]
    assert [report.step for report in reports if report.ended] == [9]
    assert [len(report.active) for report in reports] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1]


def test_figures_of_another_space_begin_a_new_series():
    watch = AlertWatch()
    for step in range(4):
        watch.check(step, {"layer4": figures()}, {})
    other = figures(d_anchor=0.9, mean_pairwise_distance=0.1)._replace(scale=("another space",))
    reports = [watch.check(step, {"layer4": other}, {}) for step in range(4, 9)]
    assert not any(report.raised for report in reports)


# ---- laws ----


COLUMN = st.floats(0.01, 1.0, allow_nan=False)
WALK = st.lists(st.tuples(COLUMN, COLUMN, COLUMN, st.integers(0, 100), st.integers(0, 100)), max_size=14)


def walk(rows):
    names = ("d_anchor", "mean_pairwise_distance", "displacement", "interpretable", "silent")
    return [figures(**dict(zip(names, row, strict=True))) for row in rows]


def alerts_of(layers, rows, stretch=1):
    by_step = {stretch * i: {name: walks[i] for name, walks in layers.items()} for i in range(len(rows))}
    training = {stretch * i: {"train/loss": row[0], "train/acc": row[1]} for i, row in enumerate(rows)}
    return check_figures(by_step, training, AlertWatch())


@given(row=st.tuples(COLUMN, COLUMN, COLUMN, st.integers(0, 100), st.integers(0, 100)), n=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_constant_series_never_alert(row, n):
    assert alerts_of({"a": walk([row] * n)}, [row] * n) == []


@given(rows=WALK, stretch=st.integers(2, 1000))
@settings(max_examples=40, deadline=None)
def test_scaling_the_steps_changes_nothing_but_the_steps(rows, stretch):
    plain = alerts_of({"a": walk(rows)}, rows)
    stretched = alerts_of({"a": walk(rows)}, rows, stretch)
    assert [(a.rule, a.severity, a.step * stretch) for a in plain] == [
        (a.rule, a.severity, a.step) for a in stretched
    ]


@given(rows=WALK)
@settings(max_examples=40, deadline=None)
def test_another_layer_that_is_healthy_changes_no_alert(rows):
    alone = alerts_of({"a": walk(rows)}, rows)
    moving = [figures(displacement=2.0) for _ in rows]
    assert alerts_of({"healthy": moving, "a": walk(rows)}, rows) == alone


@given(rows=WALK, cut=st.integers(0, 14))
@settings(max_examples=40, deadline=None)
def test_what_comes_later_changes_no_earlier_alert(rows, cut):
    whole = alerts_of({"a": walk(rows)}, rows)
    assert alerts_of({"a": walk(rows[:cut])}, rows[:cut]) == [alert for alert in whole if alert.step < cut]


# ---- settings, names, the record ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ("diversity",)}, "rules has no 'diversity'; choose from diversity_falling"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"trend_steps": 2}, "trend_steps must be a whole number of at least 3"),
        ({"least_fall": 15}, "least_fall must be between 0 and 1, got 15"),
        ({"noise_factor": NAN}, "noise_factor must be 0 or more"),
    ],
)
def test_rules_that_make_no_sense_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        AlertRules(**options)


def test_every_rule_has_its_function_and_can_be_left_out():
    assert tuple(RULE_FUNCTIONS) == RULES
    assert raised({"silent": [0, 0, 9, 9]}, rules=AlertRules(rules=RULES[:3])) == []


@pytest.mark.parametrize(
    ("tags", "role", "tag"),
    [
        (["loss/val", "loss/train"], "loss", "loss/train"),
        (["train_loss_step", "train_loss_epoch"], "loss", "train_loss_epoch"),
        (["loss", "aux_loss"], "loss", "loss"),
        (["Accuracy/test", "train/acc1"], "accuracy", "train/acc1"),
        (["trainAccuracy"], "accuracy", "trainAccuracy"),
        (["val_loss", "eval/loss", "gloss"], "loss", None),
        (["learning_rate"], "accuracy", None),
    ],
)
def test_training_loss_and_accuracy_are_found_by_name(tags, role, tag):
    assert find_tag(tags, role) == tag


def test_a_tag_that_is_given_is_used_whatever_its_name():
    rules = AlertRules(accuracy_tag="val_hits")
    still = {"displacement": [NAN, *[0.0] * 5]}
    assert role_of("val_hits") is None
    assert raised(still, {"val_hits": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, rules) == [("concepts_frozen", 3)]


def test_a_record_comes_back_as_it_was_and_tells_its_evidence():
    evidence = {"series": {"silent": [[0, 1.0], [3, 9.0]]}, "change": 8.0, "needed": 5.0, "noise": None}
    alert = Alert("dead_growing", "a/`b`", 3, "warning", "a/`b`: neurons die", evidence)
    payload = unpack_payload(pack_alerts(AlertReport(3, (alert,), (alert,), (), {"loss": 0.25})))
    check_payload(payload, "alerts", 3)
    assert unpack_alerts(payload) == ([alert], [("dead_growing", "a/`b`", 3)], {"loss": 0.25})
    text = describe(AlertReport(3, (alert,), (), (), {}))
    assert "neurons die" in text
    assert "silent: 1 at step 0, 9 at step 3" in text


@pytest.mark.parametrize(
    "attrs",
    [
        {"raised": [{"rule": 1}], "ended": [], "training": {}},
        {"raised": [], "ended": [], "training": {"loss": "much"}},
        {"raised": [], "ended": []},
        {"raised": "x", "ended": [], "training": {}},
    ],
)
def test_a_record_that_is_not_as_it_should_be_is_refused(attrs):
    with pytest.raises(PayloadError, match="malformed alerts payload"):
        check_payload(unpack_payload(pack_payload("alerts", 1, attrs)), "alerts", 1)


def test_the_python_warning_carries_the_alert_and_can_be_made_an_error():
    alert = Alert("dead_growing", "layer4", 3, "critical", "layer4: neurons die", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConceptAlert)
        with pytest.raises(ConceptAlert, match=r"critical at step 3 \(dead_growing\): layer4") as caught:
            warnings.warn(ConceptAlert(alert), stacklevel=1)
    assert caught.value.alert == alert


def test_alerts_need_no_torch():
    code = "import sys, conceptmon_tb.alerts, conceptmon_tb.alert_history; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thresholds_are_fields_that_can_be_replaced():
    strict = dataclasses.replace(AlertRules(), least_dead=0.01)
    assert raised({"silent": [0, 0, 3, 3]}, rules=strict) == [("dead_growing", 3)]
