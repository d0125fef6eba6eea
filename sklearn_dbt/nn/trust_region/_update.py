"""One trust-region update, from the snapshot's refresh to the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ._base import adopt, fitted_step, refresh
from ._group import RateGroup, distance, mean_rate, n_rates
from ._model import QuadraticModel, derivatives, principal_axes
from ._objective import Objective
from ._radius import RadiusRule, reduction_ratio
from ._step import cauchy_step, stationarity


class Settings(Protocol):
    """What an update reads from its controller."""

    rule: RadiusRule
    max_retries: int
    exact_limit: int
    n_probes: int
    damping: float
    stationary_tol: float


@dataclass(frozen=True)
class Outcome:
    """What an update decided; radii and distances in units of the whole group."""

    accepted: bool
    stationary: bool
    radius: float
    next_radius: float
    step_norm: float
    rho: float
    loss: float
    objective: float
    mean_rate: float
    n_rates: int


@dataclass(frozen=True)
class _Local:
    """The objective and its model around the present parameters, for one snapshot."""

    objective: Objective
    model: QuadraticModel
    loss: float
    eps: float
    finite: bool
    stationary: bool


class Update:
    """A single use: look, try, decide."""

    def __init__(
        self,
        settings: Settings,
        group: RateGroup,
        make_objective: Callable[[list[Any], list[list[Tensor]]], Objective],
        generator: torch.Generator,
    ) -> None:
        self._settings = settings
        self._group = group
        self._make_objective = make_objective
        self._generator = generator
        self._uniforms: list[list[Tensor]] = [[] for _ in group.layers]
        self._omega = group.omega
        self._snapshots = [layer.snapshot() for layer in group.layers]
        self._rates = group.rates(self._omega, self._snapshots)

    def run(self, radius: float) -> Outcome:
        """Move the layers, or leave them bitwise as they were."""
        try:
            return self._run(self._settings.rule.start(radius))
        except BaseException:
            adopt(self._group, self._snapshots)
            raise

    def _run(self, radius: float) -> Outcome:
        unit = n_rates(self._rates) ** 0.5
        fraction = None
        for left in reversed(range(self._settings.max_retries + 1)):
            snapshots, fitting = refresh(
                self._group, self._snapshots, self._rates, radius * unit / 2
            )
            if fitting != fraction:
                local, fraction = self._look(snapshots), fitting
            step = self._step(local, snapshots, radius * unit)
            rho = self._ratio(local, step)
            accepted, next_radius = self._settings.rule.decide(rho, radius)
            if accepted or left == 0:
                break
            radius = next_radius
        if accepted:
            self._group.set_omega(self._omega + step)
            moved = distance(self._group.rates(self._group.omega, snapshots), self._rates)
        else:
            snapshots, moved = self._snapshots, 0.0
            adopt(self._group, snapshots)
        return Outcome(
            accepted=accepted,
            stationary=local.stationary,
            radius=radius * unit,
            next_radius=radius if local.stationary else next_radius,
            step_norm=moved,
            rho=rho,
            loss=local.loss,
            objective=local.model.value,
            mean_rate=mean_rate(self._group.rates(self._group.omega, snapshots)),
            n_rates=n_rates(self._rates),
        )

    def _look(self, snapshots: list[Any]) -> _Local:
        """Adopt the snapshots and expand the objective there."""
        group, settings = self._group, self._settings
        adopt(group, snapshots)
        objective = self._make_objective(snapshots, self._uniforms)
        jacobian = group.jacobian(self._omega, snapshots)
        damping = settings.damping * n_rates(self._rates)
        metric = jacobian.T @ jacobian
        metric.diagonal().add_(damping)
        axes = principal_axes(metric)
        value, loss, gradient, curvature = derivatives(
            objective,
            self._omega,
            axes,
            exact_limit=settings.exact_limit,
            n_probes=settings.n_probes,
            generator=self._generator,
        )
        covectors = metric @ axes  # the inverse of the axes, transposed
        hessian = covectors * curvature @ covectors.T
        slope = stationarity(jacobian, gradient, *group.box(self._omega, snapshots))
        scale = max(1.0, abs(float(value))) / n_rates(self._rates) ** 0.5
        return _Local(
            objective=objective,
            model=QuadraticModel(float(value), gradient, hessian, metric),
            loss=float(loss),
            eps=torch.finfo(value.dtype).eps,
            finite=bool(torch.isfinite(torch.cat([value[None], gradient, curvature])).all()),
            stationary=math.isfinite(value) and slope <= settings.stationary_tol * scale,
        )

    def _step(self, local: _Local, snapshots: list[Any], radius: float) -> Tensor:
        """The Cauchy step, shortened until the whole move fits the radius."""
        if local.stationary or not local.finite:
            return torch.zeros_like(self._omega)
        lower, upper = (bound - self._omega for bound in self._group.bounds())
        step = cauchy_step(local.model, radius, lower.clamp_max(0), upper.clamp_min(0))
        return fitted_step(self._group, step, snapshots, self._rates, radius)

    def _ratio(self, local: _Local, step: Tensor) -> float:
        """Actual over predicted reduction for the step that would be taken."""
        value = local.model.value
        if local.stationary or not local.finite:
            return 1.0 if local.stationary else math.nan
        with torch.no_grad():
            after = float(local.objective(self._omega + step)[0])
        return reduction_ratio(
            value - after, max(local.model.reduction(step), 0.0), value, local.eps
        )
