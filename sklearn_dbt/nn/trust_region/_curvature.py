"""Curvatures: the ways to the Hessian of the quadratic model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._expansion import Expansion, diagonal
from ._group import RateGroup
from ._model import principal_axes
from ._protocol import RateLayer

__all__ = ["Curvature", "DiagonalCurvature", "ExactCurvature"]


class Place(NamedTuple):
    """Where a model is made: the objective, the point, and how rates move there.

    The jacobian is each layer's, (n_samples, n_rates, n_parameters) over the root of n_samples;
    where the batch is small, several Hessian-vector products may be computed at once.
    """

    objective: Callable[[Tensor], tuple[Tensor, Tensor]]
    omega: Tensor
    metric: Tensor
    jacobian: Sequence[Tensor]
    group: RateGroup
    generator: torch.Generator
    small: bool = False


class Curvature(ABC):
    """A way to the Hessian :math:`H` of the quadratic model.

    A subclass implements `expand`. One that learns from trial points sets `learns_from_trials`,
    implements `learn`, and keeps what it has learnt in `state`.
    """

    learns_from_trials: bool = False
    state: Any = None

    def check_layers(self, layers: Sequence[RateLayer]) -> None:  # noqa: B027 (most need nothing)
        """Raise where layers cannot give what this curvature needs.

        Parameters
        ----------
        layers : sequence of RateLayer
            Layers of the controller.
        """

    @abstractmethod
    def expand(self, place: Place) -> tuple[Expansion, Tensor]:
        """Value, gradient and curvature.

        Parameters
        ----------
        place : Place
            Objective, point, and metric there.

        Returns
        -------
        expansion : Expansion
            With value, loss and gradient.
        curvature : Tensor of shape (n_parameters, n_parameters)
            Symmetric.
        """

    def learn(self, step: Tensor, change: Tensor) -> None:  # noqa: B027 (most do not learn)
        """Take in a pair: a step and the change of the gradient along it.

        Parameters
        ----------
        step : Tensor of shape (n_parameters,)
            From the point of the model to a trial point.
        change : Tensor of shape (n_parameters,)
            Gradient there minus gradient here, of the same objective.
        """


class DiagonalCurvature(Curvature):
    r"""Diagonal on the principal axes of the metric.

    .. math:: H = W \operatorname{diag}(v_i^\top \nabla^2 J \, v_i) \, W^\top, \qquad
              V^\top G V = I, \quad W = G V

    One Hessian-vector product for each parameter, up to `exact_limit` of them; beyond, Hutchinson's
    estimates (see `derivatives`).

    Parameters
    ----------
    exact_limit : int, default=16
        Number of parameters up to which the curvatures are exact.
    n_probes : int, default=8
        Number of random vectors beyond.

    Examples
    --------
    >>> from sklearn_dbt.nn.trust_region import DiagonalCurvature
    >>> DiagonalCurvature(n_probes=4).n_probes
    4
    """

    def __init__(self, exact_limit: int = 16, n_probes: int = 8) -> None:
        self.exact_limit = exact_limit
        self.n_probes = n_probes

    def expand(self, place: Place) -> tuple[Expansion, Tensor]:
        """Value, gradient and curvature.

        Parameters
        ----------
        place : Place
            Objective, point, and metric there.

        Returns
        -------
        expansion : Expansion
            With value, loss and gradient.
        curvature : Tensor of shape (n_parameters, n_parameters)
            Symmetric.
        """
        here = Expansion(place.objective, place.omega, small=place.small)
        axes = principal_axes(place.metric)
        along = diagonal(here, axes, self.exact_limit, self.n_probes, place.generator)
        covectors = place.metric @ axes  # the inverse of the axes, transposed
        return here, covectors * along @ covectors.T


class ExactCurvature(Curvature):
    r"""The whole Hessian, by one Hessian-vector product for each parameter.

    Examples
    --------
    >>> from sklearn_dbt.nn import TransformDropout, TrustRegionController
    >>> controller = TrustRegionController([TransformDropout(8)], curvature="exact")
    >>> type(controller.curvature).__name__
    'ExactCurvature'
    """

    def expand(self, place: Place) -> tuple[Expansion, Tensor]:
        """Value, gradient and curvature.

        Parameters
        ----------
        place : Place
            Objective, point, and metric there.

        Returns
        -------
        expansion : Expansion
            With value, loss and gradient.
        curvature : Tensor of shape (n_parameters, n_parameters)
            Symmetric.
        """
        here = Expansion(place.objective, place.omega, small=place.small)
        hessian = here.products(torch.eye(len(place.omega)).to(place.omega))
        return here, (hessian + hessian.T) / 2
