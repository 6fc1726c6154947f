"""One task at a time beside the training, and nothing global touched by it."""

import random
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

import conceptmon_tb as cm
from conceptmon_tb.background import Background, Finished, check_background, too_slow
from conceptmon_tb.training_state import (
    beside_training,
    is_beside_training,
    preserve_rng_streams,
    stream_states,
)


def in_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_a_task_runs_in_another_thread_and_is_waited_for() -> None:
    seen = []
    background = Background(at_exit=lambda: None)
    background.start(3, lambda: (time.sleep(0.05), seen.append(threading.current_thread())))
    finished = background.finish()
    assert seen != [threading.current_thread()]
    assert finished is not None
    assert (finished.step, finished.error) == (3, None)
    assert finished.seconds >= 0.05
    assert finished.waited > 0
    assert background.finish() is None


def test_an_error_is_handed_over_once() -> None:
    def fail() -> None:
        raise ValueError("broken")

    background = Background(at_exit=lambda: None)
    background.start(0, fail)
    finished = background.finish()
    assert finished is not None
    assert isinstance(finished.error, ValueError)
    background.start(1, lambda: None)
    again = background.finish()
    assert again is not None
    assert again.error is None


def test_a_task_takes_on_the_number_of_threads_that_torch_has_now() -> None:
    before, seen = torch.get_num_threads(), []
    background = Background(at_exit=lambda: None)
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            background.start(threads, lambda: seen.append(torch.get_num_threads()))
            background.finish()
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 3]


def test_beside_a_training_the_streams_cannot_be_seeded() -> None:
    before, errors = stream_states(), []

    def seed() -> None:
        with (
            beside_training(),
            pytest.raises(RuntimeError, match="asynchronous=False") as caught,
            preserve_rng_streams(1),
        ):
            pass
        errors.append(caught.value)

    in_thread(seed)
    assert len(errors) == 1
    assert stream_states() == before
    assert not is_beside_training()


@pytest.mark.parametrize("draw", [random.random, np.random.random, lambda: torch.rand(1)])
def test_the_states_of_the_streams_tell_that_somebody_drew(draw: Callable[[], object]) -> None:
    before = stream_states()
    assert stream_states() == before
    draw()
    assert stream_states() != before


def test_gradients_are_off_in_that_thread_alone() -> None:
    seen = []

    def look() -> None:
        with beside_training():
            seen.append(torch.is_grad_enabled())

    in_thread(look)
    assert seen == [False]
    assert torch.is_grad_enabled()


def casts_of_a_weight(between: Callable[[], None]) -> int:
    """How often autocast casts a weight that one forward uses twice."""
    weight, x = torch.nn.Parameter(torch.rand(8, 8)), torch.rand(8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.profiler.profile() as profile:
        torch.nn.functional.linear(x, weight)
        between()
        torch.nn.functional.linear(x, weight)
    return sum(event.count for event in profile.key_averages() if event.key == "aten::to")


def leave_autocast() -> None:
    with torch.autocast("cpu", enabled=False):
        pass


def leave_autocast_beside_training() -> None:
    with beside_training():
        leave_autocast()


def test_autocasts_cache_of_the_training_survives() -> None:
    undisturbed = casts_of_a_weight(lambda: None)
    assert casts_of_a_weight(lambda: in_thread(leave_autocast_beside_training)) == undisturbed
    # Without care the cache is lost, and a training under autocast would be another one.
    assert casts_of_a_weight(lambda: in_thread(leave_autocast)) == undisturbed + 1


def test_detectors_must_say_that_they_may_run_beside_a_training() -> None:
    check_background(cm.ClipDissect())
    check_background(cm.NetworkDissection())
    with pytest.raises(ValueError, match=r"Descriptions does not say .* runs_in_background = True"):
        check_background(cm.Descriptions(lambda pictures: ""))


def test_a_wait_is_told_with_its_figures_unless_it_is_short() -> None:
    assert too_slow(Finished(1, 5.0, 0.01, 5.0, None), 2) is None
    message = too_slow(Finished(step=1, seconds=5.0, waited=1.8, since=3.2, error=None), before=2)
    assert message is not None
    assert "scoring step 1 took 5.0 s" in message
    assert "only 3.2 s" in message
    assert "step 2 waited 1.8 s" in message
