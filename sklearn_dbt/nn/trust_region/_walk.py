"""Walking down a model inside a ball and a box: what all step solvers share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ._model import QuadraticModel


class Descent(NamedTuple):
    """Parameters that may move, the inverse metric on them, and the steepest direction."""

    free: Tensor
    inverse: Callable[[Tensor], Tensor]
    direction: Tensor


def steepest_descent(metric: Tensor, gradient: Tensor, lower: Tensor, upper: Tensor) -> Descent:
    r"""Direction :math:`-G^{-1} g` among the parameters that do not push against their bounds.

    Where the metric turns a free parameter against its bound, that one is stopped too and the
    metric's diagonal takes its place.
    """
    free = ~((gradient > 0) & (lower >= 0) | (gradient < 0) & (upper <= 0))
    inverse = _inverse(metric, free)
    direction = -inverse(gradient)
    blocked = (direction < 0) & (lower >= 0) | (direction > 0) & (upper <= 0)
    if blocked.any():
        free, diagonal = free & ~blocked, metric.diagonal()
        inverse = lambda v: torch.where(free, v / diagonal, 0.0)  # noqa: E731
        direction = -inverse(gradient)
    return Descent(free, inverse, direction)


def _inverse(metric: Tensor, free: Tensor) -> Callable[[Tensor], Tensor]:
    """Solver with the metric's block of free parameters; zero elsewhere."""
    if bool(free.all()):
        factor = torch.linalg.cholesky(metric)
        return lambda v: torch.cholesky_solve(v[:, None], factor)[:, 0]
    factor = torch.linalg.cholesky(metric[free][:, free])

    def inverse(v: Tensor) -> Tensor:
        out = torch.zeros_like(v)
        out[free] = torch.cholesky_solve(v[free, None], factor)[:, 0]
        return out

    return inverse


class Walk:
    """A point that moves from zero, stops at the sphere, and knows what lies in its way.

    Parameters
    ----------
    model : QuadraticModel
        Its metric measures the ball.
    radius : float
        Radius of the ball.
    lower, upper : Tensor of shape (n_parameters,) or None
        The box; None is no bound.
    """

    def __init__(
        self, model: QuadraticModel, radius: float, lower: Tensor | None, upper: Tensor | None
    ) -> None:
        g = model.gradient
        self.model, self.radius = model, radius
        self.lower = torch.full_like(g, -math.inf) if lower is None else lower
        self.upper = torch.full_like(g, math.inf) if upper is None else upper
        self.step = torch.zeros_like(g)
        self.at_sphere = self.at_box = False

    def gradient(self) -> Tensor:
        """The model's gradient here."""
        return self.model.gradient + self.model.times(self.step)

    def descent(self, gradient: Tensor) -> Descent:
        """Steepest descent from here."""
        lower, upper = self.lower - self.step, self.upper - self.step
        return steepest_descent(self.model.metric, gradient, lower, upper)

    def advance(self, direction: Tensor, length: float = 1.0) -> bool:
        """Go `length` times a direction, or as far as possible; tell whether all of it was."""
        room = torch.where(direction > 0, self.upper, self.lower) - self.step
        ratios = torch.where(direction == 0, math.inf, room / direction)
        to_box = max(float(ratios.min()), 0.0)
        to_sphere = self._to_sphere(direction)
        part = min(length, to_box, to_sphere)
        if not math.isfinite(part):
            raise ValueError("The model has no minimum: negative curvature and no radius.")
        step = self.step + part * direction
        # Exactly onto the bound, so that the next direction sees that there is no room.
        step = torch.where(ratios <= part, torch.where(direction > 0, self.upper, self.lower), step)
        self.step = torch.maximum(torch.minimum(step, self.upper), self.lower)
        self.at_sphere = part == to_sphere
        self.at_box = part == to_box and not self.at_sphere
        return part == length

    def _to_sphere(self, direction: Tensor) -> float:
        """Largest t with |step + t direction| = radius, 0 if already outside."""
        along = self.model.metric @ direction
        a, b = float(direction @ along), float(self.step @ along)
        c = self.radius**2 - self.model.norm(self.step) ** 2
        if not (a > 0 and c > 0):
            return 0.0 if a > 0 else math.inf
        if math.isinf(c):
            return math.inf
        root = math.sqrt(b * b + a * c)
        return c / (b + root) if b > 0 else (root - b) / a
