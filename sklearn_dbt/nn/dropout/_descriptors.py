"""Descriptors: one standardised number for each coefficient, larger = dropped more."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..basis import Basis, Layout

__all__ = [
    "Band",
    "Coefficients",
    "Descriptor",
    "FrequencyDistance",
    "PopulationEnergy",
    "SampleEnergy",
    "SquaredIndex",
    "band_indicator",
    "log_energy",
    "standardize",
]


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

    @property
    def layout(self) -> Layout:
        """What each coefficient is."""
        return self.basis.layout


@dataclass(frozen=True)
class Descriptor(ABC):
    r"""A number :math:`\varphi_k` for each coefficient, standardised over the coefficients.

    A positive weight drops coefficients with a large number more: descriptors are oriented so that
    it keeps what matters and drops noise. The class attribute `source` says what `value` reads:
    ``"layout"`` for what never changes, ``"population"`` or ``"sample"`` for log-energies.
    """

    source: ClassVar[str] = "layout"

    @abstractmethod
    def value(self, known: Coefficients) -> Tensor:
        """Numbers that are not yet standardised.

        Parameters
        ----------
        known : Coefficients
            What is known of the coefficients.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Larger is dropped more.
        """

    def __call__(self, known: Coefficients) -> Tensor:
        """Standardised numbers.

        Parameters
        ----------
        known : Coefficients
            What is known of the coefficients.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Mean 0 and standard deviation 1 over the last axis; 0 where all numbers agree.
        """
        return standardize(self.value(known))


@dataclass(frozen=True)
class PopulationEnergy(Descriptor):
    r"""Minus the log-energy of the population, :math:`-\log E_k`, standardised.

    :math:`E_k` is the running mean of :math:`|c_k|^2` over batches and samples, frozen in the
    policy's snapshot. With a positive weight, weak coefficients are dropped more.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, PopulationEnergy
    >>> known = Coefficients(DCT(3), population=torch.tensor([9.0, 6.0, 3.0]))
    >>> PopulationEnergy()(known).round(decimals=3)
    tensor([-1.2250,  0.0000,  1.2250])
    """

    source: ClassVar[str] = "population"

    def value(self, known: Coefficients) -> Tensor:
        """Minus the log-energies."""
        return -_given(known.population)


@dataclass(frozen=True)
class SampleEnergy(Descriptor):
    r"""Minus the log-energy in this sample, :math:`-\log |c_k|^2`, standardised over its spectrum.

    Rates then differ between samples (and channels). They are functions of the sample, but no
    gradient flows through them.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, SampleEnergy
    >>> sample = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    >>> SampleEnergy()(Coefficients(DCT(2), sample=sample)).round(decimals=3)
    tensor([[-1.,  1.],
            [ 1., -1.]])
    """

    source: ClassVar[str] = "sample"

    def value(self, known: Coefficients) -> Tensor:
        """Minus the log-energies."""
        return -_given(known.sample)


@dataclass(frozen=True)
class FrequencyDistance(Descriptor):
    r"""Distance from a frequency, :math:`\log(1 + |k - k_0|)`, standardised.

    :math:`k` is the coefficient's frequency in cycles per window (for the Fourier basis, its
    index). With a positive weight and :math:`k_0 = 0`, low frequencies are preserved.

    Parameters
    ----------
    k0 : float, default=0.0
        Frequency :math:`k_0 \ge 0` that is dropped least, in cycles per window.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> from sklearn_dbt.nn.dropout import Coefficients, FrequencyDistance
    >>> FrequencyDistance(k0=1)(Coefficients(Fourier(4))).round(decimals=3)
    tensor([ 0.7070, -1.4140,  0.7070])
    """

    k0: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.k0 < math.inf:
            raise ValueError(f"FrequencyDistance: k0 must be finite and at least 0, got {self.k0}.")

    def value(self, known: Coefficients) -> Tensor:
        """Log-distances."""
        frequency = _frequency(known.layout, "FrequencyDistance")
        return torch.log1p((frequency * known.basis.n_features - self.k0).abs())


@dataclass(frozen=True)
class SquaredIndex(Descriptor):
    r"""Squared relative index :math:`(k/n)^2`, standardised.

    With a positive weight, coefficients that come late in the basis (high frequencies of a cosine
    transform, small principal components, fine wavelet scales) are dropped more.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, SquaredIndex
    >>> SquaredIndex()(Coefficients(DCT(3))).round(decimals=3)
    tensor([-0.9810, -0.3920,  1.3730])
    """

    def value(self, known: Coefficients) -> Tensor:
        """Squares."""
        index = known.layout.index.to(known.layout.weight.dtype)
        return (index / index.numel()).square()


@dataclass(frozen=True)
class Band(Descriptor):
    r"""Minus the indicator of a frequency band, standardised.

    With a positive weight, the band is dropped less than the rest.

    Parameters
    ----------
    low, high : float
        Edges of the band in Hz, both inside; ``0 <= low <= high``.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> from sklearn_dbt.nn.dropout import Band, Coefficients
    >>> known = Coefficients(Fourier(8), sampling_rate=32.0)
    >>> Band(7.0, 9.0)(known).round(decimals=3)
    tensor([ 0.5000,  0.5000, -2.0000,  0.5000,  0.5000])
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < math.inf:
            raise ValueError(
                f"Band: 0 <= low <= high must hold (Hz), got low={self.low}, high={self.high}."
            )

    def value(self, known: Coefficients) -> Tensor:
        """Zeros and, inside, minus one."""
        inside = band_indicator(known.layout, self.low, self.high, known.sampling_rate, "Band")
        return -inside.to(known.layout.weight.dtype)


def standardize(values: Tensor) -> Tensor:
    """Values with mean 0 and standard deviation 1 over the last axis; 0 where they agree.

    Spreads far under 1e-3 (rounding) count as none.
    """
    centred = values - values.mean(-1, keepdim=True)
    centred = centred - centred.mean(-1, keepdim=True)  # what rounding left of the mean
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def log_energy(energy: Tensor) -> Tensor:
    """Logarithm of energies, 60 dB under the mean at least, finite for all-zero input."""
    floor = 1e-6 * energy.mean(-1, keepdim=True) + torch.finfo(energy.dtype).tiny
    return (energy + floor).log()


def band_indicator(
    layout: Layout, low: float, high: float, sampling_rate: float | None, where: str
) -> Tensor:
    """Which coefficients lie in a band in Hz, or an error that says why none does."""
    if sampling_rate is None:
        raise ValueError(f"{where}: a band in Hz needs sampling_rate, got None.")
    frequency = _frequency(layout, where) * sampling_rate
    slack = 1e-6 * sampling_rate  # the edges are meant inclusive of rounding
    inside = (frequency >= low - slack) & (frequency <= high + slack)
    if not inside.any():
        listed = ", ".join(f"{f:.4g}" for f in frequency[:8].tolist())
        raise ValueError(
            f"{where}: no coefficient lies in the band {low} to {high} Hz; there are "
            f"{frequency.numel()} at {listed}{', ...' if frequency.numel() > 8 else ''} Hz."
        )
    return inside


def _given(log_energies: Tensor | None) -> Tensor:
    if log_energies is None:
        raise ValueError("The log-energies that this descriptor reads are not among the known.")
    return log_energies


def _frequency(layout: Layout, where: str) -> Tensor:
    if layout.frequency.isnan().any():
        raise ValueError(
            f"{where}: the coefficients of this basis have no frequency; "
            "use a basis such as 'fourier', 'dct' or 'dwt'."
        )
    return layout.frequency
