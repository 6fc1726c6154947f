"""What a run logged as plain columns, for notebooks, papers and spreadsheets.

`neuron_columns` has a row for every step, layer and neuron, `metric_columns` one for every step and
layer: NumPy arrays of equal length by name, which `pandas.DataFrame` takes as they are. Nothing here
imports torch, and pandas only where a frame is asked for.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from conceptmon_tb.csv_text import csv_text
from conceptmon_tb.evolution_records import Evolutions
from conceptmon_tb.metadata import json_bytes
from conceptmon_tb.reader import Run
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.summary import layer_scalars

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, npt.NDArray[Any]]


def neuron_columns(
    run: Run, layers: Sequence[str] | None = None, steps: Sequence[int] | None = None
) -> Columns:
    """Give what every neuron detected at every step.

    Args:
        run: From `read_run`.
        layers: Layers wanted; None: all.
        steps: Steps wanted; None: all.

    Returns:
        Columns `(rows,)`, sorted by layer (as logged), step and neuron: `layer`, `step`, `neuron`, `valid`,
        `unknown`, `interpretable`, `word`, `category`, `similarity`, `displacement`, `word_2`,
        `similarity_2`, ..., `x`, `y`; where logged also `num_concepts`, `explanation` (weights and words),
        `explanation_fit` and `description`. Numbers are int64 or float32 (NaN where unknown), texts are
        objects ("" where unknown).

    Raises:
        ValueError: A layer or step that the run does not hold; the message lists those it does.
    """
    chosen = list(_chosen(run, layers, steps))
    tables = [_neurons_of(layer, step, snapshot) for layer, step, snapshot in chosen]
    return stack_columns(tables)


def metric_columns(
    run: Run, layers: Sequence[str] | None = None, steps: Sequence[int] | None = None
) -> Columns:
    """Give the figures of every layer at every step.

    Args:
        run: From `read_run`.
        layers: Layers wanted; None: all.
        steps: Steps wanted; None: all.

    Returns:
        Columns `(rows,)`, sorted by layer and step: `layer`, `step`, `neurons`, `valid`, `dead`, `constant`,
        `nonfinite`, `threshold`, and the layer's scalars (`d_anchor`, `interpretable`,
        `interpretable/<category>`, ...), NaN where not known.

    Raises:
        ValueError: As for `neuron_columns`.
    """
    return stack_columns([_metrics_of(*chosen) for chosen in _chosen(run, layers, steps)])


def evolution_columns(run: Run, layers: Sequence[str] | None = None) -> Columns:
    """Give how important every neuron's evolution is to every class, for each pair of epochs with a table.

    Args:
        run: From `read_run`.
        layers: Layers wanted; None: all.

    Returns:
        Columns `(rows,)`, sorted by pair, class, layer and neuron: `from_step`, `to_step`, `class`, `layer`,
        `neuron`, `score` (Eq. 7.9), `sensitivity` (NaN for a neuron that is not finite), `images` of the
        class; empty for a run without tables.
    """
    return stack_columns([_evolutions_of(table, layers) for table in run.evolutions])


def embeddings(
    run: Run, layer: str, steps: Sequence[int] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Give how one layer's neurons moved through the concept space.

    Args:
        run: From `read_run`.
        layer: The layer.
        steps: Steps wanted; None: all.

    Returns:
        Steps `(steps,)` and embeddings `(steps, neurons, dim)`, u_n of Eq. 2.1; zero for invalid neurons.

    Raises:
        ValueError: Unknown layer or step, or the layer's width or the space changed between the steps.

    Source: Concept-Monitor, thesis section 2.1.2.
    """
    chosen = list(_chosen(run, [layer], steps))
    shapes = {snapshot.embedding.shape for _, _, snapshot in chosen}
    if len(shapes) > 1:
        raise ValueError(
            f"layer {layer!r} has embeddings of several shapes, {sorted(shapes)}; "
            f"choose steps of one model and one concept space"
        )
    return (
        np.array([step for _, step, _ in chosen], np.int64),
        np.stack([snapshot.embedding for _, _, snapshot in chosen]),
    )


def to_frame(columns: Columns) -> pd.DataFrame:
    """Make a pandas data frame of columns; words, layers and categories become categoricals.

    Args:
        columns: From `neuron_columns` or `metric_columns`.

    Raises:
        ImportError: pandas is not installed; the message says how to.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "pandas is needed for data frames: pip install 'conceptmon-tb[export]'; "
            "neuron_columns() and metric_columns() do without"
        ) from error
    frame = pd.DataFrame(columns)
    few = [name for name in frame if name in ("run", "layer", "category") or str(name).startswith("word")]
    return frame.astype(dict.fromkeys(few, "category"))


def write_table(columns: Columns, path: str | Path) -> None:
    """Write columns to a file, whole or not at all.

    Args:
        columns: What to write.
        path: The file; its ending chooses the format: .csv, .json (a list of rows) or .npz (one array per
            column; texts as fixed-width unicode, so that no pickle is needed to read them).

    Raises:
        ValueError: Another ending.
        OSError: The file cannot be written.
    """
    path = Path(path)
    writers = {".csv": _write_csv, ".json": _write_json, ".npz": _write_npz}
    if path.suffix.lower() not in writers:
        raise ValueError(f"path must end in .csv, .json or .npz, got {path.name!r}")
    part = path.with_name(f"{path.name}.part")
    try:
        writers[path.suffix.lower()](columns, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def stack_columns(tables: Sequence[Columns]) -> Columns:
    """Put tables below each other; where one lacks a column, its rows are NaN or "".

    Args:
        tables: Columns of equal length each, such as those of several runs.

    Returns:
        The union of all columns, in the order of their first appearance.
    """
    tables = [table for table in tables if table]
    kinds = {name: values.dtype for table in tables for name, values in table.items()}
    lengths = [len(next(iter(table.values()))) for table in tables]
    stacked: Columns = {}
    for name, kind in kinds.items():
        unknown: Any = "" if kind.hasobject else np.float32("nan")
        stacked[name] = np.concatenate(
            [
                table[name] if name in table else np.full(length, unknown)
                for table, length in zip(tables, lengths, strict=True)
            ]
        )
    return stacked


def _chosen(
    run: Run, layers: Sequence[str] | None, steps: Sequence[int] | None
) -> Iterator[tuple[str, int, ConceptSnapshot]]:
    if isinstance(layers, str):
        raise TypeError(f"layers must be a list of names, got the string {layers!r}")
    for layer in layers or ():
        if layer not in run.snapshots:
            raise ValueError(f"layers: the run has no layer {layer!r}; it has {', '.join(run.snapshots)}")
    for step in steps or ():
        if step not in run.steps:
            logged = ", ".join(map(str, run.steps[:12])) + (", ..." if len(run.steps) > 12 else "")
            raise ValueError(f"steps: nothing was logged at step {step}; there are {logged}")
    for layer, by_step in run.snapshots.items():
        if layers is None or layer in layers:
            for step in sorted(by_step):
                if steps is None or step in steps:
                    yield layer, step, by_step[step]


def _neurons_of(layer: str, step: int, snapshot: ConceptSnapshot) -> Columns:
    space, number = snapshot.space, snapshot.num_neurons
    words = np.array([*space.words, ""], object)  # -1, no concept, is the last one
    categories = np.array([*space.categories, ""], object)
    ids = snapshot.concept_ids
    similarity = np.where(ids >= 0, snapshot.similarity, np.nan).astype(np.float32)
    columns: Columns = {
        "layer": np.full(number, layer, object),
        "step": np.full(number, step, np.int64),
        "neuron": np.arange(number, dtype=np.int64),
        "valid": snapshot.valid,
        "unknown": np.zeros(number, dtype=bool) if snapshot.unknown is None else snapshot.unknown,
        "interpretable": snapshot.interpretable,
        "word": words[ids[:, 0]],
        "category": categories[ids[:, 0]],
        "similarity": similarity[:, 0],
        "displacement": snapshot.displacement,
    }
    for rank in range(1, ids.shape[1]):
        columns[f"word_{rank + 1}"] = words[ids[:, rank]]
        columns[f"similarity_{rank + 1}"] = similarity[:, rank]
    columns["x"], columns["y"] = snapshot.position[:, 0], snapshot.position[:, 1]
    if snapshot.num_concepts is not None:
        columns["num_concepts"] = snapshot.num_concepts
    if snapshot.explanation_ids is not None and snapshot.explanation_weights is not None:
        columns["explanation"] = np.array(
            [
                " ".join(f"{weight:+.2f} {words[i]}" for i, weight in zip(*terms, strict=True) if i >= 0)
                for terms in zip(snapshot.explanation_ids, snapshot.explanation_weights, strict=True)
            ],
            object,
        )
    if snapshot.explanation_fit is not None:
        columns["explanation_fit"] = snapshot.explanation_fit
    if snapshot.descriptions:
        columns["description"] = np.array(snapshot.descriptions, object)
    return columns


def _evolutions_of(table: Evolutions, layers: Sequence[str] | None) -> Columns:
    names = np.repeat(np.array([*table.layers], object), table.neurons)
    neurons = np.concatenate([np.arange(count) for count in table.neurons])
    kept = np.isin(names.astype(str), table.layers if layers is None else layers)
    classes, number = len(table.classes), int(kept.sum())
    return {
        "from_step": np.full(classes * number, table.from_step, np.int64),
        "to_step": np.full(classes * number, table.to_step, np.int64),
        "class": np.repeat(np.array([*table.classes], object), number),
        "layer": np.tile(names[kept], classes),
        "neuron": np.tile(neurons[kept], classes),
        "score": table.score[:, kept].ravel(),
        "sensitivity": table.sensitivity[:, kept].ravel(),
        "images": np.repeat(table.num_images.astype(np.int64), number),
    }


def _metrics_of(layer: str, step: int, snapshot: ConceptSnapshot) -> Columns:
    counts = {
        "step": step,
        "neurons": snapshot.num_neurons,
        "valid": int(snapshot.valid.sum()),
        "dead": snapshot.num_dead,
        "constant": snapshot.num_constant,
        "nonfinite": snapshot.num_nonfinite,
    }
    figures = {"threshold": snapshot.threshold, **layer_scalars(snapshot)}
    columns: Columns = {"layer": np.array([layer], object)}
    columns |= {name: np.array([value], np.int64) for name, value in counts.items()}
    return columns | {name: np.array([value], np.float64) for name, value in figures.items()}


def _write_csv(columns: Columns, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            cells = (_cell(value, "") for value in row)
            writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in cells])


def _write_json(columns: Columns, path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"[")
        for number, row in enumerate(zip(*columns.values(), strict=True)):
            cells = {name: _cell(value, None) for name, value in zip(columns, row, strict=True)}
            file.write(b",\n" if number else b"\n")
            file.write(json_bytes(cells))
        file.write(b"\n]\n")


def _write_npz(columns: Columns, path: Path) -> None:
    arrays: dict[str, Any] = {
        name: values.astype(str) if values.dtype.hasobject else values for name, values in columns.items()
    }
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _cell(value: Any, unknown: Any) -> Any:
    """A value as text files hold it: floats in their shortest spelling, no NaN."""
    if isinstance(value, np.floating):
        return float(str(value)) if math.isfinite(value) else unknown
    return value.item() if isinstance(value, np.generic) else value
