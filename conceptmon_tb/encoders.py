"""Encoders that put pictures and words into one space: the real one, open_clip's, and the bundled one."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from conceptmon_tb.clip_loading import (
    EncoderMismatchError,
    ImageTransform,
    LoadedClip,
    Tokenizer,
    check_belongs,
    load_open_clip,
)
from conceptmon_tb.embedding_cache import EmbeddingCache, default_cache_dir
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.training_state import preserve_rng_streams

__all__ = ["ConceptEncoder", "EncoderMismatchError", "OpenClipEncoder", "WorldEncoder", "embed_probe"]

BATCH_SIZE = 64
logger = logging.getLogger(__name__)


@runtime_checkable
class ConceptEncoder(Protocol):
    """What a text and image encoder must offer.

    Attributes:
        name: For people, such as "open_clip ViT-B-16 openai".
        fingerprint: Hex digest of everything that its embeddings depend on.
        dim: Dimension of the embeddings.
        note: What a reader of the log must know about it, "" if nothing.
    """

    @property
    def name(self) -> str:
        """Name for people."""

    @property
    def fingerprint(self) -> str:
        """Digest of weights and settings."""

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""

    @property
    def note(self) -> str:
        """What a reader must know, "" if nothing."""

    @property
    def image_transform(self) -> ImageTransform:
        """From an RGB picture to the encoder's input."""

    def encode_images(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """Embed pictures, or a batch that went through `image_transform`: `(images, dim)` float32, unit."""

    def encode_text(self, words: Sequence[str]) -> Tensor:
        """Embed words: `(words, dim)` float32, unit length."""

    def check_words(self, words: Sequence[str]) -> None:
        """Refuse (ValueError) or warn of words that the encoder cannot know."""


class _ClipEncoder:
    """Two towers of a CLIP and what prepares their inputs."""

    def __init__(
        self, loaded: LoadedClip, device: torch.device, precision: str, templates: Sequence[str]
    ) -> None:
        import open_clip  # slow; see clip_loading

        check_belongs(*loaded)
        self.model, self.image_transform, self._tokenizer = loaded
        self.device = device
        self.precision = precision
        self.templates = tuple(templates)
        self._dtype: torch.dtype | None = open_clip.get_input_dtype(precision)
        self.cache: EmbeddingCache | None = None
        bad = [template for template in self.templates if "{}" not in template]
        if bad or not self.templates:
            raise ValueError(f"templates must each hold {{}} for the word, got {templates!r}")

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest (16 characters) of weights, transform, tokenizer, templates and precision."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        tokens = self._tokenizer(["the quick brown fox, a striped zebra"]).tolist()
        visual: Any = self.model.visual
        settings = (sorted(visual.preprocess_cfg.items()), tokens, self.templates, self.precision)
        quick_gelu = any(type(module).__name__ == "QuickGELU" for module in self.model.modules())
        digest.update(repr((settings, quick_gelu)).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return int(self.encode_text(["a"]).shape[1])

    def encode_images(self, images: Sequence[Image.Image] | Tensor) -> Tensor:
        """Embed pictures.

        Args:
            images: PIL pictures, or a batch `(images, 3, height, width)` that went through
                `image_transform`.

        Returns:
            `(images, dim)` float32 on the CPU, unit length.
        """
        made: list[Tensor] = []
        for start in range(0, len(images), BATCH_SIZE):
            part = images[start : start + BATCH_SIZE]
            batch = part if isinstance(part, Tensor) else torch.stack([self.image_transform(i) for i in part])
            made.append(self._embed("encode_image", batch.to(self.device, self._dtype)))
        return torch.cat(made) if made else torch.empty(0, self.dim)

    def encode_text(self, words: Sequence[str]) -> Tensor:
        """Embed words in their templates (the bare word unless told) and average over templates.

        Args:
            words: Words or phrases.

        Returns:
            `(words, dim)` float32 on the CPU, unit length.
        """
        words = tuple(words)
        key = ("text", self.fingerprint, repr(words)) if self.cache else ()
        found = self.cache.load(*key) if self.cache else None
        if found is not None and found.shape[0] == len(words):
            return found
        texts = [template.format(word) for word in words for template in self.templates]
        slow = len(texts) >= 10 * BATCH_SIZE
        made = [
            self._embed("encode_text", self._tokenizer(texts[start : start + BATCH_SIZE]).to(self.device))
            for start in tqdm(range(0, len(texts), BATCH_SIZE), "Encoding concepts", disable=not slow)
        ]
        stacked = torch.cat(made).reshape(len(words), len(self.templates), -1).mean(dim=1)
        embedding = F.normalize(stacked, dim=1)
        if self.cache and len(words) > 1:
            self.cache.save(embedding, *key)
        return embedding

    def _embed(self, tower: str, batch: Tensor) -> Tensor:
        with preserve_rng_streams(), torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            embedding: Tensor = getattr(self.model, tower)(batch)
            embedding = F.normalize(embedding.float(), dim=-1).cpu()
        if not bool(torch.isfinite(embedding).all()):
            raise ValueError(
                f"precision={self.precision!r} gives NaN or infinite embeddings; use precision='fp32'"
            )
        return embedding.clone()


class OpenClipEncoder(_ClipEncoder):
    """Any open_clip model, with the transform and tokenizer that belong to it.

    Args:
        model: An open_clip name ("ViT-B-16"), "local-dir:FOLDER", "hf-hub:OWNER/NAME", a folder with
            open_clip_config.json, or a model configuration file (.json).
        pretrained: A tag ("openai") or a weights file; None for folders. A plain name without it has
            random weights, which mean nothing (a warning says so).
        device: Where it runs; None: a GPU where there is one, else the CPU.
        precision: "fp32", "fp16", "bf16", as open_clip has them.
        cache_dir: Where embeddings are kept; None: $CONCEPTMON_CACHE or ~/.cache/conceptmon_tb.
        templates: Texts around a word. The bare word unless told, as CLIP-Dissect does.
        preprocess: Overrides of the image transform (mean, std, interpolation, resize_mode) for weights
            that were trained with others than open_clip knows.
        image_transform: Another transform; checked against the model.
        tokenizer: Another tokenizer; checked against the model.

    Raises:
        ValueError: Unknown model or tag (with the nearest ones) or missing file.
        EncoderMismatchError: Transform or tokenizer do not belong to the model.
    """

    def __init__(
        self,
        model: str,
        pretrained: str | None = None,
        device: str | torch.device | None = None,
        precision: str = "fp32",
        *,
        cache_dir: str | Path | None = None,
        templates: Sequence[str] = ("{}",),
        preprocess: Mapping[str, Any] | None = None,
        image_transform: ImageTransform | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        loaded = load_open_clip(model, pretrained, place, precision, preprocess)
        loaded = LoadedClip(
            loaded.model, image_transform or loaded.image_transform, tokenizer or loaded.tokenizer
        )
        super().__init__(loaded, place, precision, templates)
        self.cache = EmbeddingCache(cache_dir if cache_dir is not None else default_cache_dir())
        self.name = f"open_clip {model}" + (f" {pretrained}" if pretrained else "")
        self.note = ""
        if pretrained is None and not (Path(model).is_dir() or model.startswith(("local-dir:", "hf-hub:"))):
            self.note = "encoder with random weights: labels mean nothing"
            warnings.warn(
                f"pretrained is None, so {model!r} has random weights: labels mean nothing", stacklevel=2
            )

    def check_words(self, words: Sequence[str]) -> None:
        """Any word will do for an open vocabulary."""


class WorldEncoder(_ClipEncoder):
    """The bundled encoder: a tiny CLIP of the picture world, for the demo, tests and a first try.

    Args:
        device: Where it runs.
        assets: Folder with another training of it; None: the shipped one.
    """

    name = "conceptmon world"

    def __init__(self, device: str | torch.device = "cpu", assets: Path | None = None) -> None:
        from conceptmon_tb.world.encoder import ASSETS, NOTE, load_world_clip

        with preserve_rng_streams():  # open_clip draws weights before it loads the shipped ones
            model, image_transform, tokenizer = load_world_clip(device, assets or ASSETS)
        assert isinstance(model, nn.Module)
        super().__init__(LoadedClip(model, image_transform, tokenizer), torch.device(device), "fp32", ("{}",))
        self.note = NOTE

    def _embed(self, tower: str, batch: Tensor) -> Tensor:
        from conceptmon_tb.world.encoder import narrow_cone

        return narrow_cone(super()._embed(tower, batch))

    def check_words(self, words: Sequence[str]) -> None:
        """Refuse words outside the world's vocabulary when they are many, warn when they are few.

        Args:
            words: Concepts or anchors.

        Raises:
            ValueError: Most words are unknown.
        """
        from conceptmon_tb.world import is_known

        unknown = [word for word in words if not is_known(word)]
        if not unknown:
            return
        message = (
            f"the bundled demo encoder does not know {len(unknown)} of {len(words)} words "
            f"({', '.join(map(repr, unknown[:5]))}{', ...' if len(unknown) > 5 else ''}) and would label "
            f"them with confident nonsense; use cm.OpenClipEncoder for them, or words of ConceptSet.world()"
        )
        if 2 * len(unknown) > len(words):
            raise ValueError(message)
        warnings.warn(message, stacklevel=3)


def embed_probe(encoder: ConceptEncoder, probe: ProbeSet, *, progress: bool = False) -> Tensor:
    """Embed a probe set's pictures, from the encoder's cache where they are there.

    Args:
        encoder: Any concept encoder.
        probe: The pictures.
        progress: Show a progress bar.

    Returns:
        `(images, dim)` float32, unit length.
    """
    cache: EmbeddingCache | None = getattr(encoder, "cache", None)
    key = ("images", encoder.fingerprint, probe.fingerprint) if cache else ()
    found = cache.load(*key) if cache else None
    if found is not None and found.shape[0] == len(probe):
        return found
    made = []
    for start in tqdm(range(0, len(probe), BATCH_SIZE), "Encoding the probe", disable=not progress):
        stop = min(start + BATCH_SIZE, len(probe))
        made.append(encoder.encode_images([probe.picture(image) for image in range(start, stop)]))
    embedding = torch.cat(made)
    if cache:
        cache.save(embedding, *key)
    return embedding
