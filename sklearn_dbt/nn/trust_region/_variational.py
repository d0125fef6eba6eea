"""The objective "variational": likelihood of the training data against the cost of keeping."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ._group import RateGroup
from ._objective import Losses, Objective, ObjectiveSettings
from ._protocol import RateLayer

__all__ = ["kl_divergence"]


def gaussian(mean_square: Tensor) -> Tensor:
    r"""Mean negative log-likelihood of residuals under the normal distribution that fits best.

    .. math:: \tfrac12 \log(2 \pi e \hat\sigma^2), \qquad \hat\sigma^2 = \text{their mean square}
    """
    return 0.5 * (mean_square.log() + math.log(2 * math.pi * math.e))


LIKELIHOODS: dict[str, Callable[[Tensor], Tensor]] = {
    "given": lambda loss: loss,
    "gaussian": gaussian,
}


class VariationalObjective(Objective):
    r"""Mean negative log-likelihood plus the divergence of the masks' noise from its prior.

    .. math:: J(\omega) = -\overline{\log p(y \mid x, \omega; u)}
              + \frac{\kappa}{N} \sum_k \mathrm{KL}(\alpha_k), \qquad
              \alpha_k = \frac{p_k}{1 - p_k}

    over the rates that are not locked, those that are not exactly 0.
    """

    def __init__(
        self,
        settings: ObjectiveSettings,
        group: RateGroup,
        snapshots: Sequence[Any],
        losses: Losses,
        uniforms: list[list[Tensor]],
    ) -> None:
        super().__init__(settings, group, snapshots, losses, uniforms)
        for i, (layer, probe, nu) in enumerate(
            zip(group.layers, group.probes, snapshots, strict=True)
        ):
            if layer.rates_at(layer.get_omega(), probe, nu).ndim > 1:
                raise ValueError(
                    f"objective='variational': the rates of layer {i} depend on the sample; it "
                    "needs a policy by which all samples have the same rates."
                )

    @classmethod
    def check_layers(cls, layers: Sequence[RateLayer]) -> None:
        """Rates must stay away from 0, where the divergence is infinite."""
        for i, layer in enumerate(layers):
            low, _ = layer.rate_bounds()
            if not low > 0:
                raise ValueError(
                    f"objective='variational' needs rates that cannot reach 0: make layers[{i}] "
                    f"with p_min > 0, for example 0.001; got p_min={low}."
                )

    @classmethod
    def check_needs(cls, settings: ObjectiveSettings, losses: Losses) -> None:  # noqa: ARG003
        """The number of training rows must be known."""
        if settings.n_samples is None:
            raise ValueError(
                "objective='variational' needs n_samples, the number of training rows; give it to "
                "the controller."
            )

    def __call__(self, omega: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and training loss."""
        settings = self._settings
        assert settings.n_samples is not None
        loss = self._training_loss(omega)
        value = LIKELIHOODS[settings.likelihood](loss)
        rates = self._group.rates(omega, self._snapshots, smooth=True)
        cost = torch.stack([_cost(r[0]).to(value) for r in rates]).sum()
        value = value + settings.kl_weight / settings.n_samples * cost
        return self._with_penalty(value, omega), loss.detach()


def _cost(rates: Tensor) -> Tensor:
    return kl_divergence(rates[rates > 0]).sum()


def kl_divergence(p: Tensor) -> Tensor:
    r"""Divergence of multiplicative Gaussian noise of a dropout rate from the log-uniform prior.

    The approximation of Molchanov, Ashukha and Vetrov, off by less than 0.01 at all rates:

    .. math:: \mathrm{KL}(\alpha) = k_1 \bigl( 1 - \sigma(k_2 + k_3 \log \alpha) \bigr)
              + \tfrac12 \log(1 + 1 / \alpha), \qquad \alpha = \frac{p}{1 - p}

    with :math:`k = (0.63576, 1.87320, 1.48695)`. It falls with the rate, to 0 at rate 1.

    Parameters
    ----------
    p : Tensor
        Rates in (0, 1).

    Returns
    -------
    Tensor
        Divergences, of the shape of `p`.

    References
    ----------
    .. [1] D. Molchanov, A. Ashukha and D. Vetrov, "Variational Dropout Sparsifies Deep Neural
       Networks", ICML 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import kl_divergence
    >>> kl_divergence(torch.tensor([0.01, 0.5, 0.99])).round(decimals=3)
    tensor([2.9340, 0.4310, 0.0050])
    """
    k1, k2, k3 = 0.63576, 1.87320, 1.48695
    log_alpha = p.log() - torch.log1p(-p)
    # log(1 + 1/α) = -log p
    return k1 * torch.sigmoid(-k2 - k3 * log_alpha) - 0.5 * p.log()
