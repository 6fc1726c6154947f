"""What an event directory holds, what is damaged in it and what is stale: `examine(logdir)`."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from conceptmon_tb.doctor.findings import (
    Examination,
    FileExamination,
    Finding,
    LayerExamination,
    Level,
    RunExamination,
    SpaceExamination,
)
from conceptmon_tb.doctor.judge import Judge, split_writers
from conceptmon_tb.doctor.survey import RunSurvey, survey_run
from conceptmon_tb.event_files import event_files, run_folders
from conceptmon_tb.folder_lock import is_locked
from conceptmon_tb.metadata import TAG_PREFIX

_LEVELS = ("damage", "stale", "note")
_LISTED = 8


def examine(logdir: str | Path, progress: Callable[[int], object] | None = None) -> Examination:
    """Examine a run, or a log directory with all runs below it. Nothing is changed.

    One record is held in memory at a time. A run that is being written may be examined.

    Args:
        logdir: A directory with event files in it or below it.
        progress: Called with the number of bytes read since the last call; `total_bytes` knows the total.

    Returns:
        What it holds, and what is wrong with it.

    Raises:
        FileNotFoundError: There is no such directory, or no event file in it.
        NotADirectoryError: `logdir` is a file.
        OSError: A file cannot be read.

    Example:
        >>> found = examine("runs")  # doctest: +SKIP
        >>> for problem in found.problems: print(problem.message)  # doctest: +SKIP
    """
    top = Path(logdir)
    closed: list[OSError] = []
    runs = []
    for folder in find_runs(top, closed.append):
        is_live = is_locked(folder)
        try:
            survey = survey_run(folder, progress)
        except OSError as error:  # it is gone again
            closed.append(error)
            continue
        runs.append(_examine_run(survey, run_name(top, folder), is_live=is_live))
    runs += [_closed_folder(run_name(top, Path(error.filename)), error) for error in closed]
    return Examination(str(logdir), tuple(sorted(runs, key=lambda run: run.name)))


def find_runs(logdir: str | Path, on_error: Callable[[OSError], object] | None = None) -> list[Path]:
    """Return all folders with event files, as TensorBoard finds its runs.

    Args:
        logdir: A log directory.
        on_error: Called for each folder that cannot be looked into.

    Returns:
        Sorted by name.

    Raises:
        FileNotFoundError: There is no such directory, or no event file in it.
        NotADirectoryError: `logdir` is a file.
    """
    top = Path(logdir)
    if not top.exists():
        raise FileNotFoundError(
            f"LOGDIR {str(logdir)!r} does not exist; pass the directory that TensorBoard gets"
        )
    if not top.is_dir():
        raise NotADirectoryError(f"LOGDIR {str(logdir)!r} is a file; pass the directory that holds it")
    closed: list[OSError] = []
    folders = run_folders(top, closed.append)
    if not folders:
        unread = f" ({len(closed)} folders may not be read)" if closed else ""
        raise FileNotFoundError(
            f"no event files in {str(logdir)!r} nor below it{unread}; pass a TensorBoard log directory"
        )
    if on_error is not None:
        for error in closed:
            on_error(error)
    return folders


def run_name(logdir: Path, folder: Path) -> str:
    """A run's name as TensorBoard gives it: the path from the log directory."""
    return folder.relative_to(logdir).as_posix()


def total_bytes(logdir: str | Path) -> int:
    """Size of all event files in and below a log directory.

    Args:
        logdir: A log directory.
    """
    sizes = 0
    for path in (path for folder in find_runs(logdir) for path in event_files(folder)):
        with suppress(OSError):  # it is gone again
            sizes += path.stat().st_size
    return sizes


def _closed_folder(name: str, error: OSError) -> RunExamination:
    """A folder below the log directory that nobody can look into; there may be runs in it."""
    finding = Finding("damage", "unreadable", f"the folder cannot be read: {error.strerror or error}")
    return RunExamination(name, 0, False, (), (), (), 0, (), {}, (finding,))


def _examine_run(run: RunSurvey, name: str, *, is_live: bool) -> RunExamination:
    lanes = split_writers(run)
    judges = [Judge(run, lane) for lane in lanes]
    findings = [
        *_damage(run, is_live=is_live),
        *_missing(run, judges),
        *_writers(run, lanes),
        *(finding for judge in judges for finding in (*_resumed(judge), *_repeated(judge))),
        *_notes(run, judges, is_live=is_live),
        *_notes_on_name(name),
    ]
    plugins: dict[str, tuple[int, int]] = {}
    for tag, plugin in run.plugins.items():
        tags, values = plugins.get(plugin or "(unknown)", (0, 0))
        count = sum(len(file.tag_steps.get(tag, ())) for file in run.files)
        plugins[plugin or "(unknown)"] = (tags + 1, values + count)
    return RunExamination(
        name=name,
        nbytes=sum(file.nbytes for file in run.files),
        is_live=is_live,
        files=tuple(
            FileExamination(
                name=file.path.name,
                nbytes=file.nbytes,
                records=file.records,
                writer=file.writer,
                source=file.source,
                created=None if math.isnan(file.created) else file.created,
                first_step=min(file.steps, default=None),
                last_step=max(file.steps, default=None),
                starts=tuple(step for _, step in file.starts),
            )
            for file in run.files
        ),
        layers=tuple(_layers(judges)),
        spaces=tuple(_spaces(judges)),
        images=len(frozenset().union(*(entry.ids or frozenset() for entry in run.entries))),
        schemas=tuple(sorted({entry.version for entry in run.entries if entry.version})),
        plugins=dict(sorted(plugins.items())),
        findings=tuple(sorted(findings, key=lambda finding: _LEVELS.index(finding.level))),
    )


def _notes_on_name(name: str) -> Iterator[Finding]:
    try:
        name.encode()
    except UnicodeEncodeError:
        message = (
            "the folder's name is no UTF-8: TensorBoard's Python loader (--load_fast=false) stops at it and "
            "shows nothing of the log directory; rename the folder"
        )
        yield Finding("note", "name", message)


def _layers(judges: list[Judge]) -> Iterator[LayerExamination]:
    steps: dict[str, set[int]] = defaultdict(set)
    neurons: dict[str, int] = {}
    spaces: dict[str, set[str]] = defaultdict(set)
    for judge in judges:
        for layer, complete in judge.layers.items():
            steps[layer].update(complete)
            neurons[layer] = judge.chosen[layer, "neurons", complete[-1]].count
            spaces[layer].update(judge.chosen[layer, "metrics", step].space for step in complete)
    for layer in sorted(steps):
        yield LayerExamination(
            layer, neurons[layer], tuple(sorted(steps[layer])), tuple(sorted(spaces[layer]))
        )


def _spaces(judges: list[Judge]) -> Iterator[SpaceExamination]:
    used = {space for judge in judges for space in judge.used_spaces()}
    found = {space: entry for judge in judges for space, entry in judge.spaces().items()}
    for fingerprint, entry in found.items():
        yield SpaceExamination(fingerprint, entry.count, entry.label, fingerprint in used)


def _damage(run: RunSurvey, *, is_live: bool) -> Iterator[Finding]:
    for index, file in enumerate(run.files):
        for flaw in file.flaws:
            is_growing = is_live and index == len(run.files) - 1 and flaw.code == "truncated"
            message = "the last record is being written" if is_growing else flaw.reason
            level: Level = "note" if is_growing else "damage"
            yield Finding(level, flaw.code, message, file.path.name, flaw.number, flaw.offset, flaw.nbytes)
        if file.lost_at is not None and file.records:
            behind = sum(1 for offset in file.offsets if offset > file.lost_at)
            if behind:
                message = (
                    f"{behind} good records stand behind a damaged place: TensorBoard does not read them"
                )
                yield Finding("damage", "unreachable", f"{message}; --repair does", file.path.name)
    for entry in run.entries:
        if entry.code:
            name = run.files[entry.place[0]].path.name
            tag = f"{entry.layer}/{entry.kind}" if entry.layer else entry.kind
            yield Finding(
                "damage", entry.code, f"{tag} of step {entry.step}: {entry.reason}", name, entry.place[1],
                entry.offset, entry.nbytes, tag, (entry.step,),
            )  # fmt: skip


def _missing(run: RunSurvey, judges: list[Judge]) -> Iterator[Finding]:
    for judge in judges:
        unpurged = {s for s, entry in judge.spaces().items() if not judge.is_purged(entry.place, entry.step)}
        for space, first in judge.used_spaces().items():
            if space not in unpurged:
                mend = "--repair finds it in a purged session" if space in judge.spaces() else "it is lost"
                message = f"the concept space of the epochs from step {first} on is not in the log; {mend}"
                yield Finding("damage", "space missing", message, steps=(first,))
        incomplete: dict[str, list[int]] = defaultdict(list)
        for layer, kind, step in judge.chosen:
            other = {"metrics": "neurons", "neurons": "metrics"}.get(kind)
            if other and (layer, other, step) not in judge.chosen:
                incomplete[layer].append(step)
        for layer, steps in incomplete.items():
            message = f"layer {layer!r} is not complete at {listed(steps)}: these epochs cannot be shown"
            yield Finding("damage", "incomplete", message, steps=tuple(sorted(steps)))
    images = frozenset().union(*(entry.ids or frozenset() for entry in run.entries))
    gone = run.referred - images
    if images and gone:
        yield Finding("note", "images missing", f"{len(gone)} thumbnails that neurons refer to are not there")


def _writers(run: RunSurvey, lanes: list[list[int]]) -> Iterator[Finding]:
    if len(lanes) > 1:
        names = "; ".join(", ".join(run.files[index].path.name for index in lane) for lane in lanes)
        message = (
            f"{len(lanes)} writers wrote to this directory at the same time: TensorBoard shows only parts of "
            f"each. --repair gives each a directory of its own ({names})"
        )
        yield Finding("stale", "two writers", message)
    if run.is_misordered:
        message = (
            "TensorBoard reads event files by name, and these names are not in the order in which the files "
            "were written: it may show epochs of the wrong session. --repair writes one file"
        )
        yield Finding("stale", "wrong order", message)


def _resumed(judge: Judge) -> Iterator[Finding]:
    gone: dict[str, list[int]] = defaultdict(list)
    fast: dict[str, list[int]] = defaultdict(list)
    python: dict[str, list[int]] = defaultdict(list)
    for entry in judge.metrics(purged=True):
        gone[entry.layer].append(entry.step)
        if judge.is_shown_by_fast(entry):
            fast[entry.layer].append(entry.step)
        if judge.is_shown_by_python(entry.place, entry.step):
            python[entry.layer].append(entry.step)
    if gone:
        message = f"purged by a session that was resumed: {by_layer(gone)}"
        yield Finding("note", "purged", message, steps=_steps(gone))
    if fast:
        message = (
            f"purged, but TensorBoard's fast loader still shows {by_layer(fast)}: no later session logged "
            f"these layers at these steps. --repair leaves them out"
        )
        yield Finding("stale", "left over", message, steps=_steps(fast))
    if python:
        message = (
            f"purged, but TensorBoard's Python loader still shows {by_layer(python)}: the first session had "
            f"no START event. --repair leaves them out"
        )
        yield Finding("stale", "not purged", message, steps=_steps(python))


def _repeated(judge: Judge) -> Iterator[Finding]:
    counts: dict[str, list[int]] = defaultdict(list)
    hidden: dict[str, list[int]] = defaultdict(list)
    for entry in judge.metrics(purged=False):
        counts[entry.layer].append(entry.step)
        is_last = judge.chosen.get((entry.layer, "metrics", entry.step)) is entry
        if is_last and not judge.is_shown_by_fast(entry):
            hidden[entry.layer].append(entry.step)
    twice = {
        layer: [step for step, count in Counter(steps).items() if count > 1]
        for layer, steps in counts.items()
    }
    if twice := {layer: steps for layer, steps in twice.items() if steps}:
        message = (
            f"logged more than once: {by_layer(twice)}. The later one counts, but TensorBoard's Python "
            f"loader serves the first embeddings; --repair keeps one"
        )
        yield Finding("stale", "repeated", message, steps=_steps(twice))
    if hidden:
        message = (
            f"TensorBoard's fast loader hides {by_layer(hidden)}, because a lower step came later; --repair "
            f"puts steps in order"
        )
        yield Finding("stale", "out of order", message, steps=_steps(hidden))
    again: Counter[str] = Counter()
    for index in judge.files:
        for tag in judge.run.files[index].tag_steps:
            if not tag.startswith(TAG_PREFIX):  # these go with their epochs
                again[tag] += int(judge.logged_again(index, tag).sum())
    if count := again.total():
        tags = [tag for tag, number in again.items() if number]
        message = (
            f"{count} values of {len(tags)} other tags ({', '.join(sorted(tags)[:3])}) were logged again by "
            f"a later session: the Python loader shows both. --repair keeps the later ones"
        )
        yield Finding("stale", "values repeated", message)


def _notes(run: RunSurvey, judges: list[Judge], *, is_live: bool) -> Iterator[Finding]:
    if is_live:
        yield Finding("note", "live", "a ConceptWriter is writing to this run now")
    for judge in judges:
        orphaned = [space for space in judge.spaces() if space not in judge.used_spaces()]
        if orphaned:
            message = f"concept spaces that no epoch is in any more: {', '.join(s[:12] for s in orphaned)}"
            yield Finding("note", "space orphaned", message)
    if not run.entries:
        yield Finding("note", "no concepts", "no concepts were logged to this run")


def by_layer(steps: dict[str, list[int]]) -> str:
    """Steps of layers in words; layers that share them are named together."""
    layers: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for layer, own in steps.items():
        layers[tuple(sorted(set(own)))].append(layer)
    parts = [f"{listed(own)} of {_some(names)}" for own, names in layers.items()]
    return "; ".join(parts[:_LISTED])


def listed(steps: Iterable[int]) -> str:
    """Steps in words, neighbours as ranges: "step 3", "steps 0-4, 7"."""
    ranges: list[list[int]] = []
    for step in sorted(set(steps)):
        if ranges and step == ranges[-1][1] + 1:
            ranges[-1][1] = step
        else:
            ranges.append([step, step])
    parts = [str(first) if first == last else f"{first} to {last}" for first, last in ranges]
    shown = ", ".join(parts[:_LISTED]) + (", ..." if len(parts) > _LISTED else "")
    return f"step {shown}" if shown.lstrip("-").isdigit() else f"steps {shown}"


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more layers" if len(names) > _LISTED else "")


def _steps(steps: dict[str, list[int]]) -> tuple[int, ...]:
    return tuple(sorted({step for own in steps.values() for step in own}))
