"""Lay the world's concepts out on the plane, once: UMAP of their text embeddings, shipped as an asset.

    python -m conceptmon_tb.world.make_map

Run it after training the encoder. umap is slow to import and its layout depends on its version; with the
shipped file nobody waits for it and everybody sees the same map.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import umap

from conceptmon_tb.world.encoder import ASSETS, MAP_FILE, load_world_clip
from conceptmon_tb.world.vocabulary import WORDS


def embed_words(assets: Path) -> npt.NDArray[np.float32]:
    """Unit text embeddings of the world's concepts, `(concepts, dim)` float32."""
    model, _, tokenizer = load_world_clip(assets=assets)
    with torch.no_grad():
        text = F.normalize(model.encode_text(tokenizer(list(WORDS))).float(), dim=1)
    return np.asarray(text.numpy(), np.float32)


def lay_out(
    text: npt.NDArray[np.float32],
    neighbors: int = 15,
    min_dist: float = 0.5,
    spread: float = 1.0,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """UMAP positions under the cosine distance in the square [-1, 1], `(concepts, 2)` float32."""
    reducer = umap.UMAP(
        n_neighbors=neighbors,
        min_dist=min_dist,
        spread=spread,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
    )
    position = np.asarray(reducer.fit_transform(text), np.float32)
    middle = (position.max(axis=0) + position.min(axis=0)) / 2
    position -= middle
    return np.asarray(position / np.abs(position).max(), np.float32)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Lay the world's concepts out on the plane.")
    parser.add_argument("--assets", type=Path, default=ASSETS)
    parser.add_argument("--neighbors", type=int, default=15)
    parser.add_argument("--min-dist", type=float, default=0.5)
    parser.add_argument("--spread", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    text = embed_words(options.assets)
    position = lay_out(text, options.neighbors, options.min_dist, options.spread, options.seed)
    np.savez(options.assets / MAP_FILE, position=position, words=np.array(WORDS))
    print(f"wrote {options.assets / MAP_FILE}")


if __name__ == "__main__":
    main()
