"""What section 2.3 of the Concept-Monitor thesis claims, and what the demo's runs measured.

Everything is read back from the event files, as a teammate would who only has those. A claim that
does not hold is printed like one that does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import conceptmon_tb as cm

HIGH_LEVEL = ("object", "scene", "part")
LOW_LEVEL = ("material", "texture", "color")


@dataclass(frozen=True)
class Finding:
    """One claim, what was measured for it, and whether that supports it."""

    claim: str
    measured: str
    holds: bool


def print_story(healthy: Path, poor: Path | None) -> list[Finding]:
    """Prints and returns the findings of a healthy run and, where there is one, a poor run."""
    findings = list(judge_healthy(cm.read_run(healthy).snapshots))
    if poor is not None:
        findings += judge_poor(cm.read_run(healthy).snapshots, cm.read_run(poor).snapshots)
    print("\nWhat the thesis (section 2.3) claims, and what these runs measured")
    for finding in findings:
        print(f"\n  {'holds         ' if finding.holds else 'DOES NOT HOLD '}  {finding.claim}")
        print(f"                  {finding.measured}")
    return findings


Snapshots = Mapping[str, Mapping[int, cm.ConceptSnapshot]]


def judge_healthy(snapshots: Snapshots) -> Iterator[Finding]:
    """The claims of section 2.3 about standard training."""
    shallow, deep = next(iter(snapshots)), list(snapshots)[-1]
    steps = sorted(snapshots[deep])
    initial, early, last = steps[0], steps[1], steps[-1]
    third = steps[max(1, len(steps) // 3)]

    before, after = (_counts(snapshots[deep][step]) for step in (early, last))
    yield Finding(
        f"1. The network learns more complex features as training progresses ({deep}).",
        f"object + scene + part: {before[0]} neurons at epoch {early}, {after[0]} at epoch {last}; "
        f"material + texture + color: {before[1]}, then {after[1]}.",
        _share(after) > _share(before),
    )
    shallow_end = _counts(snapshots[shallow][last])
    yield Finding(
        "2. Shallow layers learn low-level features, deep layers high-level ones.",
        f"high-level share of the interpretable neurons at epoch {last}: "
        f"{shallow} {_share(shallow_end):.0%}, {deep} {_share(after):.0%}.",
        _share(after) > _share(shallow_end),
    )
    distance = {step: snapshots[deep][step].anchor_distance for step in (initial, third, last)}
    fall, early_fall = distance[initial] - distance[last], distance[initial] - distance[third]
    yield Finding(
        f"3. Concept diversity happens early ({deep}): d_anchor falls mostly in the first third.",
        f"d_anchor {distance[initial]:.3f} before training, {distance[third]:.3f} at epoch {third}, "
        f"{distance[last]:.3f} at epoch {last}.",
        fall > 0 and early_fall > fall / 2,
    )
    start, end = (snapshots[deep][step].num_interpretable for step in (initial, last))
    yield Finding(
        f"4. The number of interpretable neurons grows with training ({deep}).",
        f"{start} of {snapshots[deep][last].num_neurons} at random initialisation, {end} at epoch {last}.",
        end > start,
    )


def judge_poor(healthy: Snapshots, poor: Snapshots) -> Iterator[Finding]:
    """The claim of section 2.3.2: poor training ends less diverse."""
    deep = list(healthy)[-1]
    good, bad = (run[deep][max(run[deep])] for run in (healthy, poor))
    difference = bad.anchor_distance / good.anchor_distance - 1  # NaN when every neuron is dead
    gated = "none passes" if math.isnan(bad.anchor_distance_gated) else f"{bad.anchor_distance_gated:.3f}"
    dead = f"; {bad.num_dead} of its {bad.num_neurons} neurons are dead" if bad.num_dead else ""
    yield Finding(
        f"5. A poorly trained network has a higher d_anchor ({deep}; thesis: 0.47 against 0.38).",
        f"poor {bad.anchor_distance:.3f}, healthy {good.anchor_distance:.3f} ({difference:+.0%}); "
        f"over interpretable neurons only: poor {gated}, healthy {good.anchor_distance_gated:.3f}; "
        f"interpretable: poor {bad.num_interpretable}{dead}, healthy {good.num_interpretable}.",
        difference > 0,
    )


def _counts(snapshot: cm.ConceptSnapshot) -> tuple[int, int]:
    """Interpretable neurons of the high-level and of the low-level categories."""
    counts = snapshot.category_counts
    return sum(counts.get(name, 0) for name in HIGH_LEVEL), sum(counts.get(name, 0) for name in LOW_LEVEL)


def _share(counts: tuple[int, int]) -> float:
    high, low = counts
    return high / max(1, high + low)
