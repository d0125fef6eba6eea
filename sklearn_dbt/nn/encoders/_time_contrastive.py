"""Time-contrastive learning: tell segments apart, and nonlinear sources come out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._checks import check_count
from ._segment_network import SegmentNetwork
from ._source_network import SourceNetwork

__all__ = ["TimeContrastiveNetwork", "mean_magnitudes"]

# Added to mean magnitudes, as a share of their mean over all segments.
LEAST_MAGNITUDE = 0.01


class TimeContrastiveNetwork(SegmentNetwork):
    r"""Network that classifies time points into segments by multinomial logistic regression.

    Observations are an invertible nonlinear mixture :math:`x_t = f(s_t)` of independent sources
    whose distributions differ between segments,

    .. math:: \log p_\tau(s_i) = \lambda_{\tau i} \, q(s_i) + \mathrm{const}(\tau, i) ,

    with :math:`q(s) = -|s|` for Laplace sources of changing scale, say. The network models the
    posterior of the segment :math:`\tau` of a time point,

    .. math::

        h(x) &= |r(x)| \in \mathbb{R}^n, \\
        P(\tau \mid x) &= \operatorname{softmax}_\tau \bigl( w_\tau^\top h(x) + b_\tau \bigr) , \\
        w_{\tau i} &= - e^{\theta_{\tau i}} , \quad
        b_\tau = \beta_\tau + \sum_i \alpha_i \theta_{\tau i} ,

    with :math:`r` a :class:`SourceNetwork`. Any weights can be written so, for a vector that is
    added to all :math:`w_\tau` changes nothing. Rates :math:`e^\theta` differ by orders of
    magnitude between segments, and a source of density :math:`\propto \exp(-e^\theta |s|^p)` has
    the logarithm of its norm in proportion to :math:`\theta`, with :math:`\alpha = 1 / p`: so
    written, gradient descent has to turn fewer and better conditioned weights. At the optimum of
    the cross-entropy

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
        Of the :class:`SourceNetwork`.

    Attributes
    ----------
    sources : SourceNetwork
        :math:`r`.
    log_rate : Parameter of shape (n_segments, n_components)
        :math:`\theta`.
    exponent : Parameter of shape (n_components,)
        :math:`\alpha`.
    offset : Parameter of shape (n_segments,)
        :math:`\beta`.

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
    ) -> None:
        super().__init__()
        n_segments = check_count(n_segments, "n_segments", least=2)
        self.sources = SourceNetwork(n_channels, n_components, hidden_layer_sizes)
        self.log_rate = nn.Parameter(0.1 * torch.randn(n_segments, n_components))
        self.exponent = nn.Parameter(torch.ones(n_components))
        self.offset = nn.Parameter(torch.zeros(n_segments))

    def _begin(self, unmixing: Tensor) -> None:
        self.sources.start(unmixing)

    @torch.no_grad()
    def renew(self, x: Tensor, segments: Tensor) -> None:
        r"""Forget the segments and start with others, from what is optimal for Laplace sources.

        .. math:: \theta_{\tau i} = - \log m_{\tau i}, \qquad \alpha_i = 1, \qquad \beta_\tau = 0

        with :math:`m_{\tau i}` the mean magnitude of component :math:`i` in segment :math:`\tau`.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        segments : Tensor of int64, shape (n_samples,)
            Their segments, from 0; each one occurs.
        """
        log_rate = -mean_magnitudes(self.features(x), segments).log()
        self.log_rate = nn.Parameter(log_rate)
        self.exponent = nn.Parameter(torch.ones_like(log_rate[0]))
        self.offset = nn.Parameter(torch.zeros_like(log_rate[:, 0]))

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
        return self.sources(x).abs()

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
        bias = self.offset + self.log_rate @ self.exponent
        return bias - self.features(x) @ self.log_rate.exp().T


def mean_magnitudes(components: Tensor, segments: Tensor) -> Tensor:
    """Mean magnitude of each component in each segment, none of them much below the others.

    Parameters
    ----------
    components : Tensor of shape (n_samples, n_components)
        Components.
    segments : Tensor of int64, shape (n_samples,)
        Segment of each sample, from 0; each one occurs.

    Returns
    -------
    Tensor of shape (n_segments, n_components)
        A hundredth of the mean over all samples is added: a rate of a silent source stays finite.
    """
    magnitudes, counts = components.abs(), torch.bincount(segments)[:, None]
    sums = magnitudes.new_zeros(len(counts), magnitudes.shape[1])
    sums.index_add_(0, segments, magnitudes)
    floor = LEAST_MAGNITUDE * magnitudes.mean(0) + torch.finfo(magnitudes.dtype).tiny
    return sums / counts + floor
