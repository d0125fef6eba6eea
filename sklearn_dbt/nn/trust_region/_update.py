"""One trust-region update, from the snapshot's refresh to the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ._base import adopt, fitted_step, refresh
from ._curvature import Curvature, Place
from ._expansion import Expansion
from ._group import RateGroup, n_rates
from ._model import QuadraticModel
from ._objective import Objective
from ._radius import RadiusRule, reduction_ratio
from ._subproblem import StepSolver


class Settings(Protocol):
    """What an update reads from its controller."""

    rule: RadiusRule
    curvature: Curvature
    solver: StepSolver
    max_retries: int
    max_inner: int
    rho_stop: float
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

    objective: Callable[[Tensor], tuple[Tensor, Tensor]]
    model: QuadraticModel
    loss: float
    eps: float
    finite: bool
    stationary: bool


@dataclass(frozen=True)
class _Verdict:
    """How an inner iteration ended; radii per root of the number of rates."""

    local: _Local
    accepted: bool
    radius: float
    next_radius: float
    rho: float


class Update:
    """A single use: look, try, decide, and perhaps again from there."""

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
        self._old = [layer.snapshot() for layer in group.layers]
        self._snapshots = self._old
        # Distances are measured from these rates, by all inner iterations.
        self._rates = group.rates(self._omega, self._old)
        self._unit = n_rates(self._rates) ** 0.5

    def run(self, radius: float) -> Outcome:
        """Move the layers, or leave them bitwise as they were."""
        try:
            return self._run(self._settings.rule.start(radius))
        except BaseException:
            adopt(self._group, self._old)
            raise

    def _run(self, radius: float) -> Outcome:
        settings, group = self._settings, self._group
        first = last = taken = self._iterate(radius, limit=0.0)
        for _ in range(settings.max_inner - 1):
            if not last.accepted or last.local.stationary or last.rho > settings.rho_stop:
                break
            last = self._iterate(last.next_radius, limit=taken.radius)
            taken = last if last.accepted else taken
        moved = 0.0
        if taken.accepted:
            group.set_omega(self._omega)
        else:
            adopt(group, self._old)
        after = group.rates(group.omega, self._snapshots) if taken.accepted else self._rates
        if taken.accepted:
            moved = group.distance(after, self._rates)
        return Outcome(
            accepted=taken.accepted,
            stationary=first.local.stationary,
            radius=taken.radius * self._unit,
            next_radius=last.next_radius,
            step_norm=moved,
            rho=taken.rho,
            loss=first.local.loss,
            objective=first.local.model.value,
            mean_rate=group.mean_rate(after),
            n_rates=n_rates(self._rates),
        )

    def _iterate(self, radius: float, limit: float) -> _Verdict:
        """Try steps of ever smaller radius; go where the first good one leads.

        The whole move so far is within `limit`; where that is 0 nothing has moved yet, and the
        snapshots are renewed too.
        """
        rule, snapshots = self._settings.rule, self._snapshots
        fraction = None
        local = self._look(snapshots) if limit else None
        for left in reversed(range(self._settings.max_retries + 1)):
            if limit == 0:
                budget = radius * self._unit / 2
                snapshots, fitting = refresh(self._group, self._old, self._rates, budget)
                if fitting != fraction:
                    local, fraction = self._look(snapshots), fitting
            assert local is not None
            allowed = max(limit, radius)
            step = self._step(local, snapshots, radius * self._unit, allowed * self._unit)
            rho = self._ratio(local, step)
            accepted, next_radius = rule.decide(rho, radius)
            if accepted or left == 0:
                break
            radius = next_radius
        assert local is not None
        if accepted:
            self._omega, self._snapshots = self._omega + step, snapshots
        next_radius = radius if local.stationary else next_radius
        return _Verdict(local, accepted, allowed if accepted else radius, next_radius, rho)

    def _look(self, snapshots: list[Any]) -> _Local:
        """Adopt the snapshots and expand the objective there."""
        group, settings = self._group, self._settings
        adopt(group, snapshots)
        objective: Callable[[Tensor], tuple[Tensor, Tensor]] = _nothing
        if group.n_samples:
            objective = self._make_objective(snapshots, self._uniforms)
        jacobian = group.jacobian(self._omega, snapshots)
        metric = group.metric(jacobian, settings.damping * n_rates(self._rates))
        place = Place(
            objective, self._omega, metric, jacobian, group, self._generator, group.is_small
        )
        here, curvature = settings.curvature.expand(place)
        eps = torch.tensor(torch.finfo(here.value.dtype).eps, dtype=torch.float64)
        value, loss, gradient, curvature, eps = group.ranks.mean(
            [here.value.double(), here.loss.double(), here.gradient, curvature, eps],
            group.n_samples,
        )
        finite = bool(torch.isfinite(torch.cat([value[None], gradient, curvature.sum(1)])).all())
        stationary = False
        if finite:
            rates = group.rates(self._omega, snapshots)
            slope = group.stationarity(jacobian, gradient, rates)
            scale = max(1.0, abs(float(value))) / self._unit
            stationary = slope <= settings.stationary_tol * scale
        model = QuadraticModel(float(value), gradient, curvature, metric)
        return _Local(objective, model, float(loss), float(eps), finite, stationary)

    def _step(self, local: _Local, snapshots: list[Any], radius: float, allowed: float) -> Tensor:
        """The step, shortened until the whole move is as long as is allowed."""
        if local.stationary or not local.finite:
            return torch.zeros_like(self._omega)
        lower, upper = (bound - self._omega for bound in self._group.bounds())
        solver = self._settings.solver
        step = solver(local.model, radius, lower.clamp_max(0), upper.clamp_min(0))
        return fitted_step(self._group, step, snapshots, self._rates, allowed, self._omega)

    def _ratio(self, local: _Local, step: Tensor) -> float:
        """Actual over predicted reduction for the step that would be taken."""
        model = local.model
        if local.stationary or not local.finite:
            return 1.0 if local.stationary else math.nan
        after = self._try(local, step)
        predicted = max(model.reduction(step), 0.0)
        return reduction_ratio(model.value - after, predicted, model.value, local.eps)

    def _try(self, local: _Local, step: Tensor) -> float:
        """The objective at a trial point, and its gradient where the curvature learns from it."""
        group, curvature = self._group, self._settings.curvature
        if not curvature.learns_from_trials:
            with torch.no_grad():
                value = local.objective(self._omega + step)[0].double()
            return float(group.ranks.mean([value], group.n_samples)[0])
        there = Expansion(local.objective, self._omega + step, second_order=False)
        value, gradient = group.ranks.mean([there.value.double(), there.gradient], group.n_samples)
        if bool(torch.isfinite(value)):
            curvature.learn(step, gradient - local.model.gradient)
        return float(value)


def _nothing(omega: Tensor) -> tuple[Tensor, Tensor]:
    """The objective of a rank that has no samples: its weight is 0."""
    return 0 * omega.sum(), torch.zeros((), dtype=omega.dtype, device=omega.device)
