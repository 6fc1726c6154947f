"""Puts tables of important evolutions into a SummaryWriter's event file, each as one Event."""

from __future__ import annotations

import warnings
from typing import Any, cast

from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.call_site import level_outside
from conceptmon_tb.event_writing import check_open, sent_by, session_of, warn_once
from conceptmon_tb.evolution_records import Evolutions, evolutions_summary


def add_evolutions(
    writer: SummaryWriter, evolutions: Evolutions, walltime: float | None = None, *, strict: bool = False
) -> None:
    """Log a table of important evolutions with any SummaryWriter of torch, at its `to_step`.

    Log it into the run whose epochs it speaks of: the tab shows the images of a neuron before and after from
    that run's snapshots. Tables may be logged in any order, also after the training.

    Args:
        writer: An open SummaryWriter.
        evolutions: From `evolution.important_evolutions`.
        walltime: Seconds since 1970; None for now.
        strict: Raise a failure, or a second table of the same two epochs, instead of warning.

    Raises:
        RuntimeError: The writer is closed.
        TypeError: An argument of the wrong type.
    """
    if not hasattr(writer, "_get_file_writer"):
        raise TypeError(
            f"writer must be a torch.utils.tensorboard.SummaryWriter, got {type(writer).__name__}"
        )
    if not isinstance(evolutions, Evolutions):
        raise TypeError(
            f"evolutions must be what important_evolutions gives, got {type(evolutions).__name__}"
        )
    check_open(writer)
    if (reopen := getattr(writer, "reopen_if_failed", None)) is not None:
        reopen()
    pair = evolutions.from_step, evolutions.to_step
    known = session_of(writer).history.evolutions
    if pair in known:
        message = (
            f"the evolutions from step {pair[0]} to {pair[1]} are in the log already, and stay; log all "
            f"classes of two epochs in one table"
        )
        if strict:
            raise ValueError(message)
        warnings.warn(message, RuntimeWarning, stacklevel=level_outside())
        return
    what = f"evolutions from step {pair[0]} to {pair[1]} were not logged"
    try:
        file_writer = cast("Any", writer)._get_file_writer()  # noqa: SLF001 (no public way)
        file_writer.add_summary(evolutions_summary(evolutions), pair[1], walltime)
        file_writer.flush()
    except Exception as error:
        if strict:
            raise
        warn_once(sent_by(writer), what, error)
        return
    if not getattr(file_writer.event_writer, "failed", False):
        known.add(pair)
    elif strict:
        raise OSError(f"the event file in {str(writer.log_dir)!r} could not be written")
