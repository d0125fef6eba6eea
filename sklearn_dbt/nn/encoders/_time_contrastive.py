"""Time-contrastive learning: tell segments apart, and nonlinear sources come out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ._checks import check_count, check_sizes
from ._maxout import Maxout

__all__ = ["TimeContrastiveNetwork"]


class TimeContrastiveNetwork(nn.Module):
    r"""Maxout network that classifies time points into segments by multinomial logistic regression.

    Observations are an invertible nonlinear mixture :math:`x_t = f(s_t)` of independent sources
    whose distributions differ between segments,

    .. math:: \log p_\tau(s_i) = \lambda_{\tau i} \, q(s_i) + \mathrm{const}(\tau, i) ,

    with :math:`q(s) = -|s|` for Laplace sources of changing scale, say. The network models the
    posterior of the segment :math:`\tau` of a time point,

    .. math::

        h(x) = |V g(x) + a| \in \mathbb{R}^n, \qquad
        P(\tau \mid x) = \operatorname{softmax}_\tau \bigl( w_\tau^\top h(x) + b_\tau \bigr) ,

    with :math:`g` layers of :class:`Maxout`. At the optimum of its cross-entropy

    .. math::

        (w_\tau - w_1)^\top h(x) + b_\tau - b_1
        = \log p_\tau(x) - \log p_1(x) + \mathrm{const}(\tau) ,

    in which the mixture's Jacobian cancels. So :math:`h(x) = A q(s) + d` when the differences of
    the :math:`\lambda_\tau` have rank :math:`n`, which takes at least :math:`n + 1` segments; a
    linear unmixing of :math:`h` (see :func:`joint_diagonalize`) gives each :math:`q(s_i)`. It says
    nothing about the sign of a source.

    Parameters
    ----------
    n_channels : int
        Width of the input, ideally whitened.
    n_components : int
        Number :math:`n` of features.
    n_segments : int
        Number of classes, at least 2.
    hidden_layer_sizes : sequence of int, default=None
        Width of each maxout layer; None is three layers of ``max(32, 2 * n_components)`` units.
    n_pieces : int, default=2
        Affine maps that a maxout unit chooses from.

    Attributes
    ----------
    hidden : torch.nn.Sequential
        The maxout layers :math:`g`.
    projection : torch.nn.Linear
        :math:`V` and :math:`a`.
    classifier : torch.nn.Linear
        :math:`w` and :math:`b`.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, or there are fewer than 2 segments.

    See Also
    --------
    joint_diagonalize : Unmixes the features.

    References
    ----------
    .. [1] A. Hyvärinen, H. Morioka, "Unsupervised feature extraction by time-contrastive learning
       and nonlinear ICA", NeurIPS 2016.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import TimeContrastiveNetwork
    >>> network = TimeContrastiveNetwork(n_channels=4, n_components=3, n_segments=20)
    >>> x = torch.zeros(10, 4)
    >>> network.features(x).shape, network(x).shape
    (torch.Size([10, 3]), torch.Size([10, 20]))
    """

    def __init__(
        self,
        n_channels: int,
        n_components: int,
        n_segments: int,
        hidden_layer_sizes: Sequence[int] | None = None,
        n_pieces: int = 2,
    ) -> None:
        super().__init__()
        n_components = check_count(n_components, "n_components")
        n_segments = check_count(n_segments, "n_segments", least=2)
        if hidden_layer_sizes is None:
            hidden_layer_sizes = 3 * (max(32, 2 * n_components),)
        widths = [
            check_count(n_channels, "n_channels"),
            *check_sizes(hidden_layer_sizes, "hidden_layer_sizes"),
        ]
        self.hidden = nn.Sequential(
            *(Maxout(n_in, n_out, n_pieces) for n_in, n_out in pairwise(widths))
        )
        self.projection = nn.Linear(widths[-1], n_components)
        self.classifier = nn.Linear(n_components, n_segments)

    def features(self, x: Tensor) -> Tensor:
        """Return the features :math:`h(x)`, none of them negative.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.

        Returns
        -------
        Tensor of shape (n_samples, n_components)
        """
        return self.projection(self.hidden(x)).abs()

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the segments.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.

        Returns
        -------
        Tensor of shape (n_samples, n_segments)
        """
        return self.classifier(self.features(x))
