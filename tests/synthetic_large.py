"""Large synthetic runs, fast: thousands of neurons over many epochs, for measuring the tab.

    python -m tests.synthetic LOGDIR --large 7000x100x4

writes one run of 100 epochs with four layers of 7,000 neurons each. Every neuron walks smoothly from the
middle of the map over an early concept to a late one, as in `tests.synthetic`, but its concepts are looked
up in small tables rather than found among all, and its embedding has 16 dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto import event_pb2

from conceptmon_tb.event_files import frame_record
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace, FloatArray
from tests.synthetic import (
    DEPTH,
    NUM_IMAGES,
    START_TIME,
    THRESHOLD,
    THUMBNAILS_PER_WORD,
    TOP_CONCEPTS,
    WORDS,
    SyntheticRun,
    choose_concepts,
    distances,
    draw_images,
    make_space,
)

DIM = 16
SAMPLE = 500  # neurons that the layer's own figures are estimated from


def write_large_run(
    logdir: str | Path,
    neurons: int,
    epochs: int,
    layers: int = 1,
    seed: int = 0,
    start_time: float = START_TIME,
) -> None:
    """Write one run into a real event file.

    Args:
        logdir: Directory of the run, made where missing.
        neurons: Number of neurons in each layer.
        epochs: Number of epochs; steps count from 0.
        layers: Number of layers, called `layer1` and so on.
        seed: Everything random depends on it alone.
        start_time: Wall time of the first epoch, seconds since 1970.
    """
    space = make_space(dim=DIM)
    names = [f"layer{number + 1}" for number in range(layers)]
    walks = {
        name: _Walk.begin(space, name, neurons, index / max(1, layers - 1), seed + 1000 * index)
        for index, name in enumerate(names)
    }

    def snapshots() -> Iterator[Mapping[str, ConceptSnapshot]]:
        for epoch in range(epochs):
            yield {name: walk.observe(epoch / max(1, epochs - 1)) for name, walk in walks.items()}

    file = FastEventFile(Path(logdir), start_time)
    with SyntheticRun(
        logdir, epochs, seed=seed, start_time=start_time, space=space, snapshots=snapshots(), file=file
    ) as run:
        for _ in range(epochs):
            run.write_epoch()


class FastEventFile:
    """An event file with compiled checksums: TensorBoard's own writer makes about 6 MB a second."""

    def __init__(self, logdir: Path, wall_time: float) -> None:
        logdir.mkdir(parents=True, exist_ok=True)
        self._file = (logdir / f"events.out.tfevents.{int(wall_time):010d}.synthetic.large").open("wb")
        self.add_event(event_pb2.Event(wall_time=wall_time, file_version="brain.Event:2"))

    def add_event(self, event: event_pb2.Event) -> None:
        self._file.write(frame_record(event.SerializeToString()))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass
class _Walk:
    """The neurons of one layer on their way."""

    space: ConceptSpace
    layer: str
    early: npt.NDArray[np.int64]
    late: npt.NDArray[np.int64]
    pull: FloatArray
    start: FloatArray
    scatter: FloatArray
    orbit: FloatArray
    valid: npt.NDArray[np.bool_]
    noise: FloatArray
    near: npt.NDArray[np.int32]
    previous: FloatArray | None = None

    @classmethod
    def begin(cls, space: ConceptSpace, layer: str, neurons: int, depth: float, seed: int) -> _Walk:
        rng = np.random.default_rng([seed, 11])
        category_depth = np.array([DEPTH[category] for category in space.categories])
        between = distances(space.text_embedding, space.text_embedding)
        return cls(
            space=space,
            layer=layer,
            early=choose_concepts(rng, category_depth, 0.1 + 0.25 * depth, neurons),
            late=choose_concepts(rng, category_depth, 0.25 + 0.7 * depth, neurons),
            pull=rng.uniform(0.25, 1.0, neurons).astype(np.float32),
            start=rng.uniform(0.0, 0.3, neurons).astype(np.float32),
            scatter=rng.normal(size=(neurons, 2)).astype(np.float32) * 0.7,
            orbit=rng.uniform(0, 2 * np.pi, neurons).astype(np.float32),
            valid=np.arange(neurons) % 37 != 36,
            noise=rng.normal(size=(neurons, DIM)).astype(np.float32),
            near=np.argsort(between, axis=1, kind="stable")[:, :TOP_CONCEPTS].astype(np.int32),
        )

    def observe(self, progress: float) -> ConceptSnapshot:
        """Make the snapshot of a moment, 0 (first epoch) to 1 (last)."""
        space, valid = self.space, self.valid
        grown = np.clip((progress - self.start) * 2.2, 0.02, 1) * self.pull
        turn = 1 / (1 + np.exp(-(progress - 0.45 - 0.3 * (self.start - 0.15)) * 12))
        ids = self.near[np.where(turn > 0.5, self.late, self.early)]
        away = np.abs(2 * turn - 1)[:, None]  # how settled the neuron is on either of its concepts
        similarity = grown[:, None] * (0.5 + 0.5 * away) * (1 - 0.08 * np.arange(TOP_CONCEPTS)) * 1.1
        position = self._blend(space.position, grown, turn) + self.scatter * grown[:, None]
        swing = self.orbit + 6 * progress
        position += 0.12 * np.stack([np.cos(swing), np.sin(swing)], axis=1)
        wander = (0.004 * np.sin(self.orbit + 9 * progress))[:, None]
        embedding = self._blend(space.text_embedding, grown, turn) + wander * self.noise
        embedding = embedding.astype(np.float32)
        embedding[~valid] = 0
        interpretable = valid & (similarity[:, 0] > THRESHOLD)
        images = (ids[:, :2, None] * THUMBNAILS_PER_WORD + np.arange(THUMBNAILS_PER_WORD)).reshape(
            len(ids), -1
        )
        displacement = np.full(len(ids), np.nan, np.float32)
        if self.previous is not None:
            displacement[valid] = np.linalg.norm(embedding - self.previous, axis=1)[valid]
        self.previous = embedding
        position[~valid] = np.nan
        patches = draw_images(space.categories, 64)[1][images]
        patches[~valid] = 0
        categories = np.array([list(WORDS).index(category) for category in space.categories])
        counts = np.bincount(categories[ids[interpretable, 0]], minlength=len(WORDS))
        return ConceptSnapshot(
            layer=self.layer,
            space=space,
            embedding=embedding,
            concept_ids=np.where(valid[:, None], ids, -1).astype(np.int32),
            similarity=np.where(valid[:, None], similarity, 0).astype(np.float32),
            interpretable=interpretable,
            valid=valid,
            position=position.astype(np.float32),
            top_images=np.where(valid[:, None], images[:, :NUM_IMAGES], -1).astype(np.int32),
            displacement=displacement,
            threshold=THRESHOLD,
            threshold_level=0.01,
            category_counts=dict(zip(WORDS, map(int, counts), strict=True)),
            **_figures(space, embedding, valid, interpretable),
            num_dead=int((~valid).sum()),
            num_constant=0,
            num_nonfinite=0,
            detector="synthetic",
            temperature=0.1,
            tracked=(0, len(ids) // 3, 2 * len(ids) // 3),
            top_patches=patches,
        )

    def _blend(self, places: FloatArray, grown: FloatArray, turn: FloatArray) -> FloatArray:
        """Between the middle and the place of the concept that a neuron is at."""
        middle = places.mean(axis=0)
        target = places[self.early] + turn[:, None] * (places[self.late] - places[self.early])
        blended: FloatArray = middle + grown[:, None] * (target - middle)
        return blended


def _figures(
    space: ConceptSpace,
    embedding: FloatArray,
    valid: npt.NDArray[np.bool_],
    interpretable: npt.NDArray[np.bool_],
) -> dict[str, object]:
    some, clear = (np.flatnonzero(mask)[:SAMPLE] for mask in (valid, interpretable))
    spread = distances(embedding[some], embedding[some])
    anchor = distances(space.anchor_embedding, embedding[some])
    gated = distances(space.text_embedding, embedding[clear])
    return {
        "anchor_distance": float(distances(space.text_embedding, embedding[some]).min(axis=1).mean()),
        "anchor_distance_gated": float(gated.min(axis=1).mean()) if len(clear) else float("nan"),
        "mean_pairwise_distance": float(spread.sum() / max(1, spread.size - len(spread))),
        "anchor_nearest_distance": anchor.min(axis=1).astype(np.float32),
        "anchor_nearest_neuron": some[anchor.argmin(axis=1)].astype(np.int32),
    }
