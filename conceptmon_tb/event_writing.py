"""Puts the snapshots of an epoch into a SummaryWriter's event file, as one Event.

What a writer has sent is remembered here, by writer: spaces and thumbnails go out once, and a step is not
repeated. It works with any SummaryWriter of torch; `writer` has the one that also looks at the model.
"""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from conceptmon_tb.alert_log import AlertLog
from conceptmon_tb.alert_records import alert_summary
from conceptmon_tb.budget import Cost
from conceptmon_tb.call_site import level_outside
from conceptmon_tb.probe import ProbeSet
from conceptmon_tb.session import Session, resume
from conceptmon_tb.snapshot import ConceptSnapshot, ProbeImages
from conceptmon_tb.summary import concept_summary, cost_summary, probe_summary, space_summary

logger = logging.getLogger(__name__)


@dataclass
class Sent:
    """What a writer has sent, so that spaces and thumbnails go out once and steps are not repeated.

    Attributes:
        space: Fingerprint of the space that was sent last, "" before the first.
        images: Ids of the images whose thumbnails were sent.
        session: What is known of the writer's folder; None until it is needed.
        warned: Whether a failure was told already.
        alerts: The writer's alerts.
    """

    space: str = ""
    images: set[int] = field(default_factory=set)
    session: Session | None = None
    warned: bool = False
    alerts: AlertLog = field(default_factory=AlertLog)


_sent: weakref.WeakKeyDictionary[SummaryWriter, Sent] = weakref.WeakKeyDictionary()


def sent_by(writer: SummaryWriter) -> Sent:
    """Return what a writer has sent; the same object whenever it is asked for."""
    if writer not in _sent:
        _sent[writer] = Sent()
    return _sent[writer]


def add_concepts(
    writer: SummaryWriter,
    snapshots: Mapping[str, ConceptSnapshot],
    global_step: int,
    images: ProbeSet | ProbeImages | None = None,
    walltime: float | None = None,
    *,
    strict: bool = False,
    cost: Cost | None = None,
    scalars: Mapping[str, Any] | None = None,
) -> None:
    """Log snapshots with any SummaryWriter of torch (Lightning's and Accelerate's are such).

    Everything goes into one Event. The space goes with the first snapshots and again when it changes;
    thumbnails go once for each writer.

    Args:
        writer: An open SummaryWriter.
        snapshots: From `ConceptMonitor.observe`, by layer.
        global_step: The epoch or step, -1 or more.
        images: The probe set (`monitor.probe`) or thumbnails of it; None logs no pictures.
        walltime: Seconds since 1970; None for now.
        strict: Raise a failure, or a second call at the same step, instead of warning.
        cost: What the observation cost (`monitor.last_cost`), for the scalar `concepts/seconds`; None
            logs none.
        scalars: The loop's own scalars of this epoch by tag, for the alert rules; a ConceptWriter hears what
            passes through it by itself.

    Raises:
        RuntimeError: The writer is closed.
        TypeError: An argument of the wrong type.
        ValueError: `global_step` is below -1.
    """
    if not hasattr(writer, "_get_file_writer"):
        raise TypeError(
            f"writer must be a torch.utils.tensorboard.SummaryWriter, got {type(writer).__name__}; "
            f"a Lightning logger's is logger.experiment"
        )
    if not isinstance(snapshots, Mapping):
        raise TypeError(
            f"snapshots must map layers to ConceptSnapshots, as monitor.observe(model) gives them, got "
            f"{type(snapshots).__name__}"
        )
    wrong = [value for value in snapshots.values() if not isinstance(value, ConceptSnapshot)]
    if wrong:
        raise TypeError(f"snapshots must hold ConceptSnapshots, got {type(wrong[0]).__name__} in it")
    step = check_step(global_step)
    check_open(writer)
    if (reopen := getattr(writer, "reopen_if_failed", None)) is not None:
        reopen()
    if not snapshots or is_repeated(session_of(writer), snapshots, step, strict):
        return
    sent = sent_by(writer)
    sent.alerts.note(scalars or {})
    try:
        is_written = write_snapshots(writer, snapshots, step, images, walltime, cost)
    except Exception as error:
        if strict:
            raise
        warn_once(sent, f"concepts were not logged at step {step}", error)
        return
    if not is_written and strict:
        raise OSError(f"the event file in {str(writer.log_dir)!r} could not be written")
    sent.alerts.tell()


def session_of(writer: SummaryWriter) -> Session:
    """Return what is known of a writer's folder: what earlier sessions logged there, and what this one did.

    Args:
        writer: An open SummaryWriter; its folder is read when it is asked for the first time.

    Returns:
        Its session; the same object whenever it is asked for.
    """
    sent = sent_by(writer)
    file_writer = cast("Any", writer)._get_file_writer()  # noqa: SLF001 (no public way)
    if sent.session is not None:
        if sent.session.own_file != file_name(file_writer):  # closed, and opened anew by a scalar
            sent.session.use_file(file_name(file_writer))
        return sent.session
    if "://" in str(writer.log_dir):
        sent.session = Session(None)
        return sent.session
    file_writer.flush()  # a START event of its own counts
    sent.session = resume(Path(str(writer.log_dir)), None, None)
    sent.session.use_file(file_name(file_writer))
    unpurged = sorted({step for steps in sent.session.history.unpurged.values() for step in steps})
    if unpurged:
        warnings.warn(
            f"purge_step hides steps {unpurged[0]} to {unpurged[-1]} in {str(writer.log_dir)!r} only in "
            f"TensorBoard's fast loader: no session before had a START event. Resume with a ConceptWriter, "
            f"or make a clean copy with `conceptmon doctor {writer.log_dir} --repair OUT`",
            RuntimeWarning,
            stacklevel=level_outside(),
        )
    return sent.session


def alerts_of(writer: SummaryWriter) -> AlertLog:
    """Return a writer's alerts: those that hold, those that were raised, and how to configure them.

    Args:
        writer: Any SummaryWriter; of a ConceptWriter it is `writer.alerts` too.

    Returns:
        Its alerts; the same object whenever it is asked for.
    """
    return sent_by(writer).alerts


def write_snapshots(
    writer: SummaryWriter,
    snapshots: Mapping[str, ConceptSnapshot],
    step: int,
    images: ProbeSet | ProbeImages | None,
    walltime: float | None,
    cost: Cost | None = None,
    training: Mapping[str, float] | None = None,
) -> bool:
    """Write one epoch that was checked already: see `add_concepts`, which does that.

    Args:
        writer: An open SummaryWriter.
        snapshots: By layer, at least one.
        step: Global step.
        images: As for `add_concepts`.
        walltime: Seconds since 1970; None for now.
        cost: What the observation cost; None logs none.
        training: Loss and accuracy of the epoch by tag, for the alert rules; None takes what was heard.

    Returns:
        Whether the epoch is in the file. A ConceptWriter tells a failed write by itself; of another writer it
        is raised.

    Raises:
        ValueError: The snapshots have several spaces, or their space would hide another one.
    """
    spaces = {snapshot.space.fingerprint: snapshot.space for snapshot in snapshots.values()}
    if len(spaces) != 1:
        raise ValueError(
            f"snapshots of one step must share one space, got {len(spaces)}; log them at two steps"
        )
    (fingerprint, space), *_ = spaces.items()
    sent, session = sent_by(writer), session_of(writer)
    is_new_space = fingerprint != sent.space
    if is_new_space and not session.may_send_space(step):
        raise ValueError(
            f"another concept space is in the log at global_step={step} or later already; log the new one at "
            f"a later step, or to a log_dir of its own"
        )
    new = _new_images(snapshots, images, sent.images) if session.may_send_images(step) else None
    summary = concept_summary(snapshots, step, new)
    if cost is not None:
        summary.MergeFrom(cost_summary(cost.seconds))
    training = sent.alerts.take_training() if training is None else training
    report = sent.alerts.look(snapshots, step, training, session.folder, session.resumed_at)
    if report is not None:
        summary.MergeFrom(alert_summary(report))
    if is_new_space:
        with_space = space_summary(space, step)
        with_space.MergeFrom(probe_summary(snapshots))
        with_space.MergeFrom(summary)
        summary = with_space
    file_writer = cast("Any", writer)._get_file_writer()  # noqa: SLF001 (no public way)
    file_writer.add_summary(summary, step, walltime)
    file_writer.flush()  # whatever kills the process later, this epoch is in the file
    if getattr(file_writer.event_writer, "failed", False):
        return False  # nothing was sent, and the step may come again
    sent.space = fingerprint
    sent.images.update([] if new is None else new.ids.tolist())
    session.note(snapshots, step, space=is_new_space, images=new is not None)
    return True


def _new_images(
    snapshots: Mapping[str, ConceptSnapshot], images: ProbeSet | ProbeImages | None, known: set[int]
) -> ProbeImages | None:
    """Thumbnails that the snapshots refer to and that were not sent yet."""
    if images is None:
        return None
    referred = np.unique(np.concatenate([snapshot.top_images.ravel() for snapshot in snapshots.values()]))
    wanted = [image for image in referred.tolist() if image >= 0 and image not in known]
    if not wanted:
        return None
    if isinstance(images, ProbeSet):
        return images.images(wanted)
    kept = np.isin(images.ids, wanted)
    return ProbeImages(ids=images.ids[kept], thumbnails=images.thumbnails[kept])


def check_step(global_step: Any) -> int:
    """Return a global step as a plain number.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is below -1.
    """
    if isinstance(global_step, (Tensor, np.ndarray)) and global_step.ndim == 0:
        global_step = global_step.item()
    if isinstance(global_step, bool) or not isinstance(global_step, (int, np.integer)):
        raise TypeError(
            f"global_step must be a whole number, got {type(global_step).__name__}: {global_step!r}"
        )
    if global_step < -1:
        raise ValueError(f"global_step must be -1 (before training) or more, got {global_step}")
    return int(global_step)


def check_open(writer: SummaryWriter) -> None:
    """Raise a RuntimeError when a writer is closed."""
    if writer.all_writers is None:
        raise RuntimeError(
            f"the writer of {writer.log_dir} is closed; call add_concepts before close(), inside "
            f"the with block"
        )


def file_name(file_writer: Any) -> str:
    """Name of the event file, "" where torch does not tell it."""
    event_writer = file_writer.event_writer
    return Path(getattr(getattr(event_writer, "_inner", event_writer), "_file_name", "")).name


def is_repeated(session: Session, layers: Any, step: int, strict: bool) -> bool:
    """TensorBoard's loaders disagree about which of two values at one step counts: keep the first."""
    if (message := session.other_writer()) is not None and session.tell_once("other writer"):
        warnings.warn(message, RuntimeWarning, stacklevel=level_outside())
    refusal = session.refusal(layers, step)
    if refusal is None:
        return False
    if strict:
        raise ValueError(refusal)
    if "earlier session" not in refusal or session.tell_once("earlier session"):
        warnings.warn(refusal, RuntimeWarning, stacklevel=level_outside())
    return True


def warn_once(sent: Sent, what: str, error: BaseException) -> None:
    """Warn of a writer's first failure; later ones are only logged."""
    message = f"{what}: {type(error).__name__}: {error}"
    if sent.warned:
        logger.debug(message)
        return
    sent.warned = True
    warnings.warn(
        f"{message}. Training goes on; further failures are not reported. strict=True raises them",
        RuntimeWarning,
        stacklevel=level_outside(),
    )
