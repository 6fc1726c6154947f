"""What a run's event files hold: snapshots, the loop's scalars and the texts beside them.

`cm.read_run` gives the snapshots; scalars that were logged at no epoch, and texts, are read here in the same
order and with the same rules.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2

import conceptmon_tb as cm
from conceptmon_tb.event_files import event_files, read_records
from conceptmon_tb.reader import Run
from conceptmon_tb.training_scalars import scalar_value

COMPLETE_TAG = "case_study/complete"
SETTINGS_TAG = "case_study/settings"
SECONDS_TAG = "case_study/cpu_seconds"
_TEXT_SUFFIX = "/text_summary"  # what torch's add_text adds to a tag
_STRING = 7  # DT_STRING


@dataclass(frozen=True)
class Log:
    """Scalars and texts of a run.

    Attributes:
        scalars: By tag, then by step.
        texts: By tag; the last one of each.
    """

    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end."""
        return bool(self.scalars.get(COMPLETE_TAG))

    def last(self, tag: str) -> float:
        """The last value of a scalar; NaN where there is none."""
        by_step = self.scalars.get(tag, {})
        return by_step[max(by_step)] if by_step else float("nan")


@dataclass(frozen=True)
class Trial:
    """One finished run of a study.

    Attributes:
        variant: What was done, such as "standard" or "lottery_ticket/rewound".
        seed: With which seed.
        run: Its snapshots.
        log: Its scalars and texts.
    """

    variant: str
    seed: int
    run: Run
    log: Log


def read_log(folder: Path) -> Log:
    """Read scalars and texts of one run; an empty log where there is none.

    Args:
        folder: The run's own directory.
    """
    scalars: dict[str, dict[int, float]] = defaultdict(dict)
    texts: dict[str, str] = {}
    if not folder.is_dir():
        return Log()
    for path in event_files(folder):
        for record in read_records(path):
            if record.damage is not None or record.data is None:
                continue
            event = event_pb2.Event.FromString(record.data)
            if event.session_log.status == event_pb2.SessionLog.START:
                for by_step in scalars.values():  # a session starts there again
                    for step in [step for step in by_step if step >= event.step]:
                        del by_step[step]
            for value in event.summary.value:
                _take(value, event.step, scalars, texts)
    return Log({tag: by_step for tag, by_step in scalars.items() if by_step}, texts)


def _take(value: Any, step: int, scalars: dict[str, dict[int, float]], texts: dict[str, str]) -> None:
    number = scalar_value(value)
    if number is not None:
        scalars[value.tag][step] = number
    elif value.HasField("tensor") and value.tensor.dtype == _STRING and value.tag.startswith("case_study/"):
        texts[value.tag.removesuffix(_TEXT_SUFFIX)] = b"".join(value.tensor.string_val).decode("utf-8")


def read_trials(logdir: Path) -> list[Trial]:
    """All finished runs below a folder, sorted by variant and seed; `<variant>/seed-<n>` is their place.

    Args:
        logdir: Where the studies wrote.
    """
    trials = []
    for folder in sorted(logdir.rglob("seed-*")):
        if not folder.is_dir():
            continue
        log = read_log(folder)
        if log.is_complete:
            variant = folder.parent.relative_to(logdir).as_posix()
            trials.append(Trial(variant, int(folder.name.removeprefix("seed-")), cm.read_run(folder), log))
    return sorted(trials, key=lambda trial: (trial.variant, trial.seed))
