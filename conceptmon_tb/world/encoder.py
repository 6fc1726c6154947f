"""The bundled encoder: a tiny CLIP for the picture world, loaded by open_clip from files in this package.

It understands the words of `conceptmon_tb.world.lexicon` and pictures of the world; on photographs only its
colours mean something. torch and open_clip are imported when it is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conceptmon_tb.world.vocabulary import WORDS

if TYPE_CHECKING:
    import torch
    from open_clip import CLIP, SimpleTokenizer
    from PIL import Image

ASSETS = Path(__file__).parent / "assets"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
MERGES_FILE = "bpe_world.txt.gz"
RECIPE_FILE = "recipe.json"
MAP_FILE = "concept_map.npz"

CONE = 0.8
"""What all cosines share after `narrow_cone`."""

NOTE = "demo encoder: use OpenClipEncoder for real images"
"""What every log made with this encoder should say."""


def load_world_clip(
    device: str | torch.device = "cpu", assets: Path = ASSETS
) -> tuple[CLIP, Callable[[Image.Image], torch.Tensor], SimpleTokenizer]:
    """Load the encoder; no network is used.

    Args:
        device: Where the model goes.
        assets: Folder with another training of the same encoder.

    Returns:
        The model in eval mode, its image transform (PIL image of any size -> `(3, 64, 64)` float32) and its
        tokenizer (list of texts -> `(texts, 16)` int64).

    Raises:
        FileNotFoundError: If a file of the encoder is missing.
    """
    import open_clip

    for name in (CONFIG_FILE, WEIGHTS_FILE, MERGES_FILE):
        if not (assets / name).is_file():
            raise FileNotFoundError(
                f"assets={str(assets)!r} lacks {name}: install conceptmon-tb anew, or train the encoder"
            )
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{assets}", device=device)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{assets}", bpe_path=str(assets / MERGES_FILE))
    return model.eval(), transform, tokenizer


def narrow_cone(embedding: torch.Tensor) -> torch.Tensor:
    """Give embeddings the narrow cone of a large CLIP: one constant coordinate more.

    Published settings, such as the scale 10 in soft-WPMI's softmax, were made for cosines that all lie within
    some tenths. This encoder's fill the whole range, and the same scale would let one word win every picture.
    Every cosine c becomes `CONE + (1 - CONE) c`; no order changes.

    Args:
        embedding: `(n, dim)` float32, unit length.

    Returns:
        `(n, dim + 1)` float32, unit length.
    """
    import torch

    constant = embedding.new_full((len(embedding), 1), CONE**0.5)
    return torch.cat([embedding * (1 - CONE) ** 0.5, constant], dim=1)


def load_concept_map(assets: Path = ASSETS) -> npt.NDArray[np.float32]:
    """The world's concepts on the plane: UMAP of their text embeddings, fitted once and shipped.

    Returns:
        `(concepts, 2)` float32, in the order of `conceptmon_tb.world.WORDS`.

    Raises:
        ValueError: If the file was made for other concepts.
    """
    with np.load(assets / MAP_FILE) as stored:
        if tuple(stored["words"].tolist()) != WORDS:
            raise ValueError(f"{MAP_FILE} in assets={str(assets)!r} is for other concepts: make it anew")
        return np.asarray(stored["position"], np.float32)
