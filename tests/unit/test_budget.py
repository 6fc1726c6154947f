"""How many images fit in a time, and what is said about it."""

import warnings

import pytest

from conceptmon_tb.budget import LEAST_IMAGES, TimeBudget, Timing

EVEN = Timing(forward=0.003, reading=0.01, fixed=0.1, scoring=0.001)


def test_seconds_grow_with_the_images() -> None:
    assert EVEN.seconds(1000) == pytest.approx(0.1 + 4.0)
    assert EVEN.shared(2).seconds(1000) == pytest.approx(0.1 + 2.5)


def test_images_beyond_the_cache_are_read_at_every_epoch() -> None:
    cached = Timing(0.003, 0.01, 0.1, 0.001, cached=500)
    assert cached.seconds(500) == pytest.approx(0.1 + 2.0)
    assert cached.seconds(501) == pytest.approx(0.1 + 501 * 0.014)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.0, 2.09, 5.0, 20.0])
@pytest.mark.parametrize("cached", [10, 500, 1e9])
def test_what_fits_takes_no_longer_and_one_more_would(seconds: float, cached: float) -> None:
    timing = Timing(0.003, 0.01, 0.1, 0.001, cached)
    fitting = timing.fitting(seconds)
    assert fitting == 0 or timing.seconds(fitting) <= seconds + 1e-9
    assert timing.seconds(fitting + 1) > seconds


@pytest.mark.parametrize(
    ("seconds", "size"), [(100.0, 5000), (4.0, 870), (0.5, LEAST_IMAGES), (0.0001, LEAST_IMAGES)]
)
def test_a_size_keeps_some_time_spare_and_has_two_digits(seconds: float, size: int) -> None:
    assert TimeBudget(seconds).choose_size(5000, EVEN) == size


def test_a_small_probe_set_stays_whole() -> None:
    assert TimeBudget(0.0001).choose_size(LEAST_IMAGES - 50, EVEN) == LEAST_IMAGES - 50


def test_a_choice_is_told_with_both_numbers() -> None:
    with pytest.warns(UserWarning, match=r"all 5,000 probe .* 20 s, .* the same 870 of 5,000\. Labels are"):
        TimeBudget(4.0).tell_choice(870, 5000, EVEN)
    with pytest.warns(UserWarning, match=r"the same 200 of 5,000, which still take about 0.9 s"):
        TimeBudget(0.5).tell_choice(200, 5000, EVEN)


def looks(budget: TimeBudget, *seconds: float) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for each in seconds:
            budget.watch(each, 870, 5000)
    return [str(warning.message) for warning in caught]


def test_looks_that_are_too_slow_again_and_again_are_told_once() -> None:
    told = looks(TimeBudget(2.0), 9.0, 2.5, 2.25, 1.9, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6)
    assert len(told) == 1
    assert "the last 3 looks at the model took 2.1, 2.2, 2.3 s, with 870 of 5,000" in told[0]


def test_the_first_look_and_single_slow_ones_are_forgiven() -> None:
    assert looks(TimeBudget(2.0), 9.0, 3.0, 3.0, 1.0, 3.0, 3.0, 1.0) == []
