"""The bundled encoder: a tiny CLIP for the picture world, loaded by open_clip from files in this package.

It understands the words of `conceptmon_tb.world.lexicon` and pictures of the world; on photographs only its
colours mean something. torch and open_clip are imported when it is loaded, not before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conceptmon_tb.world.lexicon import known_among
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


def check_words(words: Iterable[str]) -> None:
    """Refuse words that the encoder was not trained on: it would answer them with confident nonsense.

    Raises:
        ValueError: If a word is outside the lexicon; names up to ten of them.
    """
    _, unknown = known_among(words)
    if unknown:
        listed = ", ".join(repr(word) for word in unknown[:10]) + (", ..." if len(unknown) > 10 else "")
        raise ValueError(
            f"the bundled encoder does not know {len(unknown)} of the words: {listed}. Use words of "
            "conceptmon_tb.world.KNOWN_WORDS, or cm.OpenClipEncoder for any word"
        )


@lru_cache(maxsize=1)
def encoder_fingerprint() -> str:
    """Hex digest (16 characters) of the bundled encoder's weights, configuration and merges."""
    digest = hashlib.sha256()
    for name in (CONFIG_FILE, WEIGHTS_FILE, MERGES_FILE):
        digest.update((ASSETS / name).read_bytes())
    return digest.hexdigest()[:16]


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
