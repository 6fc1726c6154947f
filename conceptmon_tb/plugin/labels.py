"""How one neuron, a word or a number is told in JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.payloads import FLAG_INTERPRETABLE, FLAG_UNKNOWN, FLAG_VALID, widen_ids

NamesOfSpace = tuple[Sequence[str], Sequence[str]]
"""Words of a space and their categories."""


def label_neuron(arrays: Mapping[str, npt.NDArray[Any]], neuron: int, names: NamesOfSpace) -> dict[str, Any]:
    """What a neuron detects at one step.

    Args:
        arrays: Of a payload of kind "neurons".
        neuron: Its number.
        names: Of the step's space.
    """
    words, categories = names
    ids = widen_ids(arrays["concept_ids"][neuron])
    best = int(ids[0]) if ids.size else -1
    flags = int(arrays["flags"][neuron])
    return {
        "valid": bool(flags & FLAG_VALID),
        "unknown": bool(flags & FLAG_UNKNOWN),
        "interpretable": bool(flags & FLAG_INTERPRETABLE),
        "word": name_at(words, best),
        "category": name_at(categories, best),
        "similarity": finite(arrays["similarity"][neuron][0]) if best >= 0 else None,
        "displacement": finite(arrays["displacement"][neuron]),
    }


def name_at(names: Sequence[str], index: int) -> str:
    """The name with a number, "" where there is none."""
    return str(names[index]) if 0 <= index < len(names) else ""


def finite(value: Any) -> float | None:
    """A number in its shortest spelling; None for NaN and infinity."""
    return float(str(value)) if math.isfinite(value) else None


def finite_list(values: npt.NDArray[np.float32]) -> list[float | None]:
    """Numbers to six digits after the point; None for NaN and infinity."""
    rounded = np.round(values.astype(np.float64), 6).tolist()
    return [value if math.isfinite(value) else None for value in rounded]


def neuron_list(neurons: npt.NDArray[np.int64]) -> list[int | None]:
    """Numbers of neurons; None for -1."""
    return [neuron if neuron >= 0 else None for neuron in neurons.tolist()]
