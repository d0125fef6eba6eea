"""The stationary (undecimated) wavelet transform."""

from __future__ import annotations

import numpy as np
import pywt
import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features
from ._circular_filters import CircularFilters
from ._dwt import check_level, check_wavelet, positions
from ._filter_bank import filter_properties

__all__ = ["StationaryWavelet"]


class StationaryWavelet(Basis):
    r"""Stationary wavelet transform: every band at every sample, of a circular signal.

    Starting from :math:`a_0 = x`, filters of length :math:`F` are spread instead of samples left
    out,

    .. math::

        a_{j+1}[t] = \frac{1}{\sqrt 2} \sum_m h[m] \, a_j[t + 2^j (F/2 - m)], \qquad
        d_{j+1}[t] = \frac{1}{\sqrt 2} \sum_m g[m] \, a_j[t + 2^j (F/2 - m)] ,

    with all indices modulo :math:`n`. A shift of the signal shifts the coefficients. They are in
    the order :math:`(a_J, d_J, \dots, d_1)`, :math:`n` each, and equal
    ``pywt.swt(..., norm=True, trim_approx=True)`` where that is defined, for lengths that
    :math:`2^J` divides; here any length will do. With an orthogonal wavelet the energy is kept.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.
    wavelet : str or pywt.Wavelet, default="db4"
        A discrete wavelet: a name from ``pywt.wavelist(kind="discrete")`` or an object.
    level : int, default=None
        Number of levels :math:`J`, from 0 (the identity) to :math:`\lceil \log_2 n \rceil`. None
        takes ``pywt.dwt_max_level``, but at least 1 where there are 2 samples or more.

    Attributes
    ----------
    bands : dict of str to slice
        Where each band's coefficients are, in their order: ``"a3"``, ``"d3"``, ``"d2"``, ``"d1"``.
    level : int
        Number of levels.
    wavelet : str
        Name of the wavelet.
    frame_bounds : tuple of float
        Least and greatest gain of energy; ``(1.0, 1.0)`` for an orthogonal wavelet.

    See Also
    --------
    DWT : No redundancy, and no invariance to shifts.

    Notes
    -----
    Synthesis averages over all shifts of the decimated transform's. Like `DWT` it is not exact
    for ``"dmey"``, whose filters are truncated. Convolutions are products of spectra.

    References
    ----------
    .. [1] G. P. Nason and B. W. Silverman, "The stationary wavelet transform and some statistical
       applications", in Wavelets and Statistics, Lecture Notes in Statistics 103, 281-299,
       Springer, 1995.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import StationaryWavelet
    >>> basis = StationaryWavelet(6, wavelet="haar", level=1)
    >>> x = torch.tensor([0.0, 0.0, 4.0, 4.0, 0.0, 0.0])
    >>> (basis.analysis(x)[basis.bands["d1"]].round(decimals=4) + 0.0).tolist()
    [0.0, -2.0, 0.0, 2.0, 0.0, 0.0]
    >>> basis.frame_bounds
    (1.0, 1.0)
    """

    def __init__(
        self,
        n_features: int,
        wavelet: str | pywt.Wavelet = "db4",
        level: int | None = None,
    ) -> None:
        n = check_n_features(n_features)
        filters = check_wavelet(wavelet)
        level = check_level(level, n, filters.dec_len)
        exact, _ = filter_properties(filters)
        super().__init__(
            n, _layout(n, filters, level), is_orthogonal=not level, is_invertible=not level or exact
        )
        self.wavelet, self.level = filters.name, level
        names = [f"a{level}", *(f"d{j}" for j in range(level, 0, -1))]
        self.bands = {name: slice(i * n, (i + 1) * n) for i, name in enumerate(names)}
        half = filters.dec_len // 2
        forth = _responses(n, filters.dec_lo, filters.dec_hi, half, level)
        back = _responses(n, filters.rec_lo, filters.rec_hi, half - 1, level)
        self._filters = CircularFilters(n, forth, back)
        self.frame_bounds = self._filters.frame_bounds

    def _analysis(self, x: Tensor) -> Tensor:
        return self._filters.analysis(x)

    def _synthesis(self, c: Tensor) -> Tensor:
        return self._filters.synthesis(c)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}, wavelet={self.wavelet!r}, level={self.level}"


def _responses(n: int, low: list[float], high: list[float], centre: int, level: int) -> np.ndarray:
    """Responses of (a_J, d_J, ..., d_1) at the frequencies of a signal of length n."""
    bands = [np.ones(n // 2 + 1, dtype=complex)]
    lag = np.arange(len(low)) - centre
    for j in range(level):
        # Reduced modulo n in integers: the angle is as good for long filters as for short ones.
        turns = (np.outer(np.arange(n // 2 + 1), lag * 2**j) % n) / n
        waves = np.exp(-2j * np.pi * turns) / np.sqrt(2)
        smooth = bands[0]
        bands[:1] = [smooth * (waves @ np.array(low)), smooth * (waves @ np.array(high))]
    return np.array(bands)


def _layout(n: int, wavelet: pywt.Wavelet, level: int) -> Layout:
    low, high = np.array(wavelet.dec_lo), np.array(wavelet.dec_hi)
    scaling, offset = np.ones(1), 0
    places: list[np.ndarray] = []
    frequencies, scales = [0.25 / 2**level], [level]
    for j in range(1, level + 1):
        spread = np.zeros((2, (wavelet.dec_len - 1) * 2 ** (j - 1) + 1))
        spread[:, :: 2 ** (j - 1)] = low, high
        offset += wavelet.dec_len // 2 * 2 ** (j - 1)
        detail, scaling = np.convolve(scaling, spread[1]), np.convolve(scaling, spread[0])
        places.insert(0, positions(detail, offset, 1, n, n, "periodization"))
        frequencies.insert(1, 0.75 / 2**j)
        scales.insert(1, j)
    places.insert(0, positions(scaling, offset, 1, n, n, "periodization"))
    return Layout.make(
        len(scales) * n,
        frequency=torch.tensor(frequencies).repeat_interleave(n),
        scale=torch.tensor(scales).repeat_interleave(n),
        position=torch.from_numpy(np.concatenate(places)),
    )
