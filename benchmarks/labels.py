"""Labels of a trained network: is a neuron's label among the five concepts that truly describe it?

    python -m benchmarks.labels                         # trains the demo's network first, some minutes
    python -m benchmarks.labels --weights healthy.pt    # a state dict of SmallResNet(10, 24, 64)

The picture world knows which concepts each picture shows, so that the true concepts of a neuron can be told
without any encoder, in two independent ways:

- correlation: the point-biserial correlation of the neuron's activation with the presence of a concept, over
  all pictures;
- lift: the presence of a concept among the neuron's 100 top images over its presence in all pictures, for
  concepts that at least 5 of those 100 show (a concept seen twice by chance has a large lift).

Each truth ranks the concepts of every neuron; a label hits when it is among the five first. The pictures are
held out: neither encoder, network nor the default probe set were made with their seed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import conceptmon_tb as cm
from conceptmon_tb.activations import collect_activations
from conceptmon_tb.encoders import embed_probe
from conceptmon_tb.functional import valid_neurons
from conceptmon_tb.world import CLASSES, WORDS, WorldDataset
from demo.network import SmallResNet
from demo.pictures import Pictures, world_pictures
from demo.training import HEALTHY, train

HELD_OUT_SEED = 30_000
LAYERS = ("layer2", "layer3", "layer4")
NUM_TRAIN, EPOCHS, WIDTH = 4000, 10, 24  # what `make demo` does
TOP_TRUE, TOP_IMAGES, MIN_SHOWN = 5, 100, 5

Truth = Callable[[Tensor, Tensor], Tensor]


def correlation(activations: Tensor, presence: Tensor) -> Tensor:
    """Point-biserial correlation of every neuron and concept, `(neurons, concepts)`."""
    left, right = (F.normalize(m.double() - m.double().mean(0), dim=0) for m in (activations, presence))
    return left.T @ right


def lift(activations: Tensor, presence: Tensor) -> Tensor:
    """Presence among each neuron's top images over presence everywhere, `(neurons, concepts)`."""
    top = activations.topk(min(TOP_IMAGES, len(activations)), dim=0).indices
    shown = presence.double()[top].sum(0)
    return (shown / len(top) / presence.double().mean(0)).where(shown >= MIN_SHOWN, 0.0)


TRUTHS: dict[str, Truth] = {"correlation": correlation, "lift": lift}


def detectors() -> dict[str, cm.ClipDissect]:
    """What is compared."""
    return {
        "default": cm.ClipDissect(),
        "cos-cubed": cm.ClipDissect("cos_similarity_cubed"),
        "soft-WPMI as published": cm.ClipDissect("soft_wpmi"),
    }


def hit_rate(labels: Tensor, truth: Tensor, chosen: Tensor) -> float:
    """Share of the chosen neurons whose label is among the five concepts of largest truth; NaN of none."""
    hit = (truth.topk(TOP_TRUE, dim=1).indices == labels[:, None]).any(dim=1)
    return float(hit[chosen].double().mean())


def trained_network(weights: Path | None, pictures: Pictures, seed: int) -> nn.Module:
    """The demo's healthy network, trained here or loaded."""
    if weights is None:
        return train_network(pictures, seed)
    model = SmallResNet(len(CLASSES), WIDTH, pictures.size)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()


def train_network(pictures: Pictures, seed: int) -> nn.Module:
    """Train as the demo does; a monitor that sees nothing gets hold of the network."""
    kept: list[nn.Module] = []

    class Keeper(cm.ConceptMonitor):
        """Looks at nothing and keeps the model."""

        def observe(self, model: nn.Module) -> dict[str, cm.ConceptSnapshot]:
            kept[:] = [model]
            return {}

    keeper = Keeper(LAYERS, cm.ProbeSet.world(1), progress=False)
    with tempfile.TemporaryDirectory() as folder:
        train(HEALTHY, pictures, keeper, Path(folder), epochs=EPOCHS, width=WIDTH, seed=seed)
    return kept[0].eval()


def report(model: nn.Module, pictures: Pictures, num_images: int, seed: int) -> None:
    """Print the table of one network and one probe."""
    source = WorldDataset(num_images, seed)
    probe = cm.ProbeSet(source, transform=pictures.normalizer())
    presence = torch.from_numpy(source.presence)
    known = presence.any(dim=0)
    encoder = cm.WorldEncoder()
    cosines = embed_probe(encoder, probe) @ encoder.encode_text(WORDS).T
    seen = collect_activations(model, LAYERS, probe.batches(), len(probe))
    layers = {layer: answers.values for layer, answers in seen.items()}
    print(
        f"\nseed {seed}, {num_images} pictures: share of neurons whose label is among their true top "
        f"{TOP_TRUE} of {int(known.sum())} concepts"
    )
    print(f"{'':24}{'':10}{'all neurons':>26}{'interpretable ones':>26}")
    print(
        f"{'detector':24}{'layer':10}" + "".join(f"{truth:>13}" for truth in TRUTHS) * 2 + f"{'neurons':>16}"
    )
    for name, detector in detectors().items():
        for layer, activations in layers.items():
            valid = valid_neurons(activations).valid
            best, labels = detector.similarity(activations, cosines).max(dim=1)
            threshold = detector.null_threshold(activations, cosines, 0.01, seed)
            passing = valid & (best > threshold)
            truths = [truth(activations, presence) for truth in TRUTHS.values()]
            rates = [hit_rate(labels, truth, chosen) for chosen in (valid, passing) for truth in truths]
            counts = f"{int(passing.sum())} of {int(valid.sum())}"
            print(f"{name:24}{layer:10}" + "".join(f"{rate:13.2f}" for rate in rates) + f"{counts:>16}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Labels of a trained network against the truth.")
    parser.add_argument("--weights", type=Path, help="state dict of SmallResNet(10, 24, 64); else train")
    parser.add_argument("--images", type=int, default=2000, help="pictures of each probe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[HELD_OUT_SEED], help="held-out probe seeds")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pictures = world_pictures(1000 if options.weights else NUM_TRAIN)
    model = trained_network(options.weights, pictures, seed=0)
    for seed in options.seeds:
        report(model, pictures, options.images, seed)


if __name__ == "__main__":
    main()
