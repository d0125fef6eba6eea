"""A nonlinear unmixing that begins as a linear one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ._checks import check_count, check_sizes

__all__ = ["SourceNetwork"]

DEFAULT_SIZES = (64, 64)
# Slope of a leaky rectified linear unit on its negative side.
SLOPE = 0.2
# Share of the nonlinear part that a linear start leaves, so that gradients reach its layers.
LEFT_AT_START = 0.01


class SourceNetwork(nn.Module):
    r"""Estimate of the sources behind a mixture: a linear unmixing and what a network adds to it.

    .. math:: r(x) = B x + V g(x) + a \in \mathbb{R}^n

    with :math:`g` affine layers, each followed by a leaky rectified linear unit of slope
    0.2. Contrastive losses have poor local minima, and the linear path allows a start from what a
    linear method finds (see :meth:`start`): training then only has to bend it.

    Parameters
    ----------
    n_channels : int
        Width of the input, ideally whitened.
    n_components : int
        Number :math:`n` of components.
    hidden_layer_sizes : sequence of int, default=None
        Width of each layer; None is two layers of 64 units.

    Attributes
    ----------
    linear : torch.nn.Linear
        :math:`B`.
    hidden : torch.nn.Sequential
        The layers :math:`g`.
    projection : torch.nn.Linear
        :math:`V` and :math:`a`.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import SourceNetwork
    >>> network = SourceNetwork(n_channels=4, n_components=3)
    >>> network(torch.zeros(10, 4)).shape
    torch.Size([10, 3])
    """

    def __init__(
        self,
        n_channels: int,
        n_components: int,
        hidden_layer_sizes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        n_components = check_count(n_components, "n_components")
        sizes = DEFAULT_SIZES if hidden_layer_sizes is None else hidden_layer_sizes
        widths = [
            check_count(n_channels, "n_channels"),
            *check_sizes(sizes, "hidden_layer_sizes"),
        ]
        self.linear = nn.Linear(widths[0], n_components, bias=False)
        layers = [(nn.Linear(n_in, n_out), nn.LeakyReLU(SLOPE)) for n_in, n_out in pairwise(widths)]
        self.hidden = nn.Sequential(*(module for layer in layers for module in layer))
        self.projection = nn.Linear(widths[-1], n_components)

    @torch.no_grad()
    def start(self, unmixing: Tensor) -> None:
        """Start from a linear unmixing: make the nonlinear part small.

        Parameters
        ----------
        unmixing : Tensor of shape (n_components, n_channels)
            What :math:`B` becomes.
        """
        self.linear.weight.copy_(unmixing)
        self.projection.weight.mul_(LEFT_AT_START)
        self.projection.bias.zero_()

    def inner_weights(self) -> list[Tensor]:
        """Return the matrices between hidden layers, which optimizers may treat on their own.

        Returns
        -------
        list of Tensor of shape (n_units, n_units_before)
        """
        layers = [layer for layer in self.hidden if isinstance(layer, nn.Linear)]
        return [layer.weight for layer in layers[1:]]

    def forward(self, x: Tensor) -> Tensor:
        """Return the components.

        Parameters
        ----------
        x : Tensor of shape (..., n_channels)
            Time points.

        Returns
        -------
        Tensor of shape (..., n_components)
        """
        return self.linear(x) + self.projection(self.hidden(x))
