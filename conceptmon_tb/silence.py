"""What a writer writes to on ranks that must not write: nowhere, and without a folder or a file."""

from __future__ import annotations

from typing import Any


class SilentFileWriter:
    """Takes the place of torch's FileWriter; everything that a loop logs on this rank is dropped.

    Args:
        log_dir: The run's folder, which is not made.
    """

    def __init__(self, log_dir: str) -> None:
        self._log_dir = log_dir
        self.event_writer = self

    def get_logdir(self) -> str:
        """The run's folder."""
        return self._log_dir

    def reaches_file(self) -> bool:
        """Nothing is meant to arrive: there is nothing to mend."""
        return True

    def drop(self, *arguments: Any, **options: Any) -> None:
        """Do nothing."""

    add_event = add_summary = add_graph = add_onnx_graph = flush = close = reopen = drop
