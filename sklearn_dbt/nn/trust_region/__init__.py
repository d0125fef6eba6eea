"""Trust-region control of dropout rates: models, steps, radius, controllers."""

from ._controller import OBJECTIVES, TrustRegionController
from ._decay import DecayController
from ._model import QuadraticModel, derivatives, principal_axes
from ._protocol import RateLayer
from ._radius import RadiusRule, reduction_ratio
from ._step import cauchy_step, longest_fraction, stationarity
from ._variational import kl_divergence

__all__ = [
    "OBJECTIVES",
    "DecayController",
    "QuadraticModel",
    "RadiusRule",
    "RateLayer",
    "TrustRegionController",
    "cauchy_step",
    "derivatives",
    "kl_divergence",
    "longest_fraction",
    "principal_axes",
    "reduction_ratio",
    "stationarity",
]
