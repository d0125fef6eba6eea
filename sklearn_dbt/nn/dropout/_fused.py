"""Dropout of coefficients as one operation that keeps a seed and not a mask."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..basis import Basis
from ._mask_sharing import Sharing

__all__ = ["drop", "scale_", "uniforms"]

_is_autocast_enabled: Callable[[], bool] = getattr(torch._C, "_is_any_autocast_enabled")  # noqa: B009
_is_alias_of: Callable[[Tensor, Tensor], bool] = getattr(torch._C, "_is_alias_of")  # noqa: B009

#: Rates of coefficients, or a function of the coefficients that gives them.
Rates = Tensor | Callable[[Tensor], Tensor]


def drop(
    x: Tensor,
    rates: Rates,
    seed: int,
    basis: Basis | None = None,
    sharing: Sharing | None = None,
) -> Tensor:
    r"""Multiply by a mask over its keep rate, in a basis or as they are.

    .. math:: y = T^{-1} M T x, \qquad M = \operatorname{diag}(m / (1 - p))

    For an orthogonal :math:`T` this is a symmetric map: its derivative is the map itself, with the
    mask of the same seed, whose own derivative is again the map.

    Parameters
    ----------
    x : Tensor of shape (..., n_features)
        Signals, or coefficients if there is no basis.
    rates : Tensor or callable
        Rates of shape (n_coefficients,) or of the coefficients' shape; or what computes them from
        the coefficients, as numbers that are not differentiated.
    seed : int
        Seed of the mask.
    basis : Basis, default=None
        An orthogonal basis without parameters, whose analysis is linear.
    sharing : Sharing, default=None
        Groups of coefficients that have one uniform.

    Returns
    -------
    Tensor
        Output of the input's shape and dtype.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _Drop.apply(x, rates, seed, basis, sharing)
    return _drop(x, rates, seed, basis, sharing)[0]


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        rates: Rates,
        seed: int,
        basis: Basis | None,
        sharing: Sharing | None,
    ) -> Tensor:
        y, found = _drop(x, rates, seed, basis, sharing)
        # A copy where they are the layer's own, which may move before the way back.
        ctx.save_for_backward(found.clone() if found.ndim == 1 else found)
        ctx.seed, ctx.basis, ctx.sharing = seed, basis, sharing
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (rates,) = ctx.saved_tensors
        back = drop(gradient, rates, ctx.seed, ctx.basis, ctx.sharing)
        return back, None, None, None, None


def _drop(
    x: Tensor, rates: Rates, seed: int, basis: Basis | None, sharing: Sharing | None
) -> tuple[Tensor, Tensor]:
    analysis: Callable[[Tensor], Tensor] = _same
    synthesis: Callable[[Tensor], Tensor] = _same
    if basis is None:
        pass
    elif _is_plain(x, basis):  # for small layers the checks would cost as much as the transform
        analysis, synthesis = basis._analysis, basis._synthesis
    else:
        analysis, synthesis = basis.analysis, basis.synthesis
    c = analysis(x)
    found = rates if isinstance(rates, Tensor) else rates(c)
    if _is_alias_of(c, x) or not c.is_contiguous():
        c = c.clone(memory_format=torch.contiguous_format)
    scale_(c, found, seed, sharing)
    return like(synthesis(c), x), found


def _same(x: Tensor) -> Tensor:
    return x


def _is_plain(x: Tensor, basis: Basis) -> bool:
    """Whether a basis would check this input and find nothing to say or to do."""
    return (
        (x.dtype is torch.float32 or x.dtype is torch.float64)
        and not _is_autocast_enabled()
        and x.ndim > 0
        and x.shape[-1] == basis.n_features
        and x.numel() > 0
    )


def like(y: Tensor, x: Tensor) -> Tensor:
    """Give an output the input's dtype."""
    if y.dtype == x.dtype:
        return y
    return (y.real if y.is_complex() and not x.is_complex() else y).to(x.dtype)


def scale_(c: Tensor, rates: Tensor, seed: int, sharing: Sharing | None = None) -> None:
    """Multiply contiguous coefficients by mask / (1 - rate), in place; rates of 0 change nothing.

    On the CPU the mask compares 32 random bits with the rate, elsewhere float32 uniforms.
    """
    if c.numel() == 0:
        return
    rates = rates.to(c.dtype.to_real()).contiguous()
    n_drawn = c.shape[-1] if sharing is None else sharing.n_groups
    shape = (*c.shape[:-1], n_drawn)
    if not c.is_cpu:
        drawn, threshold = uniforms(seed, shape, c.device), rates
    elif (kernels := compiled()) is not None:
        kernels.scale_(c, rates, seed, sharing)
        return
    else:
        drawn, threshold = words(seed, shape), (rates.double() * 2.0**32).long()
    if sharing is not None:
        drawn = drawn.index_select(-1, sharing.group)
    keep = drawn >= threshold
    c.mul_(keep / (1 - rates))


def uniforms(seed: int, shape: Sequence[int], device: torch.device) -> Tensor:
    """Float32 uniforms on [0, 1) of a seed."""
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(seed)
        return torch.rand(shape, generator=generator, device=device, dtype=torch.float32)
    out = torch.empty(shape, dtype=torch.float32)
    if out.numel() and (kernels := compiled()) is not None:
        kernels.fill_(out, seed)
    elif out.numel():
        out.copy_((words(seed, shape) >> 8) * 2.0**-24)
    return out


def words(seed: int, shape: Sequence[int]) -> Tensor:
    """Random words of 32 bits as int64: what the kernels compute, in torch's integers."""
    *leading, n = shape
    rows = torch.Size(leading).numel()
    half = (n + 1) // 2
    z = seed + torch.arange(rows * half).reshape(rows, half) * _GOLDEN
    for shift, factor in ((30, _FIRST), (27, _SECOND), (31, 1)):
        # The sign is no number here: what an arithmetic shift copies of it is cleared.
        z = (z ^ ((z >> shift) & (2 ** (64 - shift) - 1))) * factor
    both = torch.cat([z & 0xFFFFFFFF, (z >> 32) & 0xFFFFFFFF], dim=1)
    return both[:, :n].reshape(tuple(shape))


# splitmix64's constants, as the signed integers that torch has.
_GOLDEN, _FIRST, _SECOND = (
    value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


@functools.cache
def compiled() -> ModuleType | None:
    """The kernels, imported at the first use, or None without numba."""
    try:
        from . import _kernels
    except ImportError:
        return None
    return _kernels
