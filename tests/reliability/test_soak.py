"""A soak of seconds: what `python -m benchmarks.soak` does for half an hour, and would it see a leak?"""

from __future__ import annotations

import random

import pytest

from benchmarks.soak.soaking import soak
from benchmarks.soak.trends import Samples, Trend
from tests.reliability.notes import Note

SECONDS, EPOCHS, PACE = 12.0, 20, 0.1


def test_handles_and_threads_stay_while_runs_come_and_go(reliability: Note) -> None:
    samples, epochs, wrong = soak(SECONDS, pace=PACE, epochs=EPOCHS, sample_seconds=0.25, loaded_seconds=1.4)
    assert wrong == []
    assert epochs > 3 * EPOCHS
    checked = 0
    for (name, unit), values in samples.values.items():
        if unit == "":
            early, late = values[len(values) // 3 : 2 * len(values) // 3], values[2 * len(values) // 3 :]
            assert min(late) <= max(early), f"{name}: {values}"
            checked += 1
    assert checked == 6  # handles and threads of the writer, of TensorBoard and of its data server
    reliability(
        area="long runs",
        tried="epochs of runs that come and go, watched by HTTP: handles and threads",
        count=60,
    )


@pytest.mark.parametrize(("leak", "grows"), [(0.0, False), (40.0, True)])
def test_a_leak_is_told_from_noise(leak: float, grows: bool) -> None:
    dice = random.Random(3)
    samples = Samples()
    for number in range(180):
        minute = number / 6
        noise = 3 * (number % 6) + dice.gauss(0, 4)
        samples.add(minute, {("memory", "MiB"): 200 + leak * minute / 60 + noise, ("handles", ""): 12})
    memory, handles = samples.trends()
    assert memory.grows == grows
    assert not handles.grows
    assert abs(memory.slope - leak) < 2 * memory.error


def test_one_handle_more_every_minute_is_a_leak() -> None:
    minutes = [number / 6 for number in range(120)]
    assert Trend.of("handles", "", minutes, [float(round(minute)) for minute in minutes]).grows
