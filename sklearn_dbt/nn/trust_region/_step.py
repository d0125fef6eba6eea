"""Steps: the Cauchy point, stationarity, and how far a step may really go."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._model import QuadraticModel
from ._walk import Walk

__all__ = ["cauchy_step", "longest_within", "stationarity"]


def cauchy_step(
    model: QuadraticModel,
    radius: float,
    lower: Tensor | None = None,
    upper: Tensor | None = None,
) -> Tensor:
    r"""Minimiser of the model along the steepest descent direction, within the radius and the box.

    .. math::

        s = -t \, G^{-1} g, \qquad
        t = \min\Bigl( \frac{g^\top G^{-1} g}{g^\top G^{-1} H G^{-1} g},
                       \frac{\Delta}{\|G^{-1} g\|_G}, t_{\text{box}} \Bigr),

    the first argument only where the curvature along the direction is positive. Parameters that
    sit at a bound and are pushed outward stay where they are; the step is shortened, not bent,
    at the first bound it meets, so the model decreases along all of it.

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
    .. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition, Springer, 2006,
       section 4.1.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import QuadraticModel, cauchy_step
    >>> model = QuadraticModel(0.0, torch.tensor([1.0, 0.0]), torch.ones(2), torch.eye(2))
    >>> cauchy_step(model, 0.25).tolist(), cauchy_step(model, 9.0).tolist()
    ([-0.25, 0.0], [-1.0, 0.0])
    """
    walk = Walk(model, radius, lower, upper)
    direction = walk.descent(model.gradient).direction
    if direction.any():
        curvature = float(direction @ model.times(direction))
        slope = float(model.gradient @ direction)
        walk.advance(direction, -slope / curvature if curvature > 0 else math.inf)
    return walk.step


def stationarity(
    jacobian: Tensor, gradient: Tensor, room_down: Tensor, room_up: Tensor, tol: float = 1e-12
) -> float:
    r"""Length of the projected gradient in the space of rates.

    The part of :math:`\nabla_p J` that parameters can reach is :math:`A (A^\top A)^+ g` with
    :math:`A = \partial p / \partial \omega`; what remains of a unit step against it inside the
    box of rates is the measure. It does not vanish where the sigmoid saturates, as
    :math:`\|g\|` does.

    Parameters
    ----------
    jacobian : Tensor of shape (n_rates, n_parameters)
        :math:`A`.
    gradient : Tensor of shape (n_parameters,)
        :math:`g = \nabla_\omega J`.
    room_down, room_up : Tensor of shape (n_rates,)
        How far each rate may move, at most zero and at least zero.
    tol : float, default=1e-12
        Relative size under which a singular value of :math:`A` counts as zero.

    Returns
    -------
    float
        Zero at a stationary point.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import stationarity
    >>> eye, g = torch.eye(2), torch.tensor([3.0, -4.0])
    >>> stationarity(eye, g, torch.full((2,), -9.0), torch.full((2,), 9.0))
    5.0
    >>> stationarity(eye, g, torch.zeros(2), torch.zeros(2))
    0.0
    """
    reachable = torch.linalg.pinv(jacobian.T, rtol=tol) @ gradient
    return float((-reachable).clamp(room_down, room_up).norm())


def longest_within(
    length: Callable[[float], float],
    limit: float,
    guess: Callable[[float], float] | None = None,
    *,
    tol: float = 1e-3,
    n_tries: int = 40,
) -> float:
    """Largest fraction in [0, 1], nearly, of a move whose length is within a limit.

    The length is taken to grow about linearly: where the whole move is too long, fractions are
    interpolated between one that fits and one that does not.

    Parameters
    ----------
    length : callable
        Length of a fraction of the move; that of 0 is taken to be within the limit.
    limit : float
        Largest length.
    guess : callable, default=None
        Fraction at which a length is reached, as far as is known; tried first where all is too
        long.
    tol : float, default=1e-3
        Relative part of the limit, or of the fraction, that may be left unused.
    n_tries : int, default=40
        Largest number of fractions that are tried.

    Returns
    -------
    float
        A fraction that fits: 1, one that was tried, or 0.

    Examples
    --------
    >>> from sklearn_dbt.nn.trust_region import longest_within
    >>> round(longest_within(lambda t: t * t, 0.25), 3)
    0.5
    """
    at = length(1.0)
    if at <= limit:
        return 1.0
    aim = (1 - tol / 2) * limit
    low, high, under, over, side = 0.0, 1.0, -aim, at - aim, 0
    for i in range(n_tries):
        between = low - (high - low) * under / (over - under)
        between = guess(aim) if guess is not None and i == 0 else between
        middle = between if low < between < high else (low + high) / 2
        at = length(middle)
        # The end that stays twice is trusted half as much (the Illinois rule).
        if at <= limit:
            over = over / 2 if side == -1 else over
            low, under, side = middle, min(at - aim, 0.0), -1
        else:
            under = under / 2 if side == 1 else under
            high, over, side = middle, at - aim, 1
        if (side == -1 and at >= (1 - tol) * limit) or high - low <= tol * high:
            break
    return low
