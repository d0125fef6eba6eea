"""Descriptors that read energies of the population or of the sample."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._checks import check_choice, check_fraction
from ._coefficients import Coefficients
from ._descriptors import Descriptor

__all__ = [
    "SOURCES",
    "TRANSFORMS",
    "InverseEigenvalue",
    "PopulationEnergy",
    "SampleEnergy",
    "unit_mean",
]

SOURCES = ("population", "sample")
TRANSFORMS = ("log", "raw", "eigenvalue", "importance")


def unit_mean(values: Tensor) -> Tensor:
    """Values over the mean of their sizes: what standardisation takes for no spread is relative."""
    mean = values.abs().mean(-1, keepdim=True)
    return values / torch.where(mean > 0, mean, 1.0)


def _transformed(known: Coefficients, source: str, transform: str, unit: bool) -> Tensor:
    """How energies enter: larger where the energy is smaller."""
    if transform == "log":
        return -known.log_energies(source)
    energy = known.energies(source)
    if transform == "importance":
        low, high = energy.aminmax(dim=-1, keepdim=True)
        spread = high - low
        return 1 - (energy - low) / torch.where(spread > 0, spread, 1.0)
    if transform == "eigenvalue":
        energy = known.variances() * energy
    return -unit_mean(energy) if unit else -energy


@dataclass(frozen=True)
class PopulationEnergy(Descriptor):
    r"""Minus the log-energy of the population, :math:`-\log E_k`, standardised.

    :math:`E_k` is the running mean of :math:`|c_k|^2` over batches and samples, frozen in the
    policy's snapshot. With a positive weight, weak coefficients are dropped more.

    Parameters
    ----------
    transform : {"log", "raw", "eigenvalue", "importance"}, default="log"
        What enters: :math:`-\log E_k`; :math:`-E_k`; :math:`-\lambda_k E_k` with the variances
        :math:`\lambda_k` of the population; or :math:`1 - (E_k - \min E) / (\max E - \min E)`.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, PopulationEnergy
    >>> known = Coefficients(DCT(3), population=torch.tensor([9.0, 6.0, 3.0]))
    >>> PopulationEnergy()(known).round(decimals=3)
    tensor([-1.2250,  0.0000,  1.2250])
    """

    transform: str = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("PopulationEnergy: transform", self.transform, TRANSFORMS)

    @property
    def source(self) -> str:
        """The population's energies."""
        return "population"

    def value(self, known: Coefficients) -> Tensor:
        """Minus the energies, as `transform` says."""
        return _transformed(known, "population", self.transform, self.standardize)


@dataclass(frozen=True)
class SampleEnergy(Descriptor):
    r"""Minus the log-energy in this sample, :math:`-\log |c_k|^2`, standardised over its spectrum.

    Rates then differ between samples (and channels). They are functions of the sample, but no
    gradient flows through them.

    Parameters
    ----------
    transform : {"log", "raw", "eigenvalue", "importance"}, default="log"
        What enters: :math:`-\log |c_k|^2`; :math:`-|c_k|^2`; :math:`-\lambda_k |c_k|^2` with the
        variances :math:`\lambda_k` of the population; or one minus the sample's own energies,
        scaled to lie from 0 to 1.
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

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

    transform: str = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("SampleEnergy: transform", self.transform, TRANSFORMS)

    @property
    def source(self) -> str:
        """The sample's energies."""
        return "sample"

    @property
    def reads_population(self) -> bool:
        """Whether eigenvalues weight the energies."""
        return self.transform == "eigenvalue"

    def value(self, known: Coefficients) -> Tensor:
        """Minus the energies, as `transform` says."""
        return _transformed(known, "sample", self.transform, self.standardize)


@dataclass(frozen=True)
class InverseEigenvalue(Descriptor):
    r"""How small a coefficient's variance is, :math:`\log(\lambda_1 / \lambda_k)`, standardised.

    :math:`\lambda_k` are the variances of the population in the policy's snapshot, for principal
    components their eigenvalues; those under :math:`\varepsilon \lambda_1` count as that much.

    Parameters
    ----------
    transform : {"log", "raw"}, default="log"
        What enters: :math:`\log(\lambda_1 / \lambda_k)`, or :math:`1 / \lambda_k`.
    epsilon : float, default=1e-6
        :math:`\varepsilon`, in (0, 1).
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import PCA
    >>> from sklearn_dbt.nn.dropout import Coefficients, InverseEigenvalue
    >>> known = Coefficients(PCA(3), variance=torch.tensor([8.0, 4.0, 2.0]))
    >>> InverseEigenvalue()(known).round(decimals=3)
    tensor([-1.2250,  0.0000,  1.2250])
    >>> InverseEigenvalue("raw", standardize=False)(known)
    tensor([0.1250, 0.2500, 0.5000])
    """

    transform: str = "log"
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("InverseEigenvalue: transform", self.transform, ("log", "raw"))
        check_fraction("InverseEigenvalue: epsilon", self.epsilon)

    @property
    def source(self) -> str:
        """The population's variances."""
        return "population"

    def value(self, known: Coefficients) -> Tensor:
        """Inverse variances, as `transform` says; where nothing varies, 0."""
        variance = known.variances()
        top = variance.max(-1, keepdim=True).values
        floored = torch.where(top > 0, torch.maximum(variance, self.epsilon * top), 1.0)
        if self.transform == "log":
            return torch.where(top > 0, (top / floored).log(), 0.0)
        inverse = torch.where(top > 0, 1 / floored, 0.0)
        return unit_mean(inverse) if self.standardize else inverse
