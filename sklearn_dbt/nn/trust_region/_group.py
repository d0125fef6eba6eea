"""Several layers seen as one point in the space of rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._protocol import RateLayer


class RateGroup:
    r"""The layers of one update: flat :math:`\omega`, all rates, and their distance.

    Everything here is float64, whatever the layers' precision: the trust region is a statement
    about numbers, and it is to be checked again later. The distance is

    .. math:: d(\pi, \pi')^2 = \sum_{\text{layers}} \frac1B \sum_{b, k} (\pi_{bk} - \pi'_{bk})^2 .
    """

    def __init__(self, layers: Sequence[RateLayer], probes: Sequence[Tensor]) -> None:
        self.layers = list(layers)
        self.probes = list(probes)
        self._stored = [layer.get_omega() for layer in self.layers]
        self._sizes = [omega.numel() for omega in self._stored]

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
        parts = omega.split(self._sizes)
        return [
            torch.atleast_2d(layer.rates_at(part.to(stored.device), probe, nu, smooth=smooth))
            for layer, part, stored, probe, nu in zip(
                self.layers, parts, self._stored, self.probes, snapshots, strict=True
            )
        ]

    def scaled_rates(self, omega: Tensor, snapshots: Sequence[Any]) -> Tensor:
        """All smooth rates in one vector whose Euclidean norm is the distance's."""
        rates = self.rates(omega, snapshots, smooth=True)
        return torch.cat([(r / len(r) ** 0.5).flatten().to(omega.device) for r in rates])

    def jacobian(self, omega: Tensor, snapshots: Sequence[Any]) -> Tensor:
        """Derivative of `scaled_rates`, shape (n_rows, n_parameters)."""
        omega = omega.detach().requires_grad_()
        with torch.enable_grad():
            rates = self.scaled_rates(omega, snapshots)
            if not rates.requires_grad:
                return torch.zeros(len(rates), len(omega), dtype=torch.float64)
            # Few parameters, many rates: a column is the derivative of Aᵀv in v.
            v = torch.zeros_like(rates, requires_grad=True)
            (pulled,) = torch.autograd.grad(
                rates, omega, v, create_graph=True, materialize_grads=True
            )
            columns = [
                torch.autograd.grad(entry, v, retain_graph=True, materialize_grads=True)[0]
                for entry in pulled
            ]
        return torch.stack(columns, dim=-1)

    def box(self, omega: Tensor, snapshots: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """How far the scaled rates may still go down and up (rates that are zero: not down)."""
        down, up = [], []
        for layer, rates in zip(self.layers, self.rates(omega, snapshots), strict=True):
            low, high = layer.rate_bounds()
            scale = len(rates) ** 0.5
            down.append(((low - rates).clamp_max(0) / scale).flatten().to(omega.device))
            up.append(((high - rates).clamp_min(0) / scale).flatten().to(omega.device))
        return torch.cat(down), torch.cat(up)


def distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    r"""Distance :math:`d(\pi, \pi')` of two lists of rates of shape (n_samples, n_rates)."""
    return sum(float((x - y).square().sum(-1).mean()) for x, y in zip(a, b, strict=True)) ** 0.5


def n_rates(rates: Sequence[Tensor]) -> int:
    """Number of distinct rates that one sample meets."""
    return sum(r.shape[-1] for r in rates)


def mean_rate(rates: Sequence[Tensor]) -> float:
    """Mean over all layers' rates, each distinct rate once."""
    return sum(float(r.mean(0).sum()) for r in rates) / n_rates(rates)


def _double(tensor: Tensor) -> Tensor:
    # Small vectors: the step is computed on the CPU wherever the layers live.
    return tensor.detach().to(device="cpu", dtype=torch.float64)
