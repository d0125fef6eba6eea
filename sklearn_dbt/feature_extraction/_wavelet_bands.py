"""Wavelet transforms as lists of bands, on the last axis of an array.

A transform splits a signal into bands, the lowest frequencies first, and puts it together again.
All are linear, so the synthesis of one band alone is an additive component of the signal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import pywt
import torch

from sklearn_dbt.nn import DWT

# Samples from which on the engine's fused levels are worth their preparation.
MANY = 2**18

# None stands for zeros.
Coefficients = np.ndarray | None


@dataclass(frozen=True)
class BandTransform(ABC):
    """A wavelet transform of a fixed number of levels.

    Attributes
    ----------
    wavelet : str or pywt.Wavelet
        A discrete wavelet of PyWavelets, or its filters.
    mode : str
        Boundary mode of PyWavelets.
    level : int
        Number of levels, at least 1.
    """

    wavelet: str | pywt.Wavelet
    mode: str
    level: int

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the bands."""

    @property
    @abstractmethod
    def edges(self) -> np.ndarray:
        """Lower and upper ideal edge of each band in cycles per sample, shape (n_bands, 2)."""

    @abstractmethod
    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        """Coefficients of each band."""

    @abstractmethod
    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        """Signal of `n_times` samples from its bands, of which one at least is not None."""

    def components(self, x: np.ndarray) -> np.ndarray:
        """Additive components ``(..., n_bands, n_times)``, one a band.

        The lowest takes what the others leave, which is its own synthesis up to rounding. So the
        sum is the signal also for the one filter that does not reconstruct (``"dmey"``).
        """
        bands = self.analysis(x)
        out = np.empty((*x.shape[:-1], len(bands), x.shape[-1]), dtype=x.dtype)
        for k, band in enumerate(bands[1:], start=1):
            alone = [band if i == k else None for i in range(len(bands))]
            out[..., k, :] = self.synthesis(alone, x.shape[-1])
        out[..., 0, :] = x - out[..., 1:, :].sum(axis=-2)
        return out

    def _split(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # PyWavelets refuses to reflect one sample; its reflection is constant.
        alone = x.shape[-1] == 1 and self.mode in ("reflect", "antireflect")
        return pywt.dwt(x, self.wavelet, "constant" if alone else self.mode, axis=-1)

    def _join(self, low: Coefficients, high: Coefficients, n: int) -> Coefficients:
        if low is None and high is None:
            return None
        return pywt.idwt(low, high, self.wavelet, self.mode, axis=-1)[..., :n]

    def _lengths(self, n_times: int) -> list[int]:
        """Lengths of the signal and of its approximations before the last level."""
        taps, lengths = as_wavelet(self.wavelet).dec_len, [n_times]
        for _ in range(self.level - 1):
            lengths.append(pywt.dwt_coeff_len(lengths[-1], taps, self.mode))
        return lengths


class DiscreteTransform(BandTransform):
    """Discrete wavelet transform: approximation, then details from coarse to fine."""

    @property
    def names(self) -> list[str]:
        return [f"a{self.level}", *(f"d{j}" for j in range(self.level, 0, -1))]

    @property
    def edges(self) -> np.ndarray:
        upper = 0.5 ** np.arange(self.level + 1, 0, -1)
        return np.column_stack([[0.0, *upper[:-1]], upper])

    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        n = x.shape[-1]
        if x.size >= MANY and self.level <= (n - 1).bit_length():
            return self._fused_analysis(np.ascontiguousarray(x))
        details: list[np.ndarray] = []
        for _ in range(self.level):
            x, detail = self._split(x)
            details.insert(0, detail)
        return [x, *details]

    def _fused_analysis(self, x: np.ndarray) -> list[np.ndarray]:
        basis = _discrete_basis(filter_bank(self.wavelet), self.mode, self.level, x.shape[-1])
        with torch.no_grad():
            c = basis.analysis(_as_tensor(x)).numpy()
        return [c[..., band] for band in basis.bands.values()]

    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        x = bands[0]
        for detail, n in zip(bands[1:], reversed(self._lengths(n_times)), strict=True):
            x = self._join(x, detail, n)
        return cast("np.ndarray", x)


def as_wavelet(wavelet: str | pywt.Wavelet) -> pywt.Wavelet:
    """The wavelet of a name, or the one that it is."""
    return pywt.Wavelet(wavelet) if isinstance(wavelet, str) else wavelet


def filter_bank(wavelet: str | pywt.Wavelet) -> tuple[tuple[float, ...], ...]:
    """The four filters of a wavelet, by which caches know it."""
    return tuple(tuple(taps) for taps in as_wavelet(wavelet).filter_bank)


@lru_cache(maxsize=16)
def _discrete_basis(filters: tuple, mode: str, level: int, n: int) -> DWT:
    return DWT(n, pywt.Wavelet("given", filter_bank=filters), level, mode)


def _as_tensor(x: np.ndarray) -> torch.Tensor:
    # PyTorch warns of arrays that nobody may write to; nothing writes to this one.
    return torch.from_numpy(x if x.flags.writeable else x.copy())
