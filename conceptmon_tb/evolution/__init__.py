"""Concept evolution in a unified semantic space: ConceptEvo.

Neurons are known by the images that excite them (`stimuli`). Those of a base model are embedded so that
co-activated ones lie close (`co_activation`, `learning`), images follow from their neurons
(`image_embedding`), and the neurons of any other model and epoch from their images (`semantic_space`). No
text encoder is needed. `fitting` puts the steps in a row, `monitor` looks at a training through a space.

Source: ConceptEvo (Park et al. 2023); dissertation of H. Park, chapter 7 and appendix A.
"""

from conceptmon_tb.evolution.co_activation import CoActivation
from conceptmon_tb.evolution.diagnosis import Pace, compare_pace, milestone_displacements
from conceptmon_tb.evolution.fitting import SpaceSettings, embed_base, fit_semantic_space
from conceptmon_tb.evolution.groups import Groups, group_neurons
from conceptmon_tb.evolution.image_embedding import average_images, embed_further_images, embed_images
from conceptmon_tb.evolution.importance import important_evolutions
from conceptmon_tb.evolution.learning import co_activation_loss, learn_embedding
from conceptmon_tb.evolution.monitor import SemanticSpaceMonitor
from conceptmon_tb.evolution.revert import RevertTest, revert_test
from conceptmon_tb.evolution.revert_figure import draw_revert_test
from conceptmon_tb.evolution.semantic_space import Projected, SemanticSpace
from conceptmon_tb.evolution.space_files import SpaceFileError
from conceptmon_tb.evolution.stimuli import Stimuli, StimuliTally, collect_stimuli, find_stimuli

__all__ = [
    "CoActivation",
    "Groups",
    "Pace",
    "Projected",
    "RevertTest",
    "SemanticSpace",
    "SemanticSpaceMonitor",
    "SpaceFileError",
    "SpaceSettings",
    "Stimuli",
    "StimuliTally",
    "average_images",
    "co_activation_loss",
    "collect_stimuli",
    "compare_pace",
    "draw_revert_test",
    "embed_base",
    "embed_further_images",
    "embed_images",
    "find_stimuli",
    "fit_semantic_space",
    "group_neurons",
    "important_evolutions",
    "learn_embedding",
    "milestone_displacements",
    "revert_test",
]
