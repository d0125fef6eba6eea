"""Descriptors of where a coefficient is: its index, frequency or scale; sets of coefficients."""

from __future__ import annotations

import math
import operator
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..basis import Layout
from ._coefficients import Coefficients, given_frequency, given_scale
from ._descriptors import Descriptor

__all__ = [
    "Band",
    "CoefficientSet",
    "FrequencyDistance",
    "Indices",
    "Rank",
    "Scales",
    "SquaredIndex",
    "check_integers",
    "scale_indicator",
]


@dataclass(frozen=True)
class FrequencyDistance(Descriptor):
    r"""Distance from a frequency, :math:`\log(1 + |k - k_0|)`, standardised.

    :math:`k` is the coefficient's frequency in cycles per window (for the Fourier basis, its
    index). With a positive weight and :math:`k_0 = 0`, low frequencies are preserved.

    Parameters
    ----------
    k0 : float, default=0.0
        Frequency :math:`k_0 \ge 0` that is dropped least, in cycles per window.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> from sklearn_dbt.nn.dropout import Coefficients, FrequencyDistance
    >>> FrequencyDistance(k0=1)(Coefficients(Fourier(4))).round(decimals=3)
    tensor([ 0.7070, -1.4140,  0.7070])
    """

    k0: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.k0 < math.inf:
            raise ValueError(f"FrequencyDistance: k0 must be finite and at least 0, got {self.k0}.")

    def value(self, known: Coefficients) -> Tensor:
        """Log-distances."""
        frequency = given_frequency(known.layout, "FrequencyDistance")
        return torch.log1p((frequency * known.basis.n_features - self.k0).abs())


@dataclass(frozen=True)
class SquaredIndex(Descriptor):
    r"""Squared relative index :math:`(k/n)^2`, standardised.

    With a positive weight, coefficients that come late in the basis (high frequencies of a cosine
    transform, small principal components, fine wavelet scales) are dropped more. Without
    standardisation, a weight :math:`\alpha n^2` gives :math:`\alpha k^2`.

    Parameters
    ----------
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

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
class Rank(Descriptor):
    r"""Rank :math:`k/n` in the order of the basis, with :math:`k = 1` the first, standardised.

    Principal components are ordered by decreasing variance: with a positive weight, small ones are
    dropped more. Without standardisation, :math:`\alpha (n - k)` is a weight :math:`-\alpha n` and
    :math:`\alpha n` in the bias.

    Parameters
    ----------
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import PCA
    >>> from sklearn_dbt.nn.dropout import Coefficients, Rank
    >>> Rank(standardize=False)(Coefficients(PCA(4)))
    tensor([0.2500, 0.5000, 0.7500, 1.0000])
    """

    def value(self, known: Coefficients) -> Tensor:
        """Ranks."""
        index = known.layout.index.to(known.layout.weight.dtype)
        return (index + 1) / index.numel()


@dataclass(frozen=True, kw_only=True)
class CoefficientSet(Descriptor):
    r"""A set of coefficients: minus its indicator, standardised.

    With a positive weight, the set is dropped less than the rest. A set can also be *locked*:
    handed to a layer's `locks`, its coefficients are never dropped. A set of one's own implements
    `inside`.

    Parameters
    ----------
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.
    """

    @abstractmethod
    def inside(self, known: Coefficients, where: str) -> Tensor:
        """Which coefficients are in the set.

        Parameters
        ----------
        known : Coefficients
            What is known of the coefficients; their layout decides.
        where : str
            Beginning of the message if there are none.

        Returns
        -------
        Tensor of bool of shape (n_coefficients,)
            At least one is inside.
        """

    def value(self, known: Coefficients) -> Tensor:
        """Zeros and, inside, minus one."""
        return -self.inside(known, type(self).__name__).to(known.layout.weight.dtype)


@dataclass(frozen=True)
class Band(CoefficientSet):
    r"""Minus the indicator of a frequency band, standardised; as a lock, the band.

    With a positive weight, the band is dropped less than the rest.

    Parameters
    ----------
    low, high : float
        Edges of the band in Hz, both inside; ``0 <= low <= high``.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

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
        super().__post_init__()
        if not 0 <= self.low <= self.high < math.inf:
            raise ValueError(
                f"Band: 0 <= low <= high must hold (Hz), got low={self.low}, high={self.high}."
            )

    def inside(self, known: Coefficients, where: str) -> Tensor:
        """Which coefficients lie in the band."""
        if known.sampling_rate is None:
            raise ValueError(f"{where}: a band in Hz needs sampling_rate, got None.")
        frequency = given_frequency(known.layout, where) * known.sampling_rate
        slack = 1e-6 * known.sampling_rate  # the edges are meant inclusive of rounding
        inside = (frequency >= self.low - slack) & (frequency <= self.high + slack)
        if not inside.any():
            listed = ", ".join(f"{f:.4g}" for f in frequency[:8].tolist())
            raise ValueError(
                f"{where}: no coefficient lies in the band {self.low} to {self.high} Hz; there are "
                f"{frequency.numel()} at {listed}{', ...' if frequency.numel() > 8 else ''} Hz."
            )
        return inside


@dataclass(frozen=True)
class Scales(CoefficientSet):
    r"""Minus the indicator of wavelet scales, standardised; as a lock, the scales.

    With a positive weight, these scales are dropped less than the rest.

    Parameters
    ----------
    scales : sequence of int
        Scales as the layout numbers them: 1 is the finest detail; the coarsest detail and the
        approximation share the largest number.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import DWT
    >>> from sklearn_dbt.nn.dropout import Coefficients, Scales
    >>> Scales([2], standardize=False)(Coefficients(DWT(8, "haar", level=2))).abs()
    tensor([1., 1., 1., 1., 0., 0., 0., 0.])
    """

    scales: Sequence[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "scales", check_integers("Scales: scales", self.scales, 1))

    def inside(self, known: Coefficients, where: str) -> Tensor:
        """Which coefficients are of these scales."""
        return scale_indicator(known.layout, self.scales, where)


@dataclass(frozen=True)
class Indices(CoefficientSet):
    r"""Minus the indicator of single coefficients, standardised; as a lock, these coefficients.

    Parameters
    ----------
    indices : sequence of int
        Positions of the coefficients in the layout, from 0.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import PCA
    >>> from sklearn_dbt.nn.dropout import Coefficients, Indices
    >>> Indices([0], standardize=False)(Coefficients(PCA(3))).abs()
    tensor([1., 0., 0.])
    """

    indices: Sequence[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "indices", check_integers("Indices: indices", self.indices, 0))

    def inside(self, known: Coefficients, where: str) -> Tensor:
        """Which coefficients they are."""
        index = known.layout.index
        if max(self.indices) >= index.numel():
            raise ValueError(
                f"{where}: indices must be under the number of coefficients {index.numel()}, "
                f"got {max(self.indices)}."
            )
        return torch.isin(index, torch.tensor(self.indices, device=index.device))


def scale_indicator(layout: Layout, scales: Sequence[int], where: str) -> Tensor:
    """Which coefficients are of some scales, or an error that says which of them is not there."""
    scale = given_scale(layout, where)
    there = scale.unique().tolist()
    missing = sorted(set(scales) - set(there))
    if missing:
        raise ValueError(f"{where}: the basis has the scales {there}, got {missing}.")
    return torch.isin(scale, torch.tensor(scales, device=scale.device))


def check_integers(name: str, values: Sequence[int], minimum: int) -> tuple[int, ...]:
    """Return integers of at least a minimum as a tuple, or say what is wrong with them."""
    try:
        integers = tuple(operator.index(value) for value in values)
    except TypeError:
        raise TypeError(f"{name} must be a sequence of integers, got {values!r}.") from None
    if not integers or min(integers) < minimum:
        raise ValueError(f"{name} must hold integers of at least {minimum}, got {values!r}.")
    return integers
