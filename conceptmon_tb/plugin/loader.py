"""The entry point of TensorBoard's plugin discovery.

An exception in this module's import, in `define_flags` or in `fix_flags` would keep TensorBoard from
starting at all. So the module imports next to nothing, and `fix_flags` never raises.
"""

from __future__ import annotations

from typing import Any

from tensorboard.plugins import base_plugin

from conceptmon_tb.plugin.heap import share_heap

PLUGIN_NAME = "conceptmon"  # as in `metadata`, which costs an import of numpy


class ConceptMonitorLoader(base_plugin.TBLoader):  # type: ignore[misc]  # TensorBoard has no types
    """Makes TensorBoard keep every epoch of ours, and loads the plugin."""

    def fix_flags(self, flags: Any) -> None:
        """Ask for all steps, unless the user chose a number with `--samples_per_plugin conceptmon=N`.

        TensorBoard keeps 10 to 100 steps of a time series by default, and would drop epochs silently. Here
        threads are also made to share one heap: later, those of the data server's client have their own.

        Args:
            flags: TensorBoard's parsed flags; changed in place.
        """
        try:
            samples = getattr(flags, "samples_per_plugin", None)
            if samples is None or samples == "":
                samples = {}
            samples.setdefault(PLUGIN_NAME, 0)
            flags.samples_per_plugin = samples
            share_heap()
        except Exception:  # noqa: BLE001, S110  # any exception here would keep TensorBoard from starting
            pass

    def load(self, context: Any) -> Any:
        """Make the plugin.

        Args:
            context: TensorBoard's `TBContext`.

        Returns:
            The plugin; None where TensorBoard has no data provider to read from.
        """
        if context.data_provider is None:
            return None
        from conceptmon_tb.plugin.app import ConceptMonitorPlugin

        return ConceptMonitorPlugin(context)
