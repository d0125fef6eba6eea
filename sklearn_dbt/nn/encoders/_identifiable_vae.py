"""An identifiable variational autoencoder: the prior of its sources depends on the segment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ._checks import check_count
from ._segment_network import SegmentNetwork
from ._source_network import SourceNetwork

__all__ = ["IdentifiableVAE"]

# Variance of the observations' noise, and of what x says about z, at the start.
NOISE_AT_START = 0.02
# Least variance of a source in a segment at the start.
LEAST_VARIANCE = 1e-4


class IdentifiableVAE(SegmentNetwork):
    r"""Variational autoencoder whose latent sources are Gaussian given the segment.

    .. math::

        z \mid u \sim N \bigl( \mu_u, \operatorname{diag} v_u \bigr), \qquad
        x \mid z \sim N \bigl( f(z), \sigma^2 I \bigr),

    with :math:`u` the segment and :math:`f` a :class:`SourceNetwork`. The posterior is
    approximated by the product of the prior and of a Gaussian message of :math:`x` alone, of mean
    :math:`r(x)` and variance :math:`\rho`,

    .. math::

        q(z \mid x, u) = N(m, \operatorname{diag} w), \qquad
        \frac{1}{w} = \frac{1}{v_u} + \frac{1}{\rho}, \qquad
        m = w \, \Bigl( \frac{\mu_u}{v_u} + \frac{r(x)}{\rho} \Bigr) ,

    and what is minimised is the negative evidence bound, and beside it how badly the model's own
    prior tells the segments apart,

    .. math::

        - \mathbb{E}_q \log p(x \mid z) + \mathrm{KL} \bigl( q(z \mid x, u) \,\|\, p(z \mid u)
        \bigr) - \log \frac{p(r(x) \mid u)}{\sum_{u'} p(r(x) \mid u')} .

    The last term is that of time-contrastive learning. The true model minimises both [2]_. The
    bound alone, steep in the reconstruction, hardly leaves a linear start; so at first
    (``holds_message``) the message learns from the last term only, and the decoder follows it.

    With at least :math:`2 n + 1` segments of different means and variances (:math:`n + 1` of
    different variances where the means are equal) the sources are identified up to scale and
    order. Since :math:`u` is not known for new data, another network :math:`e` learns
    :math:`\mathbb{E}[m \mid x]` beside it, by least squares; it changes nothing of the rest.

    Parameters
    ----------
    n_channels : int
        Width of the input, ideally whitened.
    n_components : int
        Number :math:`n` of sources.
    n_segments : int
        Number of values of :math:`u`, at least 2.
    hidden_layer_sizes : sequence of int, default=None
        Of each :class:`SourceNetwork`.

    Attributes
    ----------
    message : SourceNetwork
        :math:`r`.
    decoder : SourceNetwork
        :math:`f`.
    encoder : SourceNetwork
        :math:`e`.
    prior_mean, prior_log_variance : Parameter of shape (n_segments, n_components)
        :math:`\mu` and :math:`\log v`.
    message_log_variance : Parameter of shape (n_components,)
        :math:`\log \rho`.
    noise_log_variance : Parameter of shape ()
        :math:`\log \sigma^2`.
    holds_message : bool
        Whether the bound has no gradient in the message.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer, or there are fewer than 2 segments.

    References
    ----------
    .. [1] I. Khemakhem, D. Kingma, R. Monti, A. Hyvärinen, "Variational autoencoders and nonlinear
       ICA: a unifying framework", AISTATS 2020.
    .. [2] J. Lasserre, C. Bishop, T. Minka, "Principled hybrids of generative and discriminative
       models", CVPR 2006; of the sum of both kinds of objective.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import IdentifiableVAE
    >>> network = IdentifiableVAE(n_channels=4, n_components=3, n_segments=20)
    >>> x, u = torch.zeros(10, 4), torch.zeros(10, dtype=torch.int64)
    >>> network(x, u, noise=torch.zeros(10, 3)).shape
    torch.Size([10, 3])
    >>> network.decode(network.features(x)).shape
    torch.Size([10, 4])
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
        self.message = SourceNetwork(n_channels, n_components, hidden_layer_sizes)
        self.encoder = SourceNetwork(n_channels, n_components, hidden_layer_sizes)
        self.decoder = SourceNetwork(n_components, n_channels, hidden_layer_sizes)
        self.prior_mean = nn.Parameter(torch.zeros(n_segments, n_components))
        self.prior_log_variance = nn.Parameter(torch.zeros(n_segments, n_components))
        start = math.log(NOISE_AT_START)
        self.message_log_variance = nn.Parameter(torch.full((n_components,), start))
        self.noise_log_variance = nn.Parameter(torch.tensor(start))
        self.holds_message = False

    def _begin(self, unmixing: Tensor) -> None:
        self.message.start(unmixing)
        self.encoder.start(unmixing)
        self.decoder.start(torch.linalg.pinv(unmixing))
        # What fewer sources than channels leave is noise from the beginning.
        n_components, n_channels = unmixing.shape
        left = (n_channels - min(n_components, n_channels)) / n_channels
        with torch.no_grad():
            self.noise_log_variance.fill_(math.log(max(left, NOISE_AT_START)))

    @torch.no_grad()
    def renew(self, x: Tensor, segments: Tensor) -> None:
        """Forget the segments and start with others, from their mean and variance of the message.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        segments : Tensor of int64, shape (n_samples,)
            Their segments, from 0; each one occurs.
        """
        z = self.message(x)
        parts = [z[segments == u] for u in range(int(segments.max()) + 1)]
        variance = torch.stack([part.var(0, correction=0) for part in parts])
        self.prior_mean = nn.Parameter(torch.stack([part.mean(0) for part in parts]))
        self.prior_log_variance = nn.Parameter(variance.clamp_min(LEAST_VARIANCE).log())

    def features(self, x: Tensor) -> Tensor:
        r"""Return the sources :math:`e(x)`, of observations alone.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.

        Returns
        -------
        Tensor of shape (n_samples, n_components)
        """
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return the observations of sources.

        Parameters
        ----------
        z : Tensor of shape (n_samples, n_components)
            Sources.

        Returns
        -------
        Tensor of shape (n_samples, n_channels)
        """
        return self.decoder(z)

    def posterior(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the sources, given observations and segments.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        u : Tensor of int64, shape (n_samples,)
            Their segments.

        Returns
        -------
        mean, variance : Tensor of shape (n_samples, n_components)
        """
        return self._posterior(self.message(x), u)

    def forward(self, x: Tensor, u: Tensor, noise: Tensor) -> Tensor:
        """Return the terms of the loss.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels)
            Time points.
        u : Tensor of int64, shape (n_samples,)
            Their segments.
        noise : Tensor of shape (n_samples, n_components)
            Standard normal numbers, by which sources are drawn from the posterior.

        Returns
        -------
        Tensor of shape (n_samples, 3)
            In nats: the negative evidence bound, the negative log-probability of the segment, and
            the error of the encoder, half its square in units of the posterior's variance.
        """
        r = self.message(x)
        mean, variance = self._posterior(r.detach() if self.holds_message else r, u)
        bound = self._divergence(mean, variance, u) - self._log_likelihood(
            x, mean + variance.sqrt() * noise
        )
        surprise = functional.cross_entropy(self._segment_logits(r), u, reduction="none")
        error = 0.5 * ((self.encoder(x) - mean.detach()).square() / variance.detach()).sum(1)
        return torch.stack([bound, surprise, error], dim=1)

    def _posterior(self, r: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        prior, message = (-self.prior_log_variance[u]).exp(), (-self.message_log_variance).exp()
        variance = 1 / (prior + message)
        return variance * (self.prior_mean[u] * prior + r * message), variance

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        log_variance = self.noise_log_variance
        squares = (x - self.decode(z)).square() * (-log_variance).exp()
        return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(1)

    def _divergence(self, mean: Tensor, variance: Tensor, u: Tensor) -> Tensor:
        """Kullback-Leibler divergence of the posterior from the prior."""
        log_prior = self.prior_log_variance[u]
        squares = ((mean - self.prior_mean[u]).square() + variance) * (-log_prior).exp()
        return 0.5 * (squares + log_prior - variance.log() - 1).sum(1)

    def _segment_logits(self, r: Tensor) -> Tensor:
        """Log-density of the message's mean under the prior of each segment, up to a constant."""
        precision = (-self.prior_log_variance).exp()
        squares = r.square() @ precision.T - 2 * r @ (self.prior_mean * precision).T
        constant = (self.prior_mean.square() * precision + self.prior_log_variance).sum(1)
        return -0.5 * (squares + constant)
