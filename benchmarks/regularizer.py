"""What the concept diversity regularizer costs per training step, relative to the plain step.

ResNet-18, whole steps (forward, cross-entropy, backward, SGD with momentum) at batch 256, the last layer
before the classifier regularised, CLIP-sized image features (512 numbers) looked up from memory. The plain
step and one for each concept set take turns in one process, each with a copy of the model of its own; what is
reported is the median of the ratios within a round. What the features mean does not change the cost, so they
are fixed vectors and nothing is downloaded. At larger pictures the plain step grows and the regularizer does
not.

A second table says what is lost where features are of the plain pictures and activations of augmented ones:
the direction of the gradient at layer4 with either, in a small network in training on the picture world.

Run: python -m benchmarks.regularizer [--size 64] [--write]
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import platform
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision import transforms
from torchvision.transforms.functional import to_tensor

import conceptmon_tb as cm
from benchmarks.overhead import FixedVectors
from conceptmon_tb.regularizer import batch_anchor_distance
from conceptmon_tb.world import WorldDataset
from demo.network import SmallResNet

TARGET = 1.25
DIM, CLASSES = 512, 365
TEMPERATURES = (0.01, 0.1)  # the thesis', and one at which a batch is less noisy
DOCUMENT = Path(__file__).parents[1] / "docs" / "regularizer.md"
BEGIN, END = "<!-- benchmarks.regularizer -->", "<!-- end -->"
Times = tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=50_000, help="of the training set, with features")
    parser.add_argument("--profile", action="store_true", help="print where the time of a step goes")
    parser.add_argument("--write", action="store_true", help="put the table into docs/regularizer.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    steps = make_steps(options)
    for step in steps.values():
        step()  # the first step allocates
    rounds: list[dict[str, Times]] = []
    for number in range(options.rounds):
        order = list(steps)[::-1] if number % 2 else list(steps)
        rounds.append({name: measure(steps[name]) for name in order})
    table = f"{as_table(rounds, options)}\n\n{augmentation_table()}"
    print(table)
    if options.profile:
        profiler = cProfile.Profile()
        profiler.runcall(list(steps.values())[-1])
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    if options.write:
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def make_steps(options: argparse.Namespace) -> dict[str, Callable[[], None]]:
    model = torchvision.models.resnet18(weights=None, num_classes=CLASSES)
    images = torch.rand(options.batch, 3, options.size, options.size)
    labels = torch.randint(CLASSES, (options.batch,))
    features = F.normalize(torch.randn(options.pictures, DIM) + 1, dim=1)
    sets = {
        "world": cm.ConceptSet.world(),
        "broden": cm.ConceptSet.broden(),
    }
    steps = {"plain": make_step(copy.deepcopy(model), images, labels)}
    for name, concepts in sets.items():
        regularised = copy.deepcopy(model)
        diversity = cm.ConceptDiversityLoss(regularised, "layer4", concepts, FixedVectors(DIM))
        title = f"{name}, {len(concepts.words):,} concepts"
        steps[title] = make_step(regularised, images, labels, diversity, features)
    return steps


def make_step(
    model: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    diversity: cm.ConceptDiversityLoss | None = None,
    features: Tensor | None = None,
) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        loss = F.cross_entropy(model(images), labels)
        if diversity is not None and features is not None:
            loss = loss + diversity(features[torch.randint(len(features), (len(images),))])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def augmentation_table(pictures: int = 256, size: int = 64) -> str:
    """How well features of plain pictures stand in for those of what the network saw."""
    encoder = cm.WorldEncoder()
    plain = [picture for picture, _ in WorldDataset(pictures, seed=5, size=size, task="objects")]
    text = encoder.encode_text(cm.ConceptSet.world().words)
    features = encoder.encode_images(plain)
    model = trained_network(size)
    views: dict[str, Callable[[Image.Image], Image.Image]] = {
        "mirrored": transforms.RandomHorizontalFlip(1.0),
        "padded by an eighth and cropped": transforms.RandomCrop(size, size // 8, padding_mode="reflect"),
        "random crop, half of the area or more": transforms.RandomResizedCrop(size, (0.5, 1.0)),
        "random crop, 8% of the area or more": transforms.RandomResizedCrop(size, (0.08, 1.0)),
        "other pictures (for comparison)": lambda picture: plain[(plain.index(picture) + 1) % pictures],
    }
    lines = [
        f"Measured on {pictures} pictures of the world, {size} px, with its encoder and words: how alike",
        "features of the plain and the augmented picture are (correlation of a concept over pictures), and",
        "gradients at layer4 with either, for the activations of the augmented ones.",
        "",
        "| augmentation | correlation of concepts, median | d_anchor with either | "
        + " | ".join(f"cosine of gradients, T = {temperature}" for temperature in TEMPERATURES)
        + " |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, augment in views.items():
        torch.manual_seed(0)
        seen = [augment(picture) for picture in plain]
        of_seen = encoder.encode_images(seen)
        activations = pooled(model, seen)
        if name.startswith("other"):
            activations = pooled(model, plain)
        cosines = []
        for temperature in TEMPERATURES:
            (value, gradient), (truth, other) = (
                gradient_at(activations, part @ text.T, text, temperature) for part in (features, of_seen)
            )
            cosine = F.cosine_similarity(gradient.flatten(), other.flatten(), dim=0).item()
            cosines.append(f"{cosine:.2f}")
            if temperature == TEMPERATURES[0]:
                values = f"{value:.3f}, {truth:.3f}"
        concepts, of_view = (standardise(part @ text.T) for part in (features, of_seen))
        alike = (concepts * of_view).mean(dim=0).median().item()
        lines.append(f"| {name} | {alike:.2f} | {values} | {' | '.join(cosines)} |")
    return "\n".join(lines)


def trained_network(size: int, steps: int = 60) -> SmallResNet:
    """A network some way into a training, whose neurons mean something."""
    torch.manual_seed(0)
    images, labels = zip(*WorldDataset(1024, seed=6, size=size, task="objects"), strict=True)
    batch, model = torch.stack([to_tensor(image) for image in images]), SmallResNet(10, 16, size)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        chosen = torch.randint(len(batch), (64,))
        loss = F.cross_entropy(model(batch[chosen]), torch.tensor(labels)[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.train()


@torch.no_grad()
def pooled(model: SmallResNet, pictures: Sequence[Image.Image]) -> Tensor:
    images = model.stem(torch.stack([to_tensor(picture) for picture in pictures]))
    return model.layer4(model.layer3(model.layer2(model.layer1(images)))).mean((2, 3))


def gradient_at(
    activations: Tensor, concept_activations: Tensor, text: Tensor, temperature: float
) -> tuple[float, Tensor]:
    activations = activations.clone().requires_grad_()
    value = batch_anchor_distance(activations, concept_activations, text, temperature=temperature)
    return value.item(), torch.autograd.grad(value, activations)[0]


def standardise(matrix: Tensor) -> Tensor:
    return (matrix - matrix.mean(dim=0)) / matrix.std(dim=0, correction=0)


def measure(act: Callable[[], None]) -> Times:
    """Seconds by the wall's clock, and of processor time: the latter holds on a busy machine too."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def as_table(rounds: Sequence[dict[str, Times]], options: argparse.Namespace) -> str:
    lines = [
        f"Written by `python -m benchmarks.regularizer --write`: batch {options.batch}, {options.size} px, "
        f"{options.rounds} rounds,",
        f"{options.threads} thread(s), {platform.machine()}, torch {torch.__version__}; "
        f"the target is at most {TARGET}.",
        "",
        "| step | seconds | ratio, wall | ratio, CPU | range of ratios, CPU | met |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in rounds[0]:
        seconds = statistics.median(times[name][0] for times in rounds)
        wall, cpu = ([times[name][clock] / times["plain"][clock] for times in rounds] for clock in (0, 1))
        ratio = statistics.median(cpu)
        lines.append(
            f"| {name} | {seconds:.2f} | {statistics.median(wall):.3f} | {ratio:.3f} "
            f"| {min(cpu):.3f} to {max(cpu):.3f} | {'yes' if ratio <= TARGET else 'NO'} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
