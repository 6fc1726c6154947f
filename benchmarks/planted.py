"""Planted neurons: does the bundled encoder name a neuron that is the presence of a known concept?

    python benchmarks/planted.py            # tables on the terminal
    python benchmarks/planted.py --sweep    # soft-WPMI over softmax scales and priors
    python benchmarks/planted.py --record   # also write the scores into the encoder's recipe.json
    python benchmarks/planted.py --photos ../shared/data/cifar10/test   # do colours transfer to photographs?

A planted neuron fires where its concept is present in held-out pictures, plus a little noise. The true label
is known, so the share of right labels measures encoder and similarity function together. "oracle" replaces
the encoder by the truth: what no encoder can beat.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from conceptmon_tb.encoders import WorldEncoder
from conceptmon_tb.functional import cos_similarity_cubed, soft_wpmi
from conceptmon_tb.world import (
    CATEGORIES,
    CONCEPT_ID,
    MIN_AREA,
    WORDS,
    WorldDataset,
    name_colors,
)
from conceptmon_tb.world.encoder import ASSETS, RECIPE_FILE

HELD_OUT_SEED = 20_000
NOISE = 0.05  # standard deviation of a planted activation around 0 (absent) or 1 (present)
SCALES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
PRIORS = ("layer", "background", "zscore")


@dataclass(frozen=True)
class Planted:
    """Planted neurons over a held-out probe.

    Attributes:
        activations: `(images, concepts)` float32, neuron i is the presence of concept i.
        cosines: `(images, concepts)` float32 of the encoder's image and text embeddings.
        presence: `(images, concepts)` bool, the truth.
    """

    activations: Tensor
    cosines: Tensor
    presence: npt.NDArray[np.bool_]


def plant(num_images: int, seed: int, assets: Path = ASSETS) -> Planted:
    """Draw the probe, encode it and plant one neuron per concept."""
    probe = WorldDataset(num_images, seed)
    random = np.random.Generator(np.random.PCG64([seed, 5]))
    noise = random.standard_normal(probe.presence.shape) * NOISE
    activations = torch.from_numpy(probe.presence + noise).float()
    return Planted(activations, encode(probe, assets), probe.presence)


def encode(probe: WorldDataset, assets: Path = ASSETS) -> Tensor:
    """Cosines of every picture with every concept word, `(images, concepts)` float32."""
    encoder = WorldEncoder(assets=assets)
    return encoder.encode_images([image for image, _ in probe]) @ encoder.encode_text(WORDS).T


def hit_rates(similarity: Tensor, k: int) -> dict[str, float]:
    """Share of planted neurons whose concept is among the `k` best, per category and in total."""
    best = similarity.topk(k, dim=1).indices
    right = (best == torch.arange(len(WORDS))[:, None]).any(dim=1).numpy()
    return _by_category(right.astype(float))


def mean_average_precision(planted: Planted) -> dict[str, float]:
    """Zero-shot mean average precision: pictures ranked by their cosine with a concept word."""
    scores = planted.cosines.numpy()
    return _by_category(
        np.array([_average_precision(scores[:, i], planted.presence[:, i]) for i in range(len(WORDS))])
    )


def _average_precision(score: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> float:
    ranked = truth[np.argsort(-score, kind="stable")]
    if not ranked.any():
        return float("nan")
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def _by_category(values: npt.NDArray[np.float64]) -> dict[str, float]:
    table = {}
    for category, words in CATEGORIES.items():
        table[category] = float(np.nanmean([values[CONCEPT_ID[word]] for word in words]))
    table["all"] = float(np.nanmean(values))
    return table


def confusions(similarity: Tensor) -> list[str]:
    """The wrong labels, as "concept -> label"."""
    best = similarity.argmax(dim=1).tolist()
    return [f"{WORDS[i]} -> {WORDS[j]}" for i, j in enumerate(best) if i != j]


def tables(planted: Planted) -> dict[str, dict[str, float]]:
    """All figures: one row per measure, one column per category."""
    truth = torch.from_numpy(planted.presence).float()
    soft = soft_wpmi(planted.activations, planted.cosines)
    cubed = cos_similarity_cubed(planted.activations, planted.cosines)
    return {
        "zero-shot mAP": mean_average_precision(planted),
        "soft-WPMI top-1": hit_rates(soft, 1),
        "soft-WPMI top-5": hit_rates(soft, 5),
        "soft-WPMI zscore top-1": hit_rates(
            soft_wpmi(planted.activations, planted.cosines, prior="zscore"), 1
        ),
        "cos-cubed top-1": hit_rates(cubed, 1),
        "cos-cubed top-5": hit_rates(cubed, 5),
        "soft-WPMI oracle top-1": hit_rates(soft_wpmi(planted.activations, truth), 1),
        "cos-cubed oracle top-1": hit_rates(cos_similarity_cubed(planted.activations, truth), 1),
    }


def mean_tables(parts: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Mean of the figures over probes."""
    return {
        name: {column: float(np.mean([part[name][column] for part in parts])) for column in row}
        for name, row in parts[0].items()
    }


def print_tables(figures: dict[str, dict[str, float]]) -> None:
    columns = [*CATEGORIES, "all"]
    print(f"{'':24}" + "".join(f"{column:>10}" for column in columns))
    for name, row in figures.items():
        print(f"{name:24}" + "".join(f"{row[column]:10.3f}" for column in columns))


def sweep(planted: Planted) -> None:
    """soft-WPMI's top-1 by softmax scale and prior."""
    print(f"\n{'soft-WPMI top-1':24}" + "".join(f"{'a=' + format(a, 'g'):>8}" for a in SCALES))
    for prior in PRIORS:
        scores = [soft_wpmi(planted.activations, planted.cosines, a=a, prior=prior) for a in SCALES]
        print(f"{'prior=' + prior:24}" + "".join(f"{hit_rates(score, 1)['all']:8.3f}" for score in scores))


def color_transfer(folder: Path, assets: Path = ASSETS, limit: int = 1000) -> dict[str, float]:
    """AUROC of every colour word on photographs: those with at least 12 % of the colour against the rest."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    paths = paths[:: max(1, len(paths) // limit)]
    photos = [Image.open(path).convert("RGB") for path in paths]
    encoder = WorldEncoder(assets=assets)
    text = encoder.encode_text(CATEGORIES["color"])
    cosines = (encoder.encode_images(photos) @ text.T).numpy()
    names = [name_colors(np.asarray(photo)).ravel() for photo in photos]
    share = np.array([np.bincount(name, minlength=len(text)) / name.size for name in names])
    present = share >= MIN_AREA["color"]
    return {word: _auroc(cosines[:, i], present[:, i]) for i, word in enumerate(CATEGORIES["color"])}


def _auroc(score: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> float:
    positives = int(truth.sum())
    if positives in (0, len(truth)):
        return float("nan")
    rank = np.argsort(np.argsort(score)) + 1
    above = rank[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))


def record(figures: dict[str, dict[str, float]], num_images: int, seeds: list[int]) -> None:
    """Write the figures into the encoder's recipe."""
    path = ASSETS / RECIPE_FILE
    notes = json.loads(path.read_text(encoding="utf-8"))
    rounded = {name: {k: round(v, 3) for k, v in row.items()} for name, row in figures.items()}
    notes["scores"] = {"probe": {"images": num_images, "seeds": seeds}, **rounded}
    path.write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Planted neurons against the bundled encoder.")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED, help="of the first probe")
    parser.add_argument("--probes", type=int, default=3, help="held-out probes to average over")
    parser.add_argument("--assets", type=Path, default=ASSETS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sweep", action="store_true", help="soft-WPMI over softmax scales and priors")
    parser.add_argument("--record", action="store_true", help="write the scores into recipe.json")
    parser.add_argument("--photos", type=Path, help="folder of photographs: only colours are tested there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.photos:
        transfer = color_transfer(options.photos, options.assets)
        print("colour AUROC: " + ", ".join(f"{word} {value:.2f}" for word, value in transfer.items()))
        return
    seeds = [options.seed + i for i in range(options.probes)]
    probes = [plant(options.images, seed, options.assets) for seed in seeds]
    planted, figures = probes[0], mean_tables([tables(probe) for probe in probes])
    print(f"{options.images} held-out pictures of each of the seeds {seeds}, {len(WORDS)} concepts")
    print_tables(figures)
    for name, similarity in (("soft-WPMI", soft_wpmi), ("cos-cubed", cos_similarity_cubed)):
        wrong = confusions(similarity(planted.activations, planted.cosines))
        print(f"\n{name}, wrong: {', '.join(wrong) or 'none'}")
    if options.sweep:
        sweep(planted)
    if options.record:
        record(figures, options.images, seeds)


if __name__ == "__main__":
    main()
