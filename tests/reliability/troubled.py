"""Trainings in processes of their own to which something happens: disks fill up, folders go away."""

from __future__ import annotations

import resource
import shutil
import threading
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from conceptmon_tb.event_files import event_files
from conceptmon_tb.writer import ConceptWriter, add_concepts
from tests.crash import _CONTEXT, stamped
from tests.reliability.disks import OwnDisk
from tests.synthetic import make_images, make_space

LAYERS = {"layer1": 60}
EPOCHS, BEGINS, ENDS = 9, 3, 6
DISK_BYTES = 1 << 20

Course = Callable[[Path, int], None]


def train(top: Path, course: str) -> None:
    """Train while something happens, and leave the log directory in `top/left/COURSE`.

    `top/COURSE.txt` says how it went: "trained to the end" and the warnings, line by line; or why it did not.
    """
    threading.excepthook = lambda _: None  # TensorBoard's writer thread ends with a traceback
    place, told = top / "places" / course, top / f"{course}.txt"
    place.mkdir(parents=True)
    happen = COURSES.get(course)
    if happen is None:
        try:
            happen = partial(DISK_COURSES[course], OwnDisk(place, DISK_BYTES))
        except PermissionError as error:
            told.write_text(f"not allowed: {error}")
            return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _train(place / "run", happen)
        except BaseException:
            told.write_text(f"training ended:\n{traceback.format_exc()}")
            raise
    said = [str(one.message) for one in caught if issubclass(one.category, RuntimeWarning)]
    shutil.copytree(place, top / "left" / course)
    told.write_text("\n".join(["trained to the end", *said]))


def _train(folder: Path, happen: Course) -> None:
    space = make_space()
    images = make_images(space, 32)
    with ConceptWriter(folder) as writer:
        for epoch in range(EPOCHS):
            happen(folder, epoch)
            writer.add_scalar("loss/train", 1 / (epoch + 1), epoch)
            writer.add_scalars("losses", {"train": 1.0, "test": 2.0}, epoch)
            add_concepts(writer, stamped(epoch, 0, LAYERS, space), epoch, images)


def _full(disk: OwnDisk, folder: Path, epoch: int) -> None:
    if epoch == BEGINS:
        disk.fill()
    if epoch == ENDS:
        disk.clear()


def _read_only(disk: OwnDisk, folder: Path, epoch: int) -> None:
    if epoch in (BEGINS, ENDS):
        disk.make_read_only(epoch == BEGINS)


def _removed(folder: Path, epoch: int) -> None:
    if epoch == BEGINS:
        shutil.rmtree(folder)


def _file_removed(folder: Path, epoch: int) -> None:
    if epoch == BEGINS:
        event_files(folder)[0].unlink()


def _moved(folder: Path, epoch: int) -> None:
    if epoch == BEGINS:
        folder.rename(folder.with_name("moved"))


def _replaced_by_a_file(folder: Path, epoch: int) -> None:
    if epoch == BEGINS:
        folder.rename(folder.with_name("moved"))
        folder.write_text("in the way")
    if epoch == ENDS:
        folder.unlink()


def _limited(folder: Path, epoch: int) -> None:
    if epoch == BEGINS:  # the next record is cut in the middle
        _limit_files(event_files(folder)[0].stat().st_size + 700)
    if epoch == BEGINS + 1:
        _limit_files(50)
    if epoch == ENDS:
        _limit_files(resource.RLIM_INFINITY)


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _full_to_the_end(disk: OwnDisk, folder: Path, epoch: int) -> None:
    if epoch == BEGINS:
        disk.fill()


DISK_COURSES = {"full": _full, "full to the end": _full_to_the_end, "read-only": _read_only}
COURSES: dict[str, Course] = {
    "limited": _limited,
    "removed": _removed,
    "file removed": _file_removed,
    "moved": _moved,
    "replaced by a file": _replaced_by_a_file,
}


def start(top: Path, course: str) -> Any:
    """Run `train` in a process of its own."""
    process = _CONTEXT.Process(target=train, args=(top, course))
    process.start()
    return process
