"""What a spectrum and its rates look like in numbers: diagnostics, no guarantees."""

from __future__ import annotations

import math

import torch

from ._rates import CoefficientRates

__all__ = ["spectrum_diagnostics"]


def spectrum_diagnostics(layer: CoefficientRates, n_samples: int | None = None) -> dict[str, float]:
    r"""Effective rank of a layer's spectrum, and how its information is split by the rates.

    With the shares :math:`q_k = w_k E_k / \sum_j w_j E_j` of the energy in the snapshot and their
    entropies :math:`h_k = -q_k \log q_k`,

    .. math::

        r = \exp \sum_k h_k , \qquad
        I_{\text{kept}} = \sum_k (1 - p_k) h_k , \qquad I_{\text{dropped}} = \sum_k p_k h_k .

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
        ``dropped_information`` in nats, ``dropped_energy`` :math:`\sum_k p_k q_k`, and
        ``rank_rate``.

    Raises
    ------
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
    if not layer.observed:
        raise ValueError("spectrum_diagnostics: the layer has not observed anything.")
    if n_samples is not None and n_samples < 1:
        raise ValueError(f"spectrum_diagnostics: n_samples must be at least 1, got {n_samples}.")
    energy = layer.snapshot().log_energy.double()
    share = torch.softmax(energy + layer.basis.layout.weight.double().log(), dim=0)
    entropy = -torch.xlogy(share, share)
    rates = layer.rates.double()
    numbers = {
        "effective_rank": float(entropy.sum().exp()),
        "kept_information": float(((1 - rates) * entropy).sum()),
        "dropped_information": float((rates * entropy).sum()),
        "dropped_energy": float((rates * share).sum()),
    }
    if n_samples is not None:
        numbers["rank_rate"] = math.sqrt(numbers["effective_rank"] / n_samples)
    return numbers
