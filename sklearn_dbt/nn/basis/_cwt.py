"""The continuous wavelet transform at geometric scales, of a circular signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features
from ._circular_filters import CircularFilters

__all__ = ["CWT"]

_CENTRE = 6.0  # of the Morlet wavelet, radians per scale


def _morlet(omega: np.ndarray) -> np.ndarray:
    # The second term takes the mean away, without which it is no wavelet.
    bump = np.exp(-0.5 * (omega - _CENTRE) ** 2) - np.exp(-0.5 * (omega**2 + _CENTRE**2))
    return np.where(omega > 0, bump, 0.0)


def _mexican_hat(omega: np.ndarray) -> np.ndarray:
    return omega**2 * np.exp(-0.5 * omega**2)


#: Fourier transform, its peak in radians per scale, and whether it is analytic.
_WAVELETS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, bool]] = {
    "morlet": (_morlet, _CENTRE, True),
    "mexican_hat": (_mexican_hat, math.sqrt(2), False),
}


class CWT(Basis):
    r"""Continuous wavelet transform of a circular signal, at geometric scales.

    .. math::

        \hat c_s(\omega) = \frac{1}{\sqrt T} \, \hat x(\omega) \, \hat\psi(s \omega), \qquad
        s_i = s_0 \, 2^{i / v}, \qquad
        T = \sum_{i \in \mathbb Z} \bigl| \hat\psi(\omega_\psi 2^{i / v}) \bigr|^2 ,

    with :math:`v` scales per octave and the peak :math:`\omega_\psi` of :math:`\hat\psi`. Scales
    are named by the frequency of their peak, :math:`f_i = \omega_\psi / 2 \pi s_i`. The wavelets:

    - Morlet, :math:`\hat\psi(\omega) = e^{-(\omega - 6)^2 / 2} - e^{-(\omega^2 + 36) / 2}` for
      :math:`\omega > 0`, analytic: complex coefficients, which stand for their conjugates too;
    - Mexican hat, :math:`\hat\psi(\omega) = \omega^2 e^{-\omega^2 / 2}`, real.

    What lies below the lowest frequency is one more band, the root of the energy of all the scales
    beyond the last, :math:`\hat\varphi(\omega)^2 = \sum_{s > s_J} |\hat\psi(s \omega)|^2`.
    Synthesis is by the canonical dual, a division of spectra by the gain of energy
    :math:`G(\omega) = \sum_s |\hat c_s / \hat x|^2`, and exact where that is positive.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.
    wavelet : {"morlet", "mexican_hat"}, default="morlet"
        The wavelet :math:`\psi`.
    n_voices : int, default=4
        Scales per octave :math:`v`.
    f_min : float, default=None
        Lowest frequency of a peak, in cycles per sample. None takes :math:`2 / n`, at most
        `f_max`.
    f_max : float, default=0.4
        Frequency of the finest scale's peak, in cycles per sample.
    lowpass : bool, default=True
        Whether there is a band for what lies below. Without it the mean is not seen, and the
        basis is not invertible.

    Attributes
    ----------
    frequencies : Tensor of shape (n_scales,)
        Peaks of the wavelets in cycles per sample, in the order of their bands: the coarsest
        first. Coefficients are the low-pass band, if any, and these, `n_features` each.
    frame_bounds : tuple of float
        Least and greatest gain of energy :math:`G` over the frequencies of the signal.
    wavelet : str
        Name of the wavelet.
    n_voices : int
        Scales per octave.
    lowpass : bool
        Whether there is a low-pass band.

    Raises
    ------
    ValueError
        If the wavelet is unknown or a number is out of its range.

    See Also
    --------
    StationaryWavelet : One scale per octave, keeping the energy.

    Notes
    -----
    A frequency whose gain is less than a millionth of the greatest counts as not seen: synthesis
    leaves it out, and `is_invertible` is False. An analytic band shares the mean and the Nyquist
    frequency with its conjugate: its response is divided by :math:`\sqrt 2` there, so that
    :math:`G` is smooth. In the layout scale 1 is the finest, and the low-pass band has the scale
    and half of the frequency of the coarsest.

    References
    ----------
    .. [1] C. Torrence and G. P. Compo, "A practical guide to wavelet analysis", Bulletin of the
       American Meteorological Society 79(1), 61-78, 1998.
    .. [2] S. Mallat, "A Wavelet Tour of Signal Processing", 3rd edition, chapters 4 and 5,
       Academic Press, 2009.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import CWT
    >>> basis = CWT(100, n_voices=2, f_min=0.1)
    >>> basis.frequencies.round(decimals=3).tolist()
    [0.1, 0.141, 0.2, 0.283, 0.4]
    >>> x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    >>> basis.analysis(x).unflatten(-1, (-1, 100)).shape
    torch.Size([6, 100])
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-5)
    True
    """

    frequencies: Tensor

    def __init__(
        self,
        n_features: int,
        wavelet: str = "morlet",
        n_voices: int = 4,
        f_min: float | None = None,
        f_max: float = 0.4,
        lowpass: bool = True,
    ) -> None:
        n = check_n_features(n_features)
        if wavelet not in _WAVELETS:
            names = ", ".join(repr(name) for name in _WAVELETS)
            raise ValueError(f"wavelet must be one of {names}; got {wavelet!r}.")
        v = check_n_features(n_voices, "n_voices")
        f_min = _check_band(f_min, f_max, n)
        # A peak that rounding puts below f_min is still one of those asked for.
        peaks = f_max * 2.0 ** (-np.arange(int(v * math.log2(f_max / f_min) + 1e-9) + 1) / v)
        analytic = _WAVELETS[wavelet][2]
        responses = _responses(n, wavelet, v, peaks, bool(lowpass))
        bank = CircularFilters(n, responses, analytic=analytic)
        super().__init__(
            n,
            _layout(n, peaks, bool(lowpass), 2.0 if analytic else 1.0),
            is_complex=analytic,
            is_invertible=bank.sees_all,
        )
        self._filters = bank
        self.frame_bounds = bank.frame_bounds
        self.wavelet, self.n_voices, self.lowpass = wavelet, v, bool(lowpass)
        self.register_buffer("frequencies", torch.from_numpy(peaks[::-1].copy()), persistent=False)

    def _analysis(self, x: Tensor) -> Tensor:
        return self._filters.analysis(x)

    def _synthesis(self, c: Tensor) -> Tensor:
        return self._filters.synthesis(c)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        choices = f"wavelet={self.wavelet!r}, n_voices={self.n_voices}, lowpass={self.lowpass}"
        return f"{self.n_features}, {choices}"


def _check_band(f_min: float | None, f_max: float, n: int) -> float:
    low = min(2 / n, f_max) if f_min is None else f_min
    if not 0 < low <= f_max <= 0.5:
        raise ValueError(
            "f_min and f_max must satisfy 0 < f_min <= f_max <= 0.5 cycles per sample, got "
            f"f_min={f_min}, f_max={f_max}."
        )
    return low


def _responses(n: int, wavelet: str, v: int, peaks: np.ndarray, lowpass: bool) -> np.ndarray:
    """Low-pass band, if any, and wavelets from the coarsest on, at the signal's frequencies."""
    transform, centre, analytic = _WAVELETS[wavelet]
    frequency = np.arange(n // 2 + 1) / n
    bands = transform(centre * frequency / peaks[::-1, None])
    total = (transform(centre * 2.0 ** (np.arange(-20 * v, 20 * v) / v)) ** 2).sum()
    if lowpass:
        # Scales beyond the last until the first of the signal's frequencies is far above them.
        more = 1 + math.ceil(v * math.log2(max(n * peaks[-1], 1.0) * 64))
        beyond = peaks[-1] * 2.0 ** (-np.arange(1, more) / v)
        rest = (transform(centre * frequency / beyond[:, None]) ** 2).sum(0)
        rest[0] = total
        bands = np.concatenate([np.sqrt(rest)[None], bands])
    if analytic:
        k = np.arange(n // 2 + 1)
        bands = np.where((k == 0) | (2 * k == n), bands / math.sqrt(2), bands)
    return bands / math.sqrt(total)


def _layout(n: int, peaks: np.ndarray, lowpass: bool, weight: float) -> Layout:
    frequencies, scales = list(peaks[::-1]), list(range(len(peaks), 0, -1))
    if lowpass:
        frequencies, scales = [peaks[-1] / 2, *frequencies], [len(peaks), *scales]
    size = len(scales) * n
    return Layout.make(
        size,
        frequency=torch.tensor(frequencies).repeat_interleave(n),
        scale=torch.tensor(scales).repeat_interleave(n),
        position=torch.arange(n).repeat(len(scales)),
        weight=torch.full((size,), weight),
    )
