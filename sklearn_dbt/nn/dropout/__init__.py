"""Transform-informed dropout: descriptors, policies, masks, and the layer."""

from ._descriptors import (
    Band,
    Coefficients,
    Descriptor,
    FrequencyDistance,
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
)
from ._diagnostics import spectrum_diagnostics
from ._masks import concrete_mask, hard_mask
from ._policies import POLICIES, Policy, make_policy
from ._snapshot import Snapshot
from ._transform_dropout import TransformDropout

__all__ = [
    "POLICIES",
    "Band",
    "Coefficients",
    "Descriptor",
    "FrequencyDistance",
    "Policy",
    "PopulationEnergy",
    "SampleEnergy",
    "Snapshot",
    "SquaredIndex",
    "TransformDropout",
    "concrete_mask",
    "hard_mask",
    "make_policy",
    "spectrum_diagnostics",
]
