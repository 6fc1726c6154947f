"""Concept Monitor inside training libraries, each an optional dependency of its own."""
