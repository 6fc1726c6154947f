"""The monitor: a model in training in, concept snapshots of its layers out."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import nn

from conceptmon_tb.activations import Precision, check_choice
from conceptmon_tb.arguments import check_count, check_number, check_threshold, check_track, check_words
from conceptmon_tb.budget import Cost, Timing, agree_on_size, make_budget, time_a_look
from conceptmon_tb.collecting import Collected, Passes, run_probe
from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.detectors import ClipDissect, ConceptDetector, Reference
from conceptmon_tb.distributed import Distributed, Ranks, check_distributed, find_ranks
from conceptmon_tb.encoders import ConceptEncoder, WorldEncoder
from conceptmon_tb.explanation import Explainer
from conceptmon_tb.functional.null import quantile_rank
from conceptmon_tb.named_layers import find_layers
from conceptmon_tb.observation import Observer, observe_layer
from conceptmon_tb.placing import Placement
from conceptmon_tb.pooling import Pooling, Tokens
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_forward import Forward, ProbeForward
from conceptmon_tb.projection import ConceptMap
from conceptmon_tb.scoring_device import find_device
from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace
from conceptmon_tb.space import PlacedConcepts, make_space
from conceptmon_tb.stratify import choose_images
from conceptmon_tb.training_state import (
    is_beside_training,
    preserve_rng_streams,
    stream_states,
    unwrap_model,
)

__all__ = ["Collected", "ConceptMonitor", "Cost"]
logger = logging.getLogger(__name__)


class ConceptMonitor:
    """Watch which concepts the neurons of a model detect.

    Args:
        layers: Names from `model.named_modules()`.
        probe: The pictures to look through. None: 2,000 pictures of the bundled world.
        concepts: The concept set S. None: Broden's labels, or with the bundled encoder the world's words.
        encoder: Text and image encoder. None: the bundled demo encoder, which knows the picture world
            only; use `OpenClipEncoder` for real images.
        detector: The concept detector. None: `ClipDissect()`.
        temperature: T of Eq. 2.1. None: the default of the detector's similarity.
        threshold: Similarity above which a neuron is interpretable; "auto" calibrates it for each
            snapshot from neurons with permuted activations.
        threshold_level: Share of meaningless neurons that "auto" lets pass.
        anchors: Words shown as stars on the map, each with its nearest neuron.
        anchor_set: Set A of d_anchor (Eq. 2.2): "concepts" (A = S, as in the thesis) or "anchors".
        track: Neurons to follow, by layer.
        top_concepts: Concepts kept for each neuron, at most 5 in the log.
        num_images: Most activating images kept for each neuron, at most 8 in the log.
        pooling: Over the space of conv maps: "mean" or "max".
        tokens: Of transformers: "auto", "cls" or "mean" (see `activations.collect_activations`).
        precision: Of the monitored model's forward: "fp32", or "bf16" under autocast.
        forward: How to call the model with a batch of images, `(model, images) -> anything`, for instance
            `lambda model, images: model(pixel_values=images)`. None: `model(images)`.
        explain: Also explain every neuron as a weighted sum of up to five concepts, and count how many
            concepts it serves; where the detector knows how much of each concept is in each picture.
        concept_map: A map of the concepts; None: fitted by UMAP once (the world's is shipped).
        seed: Of the map and of the calibration.
        distributed: "auto": all ranks of an initialised `torch.distributed` look together; False: this
            process alone; or the process group whose ranks look together (see `observe`).
        max_seconds: Time that the look at one epoch may take, forward passes and scoring together. Where the
            whole probe set would take longer, a part of it is chosen before the first look, evenly over its
            classes, and stays; a warning and the log say so. `probe` is that part from then on. None: any.
        scoring_device: Where the detector compares neurons and concepts: "cpu", "cuda" and so on; "auto" is
            a CUDA device where there is one. Figures differ in their last digits between devices.
        strict: What a `ConceptWriter` does with a failure: raise it, or warn once and go on.
        progress: Show progress bars for what is done only once.

    Attributes:
        last_cost: What the last observation cost; None before the first.
        scoring_draws: Whether the detector was seen to draw from the global random streams.

    Raises:
        TypeError: An argument of the wrong type; the message names it.
        ValueError: An argument out of range; words that the encoder cannot know.

    Source: Concept-Monitor, thesis section 2.1 and 2.2.
    """

    def __init__(
        self,
        layers: Sequence[str],
        probe: ProbeSet | None = None,
        concepts: ConceptSet | None = None,
        encoder: ConceptEncoder | None = None,
        detector: ConceptDetector | None = None,
        temperature: float | None = None,
        threshold: float | str = "auto",
        anchors: Sequence[str] | None = None,
        anchor_set: str = "concepts",
        track: Mapping[str, Sequence[int]] | None = None,
        top_concepts: int = 5,
        num_images: int = 8,
        pooling: Pooling = "mean",
        *,
        threshold_level: float = 0.01,
        tokens: Tokens = "auto",
        precision: Precision = "fp32",
        forward: Forward | None = None,
        explain: bool = True,
        concept_map: ConceptMap | None = None,
        seed: int = 0,
        distributed: Distributed = "auto",
        max_seconds: float | None = None,
        scoring_device: str | torch.device = "cpu",
        strict: bool = False,
        progress: bool = True,
    ) -> None:
        self.layers = check_words("layers", [layers] if isinstance(layers, str) else layers)
        self.anchors = check_words("anchors", () if anchors is None else anchors, may_be_empty=True)
        self.track = check_track(track or {}, self.layers)
        self.threshold = check_threshold(threshold)
        self.threshold_level = check_number("threshold_level", threshold_level, 0, 1)
        self.top_concepts = check_count("top_concepts", top_concepts, 5)
        self.num_images = check_count("num_images", num_images, 8)
        for argument, value, choices in (
            ("pooling", pooling, Pooling),
            ("tokens", tokens, Tokens),
            ("precision", precision, Precision),
        ):
            check_choice(argument, value, choices)
        if anchor_set not in ("concepts", "anchors"):
            raise ValueError(f"anchor_set must be 'concepts' or 'anchors', got {anchor_set!r}")
        if anchor_set == "anchors" and not self.anchors:
            raise ValueError("anchor_set='anchors' needs anchors; give anchors=[...]")
        for argument, part, kind in (
            ("probe", probe, ProbeSet),
            ("concepts", concepts, ConceptSet),
            ("encoder", encoder, ConceptEncoder),
            ("detector", detector, ConceptDetector),
        ):
            if part is not None and not isinstance(part, kind):
                raise TypeError(f"{argument} must be a {kind.__name__} or None, got {type(part).__name__}")
        if forward is not None and not callable(forward):
            raise TypeError(
                f"forward must be a function (model, images) or None, got {type(forward).__name__}"
            )
        self.forward = forward
        self.anchor_set, self.pooling, self.tokens, self.precision = anchor_set, pooling, tokens, precision
        self.seed, self.strict, self.progress, self.explain = seed, strict, progress, explain
        self.detector: ConceptDetector = ClipDissect() if detector is None else detector
        if self.threshold is None and (num_null := getattr(self.detector, "num_null", 0)):
            quantile_rank(num_null, self.threshold_level)  # fails now rather than at the first epoch
        chosen = self.detector.default_temperature if temperature is None else temperature
        self.temperature = check_number("temperature", chosen, 0, math.inf)
        self._budget = make_budget(max_seconds)
        self.scoring_device = find_device(scoring_device)
        self.encoder: ConceptEncoder = WorldEncoder() if encoder is None else encoder
        if encoder is None:
            logger.warning("encoder=None, so ConceptMonitor takes the bundled %s", self.encoder.note)
        if concepts is None:
            concepts = ConceptSet.world() if isinstance(self.encoder, WorldEncoder) else ConceptSet.broden()
        self.concepts = concepts
        self.encoder.check_words(self.concepts.words)
        self.encoder.check_words(self.anchors)
        self.probe = ProbeSet.world() if probe is None else probe
        self.detector.check(self.probe, self.concepts)
        self._concept_map = concept_map
        self.distributed = check_distributed(distributed)
        self._size: int | None = None  # of the part of the probe that is looked at, once that is settled
        self._begin_in_process()
        self.last_cost: Cost | None = None
        self.scoring_draws = False

    def _begin_in_process(self) -> None:
        """Begin what belongs to one process: what it has seen of its models, and its locks."""
        self._before: weakref.WeakKeyDictionary[nn.Module, dict[str, Placement]] = weakref.WeakKeyDictionary()
        self._space_known_to: weakref.ref[Ranks] | None = None
        self._one_at_a_time = threading.RLock()  # two writers may share a monitor, one in the background

    def __getstate__(self) -> dict[str, Any]:
        in_process = ("_before", "_space_known_to", "_one_at_a_time")
        return {name: value for name, value in self.__dict__.items() if name not in in_process}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin_in_process()

    @property
    def space(self) -> ConceptSpace:
        """The concept space: words, text embeddings and the map; the same for all epochs."""
        return self._placed.space

    @property
    def ranks(self) -> Ranks:
        """The ranks of a distributed training that look at a model together; one where there is none."""
        return find_ranks(self.distributed)

    def observe(self, model: nn.Module) -> dict[str, ConceptSnapshot]:
        """Look at a model once: one forward pass over the probe for all layers.

        The model, its buffers, modes and hooks, and the global random streams are exactly as before
        afterwards. Hooks of your own fire in the probe's forward passes too, once for each batch; where
        there are none, forward passes end after the last of the layers. A detector that looks at whole
        activation maps (`NetworkDissection`) takes one more pass.
        Displacement is measured from the last observation of the same model object.
        Under `torch.distributed` every rank must call it: each runs its share of the probe, rank 0 scores,
        and all get the same snapshots, and the same error where one fails (docs/distributed.md).

        Args:
            model: The model, in any mode and on any device, wrapped or compiled (see docs/models.md).

        Returns:
            A snapshot for every layer, in the order of `layers`.

        Raises:
            TypeError: The model takes something else than one batch of images; give `forward`.
            ValueError: A layer or tracked neuron does not exist, a layer's output has no row per image, or
                the model cannot be run yet.
        """
        ranks = self.ranks
        with ranks.meeting("ConceptMonitor.observe"):
            collected = self.collect(model)
            return ranks.lead(lambda: self.score(collected, model), "scoring", known=(self.space,))

    def collect(self, model: nn.Module) -> Collected:
        """Run the probe through a model and keep what its layers answer: the first half of `observe`.

        Args:
            model: As for `observe`, and left exactly as it was.

        Returns:
            Plain data, which can be pickled: it may be scored later, or in another process. Under
            `torch.distributed` all of it is on rank 0, and nothing elsewhere.

        Raises:
            RankError: Another rank failed, or did not call it.
            TypeError: `model` is no module, or takes something else than one batch of images.
            ValueError: As for `observe`.
        """
        ranks = self.ranks
        with ranks.meeting("ConceptMonitor.collect"):
            ranks.agree(lambda: self._check_model(model), "checking the model")
            settings = {name: getattr(self, name) for name in ("layers", "pooling", "tokens", "precision")}
            ranks.compare({**settings, "detector": self.detector.describe()})
            with self._one_at_a_time, _undisturbed(self.seed):
                self._share_space(ranks)
                self._keep_to_budget(unwrap_model(model), ranks)
                reference = self._observer.reference
                start = time.perf_counter()
                collected = self._run_probe(unwrap_model(model), reference, ranks)
                return collected._replace(seconds=time.perf_counter() - start)

    def score(self, collected: Collected, model: nn.Module | None = None) -> dict[str, ConceptSnapshot]:
        """Name the concepts of what was collected: the second half of `observe`.

        Args:
            collected: From `collect`.
            model: Whose movement it belongs to: displacement is measured from what was scored last for the
                same model object. None: displacement is not known.

        Returns:
            A snapshot for every layer, in the order of `layers`.

        Raises:
            ValueError: A tracked neuron does not exist.
        """
        trajectory = None if model is None else unwrap_model(model)
        with self._one_at_a_time, _undisturbed(self.seed):
            start, streams = time.perf_counter(), _streams()
            before = self._before.get(trajectory, {}) if trajectory is not None else {}
            seen = {
                layer: observe_layer(
                    layer,
                    answers,
                    self._observer,
                    self.track.get(layer, ()),
                    before.get(layer),
                    collected.scan,
                )
                for layer, answers in collected.activations.items()
            }
            self.scoring_draws |= _streams() != streams
            self.last_cost = Cost(len(self.probe), collected.seconds, time.perf_counter() - start)
            if trajectory is not None:
                self._before[trajectory] = {layer: placement for layer, (_, placement) in seen.items()}
        return {layer: snapshot for layer, (snapshot, _) in seen.items()}

    def repeat_choice(self, size: int, total: int) -> None:
        """Look at as many images as an earlier session of the same run did, whatever they cost here.

        A `ConceptWriter` calls it when it resumes a run. It does nothing after the first look, or where the
        probe set is another one.

        Args:
            size: Images that were looked at.
            total: Images of the whole probe set then.
        """
        if self._size is None and total == len(self.probe) and 1 <= size <= total:
            self._take_part(size)

    def _keep_to_budget(self, model: nn.Module, ranks: Ranks) -> None:
        """Before the first look choose the images, before the later ones say if they take too long."""
        settled = ranks.exchange(self._size)[0]  # a resumed run is known to rank 0 only
        if settled is not None and self._size is None:
            self._take_part(settled)
        if self._budget is not None and self._size is not None and self.last_cost is not None and ranks.leads:
            self._budget.watch(self.last_cost.seconds, self._size, self.probe.total)
        if self._budget is None or self._size is not None:
            return

        def run(reference: Reference) -> Collected:
            return self._run_probe(model, reference, Ranks())

        def time_mine() -> Timing:
            return time_a_look(run, self._observer, self.track)

        self._take_part(agree_on_size(self._budget, len(self.probe), time_mine, ranks))

    def _take_part(self, size: int) -> None:
        self._size = size
        if size < len(self.probe):
            self.probe = self.probe.part(choose_images(len(self.probe), size, self.probe.classes, self.seed))
            self.__dict__.pop("_observer", None)

    def _check_model(self, model: nn.Module) -> None:
        """Fail before the probe is prepared, if at all."""
        if not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
        find_layers(model, self.layers)
        ProbeForward(unwrap_model(model), self.forward)

    def _share_space(self, ranks: Ranks) -> None:
        """Let rank 0 embed the words and fit the map, once for all ranks."""
        known = self._space_known_to is not None and self._space_known_to() is ranks
        if all(ranks.exchange(known)):
            return
        self.__dict__["_placed"] = ranks.lead(lambda: self._placed, "preparing the concept space")
        self.__dict__.pop("_observer", None)
        self._space_known_to = weakref.ref(ranks)

    def _run_probe(self, model: nn.Module, reference: Reference, ranks: Ranks) -> Collected:
        passes = Passes(model, self.layers, self.pooling, self.tokens, self.precision, self.forward)
        return run_probe(passes, reference, self.detector, ranks)

    @cached_property
    def _placed(self) -> PlacedConcepts:
        return make_space(
            self.concepts, self.encoder, self.anchors, concept_map=self._concept_map, seed=self.seed
        )

    @cached_property
    def _observer(self) -> Observer:
        space, concept_map, text = self._placed
        return Observer(
            space=space,
            concept_map=concept_map,
            reference=Reference(
                self.probe,
                self.concepts,
                self.encoder,
                text,
                self.seed,
                self.progress,
                calibrate=self.threshold is None,
                device=self.scoring_device,
            ),
            anchor_set=text if self.anchor_set == "concepts" else torch.from_numpy(space.anchor_embedding),
            detector=self.detector,
            temperature=self.temperature,
            threshold=self.threshold,
            threshold_level=self.threshold_level,
            top_concepts=self.top_concepts,
            num_images=self.num_images,
            explainer=Explainer(text) if self.explain else None,
        )


@contextlib.contextmanager
def _undisturbed(seed: int) -> Iterator[None]:
    """No gradients, inference mode or autocast; seeded random streams, but for a training beside us."""
    streams = contextlib.nullcontext() if is_beside_training() else preserve_rng_streams(seed)
    with streams, torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        yield


def _streams() -> object:
    return None if is_beside_training() else stream_states()
