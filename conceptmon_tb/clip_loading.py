"""Loading an open_clip model with the image transform and the tokenizer that belong to it.

A wrong transform or activation function gives plausible and wrong embeddings without any error, so
what can be checked is checked here. open_clip is imported when it is first needed: it takes seconds, which
processes that only run a model's forward passes can do without.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from conceptmon_tb.training_state import preserve_rng_streams

ImageTransform = Callable[[Image.Image], Tensor]
Tokenizer = Callable[[list[str]], Tensor]
_SCHEMES = ("local-dir:", "hf-hub:")
_CONFIG_FILE = "open_clip_config.json"


class EncoderMismatchError(ValueError):
    """Image transform or tokenizer do not belong to the encoder's model."""


class LoadedClip(NamedTuple):
    """A model in evaluation mode and what prepares its inputs."""

    model: nn.Module
    image_transform: ImageTransform
    tokenizer: Tokenizer


def load_open_clip(
    model: str,
    pretrained: str | None,
    device: torch.device,
    precision: str,
    preprocess: Mapping[str, Any] | None = None,
) -> LoadedClip:
    """Load by name, from local files or from a folder.

    Args:
        model: An open_clip name ("ViT-B-16"), "local-dir:FOLDER", "hf-hub:OWNER/NAME", a folder with
            open_clip_config.json, or a model's configuration file (.json).
        pretrained: A tag of that model ("openai"), a weights file, or None for random weights; not for
            folders, which hold their weights.
        device: Where the model goes.
        precision: "fp32", "fp16", "bf16", ...
        preprocess: Overrides of the image transform: mean, std, interpolation, resize_mode.

    Returns:
        The model and what belongs to it. The global random streams are as before.

    Raises:
        ValueError: Unknown model or tag, with the nearest ones; a missing file.
    """
    import open_clip

    name = _resolve_model(model)
    options: dict[str, Any] = {f"image_{key}": value for key, value in (preprocess or {}).items()}
    if name.startswith(_SCHEMES):
        if pretrained is not None:
            raise ValueError(
                f"pretrained={pretrained!r} is not for {model!r}, which holds its weights; leave it out"
            )
    elif pretrained is not None:
        pretrained = _resolve_pretrained(name, pretrained)
        options = _published_options(name, pretrained) | options
    with preserve_rng_streams():
        loaded, _, transform = open_clip.create_model_and_transforms(
            name, pretrained, precision=precision, device=device, **options
        )
    return LoadedClip(loaded.eval().requires_grad_(False), transform, _load_tokenizer(name))


def check_belongs(model: nn.Module, image_transform: ImageTransform, tokenizer: Tokenizer) -> None:
    """Check that transform and tokenizer make what the model was made for.

    Args:
        model: An open_clip model.
        image_transform: PIL image to `(3, height, width)`.
        tokenizer: Texts to `(texts, context length)` token ids.

    Raises:
        EncoderMismatchError: Another image size, normalisation, context length or vocabulary.
    """
    visual: Any = model.visual
    size = visual.image_size if isinstance(visual.image_size, tuple) else (visual.image_size,) * 2
    color = np.array([40, 120, 220], dtype=np.uint8)
    try:
        made = image_transform(Image.fromarray(np.tile(color, (90, 70, 1))))
    except Exception as error:
        raise EncoderMismatchError(f"image_transform fails on an RGB picture: {error}") from error
    if tuple(made.shape) != (3, *size):
        raise EncoderMismatchError(
            f"image_transform gives {tuple(made.shape)}, the model takes {(3, *size)}; use the "
            f"model's own transform"
        )
    config = visual.preprocess_cfg
    expected = (color / 255 - np.array(config["mean"])) / np.array(config["std"])
    center = made[:, size[0] // 2, size[1] // 2].float().numpy()
    if not np.allclose(center, expected, atol=0.02):
        raise EncoderMismatchError(
            f"image_transform normalises otherwise than the model's mean={config['mean']}, "
            f"std={config['std']}; "
            f"use the model's own transform"
        )
    _check_tokenizer(model, tokenizer)


def _check_tokenizer(model: nn.Module, tokenizer: Tokenizer) -> None:
    import open_clip

    context = getattr(model, "context_length", None)
    made = tokenizer(["a striped zebra"])
    if context is not None and made.shape[-1] != context:
        raise EncoderMismatchError(
            f"tokenizer gives {made.shape[-1]} tokens, the model takes {context}; use the model's own "
            f"tokenizer"
        )
    vocabulary = getattr(model, "vocab_size", getattr(getattr(model, "text", None), "vocab_size", None))
    known = getattr(tokenizer, "vocab_size", None)
    if not isinstance(vocabulary, int):
        return
    same = isinstance(tokenizer, open_clip.SimpleTokenizer) and known != vocabulary
    if same or int(made.max()) >= vocabulary:
        raise EncoderMismatchError(
            f"tokenizer knows {known} tokens, the model's text tower {vocabulary}; use the model's "
            f"own tokenizer"
        )


def _resolve_model(model: str) -> str:
    import open_clip

    if model.startswith(_SCHEMES):
        if model.startswith("local-dir:") and not (Path(model[10:]) / _CONFIG_FILE).is_file():
            raise ValueError(f"model={model!r}: there is no {_CONFIG_FILE} in that folder")
        return model
    path = Path(model)
    if path.is_dir():
        return _resolve_model(f"local-dir:{model}")
    if path.suffix == ".json" and path.is_file():
        open_clip.add_model_config(path)
        model = path.stem
    name = model.replace("/", "-")
    if name not in open_clip.list_models():
        near = difflib.get_close_matches(name, open_clip.list_models(), n=5, cutoff=0.3)
        raise ValueError(
            f"model={model!r} is no open_clip model, folder or .json file; nearest names: "
            f"{', '.join(near) or 'none'}"
        )
    return name


def _resolve_pretrained(name: str, pretrained: str) -> str:
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if open_clip.get_pretrained_cfg(name, pretrained) or Path(pretrained).is_file():
        return pretrained
    near = difflib.get_close_matches(pretrained, tags, n=5, cutoff=0.3) or tags[:5]
    raise ValueError(
        f"pretrained={pretrained!r} is neither a file nor a tag of {name!r}; nearest tags: "
        f"{', '.join(near) or 'none'}"
    )


def _published_options(name: str, pretrained: str) -> dict[str, Any]:
    """What open_clip does not set by itself: the activation of a tag, the transform of a weights file."""
    import open_clip

    published = open_clip.get_pretrained_cfg(name, pretrained)
    model_quick = bool((open_clip.get_model_config(name) or {}).get("quick_gelu", False))
    if published:
        quick = bool(published.get("quick_gelu", False))
        return {"force_quick_gelu": True} if quick and not model_quick else {}
    tags = open_clip.list_pretrained_tags_by_model(name)
    configs = [open_clip.get_pretrained_cfg(name, tag) for tag in tags]
    keys = ("mean", "std", "interpolation", "resize_mode")
    options = {}
    for key in keys:
        values = [config.get(key) for config in configs]
        if values and values[0] is not None and all(value == values[0] for value in values):
            options[f"image_{key}"] = values[0]
    return options


def _load_tokenizer(name: str) -> Tokenizer:
    import open_clip

    options = {}
    if name.startswith("local-dir:"):
        # A pruned vocabulary travels with its model; open_clip would take its own of 49,408 tokens.
        merges = sorted(Path(name[10:]).glob("bpe*.txt.gz"))
        options = {"bpe_path": str(merges[0])} if len(merges) == 1 else {}
    tokenizer: Tokenizer = open_clip.get_tokenizer(name, **options)
    return tokenizer
