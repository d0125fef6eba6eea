"""Generalized contrastive learning: tell true from shuffled labels, and sources come out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._checks import check_count
from ._segment_network import SegmentNetwork
from ._source_network import SourceNetwork
from ._time_contrastive import mean_magnitudes

__all__ = ["GeneralizedContrastiveNetwork"]

# Hidden units of the term that does not depend on the segment.
MARGINAL_UNITS = 64


class GeneralizedContrastiveNetwork(SegmentNetwork):
    r"""Logistic regression that tells true pairs of point and segment from shuffled ones.

    Observations are an invertible nonlinear mixture :math:`x = f(s)` of sources that are
    independent *given* an auxiliary variable :math:`u`, here the segment. The network compares
    :math:`(x, u)` with :math:`(x, u^*)`, :math:`u^*` that of a random other point,

    .. math::

        \operatorname{logit} P(\text{true} \mid x, u)
        = \sum_{i=1}^n \psi_i \bigl( r_i(x), u \bigr) + b_u + c(r(x)), \qquad
        \psi_i(r, u) = w_{ui}^\top (r, |r|, r^2) ,

    with :math:`r` a :class:`SourceNetwork`. At the optimum it is
    :math:`\log p(x \mid u) - \log p(x)`, in whose differences between segments the mixture's
    Jacobian cancels, and each :math:`r_i` is a function of one source, with its sign. The three
    statistics cover Gaussian sources of any mean and variance and Laplace sources of any scale.

    Parameters
    ----------
    n_channels : int
        Width of the input, ideally whitened.
    n_components : int
        Number :math:`n` of components.
    n_segments : int
        Number of values of :math:`u`, at least 2.
    hidden_layer_sizes : sequence of int, default=None
        Of the :class:`SourceNetwork`.

    Attributes
    ----------
    sources : SourceNetwork
        :math:`r`.
    weight : Parameter of shape (n_segments, 3 * n_components)
        :math:`w`, statistic after statistic.
    bias : Parameter of shape (n_segments,)
        :math:`b`.
    marginal : torch.nn.Sequential
        :math:`c`, which stands for :math:`-\log p(x)` and does not bear on what is identified.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, or there are fewer than 2 segments.

    References
    ----------
    .. [1] A. Hyvärinen, H. Sasaki, R. Turner, "Nonlinear ICA using auxiliary variables and
       generalized contrastive learning", AISTATS 2019.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import GeneralizedContrastiveNetwork
    >>> network = GeneralizedContrastiveNetwork(n_channels=4, n_components=3, n_segments=20)
    >>> x, u = torch.zeros(10, 4), torch.zeros(10, 2, dtype=torch.int64)
    >>> network(x, u).shape, network.features(x).shape
    (torch.Size([10, 2]), torch.Size([10, 3]))
    """

    def __init__(
        self,
        n_channels: int,
        n_components: int,
        n_segments: int,
        hidden_layer_sizes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        n_segments = check_count(n_segments, "n_segments", least=2)
        self.sources = SourceNetwork(n_channels, n_components, hidden_layer_sizes)
        self.weight = nn.Parameter(0.1 * torch.randn(n_segments, 3 * n_components))
        self.bias = nn.Parameter(torch.zeros(n_segments))
        self.marginal = nn.Sequential(
            nn.Linear(3 * n_components, MARGINAL_UNITS),
            nn.LeakyReLU(0.1),
            nn.Linear(MARGINAL_UNITS, 1),
        )

    def _begin(self, unmixing: Tensor) -> None:
        self.sources.start(unmixing)

    @torch.no_grad()
    def renew(self, x: Tensor, segments: Tensor) -> None:
        """Forget the segments and start with others, from what is optimal for Laplace sources.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        segments : Tensor of int64, shape (n_samples,)
            Their segments, from 0; each one occurs.
        """
        rates = 1 / mean_magnitudes(self.features(x), segments)
        none, logs = torch.zeros_like(rates), rates.log().sum(1)
        self.weight = nn.Parameter(torch.cat([none, rates.mean(0) - rates, none], dim=1))
        self.bias = nn.Parameter(logs - logs.mean())

    def features(self, x: Tensor) -> Tensor:
        """Return the components.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.

        Returns
        -------
        Tensor of shape (n_samples, n_components)
        """
        return self.sources(x)

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the logits of several segments being the true one.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        u : Tensor of int64, shape (n_samples, n_candidates)
            Segments to be judged.

        Returns
        -------
        Tensor of shape (n_samples, n_candidates)
        """
        r = self.features(x)
        statistics = torch.cat([r, r.abs(), r.square()], dim=1)
        scores = (self.weight[u] @ statistics[:, :, None])[..., 0]
        return scores + self.bias[u] + self.marginal(statistics)
