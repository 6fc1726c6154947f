"""Ablations: temperature, concept set and detector: `python -m demo.case_studies.ablations`.

The networks of standard training are looked at again, at some of their epochs, with monitors that differ in
one thing; each is a run of its own. Thresholds need no run: every similarity is in the event files.

Source: Concept-Monitor, thesis appendices B and C, Fig. B.1 to B.3 and C.1 to C.3.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb import world
from conceptmon_tb.projection import ConceptMap
from demo.case_studies.bench import Bench, run_study

TEMPERATURE_FACTORS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Temperatures, as multiples of the detector's own (thesis: 0.0001 to 0.5, its own is 0.01)."""

_LOOKS = 6
_CAPTION_IMAGES = 8
_CAPTION_BACKGROUND = 300  # pictures that tell how much every word is said of any picture


@dataclass(frozen=True)
class Variation:
    """One monitor among those that are compared.

    Attributes:
        name: Last part of the run's name.
        monitor: What looks.
        scans: Whether it must run the network itself, or can score what the bench's monitor collected.
    """

    name: str
    monitor: cm.ConceptMonitor
    scans: bool = False


def run(bench: Bench) -> None:
    """Look at every network of standard training in all ways."""
    for seed in bench.seeds("ablations"):
        network = bench.standard(seed)
        variations = [
            variation
            for variation in make_variations(bench)
            if not bench.is_done(f"ablations/{variation.name}", seed, "epochs", "learning_rate")
        ]
        if variations:
            look_again(bench, network, seed, variations)


def make_variations(bench: Bench) -> list[Variation]:
    """All monitors: temperatures, the other concept set, and the other detectors."""
    own = bench.monitor.temperature
    variations = [
        Variation(f"temperature-{own * factor:.3g}", bench.make_monitor(temperature=own * factor))
        for factor in TEMPERATURE_FACTORS
    ]
    variations += [
        Variation("concepts-large", large_monitor(bench)),
        Variation("detector-soft_wpmi", bench.make_monitor(cm.ClipDissect("soft_wpmi"))),
        Variation("detector-cos_cubed", bench.make_monitor(cm.ClipDissect("cos_cubed"))),
    ]
    described = cm.Descriptions(make_captioner(bench), _CAPTION_IMAGES, name="nearest words")
    variations.append(Variation("detector-descriptions", bench.make_monitor(described), scans=True))
    if isinstance(bench.probe, cm.MaskedProbe):
        dissection = bench.make_monitor(cm.NetworkDissection())
        variations.append(Variation("detector-network_dissection", dissection, scans=True))
    else:
        print("No Network Dissection: the probe set has no masks; give --probe a folder in Broden's layout.")
    return variations


def look_again(bench: Bench, network: nn.Module, seed: int, variations: list[Variation]) -> None:
    """Look at some epochs of a training with every monitor; the step is the epoch.

    Args:
        bench: Where.
        network: Takes the weights of each epoch.
        seed: Of the training.
        variations: The monitors.
    """
    epochs = sorted({0, 1, *np.linspace(1, bench.settings.epochs, _LOOKS - 1).round().astype(int).tolist()})
    with ExitStack() as stack:
        writers = {
            variation.name: stack.enter_context(
                bench.recording(
                    f"ablations/{variation.name}",
                    seed,
                    "epochs",
                    "learning_rate",
                    monitor=variation.monitor,
                )
            )
            for variation in variations
        }
        for epoch in epochs:
            weights = bench.weights("standard", seed, epoch)
            network.load_state_dict(
                torch.load(weights, map_location=bench.settings.device, weights_only=True)
            )
            collected = bench.monitor.collect(network)
            for variation in variations:
                monitor, writer = variation.monitor, writers[variation.name]
                snapshots = monitor.observe(network) if variation.scans else monitor.score(collected, network)
                cm.add_concepts(writer, snapshots, epoch, monitor.probe)


def large_concepts(bench: Bench) -> cm.ConceptSet:
    """A concept set without categories that was not made for the probe set (Fig. C.1).

    With a real encoder the 20,000 most frequent English words; the bundled one is given every word that it
    knows: concepts, synonyms and general words.
    """
    if bench.settings.encoder:
        return cm.ConceptSet.english()
    return cm.ConceptSet(list(world.KNOWN_WORDS), name="all known words")


def large_monitor(bench: Bench) -> cm.ConceptMonitor:
    """A monitor with the large concept set, whose words are placed on the map of the studies' own set."""
    concepts, space = large_concepts(bench), bench.monitor.space
    text = bench.encoder.encode_text(concepts.words).cpu().numpy()
    own_map = ConceptMap.from_positions(space.text_embedding, space.position)
    large_map = ConceptMap.from_positions(text, own_map.project(text), own_map.name)
    return bench.make_monitor(concepts=concepts, concept_map=large_map)


def make_captioner(bench: Bench) -> Callable[[list[Image.Image]], str]:
    """A stand-in for MILAN that needs no other weights: the word that stands out most over some pictures.

    It sees pictures only and answers with text, as a captioner does; what it says is the word of the large
    concept set that the encoder finds more in these pictures than in others.
    """
    words = large_concepts(bench).words
    text = bench.encoder.encode_text(words).cpu()
    number = min(_CAPTION_BACKGROUND, len(bench.probe))
    others = [bench.probe.picture(image) for image in range(number)]
    cosines = bench.encoder.encode_images(others).cpu() @ text.T
    mean, deviation = cosines.mean(0), cosines.std(0).clamp(min=1e-6)

    def caption(pictures: list[Image.Image]) -> str:
        seen = bench.encoder.encode_images(pictures).cpu().mean(0)
        return words[int(((text @ seen - mean) / deviation).argmax())]

    return caption


if __name__ == "__main__":
    run_study("ablations", "Ablations of temperature, concept set and detector (appendices B and C).", run)
