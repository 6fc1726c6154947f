"""Training for diverse concepts: the concept diversity regularizer of the thesis (chapter 3).

`batch_distance` is the mathematics (Eq. 3.1), `tap` takes a layer's activations with their gradient, `loss`
is what a training loop adds (Eq. 3.2), `features` gives the encoder's view of the training pictures.
"""

from conceptmon_tb.regularizer.batch_distance import batch_anchor_distance
from conceptmon_tb.regularizer.features import ImageFeatures
from conceptmon_tb.regularizer.loss import ConceptDiversityLoss

__all__ = ["ConceptDiversityLoss", "ImageFeatures", "batch_anchor_distance"]
