"""What the tests of the regularizer share: fixed vectors for words, a small network, numbers by seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORDS = ("red", "green", "dog", "house", "striped", "sky", "wood")
DIM = 5


class Words:
    """A text encoder of fixed vectors; pictures are its features already."""

    name, fingerprint, dim, note = "fixed", "fixed", DIM, ""

    def image_transform(self, image: object) -> Tensor:
        raise NotImplementedError

    def encode_images(self, images: object) -> Tensor:
        raise NotImplementedError

    def encode_text(self, words: Sequence[str]) -> Tensor:
        return torch.cat([unit(1, DIM, seed=sum(map(ord, word))) for word in words])

    def check_words(self, words: Sequence[str]) -> None:
        if "nonsense" in words:
            raise ValueError("unknown word")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 4)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.norm(self.conv(x))).mean((2, 3)))


def unit(rows: int, dim: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))
    return F.normalize(drawn, dim=1)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
