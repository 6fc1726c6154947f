"""Important evolutions of ConceptEvo, restated from its dissertation (Eq. 7.7 to 7.9) in plain Python.

Loops as in the published code, github.com/poloclub/ConceptEvo, written anew: a backward pass for each image
and layer, of the whole batch, and for each neuron the sum of gradient times change. It takes all layers of
the network one after the other. Files, progress bars and the loader are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def measure_sensitivity(
    before: nn.Module, after: nn.Module, images: Tensor, label: int, layers: Sequence[str]
) -> dict[str, list[list[float]]]:
    """Eq. 7.8: for each layer and image, one number per neuron; all images are of one class."""
    earlier, logits = take_maps(before, images, layers)
    later, _ = take_maps(after, images, layers)
    found: dict[str, list[list[float]]] = {layer: [] for layer in layers}
    for image in range(len(images)):
        for layer in layers:
            (of_batch,) = torch.autograd.grad(logits[image, label], earlier[layer], retain_graph=True)
            gradient = of_batch[image]
            row = []
            for neuron in range(len(gradient)):
                change = later[layer][image] - earlier[layer][image]
                row.append(torch.sum(torch.mul(gradient[neuron], change[neuron])).item())
            found[layer].append(row)
    return found


def count_positive(sensitivity: list[list[float]]) -> list[int]:
    """Eq. 7.9 times the number of images: for how many of them each neuron's evolution helps."""
    return [sum(value > 0 for value in of_neuron) for of_neuron in zip(*sensitivity, strict=True)]


def take_maps(model: nn.Module, images: Tensor, layers: Sequence[str]) -> tuple[dict[str, Tensor], Tensor]:
    """One forward pass: the maps of some layers, with their way to the logits."""
    maps: dict[str, Tensor] = {}
    handles = []
    for layer in layers:

        def keep(_module: nn.Module, _given: object, output: Tensor, layer: str = layer) -> None:
            maps[layer] = output

        handles.append(model.get_submodule(layer).register_forward_hook(keep))
    logits = model(images)
    for handle in handles:
        handle.remove()
    return maps, logits
