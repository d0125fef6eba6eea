"""Running statistics, and the frozen ones that a policy reads."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..basis import Basis
from ._coefficients import log_energy

__all__ = ["RunningStatistics", "Snapshot", "energy"]


@dataclass(frozen=True, eq=False)
class Snapshot:
    r"""Frozen statistics :math:`\nu`: log-energies, and for a basis that adapts its moments.

    Parameters
    ----------
    log_energy : Tensor of shape (n_coefficients,)
        Logarithm of the running mean of :math:`|c_k|^2`.
    variance : Tensor of shape (n_coefficients,)
        Variance of the coefficients.
    moments : tuple of Tensor, default=None
        Mean (n_features,) and covariance (n_features, n_features) of the input, where the basis
        adapts.
    basis : Basis, default=None
        The basis for these moments, where it adapts.

    Attributes
    ----------
    described : dict
        Descriptors' numbers that a layer has computed from this snapshot, by precision, with the
        probe they belong to.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import Snapshot
    >>> old = Snapshot(torch.tensor([0.0, 1.0]), torch.ones(2))
    >>> new = Snapshot(torch.tensor([2.0, 1.0]), torch.ones(2))
    >>> old.blend(new, 0.25).log_energy
    tensor([0.5000, 1.0000])
    """

    log_energy: Tensor
    variance: Tensor
    moments: tuple[Tensor, Tensor] | None = None
    basis: Basis | None = None
    described: dict[torch.dtype, tuple[Tensor, list[Tensor]]] = field(
        default_factory=dict, init=False, repr=False
    )

    @classmethod
    def from_moments(cls, basis: Basis, mean: Tensor, covariance: Tensor) -> Snapshot:
        """Statistics in the basis that belongs to moments of the input.

        Parameters
        ----------
        basis : Basis
            A basis of the kind wanted; it is copied.
        mean : Tensor of shape (n_features,)
            Mean of the input.
        covariance : Tensor of shape (n_features, n_features)
            Its covariance.

        Returns
        -------
        Snapshot
            With a basis of its own.
        """
        basis = copy.deepcopy(basis)
        basis.update_from_moments(mean, covariance)
        centre = basis.analysis(mean)
        rows = basis.analysis(torch.eye(len(mean)).to(mean)) - basis.analysis(0 * mean)
        variance = (rows * (covariance @ rows)).sum(0).clamp_min(0)
        frozen = log_energy(variance + centre.square())
        return cls(frozen, variance, (mean, covariance), basis)

    def blend(self, other: Snapshot, fraction: float) -> Snapshot:
        """The snapshot a fraction of the way to another.

        Parameters
        ----------
        other : Snapshot
            Where to go.
        fraction : float
            0 to 1.

        Returns
        -------
        Snapshot
            Moments and log-energies in between; an adapting basis is the one for the moments.
        """
        if fraction == 1:
            return other
        if self.basis is not None and self.moments is not None and other.moments is not None:
            mean, covariance = (
                torch.lerp(a, b, fraction) for a, b in zip(self.moments, other.moments, strict=True)
            )
            return Snapshot.from_moments(self.basis, mean, covariance)
        return Snapshot(
            torch.lerp(self.log_energy, other.log_energy, fraction),
            torch.lerp(self.variance, other.variance, fraction),
        )


class RunningStatistics(nn.Module):
    """Exponentially weighted moments of coefficients, or of inputs where the basis adapts.

    Parameters
    ----------
    basis : Basis
        Decides the shapes.
    momentum : float
        Weight of the past, in [0, 1); the start is not biased towards zero.
    """

    first: Tensor
    second: Tensor
    weight: Tensor

    def __init__(self, basis: Basis, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        k, n = basis.n_coefficients, basis.n_features
        if basis.needs_covariance:
            # Moments of inputs decide a basis: float64, like the basis itself.
            first, second = torch.zeros(n).double(), torch.zeros(n, n).double()
        else:
            first, second = torch.zeros(k, 2 if basis.is_complex else 1), torch.zeros(k)
        self.register_buffer("first", first)
        self.register_buffer("second", second)
        self.register_buffer("weight", torch.tensor(0.0))

    @torch.no_grad()
    def accumulate(self, basis: Basis, x: Tensor) -> bool:
        """Take in a batch, unless it is empty or not finite; tell whether it was."""
        x = x.detach()
        if x.numel() == 0 or not torch.isfinite(x).all():
            return False
        if basis.needs_covariance:
            samples = x.reshape(-1, basis.n_features).to(self.first)
            first, second = samples.mean(0), samples.T @ samples / len(samples)
        else:
            c = basis.analysis(x).reshape(-1, basis.n_coefficients)
            first = (torch.view_as_real(c) if c.is_complex() else c[..., None]).mean(0)
            second = energy(c).mean(0)
        for running, new in ((self.first, first), (self.second, second)):
            running.copy_(torch.lerp(new.to(running), running, self.momentum))
        self.weight.copy_(torch.lerp(torch.ones_like(self.weight), self.weight, self.momentum))
        return True

    @torch.no_grad()
    def snapshot(self, basis: Basis) -> Snapshot:
        """The statistics, frozen."""
        if not self.weight > 0:
            raise RuntimeError("There are no statistics yet: nothing has been observed.")
        first, second = self.first / self.weight, self.second / self.weight
        if basis.needs_covariance:
            return Snapshot.from_moments(basis, first, second - torch.outer(first, first))
        variance = (second - first.square().sum(-1)).clamp_min(0)
        return Snapshot(log_energy(second), variance)


def energy(c: Tensor) -> Tensor:
    """Squared modulus of real or complex coefficients."""
    return c.real.square() + c.imag.square() if c.is_complex() else c.square()
