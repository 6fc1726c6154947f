"""One writer's stay in a run's folder: what was logged before it, what it logged, and who else writes there.

TensorBoard wants steps to grow. Its fast loader drops what a tag has from a step on when that step comes
again, its Python loader keeps both; so a step that is there is not logged again, unless the session began
with `purge_step`, which both understand.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from conceptmon_tb.event_files import event_files, is_event_file
from conceptmon_tb.folder_lock import FolderLock, lock_folder
from conceptmon_tb.history import History, read_history

_LONGEST_WAIT = 1.5  # seconds; a name of an event file has its second in it


@dataclass
class Session:
    """What is known of a folder, and what this session added.

    Attributes:
        folder: The run's own directory; None where it cannot be looked at (a bucket).
        history: What earlier sessions logged.
        own_file: Name of the event file of this session, "" where that is not known.
        steps: What this session logged, by layer.
        resumed_at: The step from which on this session replaces what was there; None without `purge_step`.
    """

    folder: Path | None
    history: History = field(default_factory=History)
    own_file: str = ""
    steps: dict[str, list[int]] = field(default_factory=dict)
    resumed_at: int | None = None
    _told: set[str] = field(default_factory=set)

    def refusal(self, layers: Iterable[str], step: int) -> str | None:
        """Why some layers cannot be logged at a step; None when they can.

        Args:
            layers: Layers that are to be logged.
            step: Global step.
        """
        layers = list(layers)
        repeated = [layer for layer in layers if step in self.steps.get(layer, ())]
        if repeated:
            return (
                f"concepts of {', '.join(repeated)} were logged at global_step={step} before; the first "
                f"stays. Give every call a step of its own"
            )
        later = [layer for layer in layers if step < max(self.steps.get(layer, ()), default=step)]
        if later:
            return (
                f"concepts of {', '.join(later)} were logged at a later step than global_step={step} before; "
                f"TensorBoard's fast loader would drop that, so this call logs nothing. Log in order of steps"
            )
        last = {layer: self.history.last_step(layer) for layer in layers}
        earlier = {layer: known for layer, known in last.items() if known is not None and known >= step}
        if earlier:
            return (
                f"an earlier session in {str(self.folder)!r} logged concepts of {', '.join(earlier)} up to "
                f"step {max(earlier.values())}; its epochs stay, and global_step={step} is not logged again. "
                f"Log into another folder; or, to replace what it logged from here on, resume with "
                f"ConceptWriter(..., purge_step={step})"
            )
        return None

    def use_file(self, name: str) -> None:
        """Name the event file of this session; whatever else grows from now on is somebody else's."""
        self.own_file = name
        if self.folder is not None:
            self.history.sizes = _sizes(self.folder)

    def begin_again(self, step: int) -> None:
        """Forget what was logged from a step on, in this session too: a START event in the log hides it."""
        self.resumed_at = step
        self.history.purge(step)
        self.steps = {layer: [s for s in steps if s < step] for layer, steps in self.steps.items()}

    def last_step(self, layer: str) -> int | None:
        """The last step of a layer in the log; None without any."""
        return max(self.steps.get(layer, ()), default=self.history.last_step(layer))

    def tell_once(self, about: str) -> bool:
        """Whether this is the first time that a matter comes up."""
        is_new = about not in self._told
        self._told.add(about)
        return is_new

    def may_send_space(self, step: int) -> bool:
        """Whether a space sent at a step hides no other one in the fast loader."""
        return step > max(self.history.space_steps, default=step - 1)

    def may_send_images(self, step: int) -> bool:
        """Whether thumbnails sent at a step hide no other ones in the fast loader."""
        return step > max(self.history.image_steps, default=step - 1)

    def note(self, layers: Iterable[str], step: int, *, space: bool, images: bool) -> None:
        """Remember what was written."""
        for layer in layers:
            self.steps.setdefault(layer, []).append(step)
        if space:
            self.history.space_steps.add(step)
        if images:
            self.history.image_steps.add(step)

    def other_writer(self) -> str | None:
        """A warning when an event file of somebody else has grown since the last look; None without."""
        if self.folder is None or not self.own_file:
            return None
        sizes = _sizes(self.folder)
        known, self.history.sizes = self.history.sizes, sizes
        grown = [name for name in sizes if name != self.own_file and sizes[name] > known.get(name, -1)]
        if not grown:
            return None
        return (
            f"something else is writing to {str(self.folder)!r} too ({', '.join(sorted(grown)[:3])}): of two "
            f"writers in one directory TensorBoard shows only parts. Give each run a log_dir of its own, and "
            f"use one writer in each (a ConceptWriter is a SummaryWriter); `conceptmon doctor "
            f"{self.folder} --repair OUT` takes the two apart"
        )


def open_folder(folder: Path, *, strict: bool) -> tuple[Path, FolderLock]:
    """Choose where a run goes: its folder, or a new one beside it when another process writes there.

    Args:
        folder: What the user asked for; it exists.
        strict: Raise instead of moving.

    Returns:
        The folder, which exists, and a hold on it.

    Raises:
        RuntimeError: Another process writes there, with `strict`.
    """
    lock = lock_folder(folder)
    if lock is not None:
        return folder, lock
    mend = "Give each run a log_dir of its own; of several processes of one training, let one write"
    if strict:
        raise RuntimeError(f"another process is writing to log_dir {str(folder)!r}. {mend}")
    number = 2
    while True:
        beside = folder.with_name(f"{folder.name}_{number}")
        beside.mkdir(exist_ok=True)
        lock = lock_folder(beside)
        if lock is not None and not event_files(beside):
            break
        if lock is not None:
            lock.release()
        number += 1
    warnings.warn(
        f"another process is writing to log_dir {str(folder)!r}; this run goes to {str(beside)!r}: in one "
        f"directory the two would hide each other's epochs in TensorBoard. {mend}",
        RuntimeWarning,
        stacklevel=3,
    )
    return beside, lock


def resume(folder: Path, purge_step: int | None, layers: Iterable[str] | None) -> Session:
    """Find out what a folder holds, before a session in it begins.

    Args:
        folder: The run's own directory.
        purge_step: The step at which the session starts again, or None.
        layers: Layers that it will log; None when not known.

    Returns:
        The session, without its own file.
    """
    session = Session(folder, read_history(folder))
    if purge_step is None:
        return session
    session.resumed_at = purge_step
    gone = session.history.purge(purge_step)
    left = [layer for layer in gone if layers is not None and layer not in layers]
    if left:
        warnings.warn(
            f"layers {', '.join(left)} were logged from step {purge_step} on in {str(folder)!r} and are not "
            f"any more: TensorBoard's fast loader goes on showing these epochs. Log the resumed run to a new "
            f"log_dir, or make a clean copy with `conceptmon doctor {folder} --repair OUT`",
            RuntimeWarning,
            stacklevel=3,
        )
    return session


def wait_for_a_later_name(folder: Path | None) -> str | None:
    """Wait until a new event file will sort behind those that are there: TensorBoard reads them by name.

    Args:
        folder: The run's own directory; None where it cannot be looked at.

    Returns:
        None, or a warning when waiting is of no use because this machine's clock is behind.
    """
    if folder is None:
        return None
    newest = max((_second_in(name) for name in _sizes(folder)), default=0)
    behind = newest + 1 - time.time()
    if behind > _LONGEST_WAIT:
        return (
            f"the newest event file in {str(folder)!r} is {behind:.0f} seconds ahead of this machine's "
            f"clock: TensorBoard will read this session before that one. Set the clock and start again, or "
            f"make a clean copy later with `conceptmon doctor {folder} --repair OUT`"
        )
    if behind > 0:
        time.sleep(behind)
    return None


def _second_in(name: str) -> int:
    digits = name.partition("tfevents.")[2].partition(".")[0]
    return int(digits) if digits.isdecimal() else 0


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as entries:
            return {e.name: e.stat().st_size for e in entries if is_event_file(Path(e.path))}
    except OSError:
        return {}
