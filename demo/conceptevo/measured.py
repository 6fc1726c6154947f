"""What the story's networks measure: alignment, drift and the revert test, kept beside the runs as JSON.

Alignment is measured for one semantic space, and for what there was before it: an embedding of its own for
each network and epoch, as NeuroCartography makes. Everything is made anew for several seeds of the embedding;
the networks are trained once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

import conceptmon_tb as cm
from conceptmon_tb.activations import collect_activations
from conceptmon_tb.evolution import average_images, embed_base, find_stimuli, group_neurons, revert_test
from conceptmon_tb.evolution.stimuli import Stimuli, find_top_neurons
from conceptmon_tb.snapshot import BoolArray, IntArray
from conceptmon_tb.world import WORDS
from demo.conceptevo.alignment import (
    Ids,
    Matrix,
    Neurons,
    compare_neighbours,
    detected_concepts,
    find_intruders,
    presence_areas,
    relative_drift,
    turn_onto,
    usual_concepts,
)
from demo.conceptevo.networks import BASE, KINDS
from demo.conceptevo.runs import Runs

NUM_EPOCHS = 4
"""Epochs of each network that are compared, the first and the last among them."""

NEURONS_PER_GROUP = 10

UNIFIED, FRESH, SAME, TURNED = "unified", "fresh", "same", "turned"
METHODS: Mapping[str, str] = {
    UNIFIED: "one semantic space (ConceptEvo)",
    FRESH: "an embedding for each epoch",
    SAME: "the same, all from one random start",
    TURNED: "the same, each turned onto the last epoch",
}
"""The second is NeuroCartography's way; the last two are what one would try first to mend it."""

SETTINGS: Mapping[str, str] = {
    "base": "within the base",
    "epochs": "across its epochs",
    "networks": "across networks",
    "both": "across networks and epochs",
}
"""Whose neurons are compared: the base network's; its last epoch's with those of earlier ones; the three
networks', each with each; the base network's with those of the others at earlier epochs."""


class Look(NamedTuple):
    """A network at an epoch, before its neurons are placed.

    Attributes:
        network: Its name.
        step: Its epoch.
        activations: `(images, neurons)` float32, all layers side by side.
        stimuli: Of the same neurons.
        profile: `(neurons, concepts)` as in `Neurons`.
        concept: `(neurons,)` as in `Neurons`.
    """

    network: str
    step: int
    activations: torch.Tensor
    stimuli: Stimuli
    profile: Matrix
    concept: Ids

    def at(self, vectors: np.ndarray, known: BoolArray) -> Neurons:
        """The neurons in their places."""
        return Neurons(self.network, self.step, vectors, known, self.profile, self.concept)


Placed = dict[tuple[str, int], Neurons]
"""By network and epoch."""


class Measures:
    """Measures of one story, each made when first asked for, and kept.

    Args:
        runs: Networks and space.
        seeds: Seeds of the embedding that alignment is measured with.
        repeats: Of the revert test.
    """

    def __init__(self, runs: Runs, seeds: int, repeats: int) -> None:
        self.runs, self.seeds, self.repeats = runs, seeds, repeats
        self._path = runs.options.logdir / "measured.json"

    @property
    def alignment(self) -> dict[str, Any]:
        """By method and setting, figures of all seeds; and how many neurons there were."""
        return self._kept(f"alignment, {self.seeds} seeds", self._measure_alignment)

    @property
    def revert(self) -> dict[str, Any]:
        """The revert test of the base network between its milestones."""
        return self._kept(f"revert, {self.repeats} repeats", self._measure_revert)

    def _kept(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        known = json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        if name not in known:
            known[name] = measure()
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps(known, indent=1), encoding="utf-8")
            part.replace(self._path)
        found: dict[str, Any] = known[name]
        return found

    @property
    def steps(self) -> list[int]:
        """Epochs that are compared."""
        last = self.runs.options.epochs
        return sorted({round(step) for step in np.linspace(1, last, NUM_EPOCHS)})

    @cached_property
    def looks(self) -> dict[tuple[str, int], Look]:
        """All networks at all compared epochs."""
        presence = self.runs.world.presence
        asked = [(name, step) for name in KINDS for step in self.steps]
        bar = tqdm(asked, desc="Asking neurons", disable=not self.runs.options.progress)
        return {(name, step): self._look(name, step, presence) for name, step in bar}

    def _look(self, name: str, step: int, presence: BoolArray) -> Look:
        probe, layers = self.runs.probe, self.runs.kind(name).layers
        seen = collect_activations(
            self.runs.network(name, step), layers, probe.batches(), len(probe), pooling="max"
        )
        activations = torch.cat([values for values, _ in seen.values()], dim=1)
        stimuli = find_stimuli(activations)
        areas = presence_areas(activations.numpy(), presence[:, usual_concepts(presence)])
        return Look(name, step, activations, stimuli, areas - 0.5, detected_concepts(areas, stimuli.valid))

    def place(self, method: str, seed: int) -> Placed:
        """Place all neurons of all looks.

        Args:
            method: One of `METHODS`.
            seed: Of the embedding.
        """
        if method == UNIFIED:
            return self._place_in_one_space(seed)
        placed = self._place_each(seed, fresh=method != SAME)
        if method != TURNED:
            return placed
        return {key: turn_onto(each, placed[key[0], self.steps[-1]]) for key, each in placed.items()}

    def _place_in_one_space(self, seed: int) -> Placed:
        base = self.looks[BASE, self.steps[-1]]
        settings = cm.SpaceSettings(seed=seed)

        def top_neurons(placed: BoolArray) -> IntArray:
            return find_top_neurons(base.activations, base.stimuli, placed, settings.k)

        made = embed_base(base.stimuli.images, len(base.activations), settings, top_neurons)
        placed = {}
        for key, look in self.looks.items():
            vectors, counts = average_images(look.stimuli.images, made.image_vectors, made.coverage)
            placed[key] = look.at(vectors, (counts > 0) & (vectors != 0).any(axis=1))
        return placed

    def _place_each(self, seed: int, *, fresh: bool) -> Placed:
        """An embedding for each network and epoch, each from another random start where `fresh`."""
        placed = {}
        for number, (key, look) in enumerate(self.looks.items()):
            settings = cm.SpaceSettings(seed=1000 * (seed + 1) + number if fresh else seed)
            made = embed_base(look.stimuli.images, len(look.activations), settings)
            placed[key] = look.at(made.vectors, made.placed)
        return placed

    def _measure_alignment(self) -> dict[str, Any]:
        methods: dict[str, Any] = {method: [] for method in METHODS}
        asked = [(method, seed) for method in METHODS for seed in range(self.seeds)]
        for method, seed in tqdm(asked, desc="Aligning", disable=not self.runs.options.progress):
            placed = self.place(method, seed)
            told: dict[str, Any] = {setting: self._ask(placed, setting, seed) for setting in SETTINGS}
            earlier = [placed[BASE, step] for step in self.steps[:-1]]
            told["drift"] = relative_drift(earlier, placed[BASE, self.steps[-1]])
            methods[method].append(told)
        words = np.array([*WORDS, ""])  # -1 is the last one
        usual = np.append(usual_concepts(self.runs.world.presence), -1)
        ends = {name: self.looks[name, self.steps[-1]].concept for name in KINDS}
        detected = {name: words[usual[concept]].tolist() for name, concept in ends.items()}
        return {"methods": methods, "steps": self.steps, "detected": detected}

    def _ask(self, placed: Placed, setting: str, seed: int) -> dict[str, float]:
        """All figures of one setting."""
        pairs = list(self._pairs(placed, setting))
        told = compare_neighbours(pairs)._asdict()
        pool = {(each.network, each.step): each for pair in pairs for each in pair}
        told["grouped"], told["picked"] = ask_intruders(list(pool.values()), seed)
        return told

    def _pairs(self, placed: Placed, setting: str) -> Iterator[tuple[Neurons, Neurons]]:
        *earlier, last = self.steps
        base = placed[BASE, last]
        if setting == "base":
            yield base, base
        elif setting == "epochs":
            yield from ((base, placed[BASE, step]) for step in earlier)
        elif setting == "networks":
            yield from combinations([placed[name, last] for name in KINDS], 2)
        else:
            yield from ((base, placed[name, step]) for name in KINDS if name != BASE for step in earlier)

    def _measure_revert(self) -> dict[str, Any]:
        first, last = self.runs.milestones()
        options = self.runs.between_options(first, last)
        test = revert_test(*self.runs.between(first, last), repeats=self.repeats, **options)
        print(test)
        accuracy = self.runs.trained(BASE).accuracy
        return {
            "from_step": first, "to_step": last, "classes": list(test.classes), "layers": list(test.layers),
            "num_images": test.num_images.tolist(), "bins": list(test.bins),
            "from_accuracy": accuracy[first], "to_accuracy": accuracy[last],
            "accuracy": test.accuracy.tolist(), "change": test.change.tolist(),
        }  # fmt: skip


def ask_intruders(pool: Sequence[Neurons], seed: int = 0) -> tuple[float, float]:
    """Ask for intruders in both directions.

    Args:
        pool: Networks at epochs.
        seed: Of the groups and the questions.

    Returns:
        Share that the ground truth finds in groups that K-means makes of places; and share that places find
        in groups of neurons that detect the same by the ground truth.
    """
    names = sorted({each.network for each in pool})
    known = [np.flatnonzero(each.known) for each in pool]

    def gather(parts: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([part[chosen] for part, chosen in zip(parts, known, strict=True)])

    places = gather(each.vectors for each in pool)
    profile, concept = gather(each.profile for each in pool), gather(each.concept for each in pool)
    identity = gather(np.arange(len(each.known)) + 1_000_000 * names.index(each.network) for each in pool)
    source = gather(np.full(len(each.known), number) for number, each in enumerate(pool))
    num_groups = max(2, len(np.unique(identity)) // NEURONS_PER_GROUP)
    groups = group_neurons(places, num_groups, seed).label.astype(np.int64)
    return (
        find_intruders(groups, profile, identity, source, seed=seed),
        find_intruders(concept, places, identity, source, seed=seed),
    )
