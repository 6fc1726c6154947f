"""Case study V: the concept diversity regularizer: `python -m demo.case_studies.regularizer`.

Standard training, as in study I, against the same with `beta` times d_anchor of layer4 added to the loss.
To look for causes, some seeds are also trained with a tenth of beta, and with ten times the temperature, at
which the gradient of one batch is more than noise (docs/regularizer.md). The image encoder sees every picture
of the training set once, before the training and without augmentation.

Source: Concept-Monitor, thesis chapter 3, Eq. 3.1 and 3.2, Table 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from PIL import Image
from torch import nn

import conceptmon_tb as cm
from demo.case_studies.bench import Bench, run_study
from demo.case_studies.loop import Penalty

REGULARIZED, GENTLE, SMOOTH = "regularizer", "regularizer_gentle", "regularizer_smooth"
GENTLE_SHARE = 0.1
"""Of beta, in a second regularised training that tells what too much of it does."""
TEMPERATURE, SMOOTH_TEMPERATURE = 0.01, 0.1
"""T of Eq. 2.1 as in the thesis, and in a third one, which tells what the noise of single batches does."""
REPEATED = {SMOOTH: 2, GENTLE: 1}
"""Seeds of those that look for causes: the study has to end within ten minutes."""

LAYER = "layer4"


def run(bench: Bench) -> None:
    """Train without and with the regularizer with every seed."""
    beta = bench.settings.beta
    features = cache(lambda: train_features(bench))
    variants = {
        REGULARIZED: Diversity(bench, beta, features),
        SMOOTH: Diversity(bench, beta, features, SMOOTH_TEMPERATURE),
        GENTLE: Diversity(bench, GENTLE_SHARE * beta, features),
    }
    for seed in bench.seeds("regularizer"):
        bench.standard(seed)
        for variant, diversity in variants.items():
            if seed < REPEATED.get(variant, seed + 1):
                recipe = replace(bench.recipe(), penalty=diversity.watch)
                bench.trained(variant, seed, recipe, "beta", each_epoch=diversity.log)


def train_features(bench: Bench) -> cm.ImageFeatures:
    """What the encoder makes of the training pictures, without augmentation."""
    pictures = [Image.fromarray(image) for image in bench.task.pictures.train_images]
    return cm.ImageFeatures(pictures, bench.encoder, progress=bench.settings.progress)


class Diversity:
    """The regularizer of the network in training.

    Args:
        bench: Gives pictures, encoder and concepts.
        beta: Weight of d_anchor.
        features: Gives what the encoder makes of the training pictures.
        temperature: T of Eq. 2.1.
    """

    def __init__(
        self,
        bench: Bench,
        beta: float,
        features: Callable[[], cm.ImageFeatures],
        temperature: float = TEMPERATURE,
    ) -> None:
        self._bench, self._beta, self._features, self._temperature = bench, beta, features, temperature
        self._loss: cm.ConceptDiversityLoss | None = None

    @contextmanager
    def watch(self, network: nn.Module) -> Iterator[Penalty]:
        """What is added to a network's loss, for as long as it is trained."""
        bench, features = self._bench, self._features()
        with cm.ConceptDiversityLoss(
            network,
            LAYER,
            bench.monitor.concepts,
            bench.encoder,
            beta=self._beta,
            temperature=self._temperature,
        ) as loss:
            self._loss = loss
            yield lambda numbers: loss(features[numbers])

    def log(self, _network: nn.Module, writer: cm.ConceptWriter, epoch: int) -> None:
        """Log d_anchor of the batches beside the monitor's, and beta."""
        writer.add_scalar("beta", self._beta, epoch)
        if self._loss is not None:
            writer.add_scalar("temperature", self._loss.temperature, epoch)
        if self._loss is not None and epoch:
            self._loss.log(writer, epoch)


if __name__ == "__main__":
    run_study("regularizer", "Case study V: training with the concept diversity regularizer.", run)
