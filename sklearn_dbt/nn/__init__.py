"""The engine room: torch modules and functions, usable without the estimators.

Nothing in here imports scikit-learn or skorch; what joins a controller to skorch's training lives
in :mod:`sklearn_dbt.neural_network`.
"""

from sklearn_dbt.nn.alignment import lagged_correlation, soft_dtw, soft_dtw_alignment
from sklearn_dbt.nn.basis import (
    BASES,
    DCT,
    DWT,
    PCA,
    Basis,
    Choice,
    Composition,
    Fourier,
    Identity,
    Layout,
    RangeDoppler,
    Separable,
    SpatialDFT,
    Stack,
    make_basis,
    select_basis,
    steering_response,
    steering_vector,
)
from sklearn_dbt.nn.dropout import (
    POLICIES,
    Band,
    Descriptor,
    FrequencyDistance,
    Policy,
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
    TransformDropout,
    make_policy,
)
from sklearn_dbt.nn.encoders import TimeContrastiveNetwork, joint_diagonalize
from sklearn_dbt.nn.trust_region import DecayController, RateLayer, TrustRegionController

__all__ = [
    "BASES",
    "DCT",
    "DWT",
    "PCA",
    "POLICIES",
    "Band",
    "Basis",
    "Choice",
    "Composition",
    "DecayController",
    "Descriptor",
    "Fourier",
    "FrequencyDistance",
    "Identity",
    "Layout",
    "Policy",
    "PopulationEnergy",
    "RangeDoppler",
    "RateLayer",
    "SampleEnergy",
    "Separable",
    "SpatialDFT",
    "SquaredIndex",
    "Stack",
    "TimeContrastiveNetwork",
    "TransformDropout",
    "TrustRegionController",
    "joint_diagonalize",
    "lagged_correlation",
    "make_basis",
    "make_policy",
    "select_basis",
    "soft_dtw",
    "soft_dtw_alignment",
    "steering_response",
    "steering_vector",
]
