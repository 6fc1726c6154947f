"""Checks of a monitor's arguments: an error names the argument, what was given and the way out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def check_words(argument: str, words: Sequence[str], *, may_be_empty: bool = False) -> tuple[str, ...]:
    """Return a list of strings as a tuple.

    Args:
        argument: Name of the argument, for the message.
        words: What was given.
        may_be_empty: Whether there may be none.

    Raises:
        TypeError: It is no list of strings.
        ValueError: It is empty, or holds an empty or a repeated string.
    """
    if isinstance(words, (str, bytes, Mapping)) or not isinstance(words, Sequence):
        raise TypeError(f"{argument} must be a list of strings, got {type(words).__name__}: {words!r}")
    for word in words:
        if not isinstance(word, str):
            raise TypeError(
                f"{argument} must be a list of strings, got {type(word).__name__}: {word!r} in it"
            )
        if not word.strip():
            raise ValueError(f"{argument} holds an empty string; leave it out")
    repeated = sorted({word for word in words if words.count(word) > 1})
    if repeated:
        raise ValueError(f"{argument} names {repeated[0]!r} more than once; name it once")
    if not words and not may_be_empty:
        raise ValueError(f"{argument} is empty; name at least one")
    return tuple(words)


def check_track(track: Mapping[str, Sequence[int]], layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the neurons to follow by layer, each once.

    Args:
        track: What was given.
        layers: Layers that are looked at.

    Raises:
        TypeError: It does not map layers to lists of whole numbers.
        ValueError: A layer is not looked at, or a neuron's number is negative.
    """
    if not isinstance(track, Mapping):
        raise TypeError(f"track must map layers to lists of neurons, got {type(track).__name__}: {track!r}")
    checked = {}
    for layer, neurons in track.items():
        if layer not in layers:
            raise ValueError(f"track names layer {layer!r}, which is not among layers={list(layers)}")
        if isinstance(neurons, (str, bytes)) or not isinstance(neurons, (Sequence, np.ndarray)):
            raise TypeError(f"track[{layer!r}] must be a list of neuron numbers, got {neurons!r}")
        for neuron in neurons:
            if isinstance(neuron, bool) or not isinstance(neuron, (int, np.integer)):
                raise TypeError(f"track[{layer!r}] must be a list of neuron numbers, got {neuron!r} in it")
            if neuron < 0:
                raise ValueError(f"track[{layer!r}] holds {neuron}; neurons are numbered from 0")
        checked[layer] = tuple(dict.fromkeys(int(neuron) for neuron in neurons))
    return checked


def check_threshold(threshold: float | str) -> float | None:
    """Return a threshold as a number, None for "auto".

    Args:
        threshold: What was given.

    Raises:
        TypeError: It is no number.
        ValueError: It is another word, or not finite.
    """
    if isinstance(threshold, str):
        if threshold != "auto":
            raise ValueError(f"threshold must be 'auto' or a number, got {threshold!r}")
        return None
    return check_number("threshold", threshold, -math.inf, math.inf)


def check_number(argument: str, value: float, low: float, high: float) -> float:
    """Return a number that must lie between two others.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        low: It must be above.
        high: It must be below.

    Raises:
        TypeError: It is no number.
        ValueError: It is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__}: {value!r}")
    if not low < value < high:
        raise ValueError(f"{argument} must be between {low} and {high}, got {value}")
    return float(value)


def check_count(argument: str, value: int, most: int) -> int:
    """Return a whole number of at least 1.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        most: It may be this at most.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{argument} must be a whole number, got {type(value).__name__}: {value!r}")
    if not 1 <= value <= most:
        raise ValueError(f"{argument} must be between 1 and {most}, got {value}")
    return int(value)
