"""Transform-informed dropout: descriptors, policies, masks, and the layer."""

from ._coefficients import Coefficients
from ._descriptors import Descriptor
from ._diagnostics import effective_regularization, spectrum_diagnostics
from ._energy_descriptors import InverseEigenvalue, PopulationEnergy, SampleEnergy
from ._ensemble_dropout import EnsembleDropout
from ._gradient_estimators import arm_gradient, straight_through_mask
from ._mask_sharing import MASK_SHARINGS
from ._masking_threshold import MaskingThreshold
from ._masks import concrete_mask, hard_mask
from ._place_descriptors import (
    Band,
    CoefficientSet,
    FrequencyDistance,
    Indices,
    Rank,
    Scales,
    SquaredIndex,
)
from ._policies import POLICIES, Policy, make_policy
from ._scale_descriptors import CrossScaleEnergy, ScaleEnergy
from ._separation_descriptors import (
    AboveThreshold,
    Harmonicity,
    Interference,
    SignalToNoise,
    Steering,
)
from ._snapshot import Snapshot
from ._transform_dropout import TransformDropout

__all__ = [
    "MASK_SHARINGS",
    "POLICIES",
    "AboveThreshold",
    "Band",
    "CoefficientSet",
    "Coefficients",
    "CrossScaleEnergy",
    "Descriptor",
    "EnsembleDropout",
    "FrequencyDistance",
    "Harmonicity",
    "Indices",
    "Interference",
    "InverseEigenvalue",
    "MaskingThreshold",
    "Policy",
    "PopulationEnergy",
    "Rank",
    "SampleEnergy",
    "ScaleEnergy",
    "Scales",
    "SignalToNoise",
    "Snapshot",
    "SquaredIndex",
    "Steering",
    "TransformDropout",
    "arm_gradient",
    "concrete_mask",
    "effective_regularization",
    "hard_mask",
    "make_policy",
    "spectrum_diagnostics",
    "straight_through_mask",
]
