"""Plausible concept runs without a network, an encoder or torch: for tests and for work on the tab.

Neurons start in one clump, wander from low-level to high-level concepts and settle; a poor run
stays in the clump. Everything is deterministic by seed and goes through the real wire.

    python -m tests.synthetic LOGDIR --epochs 40

writes two runs, `healthy` and `poor`, with loss and accuracy; with `--large 7000x100x4` one large run.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace, FloatArray, ProbeImages
from conceptmon_tb.summary import concept_summary, space_summary

LAYERS = {"layer2": 64, "layer3": 128, "layer4": 256}
DIM = 32
START_TIME = 1_700_000_000.0
SECONDS_PER_EPOCH = 30.0
THUMBNAILS_PER_WORD = 4
TOP_CONCEPTS = 5
NUM_IMAGES = 8

WORDS = {
    "color": "red orange yellow green cyan blue purple pink brown white grey black",
    "texture": "striped dotted chequered woven cracked marbled grid zigzag bumpy smooth scaly swirly",
    "material": "wood metal glass fabric stone leather paper plastic brick sand ceramic fur",
    "part": "wheel leg wing window door handle roof tail head arm leaf branch",
    "object": "car tree house plane chair lamp table dog cat boat clock bottle",
    "scene": "garden street beach forest bedroom kitchen office stairs harbour mountain desert stadium",
}
ANCHORS = ("striped", "plane", "garden", "stairs", "bicycle")
# How deep in training and in the network a category comes into its own, 0 (first) to 1 (last).
DEPTH = {"color": 0.0, "texture": 0.2, "material": 0.4, "part": 0.6, "object": 0.8, "scene": 1.0}
THRESHOLD = 0.35


def make_space(
    seed: int = 0, note: str = "synthetic run: its concepts mean nothing", dim: int = DIM
) -> ConceptSpace:
    """Make a concept space of 72 words in six clusters, with a common outlier dimension as CLIP has."""
    rng = np.random.default_rng([seed, 1])
    words = tuple(word for group in WORDS.values() for word in group.split())
    categories = tuple(category for category, group in WORDS.items() for _ in group.split())
    names = list(WORDS)
    group = np.array([names.index(category) for category in categories])
    direction = rng.normal(size=(len(names), dim)) + 0.9 * rng.normal(size=(len(names), dim))
    text = direction[group] + 1.2 * rng.normal(size=(len(words), dim))
    text[:, 5] = 9.0
    angle = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    centre = 6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    position = centre[group] + 1.1 * rng.normal(size=(len(words), 2))
    known = [words.index(anchor) if anchor in words else -1 for anchor in ANCHORS]
    anchor_text = np.array([text[i] if i >= 0 else text[group == 4].mean(axis=0) for i in known])
    anchor_position = np.array([position[i] if i >= 0 else centre[4] + 0.4 for i in known])
    return ConceptSpace(
        words=words,
        categories=categories,
        text_embedding=_unit(text),
        position=position.astype(np.float32),
        anchors=ANCHORS,
        anchor_embedding=_unit(anchor_text),
        anchor_position=anchor_position.astype(np.float32),
        encoder="synthetic",
        encoder_fingerprint=f"synthetic-{seed}",
        projection="synthetic",
        note=note,
    )


def make_snapshots(
    epochs: int,
    layers: Mapping[str, int] | None = None,
    seed: int = 0,
    poor: bool = False,
    space: ConceptSpace | None = None,
) -> Iterator[dict[str, ConceptSnapshot]]:
    """Yield the snapshots of all layers, epoch by epoch."""
    layers = dict(LAYERS if layers is None else layers)
    space = make_space() if space is None else space
    walks = {
        name: _walk(space, layer, neurons, index / max(1, len(layers) - 1), epochs, seed + 1000 * index, poor)
        for index, (name, neurons) in enumerate(layers.items())
        for layer in (name,)
    }
    for _ in range(epochs):
        yield {name: next(walk) for name, walk in walks.items()}


def widen(snapshot: ConceptSnapshot, neurons: int) -> ConceptSnapshot:
    """Repeat a layer's neurons until there are as many as asked for."""
    names = [field.name for field in dataclasses.fields(snapshot)]
    arrays = {name: value for name in names if isinstance(value := getattr(snapshot, name), np.ndarray)}
    per_neuron = {name: a for name, a in arrays.items() if not name.startswith("anchor_")}
    changed: dict[str, Any] = {name: np.resize(a, (neurons, *a.shape[1:])) for name, a in per_neuron.items()}
    return dataclasses.replace(snapshot, **changed)


def make_images(space: ConceptSpace, size: int = 64) -> ProbeImages:
    """Draw four patterned thumbnails per word: colour by category, pattern by word."""
    return draw_images(space.categories, size)[0]


@lru_cache(maxsize=2)
def draw_images(categories: tuple[str, ...], size: int) -> tuple[ProbeImages, npt.NDArray[np.uint8]]:
    """Thumbnails, and the box around the disc in each of them, `(images, 4)`."""
    names = list(WORDS)
    hues = np.array(
        [[214, 69, 65], [222, 155, 53], [120, 144, 72], [58, 134, 168], [101, 84, 171], [190, 88, 140]]
    )
    y, x = np.mgrid[0:size, 0:size] / size
    thumbnails, discs = [], []
    for word, category in enumerate(categories):
        colour = hues[names.index(category)]
        for variant in range(THUMBNAILS_PER_WORD):
            rng = np.random.default_rng([word, variant])
            fx, fy, phase, swirl = rng.uniform(1, 7), rng.uniform(1, 7), rng.uniform(0, 6), rng.uniform(0, 4)
            wave = np.sin(2 * np.pi * (fx * x + fy * y) + phase + swirl * np.hypot(x - 0.5, y - 0.5) * 6)
            shade = 0.72 + 0.28 * (wave if word % 2 else np.sign(wave))
            other = np.clip(colour + rng.integers(-40, 40, 3), 0, 255)
            cx, cy, radius = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.35)
            disc = (np.hypot(x - cx, y - cy) < radius)[..., None]
            discs.append((cx - radius, cy - radius, cx + radius, cy + radius))
            picture = np.where(disc, 255 - other, other) * shade[..., None]
            thumbnails.append(np.clip(picture, 0, 255).astype(np.uint8))
    boxes = np.rint(np.clip(discs, 0, 1) * 255).astype(np.uint8)
    return ProbeImages(np.arange(len(thumbnails), dtype=np.int32), np.stack(thumbnails)), boxes


class EventFile(Protocol):
    """Where a run's events go."""

    def add_event(self, event: event_pb2.Event) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class SyntheticRun:
    """A run being written: one call per epoch, as a training loop does.

    Example:
        with SyntheticRun(tmp_path / "run", epochs=3) as run:
            run.write_epoch()
    """

    def __init__(
        self,
        logdir: str | Path,
        epochs: int,
        layers: Mapping[str, int] | None = None,
        seed: int = 0,
        poor: bool = False,
        *,
        first_step: int = 0,
        start_time: float = START_TIME,
        space: ConceptSpace | None = None,
        with_space: bool = True,
        snapshots: Iterator[Mapping[str, ConceptSnapshot]] | None = None,
        file: EventFile | None = None,
    ) -> None:
        Path(logdir).mkdir(parents=True, exist_ok=True)
        self.space = make_space() if space is None else space
        self.step = first_step
        self.poor = poor
        self._snapshots = snapshots or make_snapshots(epochs, layers, seed, poor, self.space)
        self._images = make_images(self.space)
        self._sent = np.zeros(len(self._images.ids), dtype=bool)
        self._first_step = first_step
        self._epochs = max(epochs, 1)
        self._rng = np.random.default_rng([seed, 7])
        self._start_time = start_time
        self._file = file or EventFileWriter(str(logdir), filename_suffix=f".{seed}")
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._file.add_event(event_pb2.Event(wall_time=self._time(), step=first_step, session_log=start))
        if with_space:
            self.add_summary(space_summary(self.space, first_step))

    def write_epoch(self) -> Mapping[str, ConceptSnapshot]:
        """Write the next epoch and make it visible to readers."""
        snapshots = next(self._snapshots)
        self.add_summary(concept_summary(snapshots, self.step, self._new_images(snapshots)))
        for tag, value in self._loss().items():
            self.add_summary(
                summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)])
            )
        self._file.flush()
        self.step += 1
        return snapshots

    def add_summary(self, summary: summary_pb2.Summary) -> None:
        """Write any summary as one Event at the current step."""
        self._file.add_event(event_pb2.Event(wall_time=self._time(), step=self.step, summary=summary))

    def close(self) -> None:
        """Flush and close the event file."""
        self._file.close()

    def __enter__(self) -> SyntheticRun:  # noqa: PYI034  # Self is not in Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _time(self) -> float:
        return self._start_time + SECONDS_PER_EPOCH * self.step

    def _new_images(self, snapshots: Mapping[str, ConceptSnapshot]) -> ProbeImages | None:
        needed = np.zeros_like(self._sent)
        for snapshot in snapshots.values():
            needed[snapshot.top_images[snapshot.top_images >= 0]] = True
        new = needed & ~self._sent
        self._sent |= new
        return ProbeImages(self._images.ids[new], self._images.thumbnails[new]) if new.any() else None

    def _loss(self) -> dict[str, float]:
        progress = (self.step - self._first_step) / self._epochs
        noise = self._rng.normal(size=3) * 0.02
        if self.poor:
            values = (2.25 + noise[0], 2.3 + 2 * noise[1], 0.1 + abs(noise[2]))
            return dict(zip(("loss/train", "loss/val", "accuracy/val"), map(float, values), strict=True))
        decay = float(np.exp(-4 * progress))
        return {
            "loss/train": 0.15 + 2.1 * decay + noise[0] * 0.5,
            "loss/val": 0.45 + 1.8 * decay + 0.15 * progress + noise[1],
            "accuracy/val": 0.1 + 0.78 * (1 - decay) + noise[2] * 0.5,
        }


def write_run(
    logdir: str | Path,
    epochs: int = 40,
    layers: Mapping[str, int] | None = None,
    seed: int = 0,
    poor: bool = False,
    **settings: Any,
) -> None:
    """Write a whole run into real event files.

    Args:
        logdir: Directory of the run, made where missing.
        epochs: Number of epochs; steps count from 0 (or from `first_step`).
        layers: Number of neurons by layer name; three layers by default.
        seed: Everything random depends on it alone.
        poor: Whether the network learns nothing.
        **settings: More of `SyntheticRun`.
    """
    with SyntheticRun(logdir, epochs, layers, seed, poor, **settings) as run:
        for _ in range(epochs):
            run.write_epoch()


def _walk(
    space: ConceptSpace, layer: str, neurons: int, depth: float, epochs: int, seed: int, poor: bool
) -> Iterator[ConceptSnapshot]:
    """Yield one layer's snapshots: a smooth walk from the clump over an early to a late concept."""
    rng = np.random.default_rng([seed, 3])
    text = space.text_embedding.astype(np.float64)
    base = text.mean(axis=0)
    category_depth = np.array([DEPTH[category] for category in space.categories])
    early = choose_concepts(rng, category_depth, 0.1 + 0.25 * depth, neurons)
    late = choose_concepts(rng, category_depth, 0.25 + 0.7 * depth, neurons)
    pull = rng.uniform(0.25, 1.0, neurons)[:, None]
    start = rng.uniform(0.0, 0.3, neurons)[:, None]
    jitter = rng.normal(size=(neurons, text.shape[1]))
    dead = rng.random(neurons) < 0.03
    dead[: min(1, neurons)] = False
    revived = rng.random(neurons) < 0.5
    tracked = tuple(int(i) for i in np.flatnonzero(~dead)[:: max(1, neurons // 3)][:3])
    previous: FloatArray | None = None
    for epoch in range(epochs):
        progress = epoch / max(1, epochs - 1)
        jitter = 0.97 * jitter + 0.24 * rng.normal(size=jitter.shape)
        grown = np.clip((progress - start) * 2.2, 0, 1) * pull * (0.12 if poor else 1.0)
        turn = 1 / (1 + np.exp(-(progress - 0.45 - 0.3 * (start - 0.15)) * 12))
        target = (1 - turn) * text[early] + turn * text[late]
        embedding = (base + grown * (target - base) + 0.006 * jitter).astype(np.float32)
        valid = ~(dead & (~revived | (progress < 0.3)))
        snapshot = _observe(space, layer, embedding, valid, previous, tracked, grown[:, 0])
        previous = snapshot.embedding
        yield snapshot


def choose_concepts(
    rng: np.random.Generator, category_depth: np.ndarray, centre: float, neurons: int
) -> np.ndarray:
    weight = np.exp(-(((category_depth - centre) / 0.25) ** 2))
    return rng.choice(len(weight), size=neurons, p=weight / weight.sum())


def _observe(
    space: ConceptSpace,
    layer: str,
    embedding: FloatArray,
    valid: np.ndarray,
    previous: FloatArray | None,
    tracked: tuple[int, ...],
    strength: np.ndarray,
) -> ConceptSnapshot:
    """Make a snapshot of given embeddings, by simple rules that only look like the real ones."""
    text = space.text_embedding
    base = text.mean(axis=0)
    embedding = np.where(valid[:, None], embedding, 0).astype(np.float32)
    away = embedding - base
    similarity = (away @ (text - base).T) / (np.linalg.norm(text - base, axis=1)[None] + 1e-6)
    similarity = similarity / np.linalg.norm(text - base, axis=1).mean()
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :TOP_CONCEPTS].astype(np.int32)
    top = np.take_along_axis(similarity, order, axis=1).astype(np.float32)
    weight = np.exp(6 * (top - top[:, :1]))
    weight /= weight.sum(axis=1, keepdims=True)
    near = (space.position[order] * weight[..., None]).sum(axis=1)
    centre = space.position.mean(axis=0)
    reach = np.clip(strength * 1.15, 0.06, 1)[:, None]
    position = (centre + reach * (near - centre)).astype(np.float32)
    position[~valid] = np.nan
    interpretable = valid & (top[:, 0] > THRESHOLD)
    counts = dict.fromkeys(WORDS, 0)
    for concept in order[interpretable, 0]:
        counts[space.categories[concept]] += 1
    images = np.concatenate(
        [order[:, :2, None] * THUMBNAILS_PER_WORD + np.arange(THUMBNAILS_PER_WORD)], axis=1
    ).reshape(len(embedding), -1)[:, :NUM_IMAGES]
    displacement = np.full(len(embedding), np.nan, dtype=np.float32)
    if previous is not None:
        both = valid & (previous != 0).any(axis=1)
        displacement[both] = np.linalg.norm(embedding - previous, axis=1)[both]
    anchor = distances(space.anchor_embedding, embedding[valid])
    numbers = np.flatnonzero(valid)
    spread = distances(embedding[valid], embedding[valid])
    return ConceptSnapshot(
        layer=layer,
        space=space,
        embedding=embedding,
        concept_ids=np.where(valid[:, None], order, -1).astype(np.int32),
        similarity=np.where(valid[:, None], top, 0).astype(np.float32),
        interpretable=interpretable,
        valid=valid,
        position=position,
        top_images=np.where(valid[:, None], images, -1).astype(np.int32),
        displacement=displacement,
        threshold=THRESHOLD,
        threshold_level=0.01,
        category_counts=counts,
        anchor_distance=float(distances(text, embedding[valid]).min(axis=1).mean()),
        anchor_distance_gated=(
            float(distances(text, embedding[interpretable]).min(axis=1).mean())
            if interpretable.any()
            else float("nan")
        ),
        mean_pairwise_distance=float(spread.sum() / max(1, spread.size - len(spread))),
        num_dead=int((~valid).sum()),
        num_constant=0,
        num_nonfinite=0,
        anchor_nearest_distance=anchor.min(axis=1).astype(np.float32),
        anchor_nearest_neuron=numbers[anchor.argmin(axis=1)].astype(np.int32),
        detector="synthetic",
        temperature=0.1,
        tracked=tracked,
        top_patches=_patches(space, layer, images, valid),
        **_explanations(layer, order, top, valid),
    )


def _explanations(layer: str, order: np.ndarray, top: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
    """Weighted sums of the top concepts, exact in half precision; `layer2` was logged without them."""
    if layer == "layer2":
        return {}
    weights = np.maximum(top - 0.45 * top[:, :1] - 0.02, 0) * valid[:, None]
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    found = weights.any(axis=1)
    fit = np.where(found, np.clip(0.9 * top[:, 0], 0, 0.95), np.nan)
    served = np.where(found, 1 / np.maximum((share**2).sum(axis=1), 1e-9), np.nan)
    halves = {"explanation_weights": weights, "explanation_fit": fit, "num_concepts": served}
    return {
        "explanation_ids": np.where(weights > 0, order, -1).astype(np.int32),
        **{name: values.astype(np.float16).astype(np.float32) for name, values in halves.items()},
    }


def _patches(
    space: ConceptSpace, layer: str, images: np.ndarray, valid: np.ndarray
) -> npt.NDArray[np.uint8] | None:
    """Boxes around the discs, unknown for the last image; `layer2` is a layer without a map."""
    if layer == "layer2":
        return None
    boxes = draw_images(space.categories, 64)[1][images]
    boxes[:, NUM_IMAGES - 1 :] = 0
    boxes[~valid] = 0
    return boxes


def distances(left: FloatArray, right: FloatArray) -> FloatArray:
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.sqrt(np.maximum(squared, 0)).astype(np.float32)


def _unit(rows: np.ndarray) -> FloatArray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def main() -> None:
    """Write a healthy and a poor run."""
    parser = argparse.ArgumentParser(description="Write two synthetic concept runs, healthy and poor.")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", metavar="NEURONSxEPOCHSxLAYERS", help="one large run instead: 7000x100x4")
    arguments = parser.parse_args()
    if arguments.large:
        from tests.synthetic_large import write_large_run

        neurons, epochs, layers = map(int, arguments.large.split("x"))
        write_large_run(arguments.logdir / "large", neurons, epochs, layers, arguments.seed)
        print(f"wrote one run: tensorboard --logdir {arguments.logdir}")
        return
    write_run(arguments.logdir / "healthy", arguments.epochs, seed=arguments.seed)
    write_run(arguments.logdir / "poor", arguments.epochs, seed=arguments.seed, poor=True)
    print(f"wrote two runs: tensorboard --logdir {arguments.logdir}")


if __name__ == "__main__":
    main()
