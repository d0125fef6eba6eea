"""Several layers seen as one point in the space of rates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._protocol import RateLayer
from ._ranks import Ranks
from ._step import stationarity


class RateGroup:
    r"""The layers of one update: flat :math:`\omega`, all rates, and their distance.

    Everything here is float64, whatever the layers' precision: the trust region is a statement
    about numbers, and it is to be checked again later. The distance is

    .. math:: d(\pi, \pi')^2 = \sum_{\text{layers}} \frac1B \sum_{b, k} (\pi_{bk} - \pi'_{bk})^2 .
    """

    def __init__(
        self,
        layers: Sequence[RateLayer],
        probes: Sequence[Tensor],
        ranks: Ranks | None = None,
        n_samples: int = 1,
        *,
        is_small: bool = False,
    ) -> None:
        self.layers = list(layers)
        self.probes = list(probes)
        self.ranks = Ranks() if ranks is None else ranks
        self.n_samples = n_samples  # in this process: its weight among the ranks
        self.is_small = is_small
        self._seen: list[tuple[bool, Tensor, Sequence[Any], list[Tensor]]] = []
        self._stored = [layer.get_omega() for layer in self.layers]
        self._sizes = [omega.numel() for omega in self._stored]
        # Rates that do not depend on the sample are the same on every rank: nothing to send.
        self._pooled = self.ranks.several and any(map(depends_on_sample, self.layers))

    @property
    def columns(self) -> list[slice]:
        """Each layer's place in the flat vector."""
        ends = list(itertools.accumulate(self._sizes, initial=0))
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    @property
    def omega(self) -> Tensor:
        """The parameters in force."""
        return torch.cat([_double(layer.get_omega()) for layer in self.layers])

    def split(self, omega: Tensor) -> list[Tensor]:
        """Each layer's part of a flat vector, in the precision the layer stores."""
        parts = omega.split(self._sizes)
        return [
            part.to(device=stored.device, dtype=stored.dtype)
            for part, stored in zip(parts, self._stored, strict=True)
        ]

    def rounded(self, omega: Tensor) -> Tensor:
        """The flat vector as the layers would store it."""
        return torch.cat([_double(part) for part in self.split(omega)])

    def set_omega(self, omega: Tensor) -> None:
        """Change every layer's parameters in place."""
        for layer, part in zip(self.layers, self.split(omega), strict=True):
            layer.set_omega(part)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds of the flat vector."""
        lower, upper = zip(*(layer.omega_bounds() for layer in self.layers), strict=True)
        return torch.cat([_double(b) for b in lower]), torch.cat([_double(b) for b in upper])

    def bias_direction(self) -> Tensor:
        """Flat direction along which every free rate grows."""
        return torch.cat([_double(layer.bias_direction()) for layer in self.layers])

    def rates(
        self, omega: Tensor, snapshots: Sequence[Any], *, smooth: bool = False
    ) -> list[Tensor]:
        """Each layer's rates, shape (n_samples or 1, n_rates)."""
        if omega.requires_grad:
            return self._computed(omega, snapshots, smooth)
        # An update comes back to the same few places.
        for known, place, nus, rates in self._seen:
            same = known == smooth and all(a is b for a, b in zip(nus, snapshots, strict=True))
            if same and torch.equal(place, omega):
                return rates
        rates = self._computed(omega, snapshots, smooth)
        self._seen = [*self._seen[-3:], (smooth, omega, snapshots, rates)]
        return rates

    def _computed(self, omega: Tensor, snapshots: Sequence[Any], smooth: bool) -> list[Tensor]:
        parts = omega.split(self._sizes)
        return [
            torch.atleast_2d(layer.rates_at(part.to(stored.device), probe, nu, smooth=smooth))
            for layer, part, stored, probe, nu in zip(
                self.layers, parts, self._stored, self.probes, snapshots, strict=True
            )
        ]

    def jacobian(self, omega: Tensor, snapshots: Sequence[Any]) -> list[Tensor]:
        """Each layer's derivatives of smooth rates, shape (n_samples, n_rates, n_parameters).

        They are divided by the root of the number of samples, so that their length is the
        distance's.
        """
        parts = omega.detach().split(self._sizes)
        return [
            _derivatives(layer, part.to(stored.device), probe, nu).to(omega.device)
            for layer, part, stored, probe, nu in zip(
                self.layers, parts, self._stored, self.probes, snapshots, strict=True
            )
        ]

    def metric(self, jacobian: Sequence[Tensor], damping: float) -> Tensor:
        r"""Metric :math:`A^\top A + \varepsilon I` of all layers' derivatives."""
        blocks = [block.flatten(0, 1) for block in jacobian]
        metric = torch.block_diag(*(block.T @ block for block in blocks))
        if self._pooled:
            (metric,) = self.ranks.mean([metric], self.n_samples)
        metric.diagonal().add_(damping)
        return metric

    def stationarity(
        self,
        jacobian: Sequence[Tensor],
        gradient: Tensor,
        rates: Sequence[Tensor],
    ) -> float:
        """Length of the projected gradient in the space of rates; see `stationarity`."""
        square = torch.zeros((), dtype=torch.float64)
        parts = gradient.split(self._sizes)
        for layer, block, part, r in zip(self.layers, jacobian, parts, rates, strict=True):
            low, high = layer.rate_bounds()
            scale = len(r) ** 0.5
            # What is zero cannot shrink.
            down, up = (low - r).clamp_max(0) / scale, (high - r).clamp_min(0) / scale
            room = (down.flatten().to(part.device), up.flatten().to(part.device))
            square += stationarity(block.flatten(0, 1), part, *room) ** 2
        if self._pooled:
            (square,) = self.ranks.mean([square], self.n_samples)
        return float(square) ** 0.5

    def distance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
        """Distance of two lists of rates, over the samples of all ranks."""
        own = distance(a, b)
        if not self._pooled:
            return own
        (square,) = self.ranks.mean([torch.tensor(own**2, dtype=torch.float64)], self.n_samples)
        return float(square) ** 0.5

    def straight_fraction(
        self,
        origin: Sequence[Tensor],
        start: Sequence[Tensor],
        end: Sequence[Tensor],
        radius: float,
    ) -> float:
        """Where the straight line from `start` to `end` is at a distance from `origin`."""
        terms = torch.zeros(3, dtype=torch.float64)
        for o, s, e in zip(origin, start, end, strict=True):
            products = ((e - s).square(), (s - o) * (e - s), (s - o).square())
            terms += torch.stack([_mean_over_samples(x).to(terms) for x in products])
        if self._pooled:
            (terms,) = self.ranks.mean([terms], self.n_samples)
        a, b, c = terms.tolist()
        root = math.sqrt(max(b * b - a * (c - radius**2), 0.0))
        return (root - b) / a if a > 0 else 1.0

    def mean_rate(self, rates: Sequence[Tensor]) -> float:
        """Mean rate over the samples of all ranks."""
        own = mean_rate(rates)
        if not self._pooled:
            return own
        (mean,) = self.ranks.mean([torch.tensor(own, dtype=torch.float64)], self.n_samples)
        return float(mean)


def depends_on_sample(layer: RateLayer) -> bool:
    """Whether a layer's rates depend on the sample, as far as is known."""
    own = getattr(getattr(layer, "policy", None), "per_sample", True)
    return bool(getattr(layer, "per_sample", own))


def _derivatives(layer: RateLayer, omega: Tensor, probe: Tensor, snapshot: Any) -> Tensor:
    """Derivatives of a layer's smooth rates over the root of the number of samples."""
    if hasattr(layer, "jacobian_at"):
        exact: Tensor = layer.jacobian_at(omega, probe, snapshot)
        return exact / len(exact) ** 0.5
    omega = omega.requires_grad_()
    with torch.enable_grad():
        rates = torch.atleast_2d(layer.rates_at(omega, probe, snapshot, smooth=True))
        if not rates.requires_grad:
            return torch.zeros(*rates.shape, len(omega), dtype=torch.float64)
        # Few parameters, many rates: a column is the derivative of Aᵀv in v.
        v = torch.zeros_like(rates, requires_grad=True)
        (pulled,) = torch.autograd.grad(rates, omega, v, create_graph=True, materialize_grads=True)
        columns = [
            torch.autograd.grad(entry, v, retain_graph=True, materialize_grads=True)[0]
            for entry in pulled
        ]
    return torch.stack(columns, dim=-1) / len(rates) ** 0.5


def distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    r"""Distance :math:`d(\pi, \pi')` of two lists of rates of shape (n_samples, n_rates)."""
    squares = [_mean_over_samples((x - y).square()) for x, y in zip(a, b, strict=True)]
    return sum(map(float, squares)) ** 0.5


def _mean_over_samples(values: Tensor) -> Tensor:
    """Sum over rates of the mean over samples; 0 where there are none."""
    return values.sum() / max(len(values), 1)


def n_rates(rates: Sequence[Tensor]) -> int:
    """Number of distinct rates that one sample meets."""
    return sum(r.shape[-1] for r in rates)


def mean_rate(rates: Sequence[Tensor]) -> float:
    """Mean over all layers' rates, each distinct rate once."""
    return sum(float(_mean_over_samples(r)) for r in rates) / n_rates(rates)


def _double(tensor: Tensor) -> Tensor:
    # Small vectors: the step is computed on the CPU wherever the layers live.
    return tensor.detach().to(device="cpu", dtype=torch.float64)
