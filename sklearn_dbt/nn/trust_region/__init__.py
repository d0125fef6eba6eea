"""Trust-region control of dropout rates: models, steps, radius, controllers."""

from ._controller import OBJECTIVES, TrustRegionController
from ._curvature import Curvature, DiagonalCurvature, ExactCurvature
from ._curvatures import CURVATURES, make_curvature
from ._decay import DecayController
from ._dogleg import dogleg_step
from ._expansion import derivatives
from ._kronecker import KroneckerCurvature, kronecker_factors, pulled_back
from ._lbfgs import LimitedMemoryCurvature, compact_bfgs
from ._model import QuadraticModel, principal_axes
from ._protocol import RateLayer
from ._radius import RadiusRule, reduction_ratio
from ._steihaug import steihaug_step
from ._step import cauchy_step, longest_within, stationarity
from ._subproblem import STEPS, make_step
from ._variational import kl_divergence

__all__ = [
    "CURVATURES",
    "OBJECTIVES",
    "STEPS",
    "Curvature",
    "DecayController",
    "DiagonalCurvature",
    "ExactCurvature",
    "KroneckerCurvature",
    "LimitedMemoryCurvature",
    "QuadraticModel",
    "RadiusRule",
    "RateLayer",
    "TrustRegionController",
    "cauchy_step",
    "compact_bfgs",
    "derivatives",
    "dogleg_step",
    "kl_divergence",
    "kronecker_factors",
    "longest_within",
    "make_curvature",
    "make_step",
    "principal_axes",
    "pulled_back",
    "reduction_ratio",
    "stationarity",
    "steihaug_step",
]
