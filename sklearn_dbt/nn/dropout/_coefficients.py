"""What is known of coefficients when their rates are decided: energies, variances, places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..basis import Basis, Layout

__all__ = ["Coefficients", "given_frequency", "given_scale", "linear_energy", "log_energy"]

_FLOOR = 1e-6  # of the mean energy: 60 dB under it


@dataclass(frozen=True, eq=False)
class Coefficients:
    """What is known of the coefficients that a descriptor describes.

    Parameters
    ----------
    basis : Basis
        The basis they belong to.
    sampling_rate : float, default=None
        Samples per second in Hz.
    population : Tensor of shape (n_coefficients,), default=None
        Log-energies of the population.
    sample : Tensor of shape (..., n_coefficients), default=None
        Log-energies of each sample.
    variance : Tensor of shape (n_coefficients,), default=None
        Variances of the population: for principal components their eigenvalues.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, PopulationEnergy
    >>> known = Coefficients(DCT(2), population=torch.tensor([4.0, 0.0]))
    >>> PopulationEnergy()(known).round(decimals=3)
    tensor([-1.,  1.])
    """

    basis: Basis
    sampling_rate: float | None = None
    population: Tensor | None = None
    sample: Tensor | None = None
    variance: Tensor | None = None

    @property
    def layout(self) -> Layout:
        """What each coefficient is."""
        return self.basis.layout

    def log_energies(self, source: str) -> Tensor:
        """Log-energies of the population or of each sample.

        Parameters
        ----------
        source : {"population", "sample"}
            Whose.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Log-energies, at most 60 dB under their mean.
        """
        values = self.sample if source == "sample" else self.population
        if values is None:
            raise ValueError(f"The log-energies of the {source} are not among the known.")
        return values

    def energies(self, source: str) -> Tensor:
        r"""Energies :math:`|c_k|^2` themselves, of the population or of each sample.

        Parameters
        ----------
        source : {"population", "sample"}
            Whose.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Energies, without the floor that their logarithms have.
        """
        return linear_energy(self.log_energies(source))

    def variances(self) -> Tensor:
        """Variances of the population.

        Returns
        -------
        Tensor of shape (n_coefficients,)
            Variances.
        """
        if self.variance is None:
            raise ValueError("The variances of the population are not among the known.")
        return self.variance


def log_energy(energy: Tensor) -> Tensor:
    """Logarithm of energies, 60 dB under the mean at least, finite for all-zero input."""
    floor = _FLOOR * energy.mean(-1, keepdim=True) + torch.finfo(energy.dtype).tiny
    return (energy + floor).log()


def linear_energy(log_energies: Tensor) -> Tensor:
    """Energies whose `log_energy` this is: the floor is known from their mean."""
    raised = log_energies.exp()
    floor = _FLOOR / (1 + _FLOOR) * raised.mean(-1, keepdim=True)
    return (raised - floor).clamp_min(0)


def given_frequency(layout: Layout, where: str) -> Tensor:
    """Frequencies in cycles per sample, or an error that says that there are none."""
    if layout.frequency.isnan().any():
        raise ValueError(
            f"{where}: the coefficients of this basis have no frequency (those of a graph that is "
            "learnt would move); use a basis such as 'fourier', 'dct' or 'dwt'."
        )
    return layout.frequency


def given_scale(layout: Layout, where: str) -> Tensor:
    """Scales, or an error that says that there are none."""
    if not (layout.scale > 0).all():
        raise ValueError(
            f"{where}: the coefficients of this basis have no scale; use a basis such as 'dwt'."
        )
    return layout.scale
