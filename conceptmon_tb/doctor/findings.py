"""What the doctor has to say, as plain values: for Python, for JSON and for the report alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["damage", "stale", "note"]
"""Damage: bytes that cannot be used. Stale: TensorBoard shows too much or too little. Note: all is well."""


@dataclass(frozen=True)
class Finding:
    """One thing worth saying about a run.

    Attributes:
        level: "damage" and "stale" are problems, "note" is not.
        code: What it is, for programs (docs/resume.md lists all).
        message: A sentence for people, with the mend where there is one.
        file: Name of the event file, "" where it is about the whole run.
        record: Number of the record in the file, counted from 0; None where there is none.
        offset: Of its first byte in the file; None where there is none.
        nbytes: How many bytes cannot be used; None where it is about no bytes.
        tag: Tag of the value, "" without.
        steps: Steps that it is about.
    """

    level: Level
    code: str
    message: str
    file: str = ""
    record: int | None = None
    offset: int | None = None
    nbytes: int | None = None
    tag: str = ""
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class FileExamination:
    """One event file.

    Attributes:
        name: Its name.
        nbytes: Its size.
        records: Number of good records.
        writer: Host and process that wrote it, as its name tells; "" where it does not.
        source: The library that wrote it, by its own word.
        created: Seconds since 1970; None where nothing tells.
        first_step: First step with values; None without any.
        last_step: Last step with values; None without any.
        starts: Step of each START event: where a session began.
    """

    name: str
    nbytes: int
    records: int
    writer: str
    source: str
    created: float | None
    first_step: int | None
    last_step: int | None
    starts: tuple[int, ...]


@dataclass(frozen=True)
class LayerExamination:
    """One layer.

    Attributes:
        name: Its name.
        neurons: Number of neurons at its last step.
        steps: Complete steps that count, sorted.
        spaces: Fingerprints of the concept spaces of these steps.
    """

    name: str
    neurons: int
    steps: tuple[int, ...]
    spaces: tuple[str, ...]


@dataclass(frozen=True)
class SpaceExamination:
    """One concept space.

    Attributes:
        fingerprint: Its name in the log.
        words: Number of concepts.
        encoder: Its encoder.
        is_used: Whether an epoch that counts is in it.
    """

    fingerprint: str
    words: int
    encoder: str
    is_used: bool


@dataclass(frozen=True)
class RunExamination:
    """One run.

    Attributes:
        name: Path of its folder from the log directory, "." for the log directory itself.
        nbytes: Of all event files.
        is_live: Whether a ConceptWriter is writing to it now.
        files: Event files, in the order in which they were begun.
        layers: Layers with concepts, by name.
        spaces: Concept spaces.
        images: Number of thumbnails.
        schemas: Schema versions of the payloads.
        plugins: Number of tags and of values of other plugins, by name.
        findings: Damage first, then what is stale, then notes.
    """

    name: str
    nbytes: int
    is_live: bool
    files: tuple[FileExamination, ...]
    layers: tuple[LayerExamination, ...]
    spaces: tuple[SpaceExamination, ...]
    images: int
    schemas: tuple[int, ...]
    plugins: dict[str, tuple[int, int]]
    findings: tuple[Finding, ...]

    @property
    def sessions(self) -> int:
        """How often the run was begun or resumed: each start makes a file of its own."""
        return sum(1 for file in self.files if file.records)

    @property
    def steps(self) -> tuple[int, ...]:
        """All steps with concepts that count, sorted."""
        return tuple(sorted({step for layer in self.layers for step in layer.steps}))

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Findings that are more than notes."""
        return tuple(finding for finding in self.findings if finding.level != "note")


@dataclass(frozen=True)
class Examination:
    """A log directory.

    Attributes:
        logdir: As it was given.
        runs: Every folder with event files in it, by name.
    """

    logdir: str
    runs: tuple[RunExamination, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Problems of all runs."""
        return tuple(finding for run in self.runs for finding in run.problems)

    @property
    def is_clean(self) -> bool:
        """Whether there are none."""
        return not self.problems
