"""What a relaxed mask multiplies coefficients with, and its first two derivatives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._masks import concrete_mask


def relaxed_scale(p: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    r"""Relaxed mask over the keep rate, :math:`s(p) = \tilde m(p) / (1 - p)`.

    It is `concrete_mask` over :math:`1 - p`. With :math:`k = 1 / (p (1 - p))`,

    .. math::

        \tilde m' &= -\tfrac1\tau \tilde m (1 - \tilde m) k, \qquad
        \tilde m'' = \tfrac1\tau \tilde m (1 - \tilde m) k^2
                     \bigl[ \tfrac1\tau (1 - 2 \tilde m) + 1 - 2 p \bigr], \\
        s' &= \frac{\tilde m'}{1 - p} + \frac{\tilde m}{(1 - p)^2}, \qquad
        s'' = \frac{\tilde m''}{1 - p} + \frac{2 \tilde m'}{(1 - p)^2}
              + \frac{2 \tilde m}{(1 - p)^3} .

    A controller asks for many Hessian-vector products of one pass: these are computed once, and
    a product passes through one multiplication instead of a dozen operations.

    Parameters
    ----------
    p : Tensor of shape (..., n_coefficients)
        Rates in [0, 1); where one is 0 the mask is 1, with no gradient.
    uniforms : Tensor of shape (..., n_coefficients)
        Uniform on [0, 1); `p` broadcasts to it.
    temperature : float
        :math:`\tau > 0`.

    Returns
    -------
    Tensor
        In the precision of `p`, twice differentiable in it.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout._relaxed_scale import relaxed_scale
    >>> relaxed_scale(torch.tensor([0.0, 0.5]), torch.tensor([0.2, 0.8]), 1.0)
    tensor([1.0000, 1.6000])
    """
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return concrete_mask(p, uniforms, temperature) / (1 - p)
    return _Scale.apply(p, uniforms, temperature)


class _Scale(torch.autograd.Function):
    """The value, and on the way back the slope that `_Slope` can differentiate."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
        # The formula of `concrete_mask` in half as many operations: nothing is differentiated here.
        odds = torch.logit(uniforms.to(p.dtype)) - torch.logit(p)
        mask = torch.where(p > 0, torch.sigmoid(odds / temperature), 1.0)
        ctx.save_for_backward(p, mask)
        ctx.temperature, ctx.slopes = temperature, None
        return mask / (1 - p)

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        p, mask = ctx.saved_tensors
        if ctx.slopes is None:
            ctx.slopes = _slopes(p.detach(), mask, ctx.temperature)
        slope, bend = ctx.slopes
        if torch.is_grad_enabled() and p.requires_grad:
            slope = _Slope.apply(p, slope, bend)
        return (outer * slope).sum_to_size(p.shape), None, None


class _Slope(torch.autograd.Function):
    """The first derivative, whose own derivative is known too."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, slope: Tensor, bend: Tensor) -> Tensor:
        ctx.shape, ctx.bend = p.shape, bend
        return slope.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return (outer * ctx.bend).sum_to_size(ctx.shape), None, None


@torch.no_grad()
def _slopes(p: Tensor, mask: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """First and second derivative of the scale in the rate."""
    free = p > 0
    k = torch.where(free, 1 / torch.where(free, p * (1 - p), 1.0), 0.0)
    over = 1 / (1 - p)
    spread = mask * (1 - mask) * k / temperature
    bend = spread * k * ((1 - 2 * mask) / temperature + (1 - 2 * p))
    level = mask * over
    slope = (level - spread) * over
    return slope, (bend + 2 * (level - spread) * over) * over
