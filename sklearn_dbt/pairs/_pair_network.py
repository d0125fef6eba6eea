"""The model of a pair: a distance with learnable numbers, and a probability."""

from __future__ import annotations

import copy
import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_dbt.nn.alignment import soft_dtw, soft_dtw_matrix


class Embedded(NamedTuple):
    """Series as they are compared.

    Attributes
    ----------
    series : Tensor of shape (n, n_channels, n_times)
        Encoded and weighted, padded with 0.
    lengths : Tensor of shape (n,)
        Number of samples of each.
    own : Tensor of shape (n,)
        Half the soft-DTW of each with itself; 0 where it is not subtracted.
    """

    series: Tensor
    lengths: Tensor
    own: Tensor


class PairNetwork(nn.Module):
    r"""Distance of two series and the logit of their belonging together.

    .. math::

        d(x, z) &= \frac{2 \bar n}{n + m}\, \mathrm{sdtw\ divergence}_\gamma
            \bigl(e^{\xi / 2} h(x), e^{\xi / 2} h(z)\bigr), \qquad \gamma = \gamma_0 e^{\zeta} \\
        \mathrm{logit} &= \alpha - w\, d, \qquad w = w_0 e^{\eta}

    with n and m the lengths of h(x) and h(z). All learnable numbers but the encoder's are 0 at the
    start, so that weight decay pulls them back to it.

    Parameters
    ----------
    n_channels : int
        Channels of an encoded series.
    gamma : float
        Smoothing at the start.
    band : int or None
        Sakoe-Chiba radius in samples.
    divergence : bool
        Whether the distance is the divergence or the plain soft-DTW value.
    learn_gamma, learn_channels : bool
        What of the distance is learned; w and the threshold always are.
    detach : bool
        Whether the logit takes the distance as given and does not act back on it.
    encoder : nn.Module, default=None
        h, from (n, n_channels_in, n_times) to (n, n_channels, n_times_out); None is the identity.
    """

    total_length: Tensor
    start_scale: Tensor
    start_threshold: Tensor
    mean_distance: Tensor

    def __init__(
        self,
        n_channels: int,
        gamma: float,
        band: int | None,
        *,
        divergence: bool,
        learn_gamma: bool,
        learn_channels: bool,
        detach: bool,
        encoder: nn.Module | None = None,
    ):
        super().__init__()
        self.band, self.divergence, self.detach = band, divergence, detach
        self.eta = nn.Parameter(torch.zeros(()))
        self.delta = nn.Parameter(torch.zeros(()))
        self.zeta = nn.Parameter(torch.zeros(()), requires_grad=learn_gamma)
        self.xi = nn.Parameter(torch.zeros(n_channels), requires_grad=learn_channels)
        self.encoder = encoder
        self.start_gamma = float(gamma)
        # 2 n̄, w and α at the start, and the mean distance that is the unit of the margin
        for name in ("total_length", "start_scale", "start_threshold", "mean_distance"):
            self.register_buffer(name, torch.ones(()))

    @property
    def gamma(self) -> Tensor:
        return self.start_gamma * self.zeta.exp()

    @property
    def scale(self) -> Tensor:
        return self.start_scale * self.eta.exp()

    @property
    def threshold(self) -> Tensor:
        return self.start_threshold + self.delta

    @property
    def channel_weights(self) -> Tensor:
        return self.xi.exp()

    def embed(self, series: Tensor, lengths: Tensor) -> Embedded:
        """Encode series, weigh their channels and compare each with itself."""
        series, lengths = self._encode(series, lengths)
        series = (self.xi / 2).exp()[:, None] * series
        own = series.new_zeros(len(series))
        if self.divergence:
            compare = functools.partial(soft_dtw, lengths_x=lengths, lengths_y=lengths)
            own = compare(series, series, self.gamma, band=self.band) / 2
        return Embedded(series, lengths, own)

    def _encode(self, series: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode equally long series together, so that no padding enters the encoder."""
        if self.encoder is None:
            return series, lengths
        places = [(lengths == length).nonzero()[:, 0] for length in lengths.unique()]
        parts = [self.encoder(series[place, :, : lengths[place[0]]]) for place in places]
        sizes = [part.shape[-1] for part in parts]
        padded = [
            functional.pad(part, (0, max(sizes) - size))
            for part, size in zip(parts, sizes, strict=True)
        ]
        counts = torch.tensor([len(place) for place in places], device=lengths.device)
        new_lengths = torch.tensor(sizes, device=lengths.device).repeat_interleave(counts)
        order = torch.cat(places).argsort()
        return torch.cat(padded)[order], new_lengths[order]

    def between(self, embedded: Embedded, pairs: Tensor) -> Tensor:
        """Return the distance of each pair, given by two rows of what :meth:`embed` returned."""
        (x, z), (n, m) = embedded.series[pairs.T], embedded.lengths[pairs.T]
        value = soft_dtw(x, z, self.gamma, band=self.band, lengths_x=n, lengths_y=m)
        own_x, own_z = embedded.own[pairs.T]
        return (value - (own_x + own_z)) * (self.total_length / (n + m))

    def matrix(self, a: Embedded, b: Embedded | None = None) -> Tensor:
        """Return the distances of all series of one set, or of two sets."""
        other = a if b is None else b
        values = soft_dtw_matrix(
            a.series,
            None if b is None else b.series,
            self.gamma,
            band=self.band,
            lengths_x=a.lengths,
            lengths_y=None if b is None else b.lengths,
        )
        values = values - (a.own[:, None] + other.own)
        return values * (self.total_length / (a.lengths[:, None] + other.lengths))

    def distance(self, left: Tensor, right: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
        """Return the distance of each pair; ``ids`` tell which series occur more than once."""
        distinct, place = torch.unique(ids.T.reshape(-1), return_inverse=True)
        first = place.new_empty(len(distinct))
        first[place] = torch.arange(len(place), device=place.device)
        embedded = self.embed(torch.cat([left, right])[first], lengths.T.reshape(-1)[first])
        return self.between(embedded, place.reshape(2, -1).T)

    def forward(self, distance: Tensor | None = None, **pair: Tensor) -> Tensor:
        """Return logit and distance (in units of its mean), shape (n_pairs, 2)."""
        distance = self.distance(**pair) if distance is None else distance
        taken = distance.detach() if self.detach else distance
        logit = self.threshold - self.scale * taken
        return torch.stack([logit, distance / self.mean_distance], 1)

    @torch.no_grad()
    def set_line(self, scale: float, threshold: float) -> None:
        """Let the logit be ``threshold - scale * distance``."""
        for learned, start, value in (
            (self.eta, self.start_scale, scale),
            (self.delta, self.start_threshold, threshold),
        ):
            learned.zero_()
            start.fill_(value)


def encoded_channels(encoder: nn.Module, recording: np.ndarray, name: str) -> int:
    """Try a module on a recording; return how many channels it gives.

    Parameters
    ----------
    encoder : nn.Module
        Maps (n, n_channels, n_times) to (n, n_channels_out, n_times_out).
    recording : ndarray of shape (n_channels, n_times)
        The shortest one.
    name : str
        The estimator's name, for errors.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it fails or gives anything but finite series.
    """
    encoder = copy.deepcopy(encoder).eval()
    parameter = next(encoder.parameters(), torch.zeros(0))
    batch = torch.from_numpy(recording[None].repeat(2, axis=0)).to(parameter)
    try:
        with torch.no_grad():
            output = encoder(batch)
    except Exception as error:
        raise ValueError(
            f"{name}: encoder cannot take two recordings, a tensor of shape "
            f"{tuple(batch.shape)}: {error}"
        ) from error
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) != 3 or shape[0] != 2 or 0 in shape:
        raise ValueError(
            f"{name}: encoder must map (n, n_channels, n_times) to series (n, n_channels_out, "
            f"n_times_out); a tensor of shape {tuple(batch.shape)} gave "
            f"{shape or type(output).__name__}."
        )
    if not output.isfinite().all():
        raise ValueError(f"{name}: encoder gives NaN or infinity for a finite recording.")
    return shape[1]
