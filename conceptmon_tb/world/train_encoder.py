"""Train the bundled encoder: a tiny CLIP for the picture world, through open_clip's own classes.

    python -m conceptmon_tb.world.train_encoder --out conceptmon_tb/world/assets

Writes the files that `open_clip` loads by `local-dir:` (weights in half precision, config, pruned merges) and
the recipe. Three losses: every lexicon word against every picture (sigmoid), captions against pictures
(contrastive), and the text embeddings' cosines against a small taxonomy. Captions alone do not suffice at
this budget. `docs/embedded_encoder.md` has the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from conceptmon_tb.world import draw_picture
from conceptmon_tb.world.dice import Dice
from conceptmon_tb.world.encoder import CONFIG_FILE, MERGES_FILE, RECIPE_FILE, WEIGHTS_FILE
from conceptmon_tb.world.lexicon import ENTRIES, caption, entry_labels, phrase, taxonomy
from conceptmon_tb.world.merges import write_pruned_merges

IMAGE_SIZE = 64
CONTEXT_LENGTH = 16
CAPTIONS_PER_PICTURE = 3
CAPTION_BATCH = 96  # pictures of a batch that take part in the caption loss

WORD_WEIGHT = 20.0
CAPTION_WEIGHT = 0.3
TAXONOMY_WEIGHT = 20.0
POSITIVE_WEIGHT = 3.0  # present words are rare
MAX_LOGIT_SCALE = 60.0


@dataclass(frozen=True)
class Recipe:
    """What the training depends on."""

    images: int = 60_000
    epochs: float = 8.0
    seed: int = 0
    batch_size: int = 192
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    threads: int = 2


@dataclass(frozen=True)
class Corpus:
    """Pictures with labels and captions.

    Attributes:
        images: `(images, 64, 64, 3)` uint8.
        labels: `(images, entries)` bool, which lexicon entries are true.
        captions: For each picture a few sentences.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.bool_]
    captions: list[list[str]]


def draw_corpus(num_images: int, seed: int) -> Corpus:
    """Draw the training pictures with their labels and captions."""
    images = np.zeros((num_images, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    labels = np.zeros((num_images, len(ENTRIES)), bool)
    captions: list[list[str]] = []
    for index in tqdm(range(num_images), desc="draw pictures", unit="picture", mininterval=2):
        picture = draw_picture(seed, index, IMAGE_SIZE)
        dice = Dice(seed, index, 2)
        images[index] = picture.image
        labels[index] = entry_labels(picture)
        captions.append([caption(picture, dice) for _ in range(CAPTIONS_PER_PICTURE)])
    return Corpus(images, labels, captions)


def model_config(vocab_size: int) -> dict[str, Any]:
    """The model part of open_clip's configuration."""
    return {
        "embed_dim": 128,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "head_width": 32, "image_size": IMAGE_SIZE},
        "text_cfg": {
            "context_length": CONTEXT_LENGTH,
            "vocab_size": vocab_size,
            "width": 64,
            "heads": 4,
            "layers": 2,
        },
        "init_logit_scale": math.log(10.0),
        "init_logit_bias": -4.0,
    }


def preprocess_config() -> dict[str, Any]:
    """The image part of open_clip's configuration: any picture is squashed to 64 x 64."""
    return {
        "size": IMAGE_SIZE,
        "mode": "RGB",
        "mean": list(open_clip.OPENAI_DATASET_MEAN),
        "std": list(open_clip.OPENAI_DATASET_STD),
        "interpolation": "bicubic",
        "resize_mode": "squash",
    }


def train(corpus: Corpus, tokenizer: SimpleTokenizer, recipe: Recipe) -> CLIP:
    """Train a model on the corpus; progress and losses on the terminal."""
    torch.manual_seed(recipe.seed)
    model = CLIP(**model_config(tokenizer.vocab_size)).to(memory_format=torch.channels_last)
    optimizer = _make_optimizer(model, recipe)
    dice = Dice(recipe.seed, 3)
    random = np.random.Generator(np.random.PCG64([recipe.seed, 4]))
    wanted = torch.from_numpy(taxonomy())
    steps = max(1, int(recipe.epochs * len(corpus.images) / recipe.batch_size))
    order = np.empty(0, np.intp)
    averages: dict[str, float] = {}
    model.train()
    for step in (progress := tqdm(range(steps), desc="train", unit="step", mininterval=5)):
        if len(order) < recipe.batch_size:
            order = random.permutation(len(corpus.images))
        batch, order = order[: recipe.batch_size], order[recipe.batch_size :]
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, steps)
        losses = _losses(model, tokenizer, corpus, batch, wanted, dice)
        loss = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        for name, value in losses.items():
            averages[name] = 0.98 * averages.get(name, value.item()) + 0.02 * value.item()
        if step % 20 == 0:
            shown = {name: f"{value:.3f}" for name, value in averages.items()}
            progress.set_postfix(shown, refresh=False)
    return model.eval()


def _make_optimizer(model: CLIP, recipe: Recipe) -> torch.optim.AdamW:
    decayed: list[torch.nn.Parameter] = []
    free: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim >= 2 and "embedding" not in name
        (decayed if is_matrix else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def _schedule(step: int, steps: int) -> float:
    """Warm-up over 80 steps, then a cosine down to 1 %."""
    return min(1.0, (step + 1) / 80) * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)


def _losses(
    model: CLIP,
    tokenizer: SimpleTokenizer,
    corpus: Corpus,
    batch: npt.NDArray[np.intp],
    wanted: Tensor,
    dice: Dice,
) -> dict[str, Tensor]:
    """The three weighted losses of one batch."""
    words = [phrase(entry, dice) for entry in ENTRIES]
    captions = [dice.pick(corpus.captions[i]) for i in batch[:CAPTION_BATCH]]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image_features = model.encode_image(_augment(corpus.images[batch], dice))
    image_features = F.normalize(image_features.float(), dim=1)
    text_features = F.normalize(model.encode_text(tokenizer(words + captions)).float(), dim=1)
    word_features, caption_features = text_features[: len(words)], text_features[len(words) :]
    scale = model.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)
    truth = torch.from_numpy(corpus.labels[batch]).float()
    word_loss = F.binary_cross_entropy_with_logits(
        scale * image_features @ word_features.T + model.logit_bias,
        truth,
        pos_weight=torch.tensor(POSITIVE_WEIGHT),
    )
    caption_loss = _caption_loss(scale * image_features[: len(captions)] @ caption_features.T, captions)
    taxonomy_loss = ((word_features @ word_features.T - wanted) ** 2).mean()
    return {
        "words": WORD_WEIGHT * word_loss,
        "captions": CAPTION_WEIGHT * caption_loss,
        "taxonomy": TAXONOMY_WEIGHT * taxonomy_loss,
    }


def _caption_loss(logits: Tensor, captions: list[str]) -> Tensor:
    """Symmetric InfoNCE in which every picture with the same caption is a positive."""
    numbers: dict[str, int] = {}
    ids = torch.tensor([numbers.setdefault(text, len(numbers)) for text in captions])
    same = (ids[:, None] == ids[None, :]).float()
    target = same / same.sum(dim=1, keepdim=True)
    by_image = -(target * F.log_softmax(logits, dim=1)).sum(dim=1).mean()
    by_text = -(target * F.log_softmax(logits.T, dim=1)).sum(dim=1).mean()
    return (by_image + by_text) / 2


def _augment(images: npt.NDArray[np.uint8], dice: Dice) -> Tensor:
    """Normalised batch with random flips, blur, crops and light, `(images, 3, 64, 64)` channels-last."""
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    flipped = torch.rand(len(batch)) < 0.5
    batch[flipped] = batch[flipped].flip(3)
    if dice.chance(0.35):
        small = F.interpolate(batch, size=dice.pick((32, 40, 48)), mode="bilinear", antialias=True)
        batch = F.interpolate(small, size=IMAGE_SIZE, mode="bicubic").clamp(0, 255)
    if dice.chance(0.5):
        side = 52 + dice.below(12)
        top, left = dice.below(IMAGE_SIZE - side + 1), dice.below(IMAGE_SIZE - side + 1)
        crop = batch[:, :, top : top + side, left : left + side]
        batch = F.interpolate(crop, size=IMAGE_SIZE, mode="bilinear")
    batch = batch * (1 + 0.16 * (torch.rand(len(batch), 1, 1, 1) - 0.5))
    batch = batch + 12 * (torch.rand(len(batch), 1, 1, 1) - 0.5)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1) * 255
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def save(model: CLIP, vocab_size: int, recipe: Recipe, seconds: float, out: Path) -> None:
    """Write weights (half precision), open_clip configuration and recipe into `out`."""
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(weights, out / WEIGHTS_FILE, metadata={"format": "pt"})
    (out / WEIGHTS_FILE).chmod(0o644)
    config = {"model_cfg": model_config(vocab_size), "preprocess_cfg": preprocess_config()}
    (out / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    notes = {
        "command": "python -m conceptmon_tb.world.train_encoder " + " ".join(sys.argv[1:]),
        "recipe": asdict(recipe),
        "loss_weights": {
            "words": WORD_WEIGHT,
            "captions": CAPTION_WEIGHT,
            "taxonomy": TAXONOMY_WEIGHT,
            "positive": POSITIVE_WEIGHT,
        },
        "versions": {"torch": torch.__version__, "open_clip": open_clip.__version__},
        "seconds": round(seconds),
    }
    (out / RECIPE_FILE).write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    default = Recipe()
    parser = argparse.ArgumentParser(description="Train the picture world's encoder.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files that open_clip loads")
    parser.add_argument("--images", type=int, default=default.images)
    parser.add_argument("--epochs", type=float, default=default.epochs)
    parser.add_argument("--seed", type=int, default=default.seed, help="of pictures and weights")
    parser.add_argument("--threads", type=int, default=default.threads)
    options = parser.parse_args(arguments)
    recipe = Recipe(options.images, options.epochs, options.seed, threads=options.threads)
    torch.set_num_threads(recipe.threads)
    start = time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    corpus = draw_corpus(recipe.images, recipe.seed)
    write_pruned_merges(options.out / MERGES_FILE)
    tokenizer = SimpleTokenizer(bpe_path=str(options.out / MERGES_FILE), context_length=CONTEXT_LENGTH)
    model = train(corpus, tokenizer, recipe)
    save(model, tokenizer.vocab_size, recipe, time.perf_counter() - start, options.out)
    print(f"wrote {options.out} ({sum(p.stat().st_size for p in options.out.iterdir()) / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
