"""Rates that are the mean of several layers' rates, of one transform or of many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import check_choice, check_number
from ._frequency_map import frequency_map
from ._precision import SinglePrecision
from ._rates import repeat_series
from ._snapshot import Snapshot
from ._transform_dropout import TransformDropout

__all__ = ["EnsembleRates"]

_THETA_MAX = 8.0


class EnsembleRates(SinglePrecision):
    r"""Mean of several layers' rates, for the coefficients of the first one's basis.

    It is to several layers what `CoefficientRates` is to one basis: parameters, statistics, and
    what a controller needs of the rates.

    Parameters
    ----------
    members : sequence of TransformDropout
        The layers.
    weights : sequence of float or None
        Their weights.
    learn_weights : bool
        Whether the weights are part of the parameters.
    mapping : {"linear", "nearest"}
        How rates are carried over between frequencies.
    """

    members: Sequence[TransformDropout]
    _theta: Tensor
    _locked: Tensor

    def __init__(
        self,
        members: Sequence[TransformDropout],
        *,
        weights: Sequence[float] | None,
        learn_weights: bool,
        mapping: str,
    ) -> None:
        super().__init__()
        check_choice("EnsembleDropout: mapping", mapping, ("linear", "nearest"))
        first = _check_members(members)
        self.members = nn.ModuleList(members)  # type: ignore[assignment]
        self.basis, self.n_features = first.basis, first.n_features
        self.learn_weights = bool(learn_weights)
        shares = _check_weights(weights, len(members), self.learn_weights)
        self.register_buffer("_theta", shares.log().to(torch.get_default_dtype()))
        self.mapping = mapping
        maps, locked = self._carried([member.locked for member in members])
        for i, carried in enumerate(maps):
            self.register_buffer(f"_map_{i}", carried, persistent=False)
        self.register_buffer("_locked", locked, persistent=False)
        self.register_load_state_dict_post_hook(_after_loading)

    # What follows from the layouts

    def _carried(self, locked: Sequence[Tensor]) -> tuple[list[Tensor | None], Tensor]:
        """Maps from each member's coefficients, and what is locked for given locks of theirs."""
        target, maps, total = self.basis.layout, [], torch.zeros_like(locked[0])
        for i, (member, own) in enumerate(zip(self.members, locked, strict=True)):
            carried = frequency_map(member.basis.layout, target, self.mapping, f"members[{i}]")
            if carried is not None:
                carried = carried.to(self._theta)
            held = own.double()
            total |= (held if carried is None else carried.double() @ held) > 1 - 1e-6
            maps.append(carried)
        return maps, total

    def _carry(self, locked: Sequence[Tensor]) -> None:
        maps, total = self._carried(locked)
        for i, carried in enumerate(maps):
            setattr(self, f"_map_{i}", carried)
        self._locked.copy_(total)

    def refresh_layout(self) -> None:
        """Bring up to date what follows from the layouts; see `EnsembleDropout`."""
        locked = [member._read_layout()[0] for member in self.members]
        self._carry(locked)  # raises before a member changes
        for member in self.members:
            member.refresh_layout()

    # Rates

    @property
    def weights(self) -> Tensor:
        """The weights in force, shape (n_members,)."""
        return torch.softmax(self._theta, dim=0)

    @property
    def per_sample(self) -> bool:
        """Whether rates depend on the sample."""
        return any(member.policy.per_sample for member in self.members)

    @property
    def observed(self) -> bool:
        """Whether there are statistics."""
        return all(member.observed for member in self.members)

    @property
    def rates(self) -> Tensor:
        """The rates in force, shape (n_coefficients,)."""
        # Smooth ones, as in a pass: what is snapped is the mean.
        parts = [member._typical_rates() for member in self.members]
        return self._snapped(self._mixed(self.weights, parts))

    def _mixed(self, weights: Tensor, parts: Sequence[Tensor]) -> Tensor:
        total: Tensor | float = 0.0
        for i, (weight, rates) in enumerate(zip(weights.unbind(), parts, strict=True)):
            carried = getattr(self, f"_map_{i}")
            total = total + weight * (rates if carried is None else rates @ carried.T.to(rates))
        return torch.where(self._locked, 0.0, torch.as_tensor(total))

    def _smooth(
        self, omega: Tensor, x: Tensor, snapshots: Sequence[Snapshot] | None = None
    ) -> Tensor:
        """Rates: (n_coefficients,), or one for each coefficient of `x` if they need the sample."""
        *own, theta = self._split(omega)
        parts = []
        for i, (member, part) in enumerate(zip(self.members, own, strict=True)):
            nu = None if snapshots is None else snapshots[i]
            basis = member.basis if nu is None or nu.basis is None else nu.basis
            reads_batch = nu is None and not member.observed and member.policy.reads_population
            reads = member.policy.per_sample or reads_batch
            c = basis.analysis(x) if reads else member._log_energy
            parts.append(member._smooth_rates(part, c, nu or member._population(c)))
        return self._mixed(torch.softmax(theta, dim=0), parts)

    def _snapped(self, rates: Tensor) -> Tensor:
        return self.members[0]._snapped(rates) if self.rate_bounds()[0] == 0 else rates

    def rates_at(
        self, omega: Tensor, probe: Tensor, snapshot: Sequence[Snapshot], *, smooth: bool = False
    ) -> Tensor:
        """Rates for given parameters and snapshots.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Parameters; the result has their precision and can be differentiated in them.
        probe : Tensor
            What `make_probe` returned.
        snapshot : sequence of Snapshot
            Frozen statistics, one of each member.
        smooth : bool, default=False
            Whether rates under `p_zero` are left as they are.

        Returns
        -------
        Tensor of shape (n_coefficients,) or (n_samples, n_rates)
            The second where rates depend on the sample: all channels of a sample in a row.
        """
        rates = self._smooth(omega, probe, snapshot)
        rates = rates if smooth else self._snapped(rates)
        if not self.per_sample:
            return rates
        return rates.reshape(probe.shape[0] if probe.ndim > 1 else 1, -1)

    def make_probe(self, x: Tensor) -> Tensor:
        """What `rates_at` needs of a batch.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Input.

        Returns
        -------
        Tensor
            The detached input in double precision; nothing where rates do not need the sample.
        """
        x = x.detach().to(torch.complex128 if x.is_complex() else torch.float64)
        return x if self.per_sample else x[..., :0]

    def penalty_weights(self, probe: Tensor, snapshot: Sequence[Snapshot]) -> Tensor:
        """Shares of the variance in the first member's basis.

        Parameters
        ----------
        probe : Tensor
            What `make_probe` returned.
        snapshot : sequence of Snapshot
            Frozen statistics, one of each member.

        Returns
        -------
        Tensor of shape (n_rates,)
            Weights that sum to 1, or zeros where nothing varies.
        """
        weights = self.members[0]._variance_shares(snapshot[0])
        return repeat_series(weights, probe) if self.per_sample else weights

    def rate_bounds(self) -> tuple[float, float]:
        """Smallest and largest rate of a coefficient that is not locked.

        Returns
        -------
        low, high : float
            Bounds.
        """
        low, high = zip(*(member.rate_bounds() for member in self.members), strict=True)
        return min(low), max(high)

    # Parameters

    @property
    def omega(self) -> Tensor:
        """Copy of the parameters, shape (n_parameters,)."""
        own = [member.get_omega() for member in self.members]
        return torch.cat([*own, self._theta] if self.learn_weights else own)

    def get_omega(self) -> Tensor:
        """Copy of the parameters.

        Returns
        -------
        Tensor of shape (n_parameters,)
            The members' in turn and, if they are learnt, the logarithms of the weights.
        """
        return self.omega

    def _split(self, omega: Tensor) -> list[Tensor]:
        """Each member's parameters and, last, the logarithms of the weights."""
        sizes = [member.omega.numel() for member in self.members]
        if self.learn_weights:
            return list(omega.split([*sizes, len(sizes)]))
        return [*omega.split(sizes), self._theta.to(omega.dtype)]

    @torch.no_grad()
    def set_omega(self, omega: Tensor) -> None:
        """Change the parameters in place.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Parameters.

        Raises
        ------
        ValueError
            If the shape is wrong or a value is not finite; nothing is changed then.
        """
        if omega.shape != self.omega.shape or not torch.isfinite(omega).all():
            raise ValueError(
                "EnsembleDropout.set_omega: omega must be finite and have shape "
                f"{tuple(self.omega.shape)}, got {omega.tolist()}."
            )
        *own, theta = self._split(omega)
        for member, part in zip(self.members, own, strict=True):
            member.set_omega(part)
        self._theta.copy_(theta)

    def omega_bounds(self) -> tuple[Tensor, Tensor]:
        """Bounds of the parameters.

        Returns
        -------
        lower, upper : Tensor of shape (n_parameters,)
            Bounds.
        """
        lower, upper = zip(*(member.omega_bounds() for member in self.members), strict=True)
        ends = [torch.full_like(self._theta, _THETA_MAX)] if self.learn_weights else []
        return torch.cat([*lower, *(-end for end in ends)]), torch.cat([*upper, *ends])

    def bias_direction(self) -> Tensor:
        """Direction along which every free rate grows: all members' biases.

        Returns
        -------
        Tensor of shape (n_parameters,)
            Zeros and ones.
        """
        own = [member.bias_direction() for member in self.members]
        return torch.cat([*own, torch.zeros_like(self._theta)] if self.learn_weights else own)

    # Statistics

    def observe(self, x: Tensor) -> bool:
        """Let a batch enter every member's statistics.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Input.

        Returns
        -------
        bool
            Whether all members took it in.
        """
        return all([member.observe(x) for member in self.members])

    def snapshot(self) -> tuple[Snapshot, ...]:
        """Copies of the members' snapshots in force.

        Returns
        -------
        tuple of Snapshot
            Frozen statistics.
        """
        return tuple(member.snapshot() for member in self.members)

    def candidate_snapshot(self) -> tuple[Snapshot, ...]:
        """Snapshots that the members' statistics propose.

        Returns
        -------
        tuple of Snapshot
            Frozen statistics.
        """
        return tuple(member.candidate_snapshot() for member in self.members)

    def blend_snapshots(
        self, old: Sequence[Snapshot], new: Sequence[Snapshot], fraction: float
    ) -> tuple[Snapshot, ...]:
        """Snapshots a fraction of the way from some to others.

        Parameters
        ----------
        old, new : sequence of Snapshot
            Snapshots of the members.
        fraction : float
            0 to 1.

        Returns
        -------
        tuple of Snapshot
            Frozen statistics.
        """
        return tuple(
            member.blend_snapshots(a, b, fraction)
            for member, a, b in zip(self.members, old, new, strict=True)
        )

    def adopt_snapshot(self, snapshot: Sequence[Snapshot]) -> None:
        """Put the members' snapshots in force.

        Parameters
        ----------
        snapshot : sequence of Snapshot
            Frozen statistics, one of each member.
        """
        for member, nu in zip(self.members, snapshot, strict=True):
            member.adopt_snapshot(nu)


def _after_loading(module: EnsembleRates, _: Any) -> None:
    # The members have been told already.
    module._carry([member.locked for member in module.members])


def _check_members(members: Sequence[TransformDropout]) -> TransformDropout:
    if not (isinstance(members, Sized) and isinstance(members, Iterable)):
        raise TypeError(
            "EnsembleDropout: members must be a sequence of TransformDropout, "
            f"got {type(members).__name__}."
        )
    if not len(members):
        raise ValueError("EnsembleDropout: members must hold at least 1 layer, got none.")
    for i, member in enumerate(members):
        if not isinstance(member, TransformDropout):
            raise TypeError(
                f"EnsembleDropout: members[{i}] must be a TransformDropout, "
                f"got {type(member).__name__}."
            )
        if member.n_features != members[0].n_features:
            raise ValueError(
                f"EnsembleDropout: members[{i}] is for {member.n_features} features, the first "
                f"for {members[0].n_features}."
            )
        if any(member is other for other in members[:i]):
            raise ValueError(f"EnsembleDropout: members[{i}] is among the members twice.")
    return members[0]


def _check_weights(weights: Sequence[float] | None, n: int, learnt: bool) -> Tensor:
    wanted = (
        f"EnsembleDropout: weights must be {n} positive and finite numbers, one for each member"
    )
    try:
        given = [1.0] * n if weights is None else [check_number("", w) for w in weights]
    except TypeError:
        raise TypeError(f"{wanted}, got {weights!r}.") from None
    if len(given) != n or not all(0 < w < float("inf") for w in given):
        raise ValueError(f"{wanted}, got {given}.")
    shares = torch.tensor(given, dtype=torch.float64)
    shares = shares / shares.sum()
    least = math.exp(-_THETA_MAX)
    i = int(shares.argmin())
    if learnt and shares[i] < least:
        raise ValueError(
            f"EnsembleDropout: weights[{i}] is {float(shares[i]):.3g} of their sum; where they are "
            f"learnt, each must be at least {least:.3g} of it."
        )
    return shares
