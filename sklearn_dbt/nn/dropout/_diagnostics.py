"""What a spectrum and its rates look like in numbers: diagnostics, no guarantees."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._rates import CoefficientRates

__all__ = ["effective_regularization", "spectrum_diagnostics"]


@torch.no_grad()
def effective_regularization(layer: CoefficientRates, x: Tensor | None = None) -> Tensor:
    r"""How strongly dropout regularises each coefficient: rate times variance.

    .. math:: \lambda_k^{\text{eff}} = \mathrm E[p_k] \operatorname{var}(c_k)

    With squared loss behind one linear layer, dropping :math:`c_k` at the rate :math:`p` is a ridge
    :math:`p / (1 - p) \, \mathrm E[c_k^2]` on its weight [1]_; this is its first order in small
    rates.

    Parameters
    ----------
    layer : TransformDropout
        A layer that has observed something.
    x : Tensor of shape (..., n_features), default=None
        Inputs that the expectation is over, where rates depend on the sample. None takes the rates
        of a sample with the population's energies.

    Returns
    -------
    Tensor of shape (n_coefficients,)
        The strengths, in float64.

    Raises
    ------
    TypeError
        If it is another layer, such as an `EnsembleDropout`.
    ValueError
        If the layer has not observed anything.

    References
    ----------
    .. [1] S. Wager, S. Wang and P. Liang, "Dropout Training as Adaptive Regularization", Advances
       in Neural Information Processing Systems 26, 2013.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import TransformDropout, effective_regularization
    >>> layer = TransformDropout(2, basis="pca", policy="uniform", p=0.5)
    >>> _ = layer.observe(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    >>> effective_regularization(layer).round(decimals=3)  # half of the variances 2 and 0.5
    tensor([1.0000, 0.2500], dtype=torch.float64)
    """
    _check_layer("effective_regularization", layer)
    rates = layer.rates
    if x is not None and layer.policy.per_sample:
        rates = layer.rates_at(layer.get_omega(), layer.make_probe(x), layer.snapshot())
        rates = rates.reshape(-1, layer.basis.n_coefficients).mean(0)
    return rates.double() * layer.snapshot().variance.double()


def spectrum_diagnostics(layer: CoefficientRates, n_samples: int | None = None) -> dict[str, float]:
    r"""Effective rank of a layer's spectrum, and how its information is split by the rates.

    With the shares :math:`q_k = w_k E_k / \sum_j w_j E_j` of the energy in the snapshot and their
    entropies :math:`h_k = -q_k \log q_k`,

    .. math::

        r = \exp \sum_k h_k , \qquad
        I_{\text{kept}} = \sum_k (1 - p_k) h_k , \qquad I_{\text{dropped}} = \sum_k p_k h_k .

    and :math:`R = \sum_k w_k \, \mathrm E[p_k] \operatorname{var}(c_k)`, the total of
    `effective_regularization`.

    These are descriptions of the spectrum. The rate :math:`\sqrt{r / n}` at which a bound on the
    gap between training and test loss would shrink has an unknown constant: it is no guarantee.

    Parameters
    ----------
    layer : TransformDropout
        A layer that has observed something.
    n_samples : int, default=None
        Number :math:`n` of training samples, at least 1; None leaves ``rank_rate`` out.

    Returns
    -------
    dict of float
        ``effective_rank`` from 1 to the number of coefficients, ``kept_information`` and
        ``dropped_information`` in nats, ``dropped_energy`` :math:`\sum_k p_k q_k`,
        ``total_regularization`` :math:`R`, and ``rank_rate``.

    Raises
    ------
    TypeError
        If it is another layer, such as an `EnsembleDropout`.
    ValueError
        If the layer has not observed anything, or `n_samples` is less than 1.

    References
    ----------
    .. [1] O. Roy and M. Vetterli, "The effective rank: A measure of effective dimensionality",
       15th European Signal Processing Conference, 606-610, 2007.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import TransformDropout, spectrum_diagnostics
    >>> layer = TransformDropout(8, basis="dct", policy="uniform", p=0.25)
    >>> _ = layer.observe(torch.ones(3, 8))  # a constant has one coefficient
    >>> numbers = spectrum_diagnostics(layer, n_samples=100)
    >>> {name: round(numbers[name], 2) for name in ("effective_rank", "dropped_energy")}
    {'effective_rank': 1.0, 'dropped_energy': 0.25}
    """
    _check_layer("spectrum_diagnostics", layer)
    if n_samples is not None and n_samples < 1:
        raise ValueError(f"spectrum_diagnostics: n_samples must be at least 1, got {n_samples}.")
    energy = layer.snapshot().log_energy.double()
    weight = layer.basis.layout.weight.double()
    share = torch.softmax(energy + weight.log(), dim=0)
    entropy = -torch.xlogy(share, share)
    rates = layer.rates.double()
    numbers = {
        "effective_rank": float(entropy.sum().exp()),
        "kept_information": float(((1 - rates) * entropy).sum()),
        "dropped_information": float((rates * entropy).sum()),
        "dropped_energy": float((rates * share).sum()),
        "total_regularization": float(weight @ effective_regularization(layer)),
    }
    if n_samples is not None:
        numbers["rank_rate"] = math.sqrt(numbers["effective_rank"] / n_samples)
    return numbers


def _check_layer(where: str, layer: CoefficientRates) -> None:
    if not isinstance(layer, CoefficientRates):
        members = " (give one of its `members`)" if hasattr(layer, "members") else ""
        raise TypeError(
            f"{where}: layer must be a TransformDropout, got {type(layer).__name__}{members}."
        )
    if not layer.observed:
        raise ValueError(f"{where}: the layer has not observed anything.")
