"""How many bytes the event file takes per neuron and epoch, the image atlas apart.

Logs a ResNet-18 with weights that change every epoch, then adds up what the event file holds. Targets
(DESIGN.md): neurons, metrics and scalars at most 128 bytes per neuron and epoch, the embedding at most
1.1 bytes per dimension. Run: python -m benchmarks.size
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import Counter
from pathlib import Path

import torch
import torchvision
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import conceptmon_tb as cm


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--layers", nargs="+", default=["layer2", "layer3", "layer4"])
    options = parser.parse_args()
    logging.getLogger("conceptmon_tb").setLevel(logging.ERROR)
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None)
    probe = cm.ProbeSet.world(options.images)
    monitor = cm.ConceptMonitor(options.layers, probe, anchors=["dog", "sky"], strict=True)
    with tempfile.TemporaryDirectory() as folder:
        with cm.ConceptWriter(folder, monitor=monitor) as writer:
            for epoch in range(options.epochs):
                writer.add_concepts(model, epoch)
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
        total = sum(file.stat().st_size for file in Path(folder).iterdir())
        kinds = count_bytes(Path(folder))
        snapshots = cm.read_run(folder).snapshots.values()
    neurons = sum(next(iter(by_step.values())).num_neurons for by_step in snapshots)
    cells = neurons * options.epochs
    small = kinds["neurons"] + kinds["metrics"] + kinds["scalars"]
    print(f"ResNet-18, {options.layers}: {neurons} neurons, {options.epochs} epochs, {options.images} images")
    print("bytes per neuron and epoch")
    for kind in ("neurons", "metrics", "scalars"):
        print(f"  {kind:<34}{kinds[kind] / cells:8.1f}")
    print(f"  {'together (target at most 128)':<34}{small / cells:8.1f}")
    per_dimension = kinds["embedding"] / cells / monitor.encoder.dim
    print(f"embedding, bytes per dimension (target at most 1.1) {per_dimension:.3f}")
    print(f"space, once                {kinds['space'] / 1024:8.1f} KiB")
    print(f"image atlas, all pages     {kinds['images'] / 1024:8.1f} KiB")
    print(f"the whole event file       {total / 1024:8.1f} KiB")


def count_bytes(folder: Path) -> Counter[str]:
    """Bytes of all values by kind; what frames them counts as the value's."""
    kinds: Counter[str] = Counter()
    for file in folder.iterdir():
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                kinds[kind_of(value.tag)] += value.ByteSize()
    return kinds


def kind_of(tag: str) -> str:
    if tag.startswith("concepts/space/"):
        return "images" if tag.endswith("images") else "space"
    last = tag.rsplit("/", 1)[-1]
    return last if last in ("neurons", "metrics", "embedding") else "scalars"


if __name__ == "__main__":
    main()
