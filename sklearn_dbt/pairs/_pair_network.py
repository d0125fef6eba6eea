"""The model of a pair: a distance with learnable numbers, a probability, and their losses."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_dbt.nn.alignment import soft_dtw
from sklearn_dbt.pairs._pair_data import Pairs


class PairNetwork(nn.Module):
    r"""Distance of two series and the logit of their belonging together.

    .. math::

        d(x, z) &= \frac{2 \bar n}{n + m}\, \mathrm{sdtw\ divergence}_\gamma
            \bigl(e^{\xi / 2} x, e^{\xi / 2} z\bigr), \qquad \gamma = \gamma_0 e^{\zeta} \\
        \mathrm{logit} &= \alpha - w\, d, \qquad w = w_0 e^{\eta}

    All learnable numbers are 0 at the start, so that weight decay pulls them back to it.

    Parameters
    ----------
    n_channels : int
        Channels of a series.
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
    ):
        super().__init__()
        self.band, self.divergence, self.detach = band, divergence, detach
        self.eta = nn.Parameter(torch.zeros(()))
        self.delta = nn.Parameter(torch.zeros(()))
        self.zeta = nn.Parameter(torch.zeros(()), requires_grad=learn_gamma)
        self.xi = nn.Parameter(torch.zeros(n_channels), requires_grad=learn_channels)
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

    def distance(self, left: Tensor, right: Tensor, lengths: Tensor, ids: Tensor) -> Tensor:
        """Return the distance of each pair; ``ids`` tell which series occur more than once."""
        gain = (self.xi / 2).exp()[:, None]
        left, right = gain * left, gain * right
        n, m = lengths.T
        compare = functools.partial(soft_dtw, gamma=self.gamma, band=self.band)
        value = compare(left, right, lengths_x=n, lengths_y=m)
        if self.divergence:
            distinct, place = torch.unique(ids.T.reshape(-1), return_inverse=True)
            first = place.new_empty(len(distinct))
            first[place] = torch.arange(len(place), device=place.device)
            series, own = torch.cat([left, right])[first], torch.cat([n, m])[first]
            own_value = compare(series, series, lengths_x=own, lengths_y=own)
            value = value - own_value[place].reshape(2, -1).sum(0) / 2
        return value * (self.total_length / (n + m))

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


class PairLoss:
    """Cross-entropy of a pair plus a multiple of the contrastive loss.

    The means over positive and negative pairs of the contrastive loss become one mean over all by
    dividing each kind by its share of the training pairs.

    Parameters
    ----------
    contrastive_weight : float
        The multiple; 0 is the logistic loss.
    share : float
        Share of the positive pairs, in (0, 1).
    margin : float
        Distance up to which negative pairs are pushed apart.
    negative_weight : float
        Weight of the negative pairs in the contrastive loss.
    soft_targets : (float, float), default=(0.0, 1.0)
        Probabilities that the cross-entropy asks for, of a negative and of a positive pair.
    """

    def __init__(
        self,
        contrastive_weight: float,
        share: float,
        margin: float,
        negative_weight: float,
        soft_targets: tuple[float, float] = (0.0, 1.0),
    ):
        self.contrastive_weight, self.share = contrastive_weight, share
        self.margin, self.negative_weight = margin, negative_weight
        self.soft_targets = soft_targets

    def __call__(self, output: Tensor, target: Tensor, reduction: str = "none") -> Tensor:
        logit, distance = output.T
        low, high = self.soft_targets
        cross_entropy = functional.binary_cross_entropy_with_logits(
            logit, low + (high - low) * target, reduction=reduction
        )
        if self.contrastive_weight == 0:
            return cross_entropy
        pull = target * distance / self.share
        push = (1 - target) * functional.relu(self.margin - distance) / (1 - self.share)
        return cross_entropy + self.contrastive_weight * (pull + self.negative_weight * push)


class PairDataset(torch.utils.data.Dataset):
    """Pairs, labels and weights as tensors, indexed by whole batches.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    same : ndarray of shape (n_pairs,)
        1 or 0.
    weights : ndarray of shape (n_pairs,)
        Weight of each pair in the loss.
    device : str
        Where the tensors go.
    """

    def __init__(self, pairs: Pairs, same: np.ndarray, weights: np.ndarray, device: str):
        dtype = pairs.series.dtype
        self.series = torch.tensor(pairs.series, device=device)
        self.lengths = torch.tensor(pairs.lengths, device=device)
        self.ids = torch.tensor(pairs.ids, device=device)
        self.same = torch.tensor(same.astype(dtype), device=device)
        self.weights = torch.tensor(weights.astype(dtype), device=device)
        self.distance: Tensor | None = None

    def part(self, rows: np.ndarray, distance: Tensor | None) -> PairDataset:
        """Return some of the pairs, with their distances where these are known for good."""
        part = copy.copy(self)
        part.ids, part.same, part.weights = self.ids[rows], self.same[rows], self.weights[rows]
        part.distance = None if distance is None else distance[rows]
        return part

    def __len__(self) -> int:
        return len(self.ids)

    def pair(self, rows) -> dict[str, Tensor]:
        """Return what :meth:`PairNetwork.distance` takes."""
        ids = self.ids[rows]
        left, right = self.series[ids[:, 0]], self.series[ids[:, 1]]
        return {"left": left, "right": right, "lengths": self.lengths[ids], "ids": ids}

    def __getitem__(self, rows):
        known = self.distance is not None
        inputs = {"distance": self.distance[rows]} if known else self.pair(rows)
        return inputs, (self.same[rows], self.weights[rows])
