"""All levels of a filter bank as one linear operation, whose derivative is its adjoint."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pywt
import torch
from torch import Tensor

from ._filter_bank import extension
from ._threads import in_chunks

__all__ = ["Cascade"]

_ENOUGH = 2**20  # samples for which another thread pays


class Cascade:
    """All levels of one wavelet and boundary mode, for signals of one length, on the CPU.

    Parameters
    ----------
    lengths : sequence of int
        Lengths of the signal and of its approximations.
    wavelet : pywt.Wavelet
        Filters.
    mode : str
        Boundary mode.
    """

    def __init__(self, lengths: Sequence[int], wavelet: pywt.Wavelet, mode: str) -> None:
        n_taps, periodized = wavelet.dec_len, mode == "periodization"
        # A level's own class says where these come from.
        self._left = n_taps // 2 - 1 if periodized else n_taps - 2
        self._reach = (n_taps + 2) // 4 if periodized else 0
        self._lead = 2 * self._reach + n_taps // 2 - 1 if periodized else n_taps - 2
        self._lengths = np.array(lengths)
        self._n_coefficients = int(self._lengths[1:].sum() + self._lengths[-1])
        self._analysis_taps = np.array([wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]])
        self._synthesis_taps = np.array([wavelet.rec_lo, wavelet.rec_hi])
        ends = [self._ends(n, size, mode) for n, size in itertools.pairwise(lengths)]
        self._edges = np.cumsum([0, *(end[0].size for end in ends)])
        self._index = np.concatenate([end[0] for end in ends])
        self._weights = np.concatenate([np.stack(end[1:]) for end in ends], axis=1)
        self._plans: dict[tuple[str, np.dtype], tuple] = {}

    def _ends(self, n: int, size: int, mode: str) -> tuple[np.ndarray, ...]:
        beyond = 2 * (size - 1) + self._analysis_taps.shape[1] - self._left
        index, *weights = extension(np.r_[-self._left : 0, n:beyond], n, mode)
        return index.astype(np.int64), *weights

    def serves(self, x: Tensor) -> bool:
        """Whether the kernels can take this tensor: not one that is traced or transformed."""
        return (
            x.is_cpu
            and (x.dtype is torch.float32 or x.dtype is torch.float64)
            and not torch.compiler.is_compiling()
            and type(x) in (Tensor, torch.nn.Parameter)
            and not torch._C._are_functorch_transforms_active()
            and self._analysis_taps.shape[1] % 2 == 0
            and kernels() is not None
        )

    def analysis(self, x: Tensor) -> Tensor:
        """(batch, length) -> (batch, n_coefficients), the approximation first."""
        return _apply(x, self, "analysis")

    def synthesis(self, c: Tensor) -> Tensor:
        """(batch, n_coefficients) -> (batch, length)."""
        return _apply(c, self, "synthesis")

    def run(self, x: Tensor, name: str) -> Tensor:
        """One of the kernels, by its name."""
        x = x.detach().contiguous()
        decomposes = name in ("analysis", "synthesis_adjoint")
        n_out = self._n_coefficients if decomposes else int(self._lengths[0])
        out = x.new_empty(len(x), n_out)
        values = x.numpy()
        arguments = (values, *self._plan(name, values.dtype), out.numpy())
        in_chunks(getattr(kernels(), name), arguments, len(x), x.numel(), _ENOUGH)
        return out

    def _plan(self, name: str, dtype: np.dtype) -> tuple:
        """What a kernel takes between its input and its output."""
        key = name.split("_")[0], dtype
        if key not in self._plans:
            if key[0] == "analysis":
                taps, weights = self._analysis_taps.astype(dtype), self._weights.astype(dtype)
                ends = self._left, self._edges, self._index, weights
                plan: tuple = (taps, self._lengths, *ends)
            else:
                plan = (self._synthesis_taps.astype(dtype), self._lengths, self._reach, self._lead)
            self._plans[key] = plan
        return self._plans[key]


_ADJOINT = {
    "analysis": "analysis_adjoint",
    "analysis_adjoint": "analysis",
    "synthesis": "synthesis_adjoint",
    "synthesis_adjoint": "synthesis",
}


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cascade: Cascade, name: str) -> Tensor:
        ctx.cascade, ctx.name = cascade, name
        return cascade.run(x, name)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _apply(gradient, ctx.cascade, _ADJOINT[ctx.name]), None, None


def _apply(x: Tensor, cascade: Cascade, name: str) -> Tensor:
    if x.requires_grad and torch.is_grad_enabled():
        return _Linear.apply(x, cascade, name)
    return cascade.run(x, name)


@functools.cache
def kernels() -> ModuleType | None:
    """The kernels, imported at the first use, or None without numba."""
    try:
        from . import _cascade_kernels
    except ImportError:
        return None
    return _cascade_kernels
