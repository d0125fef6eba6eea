"""Bands at every sample: circular filters of the stationary and the continuous transform."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pywt
import scipy.fft
import torch

from sklearn_dbt.feature_extraction._wavelet_bands import (
    BandTransform,
    Coefficients,
    DiscreteTransform,
    filter_bank,
)
from sklearn_dbt.nn import CWT

#: Wavelets of the continuous transform, and whether they are analytic: their coefficients complex.
CONTINUOUS_WAVELETS = {"morlet": True, "mexican_hat": False}


class CircularTransform(BandTransform):
    """Each band is one circular convolution of the signal, and so is its way back."""

    #: Whether bands are analytic signals, each of which stands for its conjugate too.
    is_analytic = False

    @abstractmethod
    def kernels(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Transfer functions of analysis and synthesis, (n_bands, n // 2 + 1) each."""

    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        n, spectrum = x.shape[-1], scipy.fft.rfft(x)
        invert = scipy.fft.ifft if self.is_analytic else scipy.fft.irfft
        kernels, _ = self.kernels(n)
        return [invert(spectrum * k.astype(spectrum.dtype), n) for k in kernels]

    def synthesis(self, bands: Sequence[Coefficients], n_times: int) -> np.ndarray:
        n = next(band.shape[-1] for band in bands if band is not None)
        _, kernels = self.kernels(n)
        spectrum = 0
        for band, kernel in zip(bands, kernels, strict=True):
            if band is not None:
                part = scipy.fft.fft(band) if self.is_analytic else scipy.fft.rfft(band)
                spectrum = spectrum + part[..., : n // 2 + 1] * kernel.astype(part.dtype)
        return scipy.fft.irfft(spectrum, n)[..., :n_times]


class StationaryTransform(CircularTransform, DiscreteTransform):
    """Stationary transform: the bands of the discrete one at every sample, so it does not shift.

    Recordings whose length is no multiple of ``2**level`` are extended at their end by the
    boundary mode; the transform itself is periodic. Kernels are PyWavelets' results for a unit
    impulse. (``pywt.iswt`` averages over all ``2**level`` shifts of a discrete transform instead.)
    """

    def kernels(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        return _stationary_kernels(filter_bank(self.wavelet), self.level, n)

    def analysis(self, x: np.ndarray) -> list[np.ndarray]:
        missing = -x.shape[-1] % 2**self.level
        return super().analysis(self._extended(x, missing) if missing else x)

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
def _stationary_kernels(filters: tuple, level: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    wavelet = pywt.Wavelet("given", filter_bank=filters)
    impulse = np.zeros(n)
    impulse[0] = 1
    analysis = np.stack(pywt.swt(impulse, wavelet, level, trim_approx=True))
    # Row b has its impulse in band b.
    impulses = list(np.eye(level + 1)[:, :, None] * impulse)
    synthesis = pywt.iswt(impulses, wavelet, axis=-1)
    return scipy.fft.rfft(analysis), scipy.fft.rfft(synthesis)


@dataclass(frozen=True)
class ContinuousTransform(CircularTransform):
    r"""Continuous transform: `n_voices` bands an octave, and one for what lies below them all.

    The wavelets peak at :math:`f_i = 2^{-(i + 1/2) / v - 1}` cycles per sample, midway (in
    octaves) between the edges of their bands. Each band is scaled so that white noise of variance
    1 has coefficients of mean square 1, as in an orthogonal transform. Always periodic.
    """

    n_voices: int = 4

    @property
    def is_analytic(self) -> bool:  # type: ignore[override]
        return CONTINUOUS_WAVELETS[str(self.wavelet)]

    @property
    def names(self) -> list[str]:
        return [f"a{self.level}", *(f"s{i}" for i in range(self.level * self.n_voices, 0, -1))]

    @property
    def edges(self) -> np.ndarray:
        upper = 0.5 ** (1 + np.arange(self.level * self.n_voices, -1, -1) / self.n_voices)
        return np.column_stack([[0.0, *upper[:-1]], upper])

    def kernels(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        return _continuous_kernels(str(self.wavelet), self.level, self.n_voices, n)


@lru_cache(maxsize=16)
def _continuous_kernels(
    wavelet: str, level: int, n_voices: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    f_max, octaves = 0.5 ** (1 + 0.5 / n_voices), level - 1 / n_voices
    basis = CWT(n, wavelet, n_voices, f_max * 0.5**octaves, f_max).double()
    impulse = torch.zeros(n, dtype=torch.float64)
    impulse[0] = 1
    bands = basis.analysis(impulse).numpy().reshape(-1, n)
    responses = scipy.fft.fft(bands)[:, : n // 2 + 1].real
    duals = responses / np.square(responses).sum(axis=0)
    # Mean square of the coefficients of white noise; a band may miss all frequencies there are.
    gain = np.sqrt(np.square(np.abs(bands)).sum(axis=-1, keepdims=True))
    gain[gain < 1e-12 * gain.max()] = 1
    return responses / gain, duals * gain
