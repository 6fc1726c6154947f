"""ConceptEvo on the picture world: what the dissertation shows of concept evolution, in small."""
