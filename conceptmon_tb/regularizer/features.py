"""The concept encoder's view of the training pictures: encoded once, then looked up by number.

In a training step the pictures are augmented; what the encoder has seen are the pictures as they are in the
data set. A crop or a mirror image shows the same concepts, and so one look at each picture is enough.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from conceptmon_tb.embedding_cache import EmbeddingCache
from conceptmon_tb.encoders import ConceptEncoder
from conceptmon_tb.pictures import take_image, to_picture
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.probe_source import MapDataset
from conceptmon_tb.regularizer.feature_store import FeatureStore, digest_picture
from conceptmon_tb.training_state import DEFAULT_SEED, preserve_rng_streams

_BATCH = 64
_KEPT_AT_ONCE = 4096  # features in a file; what a killed process may lose
_NUM_TRIED = 4  # pictures that are read twice, to find out augmentation


class ImageFeatures:
    """Features of the pictures of a training set, by their numbers.

    Every picture is read once when this is made, and encoded if no earlier process has: features are kept on
    disk by the content of each picture, in the encoder's cache folder. The global random streams are as
    before afterwards. Under `torch.distributed` let one rank make it first (a barrier), and the others read
    what it has kept.

    Args:
        pictures: The training set without augmentation or normalisation: a map-style data set whose items are
            a picture, `(picture, label, ...)` or a mapping with "image", a list of pictures, or a `ProbeSet`.
        encoder: Image encoder; the same that `ConceptDiversityLoss` embeds the concepts with.
        cache_dir: Folder to keep features in. None: the encoder's own, if it has one (`OpenClipEncoder` has;
            the bundled one is too fast to need it).
        memory_bytes: Features that take more are kept in a temporary file and mapped into memory.
        progress: Show a progress bar.

    Attributes:
        encoder: The encoder.
        matrix: `(pictures, dim)` float32, unit length, on the CPU.
        num_encoded: Pictures that had to be encoded now.

    Raises:
        TypeError: `pictures` is no data set, or an item holds no picture.
        ValueError: No pictures, normalised or randomly augmented ones, or features that are not finite.

    Example::

        features = ImageFeatures(CIFAR10(root), OpenClipEncoder("ViT-B-16", pretrained="openai"))
        loader = DataLoader(features.indexed(CIFAR10(root, transform=augment)), batch_size=256, shuffle=True)
    """

    def __init__(
        self,
        pictures: MapDataset | ProbeSet | Sequence[Any],
        encoder: ConceptEncoder,
        *,
        cache_dir: str | Path | None = None,
        memory_bytes: int = 1 << 30,
        progress: bool = True,
    ) -> None:
        if isinstance(pictures, (str, Path, Mapping)) or not isinstance(pictures, (MapDataset, ProbeSet)):
            raise TypeError(
                f"pictures must be a map-style data set (__len__ and __getitem__) or a list of pictures, "
                f"got {type(pictures).__name__}"
            )
        if not isinstance(encoder, ConceptEncoder):
            raise TypeError(f"encoder must be a ConceptEncoder, got {type(encoder).__name__}")
        if not len(pictures):
            raise ValueError("pictures is empty; give the training set")
        self.encoder = encoder
        self.num_encoded = 0
        self._pictures = pictures
        self._file: Any = None
        with preserve_rng_streams(), torch.no_grad():
            self._refuse_augmented()
            self.matrix = self._make_matrix(len(pictures), encoder.dim, memory_bytes)
            directory = cache_dir if cache_dir is not None else _cache_dir_of(encoder)
            self._fill(
                FeatureStore(directory, encoder.fingerprint, encoder.dim) if directory else None, progress
            )
        del self._pictures

    def __len__(self) -> int:
        return len(self.matrix)

    def __getitem__(self, index: Tensor | Sequence[int] | np.ndarray[Any, Any] | slice) -> Tensor:
        """Features of some pictures.

        Args:
            index: Their numbers in the data set, as a whole-number tensor (any device), array, list or slice.

        Returns:
            `(pictures, dim)` float32 on the CPU.

        Raises:
            IndexError: A number out of range.
            TypeError: `index` is none of these.
        """
        if isinstance(index, slice):
            return self.matrix[index]
        chosen = index if isinstance(index, Tensor) else torch.as_tensor(np.asarray(index))
        if chosen.dtype.is_floating_point or chosen.dtype.is_complex or chosen.dtype == torch.bool:
            raise TypeError(f"index must be whole numbers, got {chosen.dtype}")
        chosen = chosen.cpu().long()
        if chosen.ndim != 1:
            raise TypeError(f"index must be a row of numbers, got shape {tuple(chosen.shape)}")
        if chosen.numel() and not -len(self) <= int(chosen.min()) <= int(chosen.max()) < len(self):
            raise IndexError(
                f"index must be in 0..{len(self) - 1}, got {int(chosen.min())}..{int(chosen.max())}; number "
                f"pictures as in the data set that the features were made of"
            )
        return self.matrix[chosen]

    def indexed(self, dataset: MapDataset) -> IndexedDataset:
        """The training set that also tells the number of each item: `(image, label)` gets `index` at the end.

        Args:
            dataset: The same pictures in the same order, with whatever augmentation.

        Returns:
            A data set for the DataLoader. Take a `Subset` of it, not of `dataset`: numbers stay right then.

        Raises:
            ValueError: It has another number of items.
        """
        if len(dataset) != len(self):
            raise ValueError(
                f"dataset has {len(dataset)} items and the features are of {len(self)} pictures; "
                f"give the same pictures in the same order"
            )
        return IndexedDataset(dataset)

    def _make_matrix(self, pictures: int, dim: int, memory_bytes: int) -> Tensor:
        if 4 * pictures * dim <= memory_bytes:
            return torch.empty((pictures, dim))
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the features)
        return torch.from_numpy(np.memmap(self._file, np.float32, "w+", shape=(pictures, dim)))

    def _fill(self, store: FeatureStore | None, progress: bool) -> None:
        first: dict[bytes, int] = {}  # where each picture comes first: some data sets repeat pictures
        same_as = np.empty(len(self), dtype=np.int64)
        new, kept = _Encoding(self, store), []
        with new:
            for number in tqdm(range(len(self)), "Encoding the training set", disable=not progress):
                picture = self._picture(number)
                digest = digest_picture(picture)
                same_as[number] = first.setdefault(digest, number)
                if same_as[number] < number:
                    continue
                if store is not None and digest in store:
                    kept.append(digest)
                else:
                    new.add(digest, number, picture)
            unread = set(kept)
            if store is not None:
                for digest, row in store.load(kept):
                    self.matrix[first[digest]] = row
                    unread.discard(digest)
            for digest in unread:
                new.add(digest, first[digest], self._picture(first[digest]))
        repeated = np.flatnonzero(same_as < np.arange(len(self)))
        for chosen in np.array_split(repeated, len(repeated) // _KEPT_AT_ONCE + 1):
            self.matrix[chosen] = self.matrix[same_as[chosen]]
        self.num_encoded = new.count

    def _picture(self, number: int) -> Image.Image:
        if isinstance(self._pictures, ProbeSet):
            return self._pictures.picture(number)
        try:
            return to_picture(take_image(self._pictures[number], number), number)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"pictures: item {number} is not a picture that the encoder can look at; give the data set "
                f"without its transform (no ToTensor with Normalize, no augmentation). {error}"
            ) from error

    def _refuse_augmented(self) -> None:
        for number in range(min(_NUM_TRIED, len(self._pictures))):
            seen = []
            for seed in (DEFAULT_SEED, DEFAULT_SEED + 1):
                with preserve_rng_streams(seed):
                    seen.append(digest_picture(self._picture(number)))
            if seen[0] != seen[1]:
                raise ValueError(
                    f"pictures gives another picture each time for item {number} (augmentation?); give the "
                    f"data set without it: features are of the pictures as they are"
                )


class IndexedDataset(Dataset[Any]):
    """A data set whose items also tell their number: at the end of a tuple, or as "index" of a mapping.

    Args:
        dataset: Any map-style data set.
    """

    def __init__(self, dataset: MapDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        item = self.dataset[index]
        number = range(len(self))[index]  # counted from the start, also where `index` is negative
        if isinstance(item, Mapping):
            return {**item, "index": number}
        return (*item, number) if isinstance(item, (tuple, list)) else (item, number)


class _Encoding:
    """Encodes pictures in batches, and keeps features now and then, also when it is interrupted.

    Attributes:
        count: Pictures encoded so far.
    """

    def __init__(self, features: ImageFeatures, store: FeatureStore | None) -> None:
        self.count = 0
        self._encoder, self._matrix, self._store = features.encoder, features.matrix, store
        self._waiting: list[tuple[bytes, int, Image.Image]] = []
        self._unkept: dict[bytes, int] = {}

    def add(self, digest: bytes, number: int, picture: Image.Image) -> None:
        self._waiting.append((digest, number, picture))
        if len(self._waiting) == _BATCH:
            self._encode()

    def _encode(self) -> None:
        if not self._waiting:
            return
        rows = self._encoder.encode_images([picture for _, _, picture in self._waiting])
        numbers = [number for _, number, _ in self._waiting]
        if not bool(torch.isfinite(rows).all()):
            bad = numbers[int((~torch.isfinite(rows).all(dim=1)).nonzero()[0])]
            raise ValueError(f"encoder gives NaN or infinite features for picture {bad}")
        self._matrix[numbers] = rows.detach().cpu().float()
        self._unkept.update({digest: number for digest, number, _ in self._waiting})
        self.count += len(numbers)
        self._waiting = []
        if len(self._unkept) >= _KEPT_AT_ONCE:
            self._keep()

    def _keep(self) -> None:
        if self._store is not None and self._unkept:
            self._store.save(list(self._unkept), self._matrix[list(self._unkept.values())])
        self._unkept = {}

    def __enter__(self) -> _Encoding:  # noqa: PYI034  # Self is not in Python 3.10
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._encode()
        finally:
            self._keep()


def _cache_dir_of(encoder: ConceptEncoder) -> Path | None:
    cache: EmbeddingCache | None = getattr(encoder, "cache", None)
    return cache.directory if cache is not None else None
