"""Wavelet transforms as lists of bands, on the last axis of an array, by PyWavelets.

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
import scipy.fft

# Median of |z| for a standard normal z.
MAD_OF_STANDARD_NORMAL = 0.6744897501960817

# None stands for zeros.
Coefficients = np.ndarray | None


@dataclass(frozen=True)
class BandTransform(ABC):
    """A wavelet transform of a fixed number of levels.

    Attributes
    ----------
    wavelet : str
        A discrete wavelet of PyWavelets.
    mode : str
        Boundary mode of PyWavelets.
    level : int
        Number of levels, at least 1.
    """

    wavelet: str
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
        taps, lengths = pywt.Wavelet(self.wavelet).dec_len, [n_times]
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
        details: list[np.ndarray] = []
        for _ in range(self.level):
            x, detail = self._split(x)
            details.insert(0, detail)
        return [x, *details]

    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        x = bands[0]
        for detail, n in zip(bands[1:], reversed(self._lengths(n_times)), strict=True):
            x = self._join(x, detail, n)
        return cast("np.ndarray", x)


class StationaryTransform(DiscreteTransform):
    """Stationary transform: the bands of the discrete one at every sample, so it does not shift.

    Recordings whose length is no multiple of ``2**level`` are extended at their end by the
    boundary mode; the transform itself is periodic. So each band, and each band's synthesis, is
    one circular convolution: with PyWavelets' result for a unit impulse, in the Fourier domain.
    (``pywt.iswt`` averages over all ``2**level`` shifts of a discrete transform instead.)
    """

    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        missing = -x.shape[-1] % 2**self.level
        if missing:
            x = self._extended(x, missing)
        n = x.shape[-1]
        kernels, _ = _stationary_kernels(self.wavelet, self.level, n)
        spectrum = scipy.fft.rfft(x)
        return [scipy.fft.irfft(spectrum * k.astype(spectrum.dtype), n) for k in kernels]

    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        n = next(band.shape[-1] for band in bands if band is not None)
        _, kernels = _stationary_kernels(self.wavelet, self.level, n)
        spectrum = 0
        for band, kernel in zip(bands, kernels, strict=True):
            if band is not None:
                part = scipy.fft.rfft(band)
                spectrum = spectrum + part * kernel.astype(part.dtype)
        return scipy.fft.irfft(spectrum, n)[..., :n_times]

    def _extended(self, x: np.ndarray, missing: int) -> np.ndarray:
        """Signal and `missing` samples more at its end."""
        n = x.shape[-1]
        beyond = np.arange(n, n + missing)
        # The first three modes are those where pywt.pad takes no axis or no end without padding.
        if self.mode == "periodization":  # an odd signal repeats its last sample
            tail = x[..., np.minimum(beyond % (n + n % 2), n - 1)]
        elif self.mode == "antisymmetric":
            turns, rest = np.divmod(beyond, n)
            odd = turns % 2 == 1
            tail = np.where(odd, -1, 1) * x[..., np.where(odd, n - 1 - rest, rest)]
        elif self.mode == "smooth":
            last = x[..., -1:]
            tail = last + (beyond - (n - 1)) * (last - x[..., -2:-1])
        else:
            width = [(0, 0)] * (x.ndim - 1) + [(0, missing)]
            tail = pywt.pad(x, width, self.mode)[..., n:]
        return np.concatenate([x, tail.astype(x.dtype, copy=False)], axis=-1)


@lru_cache(maxsize=16)
def _stationary_kernels(wavelet: str, level: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Transfer functions of analysis and synthesis, (n_bands, n // 2 + 1) each."""
    impulse = np.zeros(n)
    impulse[0] = 1
    analysis = np.stack(pywt.swt(impulse, wavelet, level, trim_approx=True))
    # Row b has its impulse in band b.
    impulses = list(np.eye(level + 1)[:, :, None] * impulse)
    synthesis = pywt.iswt(impulses, wavelet, axis=-1)
    return scipy.fft.rfft(analysis), scipy.fft.rfft(synthesis)


class PacketTransform(BandTransform):
    """Wavelet packets of one level, in the order of their frequencies."""

    @property
    def names(self) -> list[str]:
        paths = [""]
        for _ in range(self.level):
            # Filtering and halving a high band mirrors it, so every second pair comes reversed.
            paths = [
                p + s for i, p in enumerate(paths) for s in (("a", "d") if i % 2 == 0 else "da")
            ]
        return paths

    @property
    def edges(self) -> np.ndarray:
        upper = np.arange(1, 2**self.level + 1) / 2 ** (self.level + 1)
        return np.column_stack([[0.0, *upper[:-1]], upper])

    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        bands = [x]
        for _ in range(self.level):
            pairs = [self._split(band) for band in bands]
            bands = [b for i, pair in enumerate(pairs) for b in pair[:: (-1) ** i]]
        return bands

    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        for n in reversed(self._lengths(n_times)):
            pairs = zip(bands[::2], bands[1::2], strict=True)
            bands = [
                self._join(a, b, n) if i % 2 == 0 else self._join(b, a, n)
                for i, (a, b) in enumerate(pairs)
            ]
        return cast("np.ndarray", bands[0])


TRANSFORMS: dict[str, type[BandTransform]] = {
    "dwt": DiscreteTransform,
    "swt": StationaryTransform,
    "packet": PacketTransform,
}


def shrink(bands: Sequence[np.ndarray], n_times: int, rule: str, noise: str) -> list[np.ndarray]:
    r"""Threshold every band but the lowest at :math:`\hat\sigma \sqrt{2 \log n}`.

    Parameters
    ----------
    bands : sequence of ndarray of shape (..., n_coefficients)
        The lowest frequencies first.
    n_times : int
        Number of samples :math:`n`.
    rule : {"soft", "hard", "garrote"}
        What happens to coefficients above the threshold.
    noise : {"finest", "level"}
        The band whose median absolute coefficient gives :math:`\hat\sigma`: the highest, or each
        its own.

    Returns
    -------
    list of ndarray
    """
    sources = bands[1:] if noise == "level" else [bands[-1]] * (len(bands) - 1)
    factor = np.sqrt(2 * np.log(n_times)) / MAD_OF_STANDARD_NORMAL
    shrunk = [bands[0]]
    for band, source in zip(bands[1:], sources, strict=True):
        threshold = factor * np.median(np.abs(source), axis=-1, keepdims=True)
        shrunk.append(RULES[rule](band, threshold).astype(band.dtype, copy=False))
    return shrunk


def _soft(c: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    return np.sign(c) * np.maximum(np.abs(c) - threshold, 0)


def _hard(c: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    return np.where(np.abs(c) > threshold, c, 0)


def _garrote(c: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    kept = np.abs(c) > threshold
    return np.where(kept, c - threshold**2 / np.where(kept, c, 1), 0)


RULES = {"soft": _soft, "hard": _hard, "garrote": _garrote}
