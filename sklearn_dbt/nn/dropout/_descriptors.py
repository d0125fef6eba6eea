"""The descriptor: one number for each coefficient, larger = dropped more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from ._checks import check_choice
from ._coefficients import Coefficients

__all__ = ["SHARINGS", "Descriptor", "standardize"]

SHARINGS = ("all", "scale", "coefficient")


@dataclass(frozen=True, kw_only=True)
class Descriptor(ABC):
    r"""A number :math:`\varphi_k` for each coefficient, standardised over the coefficients.

    A positive weight drops coefficients with a large number more: descriptors are oriented so that
    it keeps what matters and drops noise. A descriptor of one's own implements `value`, and says
    in `source` what it reads.

    Parameters
    ----------
    standardize : bool, default=True
        Whether the numbers are standardised over the coefficients (and clipped by the policy), so
        that weights mean the same for all signals; else they enter a formula as they are.
    sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a weight: one for all coefficients, one for each of the layout's scales, or one
        for each coefficient.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> from sklearn_dbt.nn.dropout import Coefficients, Descriptor
    >>> class Parity(Descriptor):
    ...     def value(self, known):
    ...         return known.layout.index % 2.0
    >>> Parity()(Coefficients(DCT(4))).round(decimals=3)
    tensor([-1.,  1., -1.,  1.])
    """

    standardize: bool = True
    sharing: str = "all"

    def __post_init__(self) -> None:
        check_choice(f"{type(self).__name__}: sharing", self.sharing, SHARINGS)

    @property
    def source(self) -> str:
        """What `value` reads.

        ``"layout"`` for what never changes, ``"population"`` for what the snapshot holds,
        ``"sample"`` where rates differ between samples.
        """
        return "layout"

    @property
    def reads_population(self) -> bool:
        """Whether `value` reads the population's energies or variances."""
        return self.source == "population"

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
        """The numbers, standardised unless that is switched off.

        Parameters
        ----------
        known : Coefficients
            What is known of the coefficients.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Standardised: mean 0 and standard deviation 1 over the last axis, 0 where all numbers
            agree.
        """
        value = self.value(known)
        return standardize(value) if self.standardize else value


def standardize(values: Tensor) -> Tensor:
    """Values with mean 0 and standard deviation 1 over the last axis; 0 where they agree.

    Spreads far under 1e-3 (rounding) count as none.
    """
    centred = values - values.mean(-1, keepdim=True)
    centred = centred - centred.mean(-1, keepdim=True)  # what rounding left of the mean
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
