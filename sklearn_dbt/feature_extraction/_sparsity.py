"""What a set of coefficients costs: little where few of them hold the energy."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Shares of the energy below this one are rounding noise in float32.
LEAST_SHARE = torch.finfo(torch.float32).eps ** 2


def _shannon(p: Tensor) -> Tensor:
    return -p * p.log()


def _l1(p: Tensor) -> Tensor:
    return p.sqrt()


#: Of one coefficient, whose share of the signal's energy is p.
COSTS: dict[str, Callable[[Tensor], Tensor]] = {
    "shannon": _shannon,
    "log_energy": torch.log,
    "l1": _l1,
}


def sparsity_cost(c: Tensor, energy: Tensor, name: str) -> Tensor:
    r"""Cost of coefficients as a sum over them, concave in their share of the energy.

    .. math::

        C = \sum_k \varphi(p_k), \quad p_k = \frac{c_k^2}{\|x\|^2}, \qquad
        \varphi(p) = -p \log p, \quad \log p \quad \text{or} \quad \sqrt p .

    Parameters
    ----------
    c : Tensor of shape (..., n_coefficients)
        Coefficients, of one band or of all.
    energy : Tensor of shape (...)
        Energy of the signal that they belong to.
    name : str
        Key of ``COSTS``.

    Returns
    -------
    Tensor of shape (...)
        Zero where the signal is.
    """
    is_silent = energy <= 0
    p = c.square() / torch.where(is_silent, 1.0, energy)[..., None]
    cost = COSTS[name](p.clamp_min(LEAST_SHARE)).sum(dim=-1)
    return torch.where(is_silent, 0.0, cost)
