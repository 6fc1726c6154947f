"""Stimuli: the images that excite each neuron most, and where in them (ConceptEvo, Step 1.1).

Batches stream by. What is kept of them is k images for each neuron, so that memory does not grow with the
number of images. An image that excites a neuron no more than any other does (a ReLU that stays at zero) is
no stimulus: a neuron that answers to three images has three stimuli, whatever k is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from conceptmon_tb.activations import Activations, Precision, collect_activations
from conceptmon_tb.functional.health import check_matrix, health_of_range
from conceptmon_tb.functional.ranking import top_activations
from conceptmon_tb.patches import Peaks, View, draw_boxes
from conceptmon_tb.pooling import Tokens
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_forward import Forward
from conceptmon_tb.snapshot import BoolArray, FloatArray, IntArray

NUM_STIMULI = 10
"""k of the paper."""

_BYTES_AT_ONCE = 1 << 27  # of the activations of a stretch of images


@dataclass(frozen=True, eq=False)
class Stimuli:
    """The stimuli of the neurons of one layer.

    Attributes:
        images: `(neurons, k)` int32 image ids, most exciting first, -1 for none.
        activation: `(neurons, k)` float32, the largest activation in each of them; 0 for none.
        valid: `(neurons,)` bool; False for a neuron that is dead, constant or not finite, which has none.
        mean: `(neurons,)` float64 over all images; 0 where not `valid`.
        spread: `(neurons,)` float64, standard deviation over all images; 0 where not `valid`.
        cells: `(neurons, k)` int32, the cell of the activation map that is excited most, as in
            `patches.Peaks`; 0 where unknown.
        grid: Height and width of the maps in cells; None for a layer without maps over the image.
    """

    images: IntArray
    activation: FloatArray
    valid: BoolArray
    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    cells: IntArray
    grid: tuple[int, int] | None

    def patches(self, view: View) -> npt.NDArray[np.uint8]:
        """The part of each stimulus that excites the neuron.

        Args:
            view: The part of the thumbnails that the model sees: `ProbeSet.view`.

        Returns:
            `(neurons, k, 4)` uint8: left, top, right, bottom in 1/255 of the thumbnail's sides, all zero
            where unknown.
        """
        return draw_boxes(self.cells, self.grid or (1, 1), view)


class StimuliTally:
    """Gathers stimuli while images stream by.

    Args:
        k: How many for each neuron.

    Raises:
        ValueError: `k` is not positive.

    Example:
        >>> tally = StimuliTally(2)
        >>> tally.update(torch.tensor([[0.0], [2.0]]))
        >>> tally.update(torch.tensor([[5.0], [0.0]]))
        >>> tally.stimuli().images.tolist()
        [[2, 1]]
    """

    def __init__(self, k: int = NUM_STIMULI) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k = k
        self._seen = 0
        self._values, self._images, self._cells = torch.empty(0, 0), _no_ids(0), _no_ids(0)
        self._low, self._high, self._origin = torch.empty(0), torch.empty(0), torch.empty(0)
        self._sum, self._squares = np.zeros(0), np.zeros(0)
        self._grid: tuple[int, int] | None = None

    def update(self, activations: Tensor, peaks: Peaks | None = None) -> None:
        """Take in the images that follow.

        Args:
            activations: `(images, neurons)` any real dtype: the largest activation of each map.
            peaks: Where in each map it is; None where that is not known.

        Raises:
            ValueError: The number of neurons is another one than before.
        """
        matrix = check_matrix("activations", activations, keep_dtype=True).detach()
        if not self._seen:
            self._begin(matrix.shape[1], peaks)
        if matrix.shape[1] != len(self._images):
            raise ValueError(
                f"activations has {matrix.shape[1]} neurons and had {len(self._images)} before; "
                f"use one tally for each layer"
            )
        values, places = top_activations(matrix, self.k, dtype=torch.int32)
        cells = torch.zeros_like(places)
        if peaks is not None and peaks.grid == self._grid:
            cells = peaks.cell[places.long(), torch.arange(len(places))[:, None]].int()
        elif self._grid is not None:
            self._grid = None  # maps of several sizes: their cells cannot be compared
        self._merge(values.cpu(), places.cpu() + self._seen, cells.cpu())
        wide = matrix.float()
        self._low = torch.minimum(self._low, wide.amin(dim=0).cpu())  # both hand NaN on
        self._high = torch.maximum(self._high, wide.amax(dim=0).cpu())
        if not self._seen:
            self._origin = wide[0].clone()
        # Sums in float32 within a stretch, in float64 over stretches, and from where the first image is: a
        # spread that is small beside the mean would be lost in their difference.
        away = wide - self._origin
        self._sum += away.sum(dim=0).double().cpu().numpy()
        self._squares += away.square_().sum(dim=0).double().cpu().numpy()
        self._seen += len(matrix)

    def stimuli(self) -> Stimuli:
        """What was gathered so far.

        Raises:
            ValueError: No image was seen.
        """
        if not self._seen:
            raise ValueError("no image was seen yet; call update with activations first")
        valid = health_of_range(self._low, self._high).valid
        excited = valid[:, None] & (self._values > self._low[:, None])
        known = valid.numpy()
        with np.errstate(invalid="ignore", over="ignore"):
            away = self._sum / self._seen
            mean = np.where(known, self._origin.double().cpu().numpy() + away, 0.0)
            variance = np.where(known, self._squares / self._seen - away**2, 0.0)
        return Stimuli(
            images=self._images.masked_fill(~excited, -1).numpy(),
            activation=self._values.masked_fill(~excited, 0.0).numpy(),
            valid=known,
            mean=mean,
            spread=np.sqrt(variance.clip(min=0.0)),
            cells=(self._cells if self._grid else torch.zeros_like(self._cells))
            .masked_fill(~excited, 0)
            .numpy(),
            grid=self._grid,
        )

    def _begin(self, neurons: int, peaks: Peaks | None) -> None:
        self._values = torch.empty(neurons, 0)
        self._images, self._cells = _no_ids(neurons), _no_ids(neurons)
        self._low, self._high = torch.full((neurons,), torch.inf), torch.full((neurons,), -torch.inf)
        self._sum, self._squares = np.zeros(neurons), np.zeros(neurons)
        self._grid = None if peaks is None else peaks.grid

    def _merge(self, values: Tensor, images: Tensor, cells: Tensor) -> None:
        values = torch.cat([self._values, values], dim=1)
        images, cells = torch.cat([self._images, images], dim=1), torch.cat([self._cells, cells], dim=1)
        if self._seen:
            # Those seen before come first, and a stable sort leaves equal ones in the order of the images.
            order = values.nan_to_num(-torch.inf, torch.inf, -torch.inf)
            order = order.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
            values, images, cells = (part.gather(1, order) for part in (values, images, cells))
        self._values, self._images, self._cells = values, images, cells


def find_stimuli(activations: Tensor, peaks: Peaks | None = None, k: int = NUM_STIMULI) -> Stimuli:
    """The stimuli of a layer whose answers to all images are at hand.

    Args:
        activations: `(images, neurons)` any real dtype, pooled by "max" over maps.
        peaks: Where in each map the largest activation is; None where that is not known.
        k: How many for each neuron.

    Returns:
        The stimuli; equal activations are ordered by image id.

    Raises:
        ValueError: `k` is not positive, or `activations` is not a matrix.

    Source: ConceptEvo, dissertation section 7.2.2, Step 1.1, and Algorithm 2.
    """
    tally = StimuliTally(k)
    tally.update(activations, peaks)
    return tally.stimuli()


def collect_stimuli(
    model: nn.Module,
    layers: Sequence[str],
    probe: ProbeSet,
    k: int = NUM_STIMULI,
    *,
    tokens: Tokens = "auto",
    precision: Precision = "fp32",
    forward: Forward | None = None,
    images_at_once: int | None = None,
    progress: bool = False,
) -> dict[str, Stimuli]:
    """Run the probe through a model once and keep the stimuli of all layers.

    The model is left exactly as it was. Activations are held for a stretch of images at a time (some 128 MiB
    of them), never for all.

    Args:
        model: Any model, on any device.
        layers: Names from `model.named_modules()`.
        probe: The pictures.
        k: Stimuli for each neuron.
        tokens: Of transformers; see `activations.collect_activations`.
        precision: Of the model's forward; see there.
        forward: How to call the model; see there.
        images_at_once: Images of a stretch; None: as many as fit.
        progress: Show a progress bar while pictures are decoded.

    Returns:
        Stimuli by layer, in the order of `layers`.

    Raises:
        TypeError: The model takes something else than one batch of images.
        ValueError: As for `collect_activations`.
    """
    tallies = {layer: StimuliTally(k) for layer in layers}
    for seen in stretches(
        model,
        layers,
        probe,
        tokens=tokens,
        precision=precision,
        forward=forward,
        images_at_once=images_at_once,
        progress=progress,
    ):
        for layer, (values, peaks) in seen.items():
            tallies[layer].update(values, peaks)
    return {layer: tally.stimuli() for layer, tally in tallies.items()}


def stretches(
    model: nn.Module,
    layers: Sequence[str],
    probe: ProbeSet,
    *,
    tokens: Tokens = "auto",
    precision: Precision = "fp32",
    forward: Forward | None = None,
    images_at_once: int | None = None,
    progress: bool = False,
) -> Iterator[dict[str, Activations]]:
    """Run the probe through a model once, a stretch of images at a time.

    Args:
        model: As for `collect_stimuli`, and so are the others.
        layers: See there.
        probe: See there.
        tokens: See there.
        precision: See there.
        forward: See there.
        images_at_once: See there.
        progress: See there.

    Yields:
        For every layer what it answers to the images that follow, pooled by "max", on the CPU.
    """
    batches, left, at_once = probe.batches(progress=progress), len(probe), images_at_once or probe.batch_size
    with tqdm(total=left, desc="Looking for stimuli", unit="image", disable=not progress) as bar:
        while left:
            count = -(-at_once // probe.batch_size)
            images = min(left, count * probe.batch_size)
            seen = collect_activations(
                model,
                layers,
                itertools.islice(batches, count),
                images,
                pooling="max",
                tokens=tokens,
                precision=precision,
                forward=forward,
            )
            yield seen
            bar.update(images)
            left -= images
            if images_at_once is None:  # the first batch has told how wide the layers are
                width = sum(values.shape[1] for values, _ in seen.values())
                at_once = max(probe.batch_size, _BYTES_AT_ONCE // (4 * width))


def find_top_neurons(activations: Tensor, stimuli: Stimuli, placed: BoolArray, k: int) -> IntArray:
    """The neurons that each image excites most, for images outside the stimuli (dissertation, Step 2.1).

    The paper compares activations as they are, across layers too. Their scales differ by orders of magnitude,
    so here each neuron's are measured in its own standard deviations from its own mean.

    Args:
        activations: `(images, neurons)` any real dtype, of all layers side by side.
        stimuli: Of the same neurons: their means and spreads are used.
        placed: `(neurons,)` bool, neurons to choose from.
        k: How many for each image; clamped to the number of placed neurons.

    Returns:
        `(images, min(k, placed))` int32 neurons, most excited first.
    """
    chosen = torch.from_numpy(np.flatnonzero(placed & (stimuli.spread > 0)))
    mean, spread = (torch.from_numpy(part)[chosen].float() for part in (stimuli.mean, stimuli.spread))
    excitement = (activations.detach()[:, chosen].float() - mean) / spread
    top = excitement.nan_to_num(-torch.inf).topk(min(k, len(chosen)), dim=1).indices
    return chosen[top].numpy().astype(np.int32)


def join_layers(layers: Iterable[Stimuli]) -> Stimuli:
    """The stimuli of several layers as those of one, neuron after neuron; without cells.

    Args:
        layers: At least one, all with the same k.
    """
    parts = list(layers)
    together = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("images", "activation", "valid", "mean", "spread")
    }
    return Stimuli(**together, cells=np.zeros_like(together["images"]), grid=None)


def _no_ids(neurons: int) -> Tensor:
    return torch.empty(neurons, 0, dtype=torch.int32)
