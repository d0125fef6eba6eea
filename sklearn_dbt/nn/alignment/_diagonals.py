"""Soft-DTW on any device: the recursion in torch operations along anti-diagonals.

Slower than the kernels on a CPU, it serves accelerators and, being written differently, is
the kernels' oracle. It works in double precision wherever the device has it.
"""

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment._band import admitted


def solve(
    x: Tensor,
    y: Tensor,
    lengths_x: Tensor,
    lengths_y: Tensor,
    band: int | None,
    gamma: float,
    *,
    gradient: bool = False,
    by_gamma: bool = False,
    alignment: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Solve a batch of pairs; arguments and results are those of ``_kernels.solve``."""
    dtype = x.dtype
    work = torch.float32 if x.device.type == "mps" else torch.float64
    x, y = without_padding(x, lengths_x).to(work), without_padding(y, lengths_y).to(work)
    outside = ~admitted(lengths_x, lengths_y, x.shape[2], y.shape[2], band)
    difference = x[:, :, :, None] - y[:, :, None, :]
    cost = difference.square().sum(1).masked_fill(outside, torch.inf)
    value, weights, entropy = _recursion(_skew(cost), lengths_x, lengths_y, gamma)
    shapes = ((0, 0, 0), (0, 0, 0), (0,), (0, *cost.shape[1:]))
    results = [value, *(value.new_zeros(shape) for shape in shapes)]
    if gradient or by_gamma or alignment:
        skewed = _way_back(weights, lengths_x, lengths_y)
        expected = _unskew(skewed, y.shape[2])
        if by_gamma:
            results[3] = -(skewed * entropy).sum((1, 2))
        if gradient:
            half = expected[:, None] * difference
            results[1:3] = 2 * half.sum(3), -2 * half.sum(2)
        if alignment:
            results[4] = expected
    value, grad_x, grad_y, grad_gamma, expected = (t.to(dtype) for t in results)
    return value, grad_x, grad_y, grad_gamma, expected


def without_padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the series with zeros from their lengths on."""
    padding = torch.arange(x.shape[2], device=x.device) >= lengths[:, None]
    return x.masked_fill(padding[:, None], 0)


def _skew(cost: Tensor) -> Tensor:
    """Put cell (i, j) at [i + j, i]; what lies outside the matrix is infinite."""
    _, n, m = cost.shape
    i = torch.arange(n, device=cost.device)
    j = torch.arange(n + m - 1, device=cost.device)[:, None] - i
    skewed = cost[:, i.expand_as(j), j.clamp(0, m - 1)]
    return skewed.masked_fill((j < 0) | (j >= m), torch.inf)


def _unskew(skewed: Tensor, m: int) -> Tensor:
    i = torch.arange(skewed.shape[2], device=skewed.device)[:, None]
    return skewed[:, i + torch.arange(m, device=skewed.device), i]


def _recursion(
    cost: Tensor, lengths_x: Tensor, lengths_y: Tensor, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    n_pairs, n_diagonals, n = cost.shape
    # Row i stands at i + 1. The virtual cell before (0, 0) starts every path at no cost.
    one_back = cost.new_full((n_pairs, n + 1), torch.inf)
    two_back = one_back.clone()
    two_back[:, 0] = 0
    wall = one_back[:, :1].clone()
    weights, entropies, last = [], [], []
    for k in range(n_diagonals):
        before = torch.stack([one_back[:, 1:], one_back[:, :-1], two_back[:, :-1]])
        least = before.amin(0)
        # inf - inf is avoided: where all predecessors are infinite so is the cell
        exponent = torch.where(before == least, 0.0, (least - before) / gamma)
        total = exponent.exp().sum(0)
        weight = exponent.exp() / total
        weights.append(weight)
        entropies.append(total.log() - torch.where(weight == 0, 0.0, weight * exponent).sum(0))
        here = cost[:, k] + (least - gamma * total.log())
        two_back, one_back = one_back, torch.cat([wall, here], 1)
        last.append(here.gather(1, lengths_x[:, None] - 1))
    end = (lengths_x + lengths_y - 2)[:, None]
    value = torch.cat(last, 1).gather(1, end)[:, 0]
    return value, torch.stack(weights), torch.stack(entropies, 1)


def _way_back(weights: Tensor, lengths_x: Tensor, lengths_y: Tensor) -> Tensor:
    """Return the expected alignment, skewed like the cost."""
    n_diagonals, _, n_pairs, n = weights.shape
    i = torch.arange(n, device=weights.device)
    corner = (i == lengths_x[:, None] - 1).to(weights.dtype)
    end = (lengths_x + lengths_y - 2)[:, None]
    after = beyond = weights.new_zeros(n_pairs, n)
    p_after = p_beyond = weights.new_zeros(3, n_pairs, n)
    expected = []
    for k in range(n_diagonals - 1, -1, -1):
        here = after * p_after[0] + corner * (end == k)
        here[:, :-1] += (after * p_after[1] + beyond * p_beyond[2])[:, 1:]
        expected.append(here)
        after, beyond, p_after, p_beyond = here, after, weights[k], p_after
    return torch.stack(expected[::-1], 1)
