"""Permutation-contrastive learning: tell time from shuffled time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ._checks import check_count
from ._source_network import SourceNetwork

__all__ = ["ComponentwiseNetworks", "PermutationContrastiveNetwork"]

SLOPE = 0.1


class ComponentwiseNetworks(nn.Module):
    r"""One small network a component, all evaluated at once.

    .. math:: B_i(y) = v_i^\top \, \mathrm{leaky}(W_i \, y + c_i)

    Parameters
    ----------
    n_components : int
        Number of networks.
    n_inputs : int
        Inputs of each.
    n_units : int, default=16
        Hidden units of each.

    Attributes
    ----------
    weight : Parameter of shape (n_components, n_inputs, n_units)
        :math:`W`.
    bias : Parameter of shape (n_components, 1, n_units)
        :math:`c`.
    output : Parameter of shape (n_components, n_units, 1)
        :math:`v`.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import ComponentwiseNetworks
    >>> ComponentwiseNetworks(n_components=3, n_inputs=2)(torch.zeros(10, 3, 2)).shape
    torch.Size([10, 3])
    """

    def __init__(self, n_components: int, n_inputs: int, n_units: int = 16) -> None:
        super().__init__()
        n = check_count(n_components, "n_components")
        n_inputs = check_count(n_inputs, "n_inputs")
        n_units = check_count(n_units, "n_units")
        self.weight = nn.Parameter(torch.randn(n, n_inputs, n_units) / math.sqrt(n_inputs))
        self.bias = nn.Parameter(0.3 * torch.randn(n, 1, n_units))
        self.output = nn.Parameter(0.4 * torch.randn(n, n_units, 1) / math.sqrt(n_units))

    def forward(self, y: Tensor) -> Tensor:
        """Return what each network says of its component.

        Parameters
        ----------
        y : Tensor of shape (n_samples, n_components, n_inputs)
            Inputs.

        Returns
        -------
        Tensor of shape (n_samples, n_components)
        """
        hidden = torch.baddbmm(self.bias, y.transpose(0, 1), self.weight)
        return torch.bmm(functional.leaky_relu(hidden, SLOPE), self.output)[..., 0].T


class PermutationContrastiveNetwork(nn.Module):
    r"""Logistic regression that tells consecutive time points from points that were shuffled.

    Observations are an invertible nonlinear mixture :math:`x_t = f(s_t)` of independent sources,
    each of which depends on its own past. The network compares pairs :math:`(x_t, x_{t-1})` with
    pairs :math:`(x_t, x_{t^*})` of a random time :math:`t^*`,

    .. math::

        \operatorname{logit} P(\text{consecutive} \mid x_t, x_{t-1})
        = \sum_{i=1}^n B_i \bigl( r_i(x_t), r_i(x_{t-1}) \bigr) + c ,

    with :math:`r` a :class:`SourceNetwork`. At the optimum the sum is
    :math:`\sum_i \log p(s_i(t) \mid s_i(t-1)) - \log p(s_i(t))`, in which the mixture's Jacobian
    cancels; where the dependence of the sources is neither Gaussian nor too simple ("uniformly
    dependent, not quasi-Gaussian"), each :math:`r_i` is then a function of one source. A Gaussian
    autoregression is not enough.

    Parameters
    ----------
    n_channels : int
        Width of the input, ideally whitened.
    n_components : int
        Number :math:`n` of components.
    hidden_layer_sizes : sequence of int, default=None
        Of the :class:`SourceNetwork`.
    n_units : int, default=16
        Hidden units of each :math:`B_i`.

    Attributes
    ----------
    sources : SourceNetwork
        :math:`r`.
    scores : ComponentwiseNetworks
        :math:`B_i`.
    bias : Parameter of shape ()
        :math:`c`.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    References
    ----------
    .. [1] A. Hyvärinen, H. Morioka, "Nonlinear ICA of temporally dependent stationary sources",
       AISTATS 2017.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import PermutationContrastiveNetwork
    >>> network = PermutationContrastiveNetwork(n_channels=4, n_components=3)
    >>> network(torch.zeros(10, 2, 4)).shape, network.features(torch.zeros(10, 4)).shape
    (torch.Size([10]), torch.Size([10, 3]))
    """

    def __init__(
        self,
        n_channels: int,
        n_components: int,
        hidden_layer_sizes: Sequence[int] | None = None,
        n_units: int = 16,
    ) -> None:
        super().__init__()
        self.sources = SourceNetwork(n_channels, n_components, hidden_layer_sizes)
        self.scores = ComponentwiseNetworks(n_components, 2, n_units)
        self.bias = nn.Parameter(torch.zeros(()))

    def features(self, x: Tensor) -> Tensor:
        """Return the components.

        Parameters
        ----------
        x : Tensor of shape (..., n_channels)
            Time points.

        Returns
        -------
        Tensor of shape (..., n_components)
        """
        return self.sources(x)

    def forward(self, pairs: Tensor) -> Tensor:
        """Return the logit of the pairs being consecutive.

        Parameters
        ----------
        pairs : Tensor of shape (..., 2, n_channels)
            A time point, and the one before it or another one.

        Returns
        -------
        Tensor of shape (...)
        """
        components = self.features(pairs).transpose(-1, -2)
        scores = self.scores(components.flatten(0, -3)).sum(1) + self.bias
        return scores.unflatten(0, pairs.shape[:-2])
