"""Policies: weighted descriptors and a bias through a sigmoid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._descriptors import (
    Descriptor,
    FrequencyDistance,
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
)

__all__ = ["POLICIES", "Policy", "make_policy"]


@dataclass(frozen=True)
class Policy:
    r"""How rates follow from descriptors: the form, and where its parameters start.

    .. math::

        p_k = p_{\min} + (p_{\max} - p_{\min}) \,
              \sigma\Bigl( \sum_j w_j \, \mathrm{clip}(\varphi_j(k), \pm \varphi_{\max})
              + \gamma \Bigr)

    The parameters :math:`\omega = (w, \gamma)` themselves live in the layer, as a buffer that no
    weight optimizer sees.

    Parameters
    ----------
    descriptors : sequence of Descriptor, default=()
        :math:`\varphi_j`; none leaves only the bias, one rate for all.
    weights : sequence of float, default=None
        Where the weights :math:`w_j` start, within `weight_max`; None is 1 for each. Positive
        weights keep what matters.
    phi_max : float, default=3.0
        Where standardised descriptors are clipped.
    weight_max, bias_max : float, default=8.0, 12.0
        Largest size of a weight and of the bias.

    Attributes
    ----------
    n_parameters : int
        Length of :math:`\omega`.
    per_sample : bool
        Whether rates depend on the sample.
    reads_population : bool
        Whether rates depend on the population's energies.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import Policy, SquaredIndex
    >>> policy = Policy([SquaredIndex()], weights=[2.0])
    >>> phi = torch.tensor([[-1.0, 0.0, 1.0]])
    >>> policy.rates(torch.tensor([2.0, 0.0]), phi, 0.0, 0.9).round(decimals=3)
    tensor([0.1070, 0.4500, 0.7930])
    """

    descriptors: Sequence[Descriptor] = ()
    weights: Sequence[float] | None = None
    phi_max: float = 3.0
    weight_max: float = 8.0
    bias_max: float = 12.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "descriptors", tuple(self.descriptors))
        for i, descriptor in enumerate(self.descriptors):
            if not isinstance(descriptor, Descriptor):
                raise TypeError(
                    f"Policy: descriptors[{i}] must be a Descriptor, "
                    f"got {type(descriptor).__name__}."
                )
        given = (1.0,) * len(self.descriptors) if self.weights is None else self.weights
        weights = tuple(float(w) for w in given)
        object.__setattr__(self, "weights", weights)
        if len(weights) != len(self.descriptors):
            raise ValueError(
                f"Policy: weights must have one entry for each of the {len(self.descriptors)} "
                f"descriptors, got {len(weights)}."
            )
        for name in ("phi_max", "weight_max", "bias_max"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"Policy: {name} must be positive and finite, got {getattr(self, name)}."
                )
        if not all(abs(w) <= self.weight_max for w in weights):
            raise ValueError(
                f"Policy: weights must be within ±weight_max={self.weight_max}, got {weights}."
            )

    @property
    def n_parameters(self) -> int:
        """Length of the flat vector of weights and bias."""
        return len(self.descriptors) + 1

    @property
    def per_sample(self) -> bool:
        """Whether rates depend on the sample."""
        return any(d.source == "sample" for d in self.descriptors)

    @property
    def reads_population(self) -> bool:
        """Whether rates depend on the population's energies."""
        return any(d.source == "population" for d in self.descriptors)

    def rates(self, omega: Tensor, phi: Tensor, p_min: float, p_max: float) -> Tensor:
        """Rates before locks and snapping.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Weights and, last, the bias.
        phi : Tensor of shape (n_descriptors, ..., n_coefficients)
            Standardised descriptors.
        p_min, p_max : float
            Bounds of the rates.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Rates in the precision of `omega`.
        """
        clipped = phi.to(omega.dtype).clamp(-self.phi_max, self.phi_max)
        logits = torch.tensordot(omega[:-1], clipped, dims=1) + omega[-1]
        return p_min + (p_max - p_min) * torch.sigmoid(logits)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds of weights and bias.

        Returns
        -------
        lower, upper : Tensor of shape (n_parameters,)
            Bounds.
        """
        upper = torch.tensor([self.weight_max] * len(self.descriptors) + [self.bias_max])
        return -upper, upper

    def initial(self, p: float, phi: Tensor, p_min: float, p_max: float) -> Tensor:
        """Parameters that start at a mean rate.

        Parameters
        ----------
        p : float
            Mean rate wanted.
        phi : Tensor of shape (n_descriptors, n_coefficients)
            Descriptors, for those that data decide their expected spread.
        p_min, p_max : float
            Bounds of the rates.

        Returns
        -------
        Tensor of shape (n_parameters,)
            The weights and the bias, found by bisection, at most `bias_max` in size.
        """
        low, high = -self.bias_max, self.bias_max
        weights = torch.tensor(self.weights, dtype=torch.float64)
        for _ in range(60):
            bias = (low + high) / 2
            omega = torch.cat([weights, torch.tensor([bias], dtype=torch.float64)])
            mean = float(self.rates(omega, phi, p_min, p_max).mean())
            low, high = (bias, high) if mean < p else (low, bias)
        return omega.to(torch.get_default_dtype())


POLICIES: dict[str, Policy] = {
    "energy": Policy([PopulationEnergy()]),
    "sample_energy": Policy([PopulationEnergy(), SampleEnergy()]),
    "frequency": Policy([FrequencyDistance()]),
    "index": Policy([SquaredIndex()]),
    "uniform": Policy(),
}


def make_policy(policy: str | Policy) -> Policy:
    """Policy from its name, or as it is given.

    Parameters
    ----------
    policy : {"energy", "sample_energy", "frequency", "index", "uniform"} or Policy
        ``"energy"`` drops coefficients with little energy in the population more,
        ``"sample_energy"`` those with little energy in the population and in the sample,
        ``"frequency"`` high frequencies, ``"index"`` late coefficients; ``"uniform"`` has one rate.

    Returns
    -------
    Policy
        The policy.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If `policy` is neither a name nor a `Policy`.

    Examples
    --------
    >>> from sklearn_dbt.nn.dropout import make_policy
    >>> make_policy("sample_energy").n_parameters
    3
    """
    if isinstance(policy, Policy):
        return policy
    names = ", ".join(repr(name) for name in POLICIES)
    if not isinstance(policy, str):
        raise TypeError(f"policy must be one of {names} or a Policy, got {type(policy).__name__}.")
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {names} or a Policy, got {policy!r}.")
    return POLICIES[policy]
