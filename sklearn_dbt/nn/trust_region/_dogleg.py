"""The dogleg step."""

from __future__ import annotations

import torch
from torch import Tensor

from ._model import QuadraticModel
from ._walk import Descent, Walk

__all__ = ["dogleg_step"]


def dogleg_step(
    model: QuadraticModel,
    radius: float,
    lower: Tensor | None = None,
    upper: Tensor | None = None,
) -> Tensor:
    r"""Down the steepest descent to its minimum, then straight to the minimum of the model.

    .. math::

        0 \;\to\; s_C = -\frac{g^\top G^{-1} g}{g^\top G^{-1} H G^{-1} g} \, G^{-1} g
        \;\to\; s_N = -H^{-1} g,

    followed until the path leaves the ball :math:`\|s\|_G \le \Delta`. Where it meets a bound of
    the box, the parameter stays there and a new path starts for the others. Where :math:`H` is not
    positive definite on the free parameters there is no :math:`s_N`, and the path ends at
    :math:`s_C`. The model decreases along all of it, at least as much as at `cauchy_step`.

    Parameters
    ----------
    model : QuadraticModel
        Gradient, curvature and metric.
    radius : float
        Largest :math:`\|s\|_G`.
    lower, upper : Tensor of shape (n_parameters,), default=None
        Bounds of the step; they contain zero. None is no bound.

    Returns
    -------
    Tensor of shape (n_parameters,)
        The step; zero where the gradient is.

    References
    ----------
    .. [1] M. J. D. Powell, "A new algorithm for unconstrained optimization", in Nonlinear
       Programming, Academic Press, 31-65, 1970.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import QuadraticModel, dogleg_step
    >>> h = torch.tensor([1.0, 4.0])
    >>> model = QuadraticModel(0.0, torch.tensor([-1.0, -4.0]), h, torch.eye(2))
    >>> dogleg_step(model, 9.0)
    tensor([1., 1.])
    >>> dogleg_step(model, 0.5).norm().round(decimals=4)
    tensor(0.5000)
    """
    walk = Walk(model, radius, lower, upper)
    for _ in range(2 * len(walk.step) + 1):  # each round fixes a parameter, or is the last
        gradient = walk.gradient()
        descent = walk.descent(gradient)
        if not descent.direction.any():
            break
        _one_path(walk, gradient, descent)
        if not walk.at_box:
            break
    return walk.step


def _one_path(walk: Walk, gradient: Tensor, descent: Descent) -> None:
    """Both legs among the free parameters, or as far as the ball and the box allow."""
    start, direction, free = walk.step, descent.direction, descent.free
    curvature = float(direction @ walk.model.times(direction))
    if curvature <= 0:
        walk.advance(direction, torch.inf)
        return
    if not walk.advance(direction, -float(gradient @ direction) / curvature):
        return
    block = walk.model.matrix()[free][:, free]
    factor, failed = torch.linalg.cholesky_ex(block)
    if not failed:
        newton = torch.zeros_like(start)
        newton[free] = -torch.cholesky_solve(gradient[free, None], factor)[:, 0]
        walk.advance(start + newton - walk.step)
