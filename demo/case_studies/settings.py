"""How large a study is, and its command line.

Source: Concept-Monitor, thesis appendix A (the full scale).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

LOGDIR = Path("runs/case_studies")
SEEDS = {
    "training": 3,
    "lottery_ticket": 2,
    "adversarial": 2,
    "fine_tuning": 3,
    "regularizer": 3,
    "ablations": 2,
}
"""Repetitions of each study, so that it ends within ten minutes on two idle cores."""


@dataclass(frozen=True)
class Settings:
    """What a run depends on, and where and how it is made.

    Attributes:
        scale: "laptop" or "full".
        data: Folder of images in class folders; None: the picture world.
        probe: Folder of images to look through; None: the picture world, or held-out images of the data.
        texture_data: Folder with the second domain of study IV; None: textures and materials of the world.
        logdir: Where all runs go.
        seeds: How often each training is repeated, with seeds 0, 1, ...; 0 for each study's own number.
        device: Where networks are trained.
        images: Training images at most.
        probe_images: Images that the networks are looked at with.
        width: Channels of the first stage; 0 for a ResNet-18.
        epochs: Of a training from random weights.
        tune_epochs: Of the fine-tuning (study IV).
        stage_epochs: Of each stage of pruning (study II).
        stages: Stages of pruning (study II).
        batch: Images of a step.
        learning_rate: Peak rate of SGD.
        poor_rate: Fixed rate of the poor training (section 2.3.2).
        attack_steps: Steps of the attack that the robust network is trained with (study III).
        attacked: Held-out images that are attacked to tell the robust accuracy.
        encoder: Name and weights of an open_clip model, with a colon between; "" for the bundled one.
        detector: Similarity of CLIP-Dissect; "" for the package's default. The thesis takes "cos_cubed" in
            study I and "soft_wpmi" in II and III.
        beta: Weight of the regularizer (Eq. 3.2).
        progress: Show progress bars.
    """

    scale: str = "laptop"
    data: Path | None = None
    probe: Path | None = None
    texture_data: Path | None = None
    logdir: Path = LOGDIR
    seeds: int = 0
    device: str = "cpu"
    images: int = 4000
    probe_images: int = 2000
    width: int = 16
    epochs: int = 10
    tune_epochs: int = 8
    stage_epochs: int = 4
    stages: int = 8
    batch: int = 128
    learning_rate: float = 0.1
    poor_rate: float = 1.0
    attack_steps: int = 3
    attacked: int = 400
    encoder: str = ""
    detector: str = ""
    beta: float = 1.0
    progress: bool = True

    def as_text(self, *others: str) -> str:
        """What a run depends on as JSON: a run with the same text need not be trained again.

        Args:
            *others: Names of fields that matter for this run besides those that always do.
        """
        always = ("data", "probe", "images", "probe_images", "width", "batch", "encoder", "detector")
        chosen = {name: value for name, value in asdict(self).items() if name in (*always, *others)}
        return json.dumps(chosen, default=str, sort_keys=True)


LAPTOP = Settings()
FULL = Settings(
    scale="full",
    device="cuda",
    images=1_000_000,
    probe_images=10_000,
    width=0,
    epochs=40,
    tune_epochs=30,
    stage_epochs=160,
    attack_steps=10,
    attacked=10_000,
    encoder="ViT-B-16:openai",
    detector="soft_wpmi",
)
"""ResNet-18 with the settings of appendix A; give `--data` (CIFAR-10, Places365) and `--probe` (Broden)."""

_HELP = {
    "data": "images in class folders, such as CIFAR-10 (default: the picture world)",
    "probe": "images to look through (default: the picture world, or held-out images of --data)",
    "texture_data": "images in class folders, the second domain of study IV (default: the world's textures)",
    "logdir": "where the event files of all studies go",
    "seeds": "how often each training is repeated (default: 3; 2 in II, III and the ablations)",
    "device": "cpu or cuda",
    "images": "training images at most",
    "probe_images": "images that networks are looked at with",
    "width": "channels of the first stage, 0 for a ResNet-18",
    "epochs": "epochs of a training from random weights",
    "tune_epochs": "epochs of the fine-tuning (study IV)",
    "stage_epochs": "epochs of each stage of pruning (study II)",
    "stages": "stages of pruning (study II)",
    "batch": "images of a step",
    "learning_rate": "peak learning rate",
    "poor_rate": "fixed learning rate of the poor training (study I)",
    "attack_steps": "steps of the attack in robust training (study III)",
    "attacked": "held-out images that are attacked for the robust accuracy (study III)",
    "encoder": "open_clip model and weights as NAME:WEIGHTS (default: the bundled demo encoder)",
    "detector": "similarity of CLIP-Dissect (default: the package's, full: soft_wpmi)",
    "beta": "weight of the regularizer (study V)",
}
_SHOWN = {"beta": ("regularizer",), "texture_data": ("fine_tuning",), "tune_epochs": ("fine_tuning",)}
_SHOWN |= dict.fromkeys(("stages", "stage_epochs"), ("lottery_ticket",))
_SHOWN |= dict.fromkeys(("attack_steps", "attacked"), ("adversarial",))
_SHOWN |= {"poor_rate": ("training",)}


def parse_settings(study: str, purpose: str, arguments: list[str] | None = None) -> Settings:
    """Settings from the command line: those of the scale, changed by what is given.

    Args:
        study: Name of the module; "" for all studies.
        purpose: What it does, for `--help`.
        arguments: Instead of those of the process.
    """
    program = f"python -m demo.case_studies{'.' if study else ''}{study}"
    parser = argparse.ArgumentParser(prog=program, description=purpose)
    parser.add_argument("--scale", choices=["laptop", "full"], default="laptop", help="default: laptop")
    for field in fields(Settings):
        if field.name in _HELP and (not study or study in _SHOWN.get(field.name, (study,))):
            parser.add_argument(f"--{field.name.replace('_', '-')}", **_option(field.name))
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    given = vars(parser.parse_args(arguments))
    scale, quiet = given.pop("scale"), given.pop("quiet")
    changes = {name: value for name, value in given.items() if value is not None}
    return replace(FULL if scale == "full" else LAPTOP, **changes, progress=not quiet)


def _option(name: str) -> dict[str, Any]:
    laptop, full = getattr(LAPTOP, name), getattr(FULL, name)
    kind = Path if name in ("data", "probe", "texture_data", "logdir") else type(laptop)
    text = _HELP[name]
    if "default:" not in text:
        text += f" (default: {laptop}" + (f", full: {full})" if full != laptop else ")")
    checks = {int: _count if name != "width" else _whole, float: _rate}
    metavar = "FOLDER" if kind is Path else {int: "N", float: "X", str: "NAME"}[kind]
    return {"type": checks.get(kind, kind), "help": text.replace("%", "%%"), "metavar": metavar}


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def _whole(text: str) -> int:
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {value}")
    return value


def _rate(text: str) -> float:
    if not (value := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {value}")
    return value
