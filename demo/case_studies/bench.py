"""The bench that studies work at: one task, one monitor, and runs that are made once.

A run that came to its end is not made again: its event file says so, and with which settings. One that was
cut off begins anew in the same folder, and hides what was logged before.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch
from PIL import Image
from torch import nn

import conceptmon_tb as cm
from conceptmon_tb.embedding_cache import EmbeddingCache
from conceptmon_tb.projection import ConceptMap
from demo.case_studies.loop import Recipe, evaluate, fit
from demo.case_studies.networks import LAYERS, make_network
from demo.case_studies.pictures import Task, make_task
from demo.case_studies.records import COMPLETE_TAG, SECONDS_TAG, SETTINGS_TAG, read_log
from demo.case_studies.settings import SEEDS, Settings, parse_settings

WORLD_ANCHORS = ("texture", "airplane", "flower", "wheel", "forest", "red")
ANCHORS = ("texture", "airplane", "garden", "stairs")
"""As in Fig. 2.1, which calls the airplane a plane."""

EachEpoch = Callable[[nn.Module, cm.ConceptWriter, int], None]


class StudyError(RuntimeError):
    """A study cannot go on; the message says why and what helps."""


class Bench:
    """Data, monitor and runs of one set of settings.

    Args:
        settings: How large everything is, and where it goes.
        task: The pictures; None: made from the settings.

    Raises:
        StudyError: There is no such device.
    """

    def __init__(self, settings: Settings, task: Task | None = None) -> None:
        if settings.device.startswith("cuda") and not torch.cuda.is_available():
            raise StudyError(f"--device {settings.device}: there is no GPU here; try --device cpu")
        self.settings = settings
        self.task = make_task(settings) if task is None else task
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True

    @cached_property
    def monitor(self) -> cm.ConceptMonitor:
        """The monitor of all runs, so that they share one concept space and can be compared in the tab."""
        return self.make_monitor()

    @cached_property
    def encoder(self) -> cm.ConceptEncoder:
        """Of images and words; it sees the probe set once for all monitors and studies."""
        if not self.settings.encoder:
            encoder = cm.WorldEncoder()
            encoder.cache = EmbeddingCache(self.settings.logdir / "embeddings")
            return encoder
        name, _, weights = self.settings.encoder.partition(":")
        return cm.OpenClipEncoder(name, pretrained=weights or None, device=self.settings.device)

    def make_monitor(
        self,
        detector: cm.ConceptDetector | None = None,
        concepts: cm.ConceptSet | None = None,
        temperature: float | None = None,
        threshold: float | str = "auto",
        concept_map: ConceptMap | None = None,
    ) -> cm.ConceptMonitor:
        """A monitor of the studies' layers; what is not given is as the settings say."""
        if detector is None:
            detector = cm.ClipDissect(self.settings.detector or None)
        return cm.ConceptMonitor(
            layers=LAYERS,
            probe=self.probe,
            concepts=concepts,
            encoder=self.encoder,
            detector=detector,
            temperature=temperature,
            threshold=threshold,
            anchors=ANCHORS if self.settings.encoder else WORLD_ANCHORS,
            concept_map=concept_map,
            scoring_device=self.settings.device,
            strict=True,
            progress=self.settings.progress,
        )

    @cached_property
    def probe(self) -> cm.ProbeSet:
        """What networks are looked at with: the world, a folder (Broden's too), or held-out pictures."""
        transform, number = self.task.pictures.normalizer(), self.settings.probe_images
        root = self.settings.probe
        if root is not None and (root / "index.csv").is_file():
            return cm.MaskedProbe.broden(root, transform=transform, max_images=number)
        if root is not None:
            return cm.ProbeSet(root, transform=transform, max_images=number)
        if not self.settings.encoder:  # the bundled encoder understands nothing else
            return cm.MaskedProbe.world(number, transform=transform)
        held_out = [Image.fromarray(image) for image in self.task.pictures.test_images]
        return cm.ProbeSet(held_out, transform=transform, max_images=number)

    def seeds(self, study: str) -> range:
        """Seeds of a study's repetitions."""
        return range(self.settings.seeds or SEEDS[study])

    def folder(self, variant: str, seed: int) -> Path:
        """Where a run is."""
        return self.settings.logdir / variant / f"seed-{seed}"

    def is_done(self, variant: str, seed: int, *needs: str) -> bool:
        """Whether a run came to its end before.

        Args:
            variant: What is done.
            seed: With which seed.
            *needs: Fields of the settings that it depends on, besides those that always matter.

        Raises:
            StudyError: It did, but with other settings.
        """
        folder = self.folder(variant, seed)
        log = read_log(folder)
        if not log.is_complete:
            return False
        wanted, found = self.settings.as_text(*needs), log.texts.get(SETTINGS_TAG, "")
        if found != wanted:
            raise StudyError(
                f"{folder} holds a finished run with other settings: {found} instead of {wanted}; "
                "choose another --logdir, or remove that run"
            )
        print(f"{folder} is finished already", flush=True)
        return True

    @contextmanager
    def recording(
        self, variant: str, seed: int, *needs: str, monitor: cm.ConceptMonitor | None = None
    ) -> Iterator[cm.ConceptWriter]:
        """Write a run; that it came to its end is the last thing that is written.

        Args:
            variant: What is done.
            seed: With which seed.
            *needs: As for `is_done`.
            monitor: What looks at the network; None: the bench's own.
        """
        folder = self.folder(variant, seed)
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cm.ConceptAlert)  # they are in the log, and poor runs raise many
            with cm.ConceptWriter(folder, monitor=monitor or self.monitor, purge_step=0) as writer:
                writer.add_text(SETTINGS_TAG, self.settings.as_text(*needs), 0)
                yield writer
                writer.add_scalar(SECONDS_TAG, time.process_time() - start, 0)
                writer.add_scalar(COMPLETE_TAG, 1.0, 0)
        print(f"wrote {folder} in {time.process_time() - start:.0f} s of processor time", flush=True)

    def network(self, seed: int) -> nn.Module:
        """A network with the random weights of a seed, on the device."""
        torch.manual_seed(seed)
        pictures = self.task.pictures
        network = make_network(len(pictures.classes), pictures.size, self.settings.width)
        network.to(self.settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network

    def recipe(self) -> Recipe:
        """Standard training (appendix A.1)."""
        return Recipe(self.settings.epochs, self.settings.batch, self.settings.learning_rate)

    def standard(self, seed: int) -> nn.Module:
        """The network of standard training, which most studies compare with; trained once for all."""
        return self.trained("standard", seed, self.recipe())

    def trained(
        self,
        variant: str,
        seed: int,
        recipe: Recipe,
        *needs: str,
        each_epoch: EachEpoch | None = None,
    ) -> nn.Module:
        """A network that was trained from random weights under the monitor, now or earlier.

        Step 0 is the untrained network, step k the one after epoch k; the weights of each are kept.

        Args:
            variant: Name of the run.
            seed: Of weights and batches.
            recipe: How it is trained.
            *needs: As for `is_done`; the epochs and the rate always matter.
            each_epoch: Called before each look, to log more.
        """
        needs = ("epochs", "learning_rate", *needs)
        network, done = self.network(seed), self.is_done(variant, seed, *needs)
        final = self.weights(variant, seed, recipe.epochs)
        if done and final.exists():
            network.load_state_dict(torch.load(final, map_location=self.settings.device, weights_only=True))
            return network
        with self.recording(variant, seed, *needs) as writer:
            self.save(network, variant, seed, 0)
            self.follow(network, self.task, recipe, writer, f"{variant} {seed}", each_epoch, (variant, seed))
        return network

    def follow(
        self,
        network: nn.Module,
        task: Task,
        recipe: Recipe,
        writer: cm.ConceptWriter,
        name: str,
        each_epoch: EachEpoch | None = None,
        keep: tuple[str, int] | None = None,
    ) -> None:
        """Train under the monitor: a look before, and one after each epoch, with losses and accuracies.

        Args:
            network: Trained in place.
            task: What it learns.
            recipe: How.
            writer: Where to log.
            name: For the progress bar.
            each_epoch: Called before each look, to log more.
            keep: Variant and seed to keep the weights of each epoch under.
        """
        if each_epoch is not None:
            each_epoch(network, writer, 0)
        writer.add_scalar("accuracy/val", evaluate(network, task)[1], 0)
        writer.add_concepts(network, 0)
        for epoch in fit(network, task, recipe, name=name, progress=self.settings.progress):
            loss, accuracy = evaluate(network, task)
            scalars = {**epoch.scalars, "loss/val": loss, "accuracy/val": accuracy}
            for tag, value in scalars.items():
                writer.add_scalar(tag, value, epoch.number)
            if each_epoch is not None:
                each_epoch(network, writer, epoch.number)
            writer.add_concepts(network, epoch.number)
            if keep is not None:
                self.save(network, *keep, epoch.number)

    def weights(self, variant: str, seed: int, epoch: int) -> Path:
        """Where the weights of an epoch are kept."""
        return self.folder(variant, seed) / "weights" / f"epoch-{epoch:03d}.pt"

    def save(self, network: nn.Module, variant: str, seed: int, epoch: int) -> None:
        """Keep the weights of an epoch, whole or not at all."""
        path = self.weights(variant, seed, epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        torch.save(network.state_dict(), part)
        part.replace(path)


def run_study(study: str, purpose: str, run: Callable[[Bench], None]) -> None:
    """The command line of one study.

    Args:
        study: Name of its module.
        purpose: One line for `--help`.
        run: The study.
    """
    settings = parse_settings(study, purpose)
    start, processor = time.perf_counter(), time.process_time()
    try:
        run(Bench(settings))
    except (OSError, ValueError, StudyError) as error:
        raise SystemExit(f"{study}: {error}") from None
    seconds, busy = time.perf_counter() - start, time.process_time() - processor
    print(f"Done in {seconds:.0f} s ({busy:.0f} s of processor time).")
    print(f"To see the runs: tensorboard --logdir {settings.logdir}")
    print(f"To see the claims: python -m demo.case_studies.report --logdir {settings.logdir}")
