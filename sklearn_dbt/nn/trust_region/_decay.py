"""The simple controller: a decaying target, followed by clipped steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._base import RateController, adopt, check_float, fitted_step, refresh
from ._group import RateGroup, n_rates
from ._objective import Losses, relaxed_loss
from ._protocol import RateLayer

__all__ = ["DecayController"]


class DecayController(RateController):
    r"""Let the mean rate follow a decaying target by clipped steps.

    At update :math:`t` the target is

    .. math:: \bar p_t = \bar p_\infty + (\bar p_0 - \bar p_\infty) \, a^t

    with the mean rate :math:`\bar p_0` found at the first update. The policies' common bias is
    moved until the mean rate meets the target, or until the root mean square change of the rates,
    the refresh of the policies' statistics included, is :math:`\delta`. There is no model of the
    loss and no test of the step; for those see `TrustRegionController`.

    Parameters
    ----------
    layers : sequence of RateLayer
        Layers whose rates are moved together.
    target : float, default=0.0
        Final mean rate :math:`\bar p_\infty` in [0, 1].
    decay : float, default=0.8
        Factor :math:`a` an update, in [0, 1]; 0 is a constant target.
    max_change : float, default=0.05
        Clipping :math:`\delta`: largest root mean square change of a rate in one update.
    update_every : int, default=10
        Optimizer steps between two updates.
    observe_every : int, default=1
        Optimizer steps between two looks of the running statistics at a batch; they also look at
        each update. More than 1 saves time where energies change slowly.
    warmup_steps : int, default=10
        Optimizer steps in which the rates stand still and statistics are gathered.
    temperature : float, default=0.5
        Temperature of the relaxed masks with which the loss is recorded.
    process_group : torch.distributed.ProcessGroup, default=None
        As of `TrustRegionController`.

    Attributes
    ----------
    history : dict of lists
        Columns as of `TrustRegionController`; ``rho`` is nan, ``accepted`` True, ``radius`` the
        clipping and ``objective`` the loss.
    n_steps, n_updates : int
        Optimizer steps and updates so far.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import TransformDropout
    >>> from sklearn_dbt.nn.trust_region import DecayController
    >>> x = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    >>> layer = TransformDropout(8, policy="uniform", p=0.5, seed=0)
    >>> controller = DecayController([layer], decay=0.0, update_every=1, warmup_steps=0)
    >>> loss = lambda: (layer(x) - x).square().mean()
    >>> for _ in range(3):
    ...     _ = loss()
    ...     moved = controller.step(loss)
    >>> [round(rate, 3) for rate in controller.history["mean_rate"]]
    [0.45, 0.4, 0.35]
    """

    _state_names = ("_initial",)

    def __init__(
        self,
        layers: Sequence[RateLayer],
        *,
        target: float = 0.0,
        decay: float = 0.8,
        max_change: float = 0.05,
        update_every: int = 10,
        observe_every: int = 1,
        warmup_steps: int = 10,
        temperature: float = 0.5,
        process_group: Any = None,
    ) -> None:
        self.target = check_float("target", target, 0.0, 1.0, open_low=False)
        self.decay = check_float("decay", decay, 0.0, 1.0, open_low=False)
        self.max_change = check_float("max_change", max_change, 0.0, math.inf, open_low=True)
        self.temperature = check_float("temperature", temperature, 0.0, math.inf, open_low=True)
        self._initial: float | None = None
        super().__init__(
            layers,
            update_every=update_every,
            observe_every=observe_every,
            warmup_steps=warmup_steps,
            process_group=process_group,
        )

    def _update(self, group: RateGroup, losses: Losses) -> None:
        old = [layer.snapshot() for layer in group.layers]
        rates = group.rates(group.omega, old)
        if self._initial is None:
            self._initial = group.mean_rate(rates)
        radius = self.max_change * n_rates(rates) ** 0.5
        uniforms: list[list[Tensor]] = [[] for _ in group.layers]
        loss = torch.zeros(())
        if group.n_samples:
            with torch.no_grad():
                loss = relaxed_loss(group, group.omega, losses.train, uniforms, self.temperature)
        value = float(self.ranks.mean([loss.double()], group.n_samples)[0])
        snapshots, _ = refresh(group, old, rates, radius / 2)
        target = self.target + (self._initial - self.target) * self.decay ** (self.n_updates + 1)
        step = fitted_step(group, _step_to(target, group, snapshots), snapshots, rates, radius)
        adopt(group, snapshots)
        group.set_omega(group.omega + step)
        after = group.rates(group.omega, snapshots)
        self._record(
            step=self.n_steps,
            radius=radius,
            step_norm=group.distance(after, rates),
            rho=math.nan,
            accepted=True,
            loss=value,
            objective=value,
            mean_rate=group.mean_rate(after),
            n_rates=n_rates(rates),
        )


def _step_to(target: float, group: RateGroup, snapshots: list) -> Tensor:
    """Shift of the biases, to 1e-4, after which the mean rate is nearest to a target."""
    omega, direction = group.omega, group.bias_direction()
    lower, upper = group.bounds()
    high = float((upper - lower).max())
    low = -high
    while high - low > 1e-4:
        middle = (low + high) / 2
        moved = torch.clamp(omega + middle * direction, lower, upper)
        below = group.mean_rate(group.rates(moved, snapshots)) < target
        low, high = (middle, high) if below else (low, middle)
    return torch.clamp(omega + high * direction, lower, upper) - omega
