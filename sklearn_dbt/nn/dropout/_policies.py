"""Policies: weighted descriptors and a bias through a sigmoid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ._checks import check_choice
from ._descriptors import SHARINGS, Descriptor
from ._energy_descriptors import PopulationEnergy, SampleEnergy
from ._place_descriptors import FrequencyDistance, SquaredIndex

__all__ = ["POLICIES", "Policy", "make_policy"]

Start = float | Sequence[float]


@dataclass(frozen=True)
class Policy:
    r"""How rates follow from descriptors: the form, and where its parameters start.

    .. math::

        p_k = p_{\min} + (p_{\max} - p_{\min}) \,
              \sigma\Bigl( \sum_j w_{jk} \, \mathrm{clip}(\varphi_j(k), \pm \varphi_{\max})
              + \gamma_k \Bigr)

    Each descriptor says who shares its weight :math:`w_{jk}`: all coefficients, those of a scale,
    or none; `bias_sharing` says it of the bias. The parameters :math:`\omega = (w, \gamma)`
    themselves live in the layer, as a buffer that no weight optimizer sees; how many there are
    depends on its basis.

    Parameters
    ----------
    descriptors : sequence of Descriptor, default=()
        :math:`\varphi_j`; none leaves only the bias. Those that are not standardised are not
        clipped either.
    weights : sequence of (float or sequence of float), default=None
        Where the weights start, within `weight_max`: a number for each descriptor, or a sequence
        of as many numbers as it has weights. None is 1 for each. Positive weights keep what
        matters.
    bias : float or sequence of float, default=None
        Where the bias starts, within `bias_max`. None is where the layer's mean rate is `p`, and
        is found for standardised descriptors only: the size of raw energies is not known before.
    bias_sharing : {"all", "scale", "coefficient"}, default="all"
        Who shares a bias.
    link : {"sigmoid", "linear"}, default="sigmoid"
        ``"linear"`` has, in place of the above, the sum itself, clipped to :math:`[p_{\min},
        p_{\max}]`; where it is clipped, the rate does not feel the parameters.
    phi_max : float, default=3.0
        Where standardised descriptors are clipped.
    weight_max, bias_max : float, default=8.0, 12.0
        Largest size of a weight and of the bias.

    Attributes
    ----------
    per_sample : bool
        Whether rates depend on the sample.
    reads_population : bool
        Whether rates depend on the population's energies or variances.

    Examples
    --------
    >>> from sklearn_dbt.nn.dropout import Policy, SquaredIndex, TransformDropout
    >>> policy = Policy([SquaredIndex()], weights=[2.0], bias=0.0)
    >>> TransformDropout(3, "dct", policy, p_max=0.9).rates.round(decimals=3)
    tensor([0.1110, 0.2820, 0.8460])

    One rate for each coefficient, free of any formula:

    >>> TransformDropout(3, "dct", Policy(bias_sharing="coefficient")).omega.shape
    torch.Size([3])
    """

    descriptors: Sequence[Descriptor] = ()
    weights: Sequence[Start] | None = None
    bias: Start | None = None
    bias_sharing: str = "all"
    link: str = "sigmoid"
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
        for name in ("phi_max", "weight_max", "bias_max"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"Policy: {name} must be positive and finite, got {getattr(self, name)}."
                )
        check_choice("Policy: bias_sharing", self.bias_sharing, SHARINGS)
        check_choice("Policy: link", self.link, ("sigmoid", "linear"))
        given = (1.0,) * len(self.descriptors) if self.weights is None else self.weights
        weights = tuple(_start("weights", w, self.weight_max, "weight_max") for w in given)
        object.__setattr__(self, "weights", weights)
        if len(weights) != len(self.descriptors):
            raise ValueError(
                f"Policy: weights must have one entry for each of the {len(self.descriptors)} "
                f"descriptors, got {len(weights)}."
            )
        if self.bias is not None:
            bias = _start("bias", self.bias, self.bias_max, "bias_max")
            object.__setattr__(self, "bias", bias)

    @property
    def per_sample(self) -> bool:
        """Whether rates depend on the sample."""
        return any(d.source == "sample" for d in self.descriptors)

    @property
    def reads_population(self) -> bool:
        """Whether rates depend on the population's energies or variances."""
        return any(d.reads_population for d in self.descriptors)


def _start(name: str, value: Any, largest: float, limit: str) -> Start:
    """A starting value, or several, as numbers within a limit."""
    numbers: Start
    if isinstance(value, Tensor):
        value = value.tolist()
    try:
        numbers = tuple(float(v) for v in value)
    except TypeError:
        numbers = float(value)
    listed = numbers if isinstance(numbers, tuple) else (numbers,)
    if not all(abs(v) <= largest for v in listed):
        raise ValueError(f"Policy: {name} must be within ±{limit}={largest}, got {value!r}.")
    return numbers


POLICIES: dict[str, Policy] = {
    "energy": Policy([PopulationEnergy()]),
    "sample_energy": Policy([PopulationEnergy(), SampleEnergy()]),
    "frequency": Policy([FrequencyDistance()]),
    "index": Policy([SquaredIndex()]),
    "uniform": Policy(),
    "free": Policy(bias_sharing="coefficient"),
}


def make_policy(policy: str | Policy) -> Policy:
    """Policy from its name, or as it is given.

    Parameters
    ----------
    policy : {"energy", "sample_energy", "frequency", "index", "uniform", "free"} or Policy
        ``"energy"`` drops coefficients with little energy in the population more,
        ``"sample_energy"`` those with little energy in the population and in the sample,
        ``"frequency"`` high frequencies, ``"index"`` late coefficients; ``"uniform"`` has one rate
        for all, ``"free"`` one for each, to be moved freely.

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
    >>> make_policy("energy").weights
    (1.0,)
    """
    if isinstance(policy, Policy):
        return policy
    names = ", ".join(repr(name) for name in POLICIES)
    if not isinstance(policy, str):
        raise TypeError(f"policy must be one of {names} or a Policy, got {type(policy).__name__}.")
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {names} or a Policy, got {policy!r}.")
    return POLICIES[policy]
