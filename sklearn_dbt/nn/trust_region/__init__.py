"""Trust-region control of dropout rates: models, steps, radius, controllers."""

from ._controller import OBJECTIVES, TrustRegionController
from ._decay import DecayController
from ._dogleg import dogleg_step
from ._model import QuadraticModel, derivatives, principal_axes
from ._protocol import RateLayer
from ._radius import RadiusRule, reduction_ratio
from ._steihaug import steihaug_step
from ._step import cauchy_step, longest_fraction, stationarity
from ._subproblem import STEPS, make_step
from ._variational import kl_divergence

__all__ = [
    "OBJECTIVES",
    "STEPS",
    "DecayController",
    "QuadraticModel",
    "RadiusRule",
    "RateLayer",
    "TrustRegionController",
    "cauchy_step",
    "derivatives",
    "dogleg_step",
    "kl_divergence",
    "longest_fraction",
    "make_step",
    "principal_axes",
    "reduction_ratio",
    "stationarity",
    "steihaug_step",
]
