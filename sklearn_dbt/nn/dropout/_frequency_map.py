"""Rates carried over from one basis's coefficients to another's, over frequency."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..basis import Layout

__all__ = ["frequency_map"]


def frequency_map(source: Layout, target: Layout, kind: str, where: str) -> Tensor | None:
    """Matrix that carries rates from one layout to another; None where the index is the same."""
    f, g = source.frequency.double().cpu(), target.frequency.double().cpu()
    if len(f) == len(g) and (torch.equal(f, g) or f.isnan().any() or g.isnan().any()):
        return None
    if f.isnan().any() or g.isnan().any():
        raise ValueError(
            f"EnsembleDropout: {where} has {len(f)} coefficients and the first member {len(g)}; "
            "they can only be matched by frequencies, which both must have."
        )
    knots, group = f.unique(return_inverse=True)
    mean = nn.functional.one_hot(group, len(knots)).double()
    mean = (mean / mean.sum(0)).T  # coefficients of the same frequency: their mean
    if len(knots) == 1:
        return mean.expand(len(g), -1).to(torch.get_default_dtype())
    right = torch.searchsorted(knots, g).clamp(1, len(knots) - 1)
    t = ((g - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)
    t = t.round() if kind == "nearest" else t
    rows = torch.arange(len(g))
    matrix = torch.zeros(len(g), len(knots), dtype=torch.float64)
    matrix[rows, right - 1] = 1 - t
    matrix[rows, right] = t
    return (matrix @ mean).to(torch.get_default_dtype())
