"""What a call of `add_concepts` costs, relative to the bare forward passes over the same images.

ResNet-18 with random weights, three layers, 2,000 probe images at 64 px, writing included. Both arms run
in one process, in turn, on the same input tensors, in evaluation mode without gradients and with the same
number of threads. Two cases, end to end: the bundled encoder with the picture world's words, and Broden's
labels in an embedding of a real CLIP's size. What the encoder's vectors mean does not change the cost, so
that case uses fixed vectors and downloads nothing.

Run: python -m benchmarks.overhead [--concepts world|broden] [--dim 512]
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import logging
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

import conceptmon_tb as cm


class FixedVectors:
    """Stands in for a CLIP: unit vectors that depend on the word or picture and share a common part."""

    def __init__(self, dim: int) -> None:
        self.name, self.fingerprint, self.dim, self.note = f"fixed vectors {dim}", f"fixed{dim}", dim, ""
        generator = torch.Generator().manual_seed(0)
        self.common = torch.randn(dim, generator=generator)
        self.pixels = torch.randn(192, dim, generator=generator) / 8

    def image_transform(self, image: Image.Image) -> Tensor:
        """Shrink to 8 x 8 pixels, `(3, 8, 8)` in [-1, 1]."""
        small = np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.float32)
        return torch.from_numpy(small.transpose(2, 0, 1) / 128 - 1)

    def encode_images(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """Project the pixels, `(images, dim)` unit rows."""
        batch = images if isinstance(images, Tensor) else torch.stack([*map(self.image_transform, images)])
        return F.normalize(batch.flatten(1) @ self.pixels + self.common, dim=1)

    def encode_text(self, words: Sequence[str]) -> Tensor:
        """Draw a vector for each word, `(words, dim)` unit rows."""
        return F.normalize(torch.stack([self._own(word) for word in words]) + self.common, dim=1)

    def check_words(self, words: Sequence[str]) -> None:
        """Every word has a vector."""

    def _own(self, word: str) -> Tensor:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:6], "big")
        return torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", nargs="+", default=["layer2", "layer3", "layer4"])
    parser.add_argument("--concepts", choices=["world", "broden", "both"], default="both")
    parser.add_argument("--dim", type=int, default=512, help="of the embedding, with Broden's labels")
    parser.add_argument("--similarity", default=None, help="with its paper's settings; the default detector")
    parser.add_argument("--profile", action="store_true", help="print where the time of add_concepts goes")
    options = parser.parse_args()
    logging.getLogger("conceptmon_tb").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    probe = cm.ProbeSet.world(options.images)
    print(f"ResNet-18, {options.layers}, {options.images} images at 64 px, {options.threads} thread(s)")
    for case in ["world", "broden"] if options.concepts == "both" else [options.concepts]:
        compare(case, model, probe, options)


def compare(case: str, model: nn.Module, probe: cm.ProbeSet, options: argparse.Namespace) -> None:
    monitor = cm.ConceptMonitor(
        options.layers,
        probe,
        concepts=cm.ConceptSet.world() if case == "world" else cm.ConceptSet.broden(),
        encoder=None if case == "world" else FixedVectors(options.dim),
        detector=cm.ClipDissect(options.similarity),
        anchors=["dog", "sky"],
        strict=True,
        progress=False,
    )
    with tempfile.TemporaryDirectory() as folder, cm.ConceptWriter(folder, monitor=monitor) as writer:
        first = measure(lambda: writer.add_concepts(model, 0))
        torch.set_num_threads(options.threads)  # fitting a map with UMAP may have changed OpenMP's number
        bare, monitored = [], []
        for repeat in range(1, options.repeats + 1):
            arms = [lambda: bare.append(measure(lambda: forward(model, probe)))]
            arms.append(lambda repeat=repeat: monitored.append(measure(lambda: log(writer, model, repeat))))
            for arm in arms if repeat % 2 else arms[::-1]:
                arm()
        if options.profile:
            profiler = cProfile.Profile()
            profiler.runcall(writer.add_concepts, model, 10_000)
            pstats.Stats(profiler).sort_stats("tottime").print_stats(18)
    concepts, dim = monitor.space.text_embedding.shape
    title = f"{case}: {concepts} concepts, {dim} dimensions"
    print(f"{title:<42}    wall       CPU, of all threads")
    report("first call (encodes the probe, fits a map)", [first])
    report("bare forward passes, median", bare)
    report("add_concepts and flush, median", monitored)
    ratios = [
        (ours[0] / theirs[0], ours[1] / theirs[1]) for ours, theirs in zip(monitored, bare, strict=True)
    ]
    wall, cpu = (statistics.median(times) for times in zip(*ratios, strict=True))
    print(f"{'median of ratios (target at most 1.05)':<42}{wall:8.3f}  {cpu:8.3f}")


def log(writer: cm.ConceptWriter, model: nn.Module, step: int) -> None:
    writer.add_concepts(model, step)
    writer.flush()  # the event file is written by a thread; its work counts too


def report(what: str, times: list[tuple[float, float]]) -> None:
    wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{what:<42}{wall:8.3f} s{cpu:8.3f} s")


@torch.no_grad()
def forward(model: nn.Module, probe: cm.ProbeSet) -> None:
    model.eval()
    for batch in probe.batches():
        model(batch)


def measure(act: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the wall's clock, and of processor time: the latter holds on a busy machine too."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
