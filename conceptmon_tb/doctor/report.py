"""An examination in words and as JSON."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any

from conceptmon_tb.doctor.examine import listed
from conceptmon_tb.doctor.findings import Examination, Finding, RunExamination
from conceptmon_tb.doctor.repair import Repair
from conceptmon_tb.terminal_text import printable

_SHOWN = 20  # findings of a run; --json has all
_HIDES_NOTHING = 1 << 60  # Lightning runs get a START event like this, for the sake of the next one
_LABELS = {"damage": "damaged", "stale": "stale", "note": "note"}


def report_lines(found: Examination) -> Iterator[str]:
    """Say what was found, run by run, and the verdict.

    Args:
        found: An examination.

    Yields:
        Lines of text.
    """
    for run in found.runs:
        yield from map(_one_line, _run_lines(run))
        yield ""
    count = len(found.problems)
    ill = sum(bool(run.problems) for run in found.runs)
    if not count:
        yield f"{_plural(len(found.runs), 'run')}: clean"
    else:
        yield f"{_plural(count, 'problem')} in {ill} of {_plural(len(found.runs), 'run')}"


def repair_lines(made: Repair) -> Iterator[str]:
    """Say what was written.

    Args:
        made: A clean copy.

    Yields:
        Lines of text.
    """
    for run in made.runs:
        extra = f", {run.salvaged} of them behind a damaged place" if run.salvaged else ""
        left = f"; left out {_plural(run.dropped, 'value')}" if run.dropped else ""
        yield _one_line(f"{run.name}: {_plural(run.events, 'event')}{extra}{left} -> {run.path}")
    yield f"clean copy in {made.out}; the original is as it was"


def to_json(found: Examination, made: Repair | None = None) -> str:
    """An examination as JSON, with every finding.

    Args:
        found: An examination.
        made: A clean copy, if one was written.
    """
    answer: dict[str, Any] = {
        "logdir": found.logdir,
        "clean": found.is_clean,
        "problems": len(found.problems),
        "runs": [
            {**dataclasses.asdict(run), "sessions": run.sessions, "steps": run.steps} for run in found.runs
        ],
    }
    if made is not None:
        answer["repair"] = dataclasses.asdict(made)
    return json.dumps(answer, indent=2, allow_nan=False)


def _run_lines(run: RunExamination) -> Iterator[str]:
    steps = f"{_plural(len(run.steps), 'step')}"
    if run.steps:
        steps += f" ({run.steps[0]} to {run.steps[-1]})" if len(run.steps) > 1 else f" ({run.steps[0]})"
    files, sessions = _plural(len(run.files), "file"), _plural(run.sessions, "session")
    yield f"{run.name}: {_size(run.nbytes)} in {files}, {sessions}, {steps} with concepts"
    for file in run.files:
        yield f"  file     {_file_line(file)}"
    for layer in run.layers:
        spaces = f", {len(layer.spaces)} concept spaces" if len(layer.spaces) > 1 else ""
        own = "" if layer.steps == run.steps else f" ({listed(layer.steps)})"
        yield f"  layer    {layer.name}: {layer.neurons} neurons, {len(layer.steps)} steps{own}{spaces}"
    for space in run.spaces:
        yield f"  space    {space.fingerprint[:12]}: {space.words:,} concepts, {space.encoder}"
    if run.images:
        yield f"  images   {run.images} thumbnails"
    if run.plugins:
        parts = (f"{plugin} {values:,} in {tags} tags" for plugin, (tags, values) in run.plugins.items())
        yield f"  others   {', '.join(parts)}"
    if run.schemas:
        yield f"  schema   version {', '.join(map(str, run.schemas))}"
    for finding in run.findings[:_SHOWN]:
        yield f"  {_LABELS[finding.level]:8} {_finding_line(finding)}"
    if len(run.findings) > _SHOWN:
        yield f"  ...      {len(run.findings) - _SHOWN} more; --json has all"
    count = len(run.problems)
    yield f"  verdict  {_plural(count, 'problem') if count else 'clean'}"


def _file_line(file: Any) -> str:
    parts = [f"{file.name}: {_size(file.nbytes)}", _plural(file.records, "record")]
    if file.first_step is not None:
        parts.append(f"steps {file.first_step} to {file.last_step}")
    if starts := [step for step in file.starts if step < _HIDES_NOTHING]:
        parts.append(f"START at {', '.join(map(str, starts))}")
    if file.created is not None:
        parts.append(time.strftime("begun %Y-%m-%d %H:%M:%S", time.localtime(file.created)))
    if file.source:
        parts.append(f"by {file.source}")
    return ", ".join(parts)


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _finding_line(finding: Finding) -> str:
    if finding.record is None:
        return f"{finding.code}: {finding.message}"
    place = f"{finding.file}, record {finding.record} at byte {finding.offset}"
    return f"{finding.code}: {place}: {finding.message}"


def _size(nbytes: int) -> str:
    if nbytes < 1000:
        return f"{nbytes} B"
    return f"{nbytes / 1e3:.1f} kB" if nbytes < 1e6 else f"{nbytes / 1e6:.1f} MB"


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
