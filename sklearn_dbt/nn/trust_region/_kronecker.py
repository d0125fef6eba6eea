"""Curvature as a Kronecker product in the space of rates."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from ._curvature import Curvature, Place
from ._expansion import Expansion
from ._protocol import RateLayer

__all__ = ["KroneckerCurvature", "kronecker_factors", "pulled_back"]

Factors = tuple[Tensor, Tensor]


class KroneckerCurvature(Curvature):
    r"""Kronecker product over channels and coefficients, pulled back from rates to parameters.

    With :math:`\Gamma_b` the derivative of the loss of sample :math:`b` in the rates of its
    channels and coefficients,

    .. math::

        H = \kappa \, A^\top \Bigl[ \frac{A_{\text{channel}} \otimes B_{\text{coefficient}}}
            {\operatorname{tr} A_{\text{channel}}} \Bigr] A, \qquad
        A_{\text{channel}} = \frac1B \sum_b \Gamma_b \Gamma_b^\top, \quad
        B_{\text{coefficient}} = \frac1B \sum_b \Gamma_b^\top \Gamma_b,

    for each layer, with :math:`A = \partial p / \partial \omega`: the outer products of gradients,
    whose trace the product keeps. :math:`\kappa \ge 0` makes the curvature along the steepest
    descent exact, by one Hessian-vector product. The curvature is never negative; where the exact
    one is, :math:`\kappa = 0`. Layers must have the method ``recording``.

    References
    ----------
    .. [1] J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate
       Curvature", ICML 2015.

    Examples
    --------
    >>> from sklearn_dbt.nn import TransformDropout, TrustRegionController
    >>> controller = TrustRegionController([TransformDropout(8)], curvature="kronecker")
    >>> type(controller.curvature).__name__
    'KroneckerCurvature'
    """

    def check_layers(self, layers: Sequence[RateLayer]) -> None:
        """Raise where a layer does not record its rates.

        Parameters
        ----------
        layers : sequence of RateLayer
            Layers of the controller.

        Raises
        ------
        TypeError
            If a layer has no method ``recording``.
        """
        for i, layer in enumerate(layers):
            if not callable(getattr(layer, "recording", None)):
                raise TypeError(
                    f"curvature='kronecker' needs the rates that a pass has used: layers[{i}], a "
                    f"{type(layer).__name__}, has no method recording."
                )

    def expand(self, place: Place) -> tuple[Expansion, Tensor]:
        """Value, gradient and curvature.

        Parameters
        ----------
        place : Place
            Objective, point, and metric there.

        Returns
        -------
        expansion : Expansion
            With value, loss and gradient.
        curvature : Tensor of shape (n_parameters, n_parameters)
            Positive semidefinite.
        """
        with ExitStack() as stack:
            records = [
                stack.enter_context(layer.recording())  # type: ignore[attr-defined]
                for layer in place.group.layers
            ]
            here = Expansion(
                place.objective, place.omega, watch=lambda: [t for r in records for t in r]
            )
        slopes = iter(here.slopes)
        total = torch.zeros_like(place.metric)
        layers = zip(records, place.jacobian, place.group.columns, strict=True)
        for record, block, columns in layers:
            found = [next(slopes) for t in record if t.requires_grad and here.slopes]
            if found:
                factors = kronecker_factors([g.to(total) for g in found])
                total[columns, columns] = pulled_back(block, *factors)
        return here, _calibrated(total, here, place.metric)


def kronecker_factors(slopes: Sequence[Tensor]) -> Factors:
    r"""The two factors, the first one over its trace.

    Parameters
    ----------
    slopes : sequence of Tensor of shape (n_samples, ..., n_coefficients)
        Derivatives of a mean over samples in the rates of each, one tensor a pass.

    Returns
    -------
    channel : Tensor of shape (n_channels, n_channels)
        :math:`A_{\text{channel}} / \operatorname{tr} A_{\text{channel}}`.
    coefficient : Tensor of shape (n_coefficients, n_coefficients)
        :math:`B_{\text{coefficient}}`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import kronecker_factors
    >>> channel, coefficient = kronecker_factors([torch.tensor([[3.0, 4.0]])])
    >>> channel, coefficient
    (tensor([[1.]]), tensor([[ 9., 12.],
            [12., 16.]]))
    """
    single = [_as_samples(g) for g in slopes]
    channel = sum(torch.einsum("bik,bjk->ij", g, g) / len(g) for g in single)
    coefficient = sum(torch.einsum("bik,bil->kl", g, g) / len(g) for g in single)
    assert isinstance(channel, Tensor)
    assert isinstance(coefficient, Tensor)
    trace = channel.trace()
    return channel / torch.where(trace > 0, trace, 1.0), coefficient


def _as_samples(slopes: Tensor) -> Tensor:
    """Derivatives of each sample's own loss, shape (n_samples, n_channels, n_coefficients)."""
    slopes = slopes if slopes.ndim > 1 else slopes[None]
    n = slopes.shape[0]
    return n * slopes.reshape(n, -1, slopes.shape[-1])


def pulled_back(jacobian: Tensor, channel: Tensor, coefficient: Tensor) -> Tensor:
    r"""Kronecker product of the space of rates in the space of parameters.

    Parameters
    ----------
    jacobian : Tensor of shape (n_samples, n_channels * n_coefficients or n_coefficients, n)
        Derivatives of the rates; the second where all channels share them.
    channel : Tensor of shape (n_channels, n_channels)
        First factor.
    coefficient : Tensor of shape (n_coefficients, n_coefficients)
        Second factor.

    Returns
    -------
    Tensor of shape (n, n)
        :math:`\sum_b A_b^\top (A_{\text{channel}} \otimes B_{\text{coefficient}}) A_b`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import pulled_back
    >>> pulled_back(torch.ones(1, 2, 1), torch.eye(3), torch.eye(2))  # 3 channels, 2 rates
    tensor([[6.]])
    """
    n_samples, n_rates, n = jacobian.shape
    if n_rates == len(coefficient):
        channel = channel.sum().reshape(1, 1)
    rates = jacobian.reshape(n_samples, len(channel), len(coefficient), n)
    moved = torch.einsum("ij,kl,bjlm->bikm", channel, coefficient, rates)
    return torch.einsum("bikm,bikn->mn", rates, moved)


def _calibrated(curvature: Tensor, here: Expansion, metric: Tensor) -> Tensor:
    """The curvature times what makes it exact along the steepest descent, or zero."""
    steepest = torch.linalg.solve(metric, here.gradient)
    if not bool(torch.isfinite(steepest).all()):
        return curvature
    exact = float(steepest @ here.products(steepest[:, None])[:, 0])
    guess = float(steepest @ curvature @ steepest)
    square = float(steepest @ metric @ steepest)
    if not guess > 1e-12 * float(curvature.norm()) * square / max(float(metric.norm()), 1e-300):
        # The rates the passes used say nothing here (an objective of its own): the metric does.
        curvature, guess = metric, square
    return curvature * (max(exact, 0.0) / guess if guess > 0 else 0.0)
