"""Concept detectors: activations over a probe set in, similarity of neurons and concepts out."""

from conceptmon_tb.detectors.base import ConceptDetector
from conceptmon_tb.detectors.clip_dissect import ClipDissect

__all__ = ["ClipDissect", "ConceptDetector"]
