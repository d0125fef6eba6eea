"""One level of a two-channel filter bank on a signal of finite length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pywt
import torch
from torch import Tensor, nn

__all__ = [
    "Level",
    "coefficient_length",
    "decompose",
    "extension",
    "filter_properties",
    "recompose",
]


class Level(nn.Module):
    """One level of the filter bank, for approximations of one length of at least 2.

    Filtering is a banded matrix. It is applied block by block, as one product of short overlapping
    frames with one small dense matrix, which is faster than a convolution with two channels and
    is not rounded to TF32.
    """

    _analysis_matrix: Tensor
    _synthesis_matrix: Tensor

    def __init__(self, length: int, wavelet: pywt.Wavelet, mode: str) -> None:
        super().__init__()
        taps = wavelet.dec_len
        periodized = mode == "periodization"
        self.length = length
        self.n_coefficients = coefficient_length(length, taps, mode)
        self.block = max(16, taps // 2)
        # Analysis: coefficient o sees `taps` samples from 2 o - left on.
        left = taps // 2 - 1 if periodized else taps - 2
        total = 2 * self.block * (-(-self.n_coefficients // self.block) + 1)
        outside = np.r_[-left:0, length : total - left]
        self._extend = _Extension(*extension(outside, length, mode), left)
        self.overlap = taps - 2
        lag = np.arange(2 * self.block + self.overlap)[:, None] - 2 * np.arange(self.block)
        self._register("_analysis_matrix", _banded(lag, wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]))
        # Synthesis: sample t is reached by coefficients from t // 2 - reach on. Beyond the last
        # coefficient only samples beyond the last sample are reached, whatever stands there.
        reach = (taps + 2) // 4 if periodized else 0
        lead = 2 * reach + taps // 2 - 1 if periodized else taps - 2
        total = self.block * (-(-length // (2 * self.block)) + 1)
        outside = np.r_[-reach:0, self.n_coefficients : total - reach]
        around = extension(outside, self.n_coefficients, "periodic")
        self._wrap = _Extension(*around, reach)
        self.reached = (lead + 1) // 2
        lag = np.arange(2 * self.block) + lead - 2 * np.arange(self.block + self.reached)[:, None]
        matrix = _banded(lag, wavelet.rec_lo, wavelet.rec_hi)
        both = np.concatenate([matrix[:, : 2 * self.block], matrix[:, 2 * self.block :]])
        self._register("_synthesis_matrix", both)

    def _register(self, name: str, value: np.ndarray) -> None:
        self.register_buffer(name, torch.from_numpy(value), persistent=False)

    def analysis(self, x: Tensor, matrix: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, length) -> approximation and detail, each (batch, n_coefficients).

        Filters that are learnt give their own matrix, in place of the one that is kept.
        """
        frames = _frames(self._extend(x), 2 * self.block, self.overlap)
        matrix = self._analysis_matrix if matrix is None else matrix
        c = torch.cat(frames, dim=-1) @ matrix.to(x.dtype)
        low, high = c[..., : self.block], c[..., self.block :]
        end = self.n_coefficients
        return low.flatten(-2)[:, :end], high.flatten(-2)[:, :end]

    def synthesis(
        self, approximation: Tensor, detail: Tensor, matrix: Tensor | None = None
    ) -> Tensor:
        """Approximation and detail, each (batch, n_coefficients) -> (batch, length)."""
        low, high = (
            _frames(self._wrap(c[:, : self.n_coefficients]), self.block, self.reached)
            for c in (approximation, detail)
        )
        matrix = self._synthesis_matrix if matrix is None else matrix
        x = torch.cat([*low, *high], dim=-1) @ matrix.to(detail.dtype)
        return x.flatten(-2)[:, : self.length]


def decompose(x: Tensor, levels: Sequence[Level]) -> list[Tensor]:
    """(batch, length) -> approximation and details, the coarsest first."""
    details: list[Tensor] = []
    for level in levels:
        x, detail = level.analysis(x)
        details.insert(0, detail)
    return [x, *details]


def recompose(bands: Sequence[Tensor], levels: Sequence[Level]) -> Tensor:
    """Approximation and details, the coarsest first -> (batch, length)."""
    x, *details = bands
    for level, detail in zip(reversed(levels), details, strict=True):
        x = level.synthesis(x, detail)
    return x


def coefficient_length(n: int, taps: int, mode: str) -> int:
    return (n + 1) // 2 if mode == "periodization" else (n + taps - 1) // 2


def filter_properties(wavelet: pywt.Wavelet) -> tuple[bool, bool]:
    """Whether the filter bank reconstructs, and whether its double shifts are orthonormal."""
    analysis = np.array([wavelet.dec_lo, wavelet.dec_hi])
    synthesis = np.array([wavelet.rec_lo, wavelet.rec_hi])[:, ::-1]
    exact = _double_shift_products(analysis, synthesis)
    orthogonal = _double_shift_products(analysis, analysis)
    return exact < 1e-8, orthogonal < 1e-8


def _double_shift_products(f: np.ndarray, g: np.ndarray) -> float:
    """Largest deviation of sum_m f_a[m] g_b[m + 2s] from 1 (a = b, s = 0) or 0 (else)."""
    taps = f.shape[1]
    products = np.array([[np.correlate(a, b, "full")[(taps - 1) % 2 :: 2] for b in g] for a in f])
    products[0, 0, (taps - 1) // 2] -= 1
    products[1, 1, (taps - 1) // 2] -= 1
    return float(np.abs(products).max())


class _Extension(nn.Module):
    """A signal and, on either side, sign · x[index] + first · x[0] + final · x[-1]."""

    index: Tensor
    sign: Tensor
    first: Tensor
    final: Tensor

    def __init__(
        self, index: np.ndarray, sign: np.ndarray, first: np.ndarray, final: np.ndarray, left: int
    ) -> None:
        super().__init__()
        self.left = left
        # Which of the terms there are at all in this mode.
        self.signed, self.extrapolates = bool((sign != 1).any()), bool(first.any() or final.any())
        for name, value in {"index": index, "sign": sign, "first": first, "final": final}.items():
            self.register_buffer(name, torch.from_numpy(value), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        ends = x.index_select(-1, self.index)
        if self.signed:
            ends = ends * self.sign.to(x.dtype)
        if self.extrapolates:
            ends = ends + x[:, :1] * self.first.to(x.dtype) + x[:, -1:] * self.final.to(x.dtype)
        return torch.cat([ends[:, : self.left], x, ends[:, self.left :]], dim=-1)


def _frames(x: Tensor, size: int, overlap: int) -> tuple[Tensor, Tensor]:
    """Blocks of a signal and, beside each, the first samples of the next one."""
    blocks = x.unflatten(-1, (-1, size))
    return blocks[:, :-1], blocks[:, 1:, :overlap]


def _banded(lag: np.ndarray, low: list[float], high: list[float]) -> np.ndarray:
    """Matrix of low[lag] beside high[lag], zero where a filter has no such tap."""
    inside = (lag >= 0) & (lag < len(low))
    safe = np.where(inside, lag, 0)
    return np.concatenate([np.where(inside, np.array(f)[safe], 0.0) for f in (low, high)], axis=1)


def extension(
    i: np.ndarray, n: int, mode: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Samples i outside 0..n-1 as sign · x[index] + first · x[0] + final · x[n-1]."""
    sign, first, final = np.ones(len(i)), np.zeros(len(i)), np.zeros(len(i))
    clamped = np.clip(i, 0, n - 1)
    if mode == "zero":
        return clamped, 0 * sign, first, final
    if mode == "constant":
        return clamped, sign, first, final
    if mode == "periodic":
        return i % n, sign, first, final
    if mode == "periodization":  # an odd signal repeats its last sample
        return np.minimum(i % (n + n % 2), n - 1), sign, first, final
    if mode in ("symmetric", "antisymmetric"):
        turns, rest = np.divmod(i, n)
        index = np.where(turns % 2 == 0, rest, n - 1 - rest)
        return index, sign if mode == "symmetric" else (-1.0) ** turns, first, final
    if mode == "smooth":  # straight on: x[0] + k (x[0] - x[1]), and so at the other end
        steps = np.abs(i - clamped).astype(float)
        before = i < 0
        first, final = np.where(before, 1 + steps, 0.0), np.where(before, 0.0, 1 + steps)
        return np.where(before, 1, n - 2), -steps, first, final
    # Mirrored at the end samples themselves; antireflect also turns the sign about their values.
    periods, rest = np.divmod(i, 2 * (n - 1))
    turned = rest > n - 1
    index = np.where(turned, 2 * (n - 1) - rest, rest)
    if mode == "reflect":
        return index, sign, first, final
    return index, np.where(turned, -1.0, 1.0), -2.0 * periods, 2.0 * (periods + turned)
