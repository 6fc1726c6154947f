"""The loss that a training loop adds to its own for diverse concepts: L = L_std + beta d_anchor (Eq. 3.2)."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import weakref
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.activations import check_choice
from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.encoders import ConceptEncoder, WorldEncoder
from conceptmon_tb.metadata import layer_tag
from conceptmon_tb.named_layers import check_ready, find_layers
from conceptmon_tb.pooling import Pooling, Tokens, token_rule
from conceptmon_tb.regularizer.batch_distance import TEMPERATURE, batch_anchor_distance
from conceptmon_tb.regularizer.tap import Tap
from conceptmon_tb.training_state import preserve_rng_streams, unwrap_model

logger = logging.getLogger(__name__)

BATCH_KIND = "d_anchor_batch"
"""Last part of the tag of the logged values; it sorts next to the monitor's `d_anchor`."""


class ConceptDiversityLoss(nn.Module):
    """The concept diversity regularizer: beta times d_anchor of a layer over the batch at hand.

    It hooks into the layers of a model in training and keeps what they gave in the last forward. Called with
    the encoder's features of the same images, it gives a loss to be added to the training's own::

        diversity = cm.ConceptDiversityLoss(model, "layer4", concepts, encoder, beta=1.0)
        loss = cross_entropy(model(images), labels) + diversity(features[index])

    Labels are never assigned: every neuron's place is the softmax-weighted mean of all concepts (Eq. 2.1), so
    the loss is differentiable but for the choice of each anchor's nearest neuron, to which the gradient goes.

    Make it before the first step of a compiled model. Forwards in evaluation mode or without gradients are
    not seen, so validation and a `ConceptMonitor` on the same layers may come at any time. Under
    DistributedDataParallel each rank takes its own batch. It draws no random numbers, and has no weights.

    Args:
        model: The model in training, wrapped or not; not a `DataParallel`.
        layers: One or several names from `model.named_modules()`. The thesis takes the last layer before the
            classifier (layer4 of a ResNet). Of several the mean is taken, so that `beta` keeps its meaning.
        concepts: The concept set S. None: Broden's labels, or with the bundled encoder the world's words.
        encoder: The encoder of the image features, for the concepts' texts. None: the bundled one.
        beta: Weight of d_anchor, 0 or more; may be set anew at any time. The thesis takes 1. With 0 the
            training is as without, and d_anchor is still computed and logged.
        temperature: T of Eq. 2.1. The thesis takes 0.01, at which the gradient of one batch is mostly noise.
        anchors: Words of the anchor set A. None: A = S, as in the thesis.
        pooling: Over the space of conv maps: "mean" or "max", as for the monitor.
        tokens: Of transformers: "auto", "cls" or "mean", as for the monitor.
        check_finite: Refuse NaN and infinity in activations and features. On a GPU that waits for the device
            at every step. False, and in compiled steps: neurons that give them count as nothing.

    Attributes:
        layers: Names of the layers.
        beta: Weight of d_anchor.
        d_anchor: Of the last batch, by layer; scalars on the model's device, without gradient.
        closed: Whether the hooks are gone.

    Raises:
        TypeError: An argument of the wrong type.
        ValueError: A layer does not exist, an argument out of range, words that the encoder cannot know, or
            a model that the hooks do not see.

    Source: Concept-Monitor, thesis chapter 3, Eq. 3.1 and 3.2.
    """

    text_embedding: Tensor
    anchor_embedding: Tensor
    _totals: Tensor

    def __init__(
        self,
        model: nn.Module,
        layers: str | Sequence[str],
        concepts: ConceptSet | None = None,
        encoder: ConceptEncoder | None = None,
        *,
        beta: float = 1.0,
        temperature: float = TEMPERATURE,
        anchors: Sequence[str] | None = None,
        pooling: Pooling = "mean",
        tokens: Tokens = "auto",
        check_finite: bool = True,
    ) -> None:
        super().__init__()
        _check_model(model)
        names = (layers,) if isinstance(layers, str) else tuple(layers)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"layers must name at least one layer, and each once, got {list(names)}")
        for argument, part, kind in (
            ("concepts", concepts, ConceptSet),
            ("encoder", encoder, ConceptEncoder),
        ):
            if part is not None and not isinstance(part, kind):
                raise TypeError(f"{argument} must be a {kind.__name__} or None, got {type(part).__name__}")
        check_choice("pooling", pooling, Pooling)
        check_choice("tokens", tokens, Tokens)
        self.beta = beta
        self.temperature = _check_positive("temperature", temperature)
        self.check_finite = check_finite
        root = unwrap_model(model)
        found = find_layers(model, names)
        self.layers = names
        self._embed_words(concepts, encoder, anchors, _device_of(root))
        over_tokens = token_rule(root, tokens)
        self._taps = [Tap(name, module, root, pooling, over_tokens) for name, module in found.items()]
        self.d_anchor: dict[str, Tensor] = {}
        handles = [tap.module.register_forward_hook(tap) for tap in self._taps]
        self.closed = False
        self._remove = weakref.finalize(self, _remove_hooks, handles)

    def forward(self, image_features: Tensor) -> Tensor:
        """The loss of the batch that the model has just seen.

        Args:
            image_features: `(images, dim)` the encoder's features of the same images in the same order, from
                `ImageFeatures` or elsewhere; any device and length, taken as constant.

        Returns:
            Scalar, beta times d_anchor (the mean over layers); in float32 also under autocast.

        Raises:
            RuntimeError: The model has not run in training mode since the last call, or it is closed.
            TypeError: `image_features` is no floating-point tensor.
            ValueError: Features and activations differ in number, there are fewer than two images, or there
                are NaN or infinite values.
        """
        taken = [
            tap.take() for tap in self._taps
        ]  # first of all: what fails leaves nothing for the next step
        self._check_features(image_features)
        answers = [
            self._check_taken(layer, pooled, len(image_features))
            for layer, pooled in zip(self.layers, taken, strict=True)
        ]
        if self.check_finite and not torch.compiler.is_compiling():
            _check_values(self.layers, answers, image_features)
        concepts = self._concept_activations(image_features, answers[0].device)
        distances = [self._distance(pooled, concepts) for pooled in answers]
        together = torch.stack(distances)
        with torch.no_grad():
            fixed = together.detach()
            self.d_anchor = dict(zip(self.layers, fixed.unbind(), strict=True))
            self._totals.add_(torch.cat([fixed.float(), torch.ones_like(self._totals[:1])]))
        return self.beta * together.mean()

    @property
    def beta(self) -> float:
        """Weight of d_anchor."""
        return self._beta

    @beta.setter
    def beta(self, beta: float) -> None:
        if isinstance(beta, bool) or not isinstance(beta, (int, float)):
            raise TypeError(f"beta must be a number, got {type(beta).__name__}: {beta!r}")
        if not 0 <= beta < math.inf:
            raise ValueError(f"beta must be 0 or more, got {beta}")
        self._beta = float(beta)

    def log(self, writer: SummaryWriter, global_step: int) -> dict[str, float]:
        """Log d_anchor of the batches since the last call, beside what a monitor logs of the same layer.

        The tag is `concepts/<layer>/d_anchor_batch`; the monitor's is `concepts/<layer>/d_anchor`. Batches
        are small probe sets: the two are not of the same level (docs/regularizer.md).

        Args:
            writer: A `ConceptWriter`, or any SummaryWriter.
            global_step: The epoch or step; the same axis as for `add_concepts`.

        Returns:
            Mean over the batches by layer; empty where there were none, and nothing is logged.
        """
        *sums, count = self._totals.tolist()
        self._totals.zero_()
        if not count:
            return {}
        means = {layer: value / count for layer, value in zip(self.layers, sums, strict=True)}
        for layer, mean in means.items():
            writer.add_scalar(layer_tag(layer, BATCH_KIND), mean, global_step)
        return means

    def layout(self) -> dict[str, dict[str, list[Any]]]:
        """One chart for each layer with both curves, for `writer.add_custom_scalars(diversity.layout())`.

        They are in TensorBoard's Custom Scalars tab then. A run has one layout: add charts of your own to
        this one rather than calling `add_custom_scalars` twice.
        """
        charts: dict[str, list[Any]] = {
            # Regular expressions, compared from the start of a tag: d_anchor alone is d_anchor_gated as well.
            layer: [
                "Multiline",
                [f"{re.escape(layer_tag(layer, kind))}$" for kind in ("d_anchor", BATCH_KIND)],
            ]
            for layer in self.layers
        }
        return {"Concept diversity: monitored, and of training batches": charts}

    def close(self) -> None:
        """Take the hooks off the model; calling it again does nothing."""
        self._remove()
        self.closed = True
        for tap in self._taps:
            tap.take()

    def __enter__(self) -> ConceptDiversityLoss:  # noqa: PYI034  # Self is not in Python 3.10
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def extra_repr(self) -> str:
        """What `print` shows."""
        concepts, anchors = len(self.text_embedding), len(self.anchor_embedding)
        return (
            f"layers={list(self.layers)}, beta={self.beta}, temperature={self.temperature}, "
            f"concepts={concepts}, anchors={anchors}"
        )

    def _embed_words(
        self,
        concepts: ConceptSet | None,
        encoder: ConceptEncoder | None,
        anchors: Sequence[str] | None,
        device: torch.device,
    ) -> None:
        if encoder is None:
            encoder = WorldEncoder()
            logger.warning("encoder=None, so ConceptDiversityLoss takes the bundled %s", encoder.note)
        if concepts is None:
            concepts = ConceptSet.world() if isinstance(encoder, WorldEncoder) else ConceptSet.broden()
        if isinstance(anchors, str) or (anchors is not None and not len(anchors)):
            raise ValueError(f"anchors must be a list of words with at least one, or None, got {anchors!r}")
        encoder.check_words(concepts.words)
        if anchors is not None:
            encoder.check_words(anchors)
        with preserve_rng_streams(), torch.no_grad(), torch.autocast("cpu", enabled=False):
            text = encoder.encode_text(concepts.words)
            of_anchors = text if anchors is None else encoder.encode_text(anchors)
        self.register_buffer("text_embedding", text.to(device), persistent=False)
        self.register_buffer("anchor_embedding", of_anchors.to(device), persistent=False)
        self.register_buffer("_totals", torch.zeros(len(self.layers) + 1, device=device), persistent=False)

    def _concept_activations(self, image_features: Tensor, device: torch.device) -> Tensor:
        """`(images, concepts)` cosines, on the device of the activations."""
        if self.text_embedding.device != device:
            self.to(device)
        with torch.no_grad(), _without_autocast(device):
            features = image_features.detach().to(device, self.text_embedding.dtype, non_blocking=True)
            return F.normalize(features, dim=1) @ self.text_embedding.T

    def _distance(self, pooled: Tensor, concepts: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.beta > 0):
            return batch_anchor_distance(
                pooled, concepts, self.text_embedding, self.anchor_embedding, temperature=self.temperature
            )

    def _check_features(self, image_features: Tensor) -> None:
        if self.closed:
            raise RuntimeError("the regularizer is closed; make a new ConceptDiversityLoss")
        if not isinstance(image_features, Tensor) or not image_features.is_floating_point():
            kind = (
                image_features.dtype if isinstance(image_features, Tensor) else type(image_features).__name__
            )
            raise TypeError(
                f"image_features must be a floating-point tensor (images, dim), got {kind}; "
                f"give diversity(features[index]), not the index itself"
            )
        dim = self.text_embedding.shape[1]
        if image_features.ndim != 2 or image_features.shape[1] != dim:
            raise ValueError(
                f"image_features must be (images, {dim}) as the encoder's text embeddings, "
                f"got {tuple(image_features.shape)}; take features and concepts from the same encoder"
            )
        if len(image_features) < 2:
            raise ValueError(
                f"image_features holds {len(image_features)} image(s), and neurons are compared over 2 or "
                f"more; leave out such a batch, for instance with DataLoader(..., drop_last=True)"
            )

    def _check_taken(self, layer: str, pooled: Tensor | None, images: int) -> Tensor:
        if pooled is None:
            raise RuntimeError(
                f"layer {layer!r} has given nothing since the last call: call the model in training mode "
                f"(model.train()) and with gradients before each call. Hooks do not see a layer that the "
                f"forward does not call, nor a model that was compiled and run before the regularizer was "
                f"made, nor checkpoint(use_reentrant=True); make the regularizer first, or use "
                f"use_reentrant=False"
            )
        if len(pooled) != images:
            raise ValueError(
                f"image_features holds {images} images, but layer {layer!r} gave {len(pooled)} rows in the "
                f"last forward; give the features of the same batch (of two views of each image: "
                f"torch.cat([f, f]))"
            )
        return pooled


@contextlib.contextmanager
def _without_autocast(device: torch.device) -> Iterator[None]:
    with torch.autocast(device.type, enabled=False):
        yield


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if any(isinstance(module, nn.DataParallel) for module in model.modules()):
        raise ValueError(
            "model: nn.DataParallel runs copies of the model, whose layers no hook of the original sees; "
            "use DistributedDataParallel"
        )
    check_ready(unwrap_model(model))


def _check_values(layers: Sequence[str], answers: Sequence[Tensor], image_features: Tensor) -> None:
    named = [("image_features", image_features)]
    named += [(f"layer {layer!r}", pooled) for layer, pooled in zip(layers, answers, strict=True)]
    for name, values in named:
        if not bool(torch.isfinite(values.detach()).all()):
            raise ValueError(
                f"{name}: there are NaN or infinite values in this batch. Where the training has diverged, "
                f"lower the learning rate; check_finite=False leaves out such neurons instead"
            )


def _check_positive(argument: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__}: {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{argument} must be positive and finite, got {value}")
    return float(value)


def _device_of(model: nn.Module) -> torch.device:
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _remove_hooks(handles: Sequence[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
