"""Which result file becomes which run and step of the log, and writing them there.

Everything is read, checked and computed before the first byte is written: a bad file leaves no half of a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

from conceptmon_tb.concepts import ConceptSet
from conceptmon_tb.embedding_cache import EmbeddingCache, default_cache_dir
from conceptmon_tb.encoders import ConceptEncoder
from conceptmon_tb.imported.concepts import LabelledConcepts
from conceptmon_tb.imported.formats import Format, ResultFile, layer_in_name, read_results, step_in_name
from conceptmon_tb.imported.snapshots import Findings, make_snapshot, read_findings
from conceptmon_tb.projection import Method
from conceptmon_tb.reader import read_run
from conceptmon_tb.snapshot import ConceptSnapshot
from conceptmon_tb.space import make_space
from conceptmon_tb.writer import ConceptWriter, add_concepts

LARGEST_STEP = (1 << 63) - 1
"""Event files number steps in 64 bits."""


class ImportConflictError(ValueError):
    """Two results want the same place in the log; the message names both and the mend."""


@dataclass(frozen=True)
class Epoch:
    """What goes into the log at one step of one run.

    Attributes:
        run: Name of the run, a folder below the log directory.
        step: Global step.
        results: The files; each layer is in one of them.
    """

    run: str
    step: int
    results: list[ResultFile] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Import:
    """Result files in terms of one concept set, ready to be written.

    Attributes:
        epochs: Runs and steps, by run and then by step.
        labelled: The concept set that knows all labels.
        findings: For every epoch its findings by layer.
        encoder: The text encoder.
    """

    epochs: tuple[Epoch, ...]
    labelled: LabelledConcepts
    findings: tuple[Mapping[str, Findings], ...]
    encoder: ConceptEncoder


def plan_epochs(
    paths: Sequence[str | Path],
    *,
    run: str = "",
    step: int = 0,
    step_from_name: bool = False,
    layer: str = "",
    format: Format | Literal["auto"] = "auto",  # noqa: A002
) -> tuple[Epoch, ...]:
    """Read result files and decide where each goes.

    Args:
        paths: CSV files.
        run: Name of the run; "" gives each file a run of its own, named after the file without what its name
            says of step and layer (so the layers of one network come together).
        step: Global step.
        step_from_name: Take the step from each file's name instead ("..._epoch12.csv").
        layer: As in `read_results`.
        format: As in `read_results`.

    Returns:
        Runs and steps, by run and then by step.

    Raises:
        FileNotFoundError: A file is not there.
        FormatError: A file is not what it should be.
        ImportConflictError: Two files have the same layer of the same run and step.
        ValueError: A run's name leads out of the log directory, or a file's name has no step.
    """
    if run and (PurePath(run).is_absolute() or ".." in PurePath(run).parts):
        raise ValueError(f"run must be a folder below the log directory, got {run!r}")
    epochs: dict[tuple[str, int], Epoch] = {}
    for path in paths:
        results = read_results(path, format, layer)
        stem, found = step_in_name(Path(path).stem) if step_from_name else (Path(path).stem, step)
        if found is None:
            raise ValueError(
                f"the name of {str(path)!r} tells no step; name it like 'milan_epoch12.csv', or give --step"
            )
        if not -1 <= found <= LARGEST_STEP:
            raise ValueError(f"step must be between -1 and {LARGEST_STEP}, got {found} for {str(path)!r}")
        if results.format == "netdissect":
            stem = layer_in_name(stem)[0]
        place = (run or stem.strip("_.-") or results.format, found)
        epoch = epochs.setdefault(place, Epoch(*place))
        _check_apart(epoch, results)
        epoch.results.append(results)
    return tuple(epochs[place] for place in sorted(epochs))


def prepare_import(
    epochs: Sequence[Epoch],
    concepts: ConceptSet,
    encoder: ConceptEncoder,
    *,
    threshold: float | None = None,
) -> Import:
    """Say what the files say in terms of one concept set; nothing is written.

    Args:
        epochs: From `plan_epochs`.
        concepts: The concept set to begin with; labels that it lacks are added.
        encoder: Text encoder.
        threshold: As in `read_findings`.

    Returns:
        Findings for every epoch.

    Raises:
        ValueError: Words that the encoder cannot know, or a threshold that is no finite number.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise ValueError(f"threshold must be a finite number, got {threshold}")
    labelled = LabelledConcepts(concepts, [file for epoch in epochs for file in epoch.results])
    encoder.check_words(labelled.concepts.words)
    text = encoder.encode_text(labelled.concepts.words)
    findings = tuple(
        {
            layer: found
            for file in epoch.results
            for layer, found in read_findings(file, labelled, text, encoder, threshold).items()
        }
        for epoch in epochs
    )
    return Import(tuple(epochs), labelled, findings, encoder)


def check_free(epochs: Iterable[Epoch], logdir: str | Path) -> None:
    """Refuse to write where something is already.

    Two writings of one step cannot be told apart: TensorBoard's loaders disagree about which one counts.

    Args:
        epochs: From `plan_epochs`.
        logdir: Log directory.

    Raises:
        ImportConflictError: A run has concepts at one of the steps, or at a later one.
        NotADirectoryError: A run's place is taken by a file.
    """
    for epoch in epochs:
        folder = Path(logdir) / epoch.run
        if not folder.exists():
            continue
        try:
            steps = read_run(folder).steps
        except FileNotFoundError:
            continue  # a run without concepts, such as one of scalars alone
        if epoch.step in steps:
            raise ImportConflictError(
                f"run {epoch.run!r} in {str(logdir)!r} has concepts at step {epoch.step} already; give "
                f"another --run, --step or --logdir, or import all files of a step in one command"
            )
        if steps and epoch.step < steps[-1]:
            raise ImportConflictError(
                f"run {epoch.run!r} in {str(logdir)!r} has concepts up to step {steps[-1]} already, and "
                f"TensorBoard's fast loader drops these when step {epoch.step} comes after them; give "
                f"another --run or --logdir, or import all files in one command"
            )


def write_import(
    prepared: Import, logdir: str | Path, anchors: Sequence[str] = (), method: Method = "umap"
) -> list[ConceptSnapshot]:
    """Place the neurons and write the event files.

    Args:
        prepared: From `prepare_import`.
        logdir: Log directory; each run is a folder in it.
        anchors: Words shown as stars on the map.
        method: How the map is fitted. UMAP lays out the words of the base set only, so that imports at
            different times have one map; it is kept for the next import.

    Returns:
        The snapshots in the order of writing.

    Raises:
        ImportConflictError: A run has concepts at one of the steps.
        OSError: A folder cannot be written to.
        ValueError: An anchor is blank, or a word that the encoder cannot know.
    """
    anchors = tuple(dict.fromkeys(word.strip() for word in anchors))
    if "" in anchors:
        raise ValueError("anchors holds an empty string; leave it out")
    prepared.encoder.check_words(anchors)
    check_free(prepared.epochs, logdir)
    placed = make_space(
        prepared.labelled.concepts,
        prepared.encoder,
        anchors,
        method=method,
        num_laid_out=prepared.labelled.num_base,
        cache=EmbeddingCache(default_cache_dir()),
    )
    by_run: dict[str, list[tuple[int, dict[str, ConceptSnapshot]]]] = {}
    for epoch, findings in zip(prepared.epochs, prepared.findings, strict=True):
        earlier = by_run.setdefault(epoch.run, [])
        before = earlier[-1][1] if earlier else {}
        snapshots = {
            layer: make_snapshot(found, placed, prepared.labelled.num_base, before.get(layer))
            for layer, found in findings.items()
        }
        earlier.append((epoch.step, snapshots))
    for run, steps in by_run.items():
        with ConceptWriter(Path(logdir) / run, strict=True) as writer:
            for step, snapshots in steps:
                add_concepts(writer, snapshots, step, strict=True)
    return [
        snapshot for steps in by_run.values() for _, snapshots in steps for snapshot in snapshots.values()
    ]


def _check_apart(epoch: Epoch, results: ResultFile) -> None:
    for other in epoch.results:
        both = [layer for layer in results.layers if layer in other.layers]
        if both:
            mend = "leave --run out to give each file a run of its own, or give --step-from-name"
            if results.path.stem == other.path.stem:
                mend = "give each file once, and files of one name in commands of their own with --run"
            raise ImportConflictError(
                f"{str(results.path)!r} and {str(other.path)!r} both hold layer {both[0]!r} of run "
                f"{epoch.run!r} at step {epoch.step}; {mend}"
            )
