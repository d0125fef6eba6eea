"""The frozen statistics that a policy reads."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from ..basis import Basis
from ._descriptors import log_energy

__all__ = ["Snapshot"]


@dataclass(frozen=True, eq=False)
class Snapshot:
    r"""Frozen statistics :math:`\nu`: log-energies, and for a basis that adapts its moments.

    Parameters
    ----------
    log_energy : Tensor of shape (n_coefficients,)
        Logarithm of the running mean of :math:`|c_k|^2`.
    variance : Tensor of shape (n_coefficients,)
        Variance of the coefficients.
    mean, covariance : Tensor of shape (n_features,) and (n_features, n_features), default=None
        Moments of the input, where the basis adapts.
    basis : Basis, default=None
        The basis for these moments, where it adapts.
    """

    log_energy: Tensor
    variance: Tensor
    mean: Tensor | None = None
    covariance: Tensor | None = None
    basis: Basis | None = None

    @classmethod
    def from_moments(cls, basis: Basis, mean: Tensor, covariance: Tensor) -> Snapshot:
        """Statistics in the basis that belongs to moments of the input; `basis` is a model."""
        basis = copy.deepcopy(basis)
        basis.update_from_moments(mean, covariance)
        centre = basis.analysis(mean)
        rows = basis.analysis(torch.eye(len(mean)).to(mean)) - basis.analysis(
            torch.zeros_like(mean)
        )
        variance = (rows * (covariance @ rows)).sum(0).clamp_min(0)
        return cls(log_energy(variance + centre.square()), variance, mean, covariance, basis)

    def blend(self, other: Snapshot, fraction: float) -> Snapshot:
        """The snapshot a fraction of the way to another."""
        if fraction == 1:
            return other
        if self.basis is not None:
            return Snapshot.from_moments(
                self.basis,
                torch.lerp(self.mean, other.mean, fraction),
                torch.lerp(self.covariance, other.covariance, fraction),
            )
        return Snapshot(
            torch.lerp(self.log_energy, other.log_energy, fraction),
            torch.lerp(self.variance, other.variance, fraction),
        )
