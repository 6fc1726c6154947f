"""Concept Monitor: which human concept does every neuron detect, at every epoch of a training?

The public names are handed out lazily, because TensorBoard imports this package at start-up to find
the plugin and must not pay for torch, open_clip or umap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conceptmon_tb import export, functional
    from conceptmon_tb.alert_records import Alert
    from conceptmon_tb.alert_rules import AlertRules
    from conceptmon_tb.alerts import ConceptAlert, check_run
    from conceptmon_tb.checkpoints import backfill
    from conceptmon_tb.concepts import ConceptSet
    from conceptmon_tb.detectors import ClipDissect, ConceptDetector, Descriptions, NetworkDissection
    from conceptmon_tb.encoders import ConceptEncoder, OpenClipEncoder, WorldEncoder
    from conceptmon_tb.evolution import (
        SemanticSpace,
        SemanticSpaceMonitor,
        SpaceSettings,
        fit_semantic_space,
        important_evolutions,
        revert_test,
    )
    from conceptmon_tb.evolution_writing import add_evolutions
    from conceptmon_tb.masked_probe import MaskedProbe
    from conceptmon_tb.monitor import ConceptMonitor
    from conceptmon_tb.probe import ProbeSet
    from conceptmon_tb.reader import read_run
    from conceptmon_tb.regularizer import ConceptDiversityLoss, ImageFeatures
    from conceptmon_tb.snapshot import ConceptSnapshot, ConceptSpace
    from conceptmon_tb.writer import ConceptWriter, add_concepts, alerts_of

__version__ = "0.1.0"

_HOME = {
    "Alert": "alert_records",
    "AlertRules": "alert_rules",
    "ClipDissect": "detectors",
    "ConceptAlert": "alerts",
    "ConceptDetector": "detectors",
    "ConceptDiversityLoss": "regularizer",
    "ConceptEncoder": "encoders",
    "ConceptMonitor": "monitor",
    "ConceptSet": "concepts",
    "ConceptSnapshot": "snapshot",
    "ConceptSpace": "snapshot",
    "ConceptWriter": "writer",
    "Descriptions": "detectors",
    "ImageFeatures": "regularizer",
    "MaskedProbe": "masked_probe",
    "NetworkDissection": "detectors",
    "OpenClipEncoder": "encoders",
    "ProbeSet": "probe",
    "SemanticSpace": "evolution",
    "SemanticSpaceMonitor": "evolution",
    "SpaceSettings": "evolution",
    "WorldEncoder": "encoders",
    "add_concepts": "writer",
    "add_evolutions": "evolution_writing",
    "backfill": "checkpoints",
    "alerts_of": "writer",
    "check_run": "alerts",
    "fit_semantic_space": "evolution",
    "important_evolutions": "evolution",
    "revert_test": "evolution",
    "read_run": "reader",
}

__all__ = [
    "Alert",
    "AlertRules",
    "ClipDissect",
    "ConceptAlert",
    "ConceptDetector",
    "ConceptDiversityLoss",
    "ConceptEncoder",
    "ConceptMonitor",
    "ConceptSet",
    "ConceptSnapshot",
    "ConceptSpace",
    "ConceptWriter",
    "Descriptions",
    "ImageFeatures",
    "MaskedProbe",
    "NetworkDissection",
    "OpenClipEncoder",
    "ProbeSet",
    "SemanticSpace",
    "SemanticSpaceMonitor",
    "SpaceSettings",
    "WorldEncoder",
    "__version__",
    "add_concepts",
    "add_evolutions",
    "alerts_of",
    "backfill",
    "check_run",
    "export",
    "fit_semantic_space",
    "functional",
    "important_evolutions",
    "read_run",
    "revert_test",
]


def __getattr__(name: str) -> Any:
    if name in ("export", "functional"):
        return importlib.import_module(f"conceptmon_tb.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"conceptmon_tb.{_HOME[name]}"), name)
    raise AttributeError(f"module 'conceptmon_tb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
