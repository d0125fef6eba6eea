"""The step of Steihaug and Toint: truncated conjugate gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from ._model import QuadraticModel
from ._walk import Descent, Walk

__all__ = ["steihaug_step"]


def steihaug_step(
    model: QuadraticModel,
    radius: float,
    lower: Tensor | None = None,
    upper: Tensor | None = None,
    *,
    tol: float = 1e-8,
    max_iter: int | None = None,
) -> Tensor:
    r"""Conjugate gradients on the model, cut off at the sphere.

    Preconditioned by the metric :math:`G`, so that they need as many iterations as
    :math:`G^{-1} H` has different eigenvalues, however ill-conditioned :math:`G` and :math:`H` are
    themselves. They stop where the residual is small, where the next iterate would leave the ball
    :math:`\|s\|_G \le \Delta`, and, on the sphere, along a direction of negative curvature. Where
    they meet a bound of the box, the parameter stays there and they start anew for the others. The
    first iterate is `cauchy_step`, and the model decreases with each.

    Parameters
    ----------
    model : QuadraticModel
        Gradient, curvature and metric.
    radius : float
        Largest :math:`\|s\|_G`.
    lower, upper : Tensor of shape (n_parameters,), default=None
        Bounds of the step; they contain zero. None is no bound.
    tol : float, default=1e-8
        Size of the residual, relative to the first one, that is small.
    max_iter : int, default=None
        Largest number of iterations between two bounds; None is twice the number of parameters.

    Returns
    -------
    Tensor of shape (n_parameters,)
        The step; zero where the gradient is.

    References
    ----------
    .. [1] T. Steihaug, "The Conjugate Gradient Method and Trust Regions in Large Scale
       Optimization", SIAM Journal on Numerical Analysis 20(3), 626-637, 1983.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import QuadraticModel, steihaug_step
    >>> g = torch.tensor([-1.0, -4.0])
    >>> steihaug_step(QuadraticModel(0.0, g, torch.tensor([1.0, 4.0]), torch.eye(2)), 9.0)
    tensor([1., 1.])
    >>> saddle = QuadraticModel(0.0, g, torch.tensor([1.0, -4.0]), torch.eye(2))
    >>> steihaug_step(saddle, 2.0).norm().round(decimals=4)
    tensor(2.)
    """
    walk = Walk(model, radius, lower, upper)
    n = len(walk.step)
    for _ in range(2 * n + 1):  # each round fixes a parameter, or is the last
        gradient = walk.gradient()
        descent = walk.descent(gradient)
        if not descent.direction.any():
            break
        _one_round(walk, gradient, descent, tol, 2 * n if max_iter is None else max_iter)
        if not walk.at_box:
            break
    return walk.step


def _one_round(walk: Walk, residual: Tensor, descent: Descent, tol: float, max_iter: int) -> None:
    """Conjugate gradients among the free parameters until they end, for whatever reason."""
    direction = descent.direction
    residual = torch.where(descent.free, residual, 0.0)
    square = first = -float(residual @ direction)  # of the residual, in the inverse metric
    for _ in range(max_iter):
        product = torch.where(descent.free, walk.model.times(direction), 0.0)
        curvature = float(direction @ product)
        if curvature <= 0:
            walk.advance(direction, torch.inf)
            return
        length = square / curvature
        if not walk.advance(direction, length):
            return
        residual = residual + length * product
        scaled = descent.inverse(residual)
        before, square = square, float(residual @ scaled)
        if square <= tol**2 * first:
            return
        direction = square / before * direction - scaled
