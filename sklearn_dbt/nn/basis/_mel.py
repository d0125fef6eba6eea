"""Short-time spectra pooled by a mel filter bank, linearly."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ._base import Basis, Layout, check_n_features
from ._stft import STFT, check_n_fft

__all__ = ["Mel"]

# More filters than this are not taken unless they are asked for.
_MANY = 40


class Mel(Basis):
    r"""Short-time Fourier coefficients pooled by triangles on the mel scale.

    .. math::

        c_{b, j} = \sum_k M_{b k} \, C_{k, j}, \qquad S(c) = \mathrm{STFT}^* (M^+ c),
        \qquad \mathrm{mel}(f) = 2595 \log_{10}(1 + f / 700) ,

    where :math:`C` are the coefficients of `STFT` and row :math:`M_b` is a triangle from one to
    the next but one of equidistant points on the mel scale, of unit norm. Unlike a mel spectrogram
    this is linear: the weights act on complex coefficients, whose phases are those at the middle
    of each frame. It is not invertible: the mean, and what differs between frequencies of one
    filter, is not seen. With the pseudo-inverse :math:`M^+` the map :math:`S T` is self-adjoint
    with eigenvalues in [0, 1], so what dropout passes, :math:`x - S(T(x))`, has no more energy
    than the signal.

    Parameters
    ----------
    n_features : int
        Length of the signals in samples, at least 1.
    sampling_rate : float
        Samples per second in Hz.
    n_mels : int, default=None
        Number of filters, each of which must have a frequency of the Fourier transform. None takes
        half as many as there are frequencies in the band, at most 40, or as many as can be had.
    f_min : float, default=0.0
        Lower edge of the lowest filter in Hz.
    f_max : float, default=None
        Upper edge of the highest filter in Hz. None takes half of `sampling_rate`.
    window_length : int, default=None
        Length of the window in samples; see `STFT`.
    hop : int, default=None
        Samples from one frame to the next; see `STFT`.
    n_fft : int, default=None
        Length of the Fourier transforms. None takes the window's, at least 4.
    window : str, tuple or array of shape (window_length,), default="hann"
        Window; see `STFT`.

    Attributes
    ----------
    n_mels, n_frames : int
        Coefficients are the rows of a matrix of filters by frames, one after the other.
    sampling_rate, f_min, f_max : float
        As given, in Hz.
    stft : STFT
        The transform that is pooled.

    Raises
    ------
    ValueError
        If a number is out of its range, or a filter has no frequency of the Fourier transform.

    References
    ----------
    .. [1] S. S. Stevens, J. Volkmann and E. B. Newman, "A scale for the measurement of the
       psychological magnitude pitch", Journal of the Acoustical Society of America 8(3),
       185-190, 1937.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Mel
    >>> basis = Mel(2048, sampling_rate=16000.0, n_mels=20, n_fft=512)
    >>> (basis.layout.frequency[:: basis.n_frames] * 16000.0)[:3].round().tolist()
    [89.0, 190.0, 303.0]
    >>> basis.is_invertible
    False
    """

    _pool: Tensor
    _spread: Tensor

    def __init__(
        self,
        n_features: int,
        sampling_rate: float,
        n_mels: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        window_length: int | None = None,
        hop: int | None = None,
        n_fft: int | None = None,
        window: str | tuple | ArrayLike = "hann",
    ) -> None:
        f_max = _check_band(sampling_rate, f_min, f_max)
        stft = STFT(n_features, window_length, hop, None, window)
        n_fft = max(stft.n_fft, 4) if n_fft is None else check_n_fft(n_fft, stft.window_length)
        if n_fft != stft.n_fft:
            stft = STFT(n_features, window_length, hop, n_fft, window)
        bins = np.arange(stft.n_frequencies) * (sampling_rate / n_fft)
        filters, centres = _filters(bins, f_min, f_max, n_mels)
        frames = stft.n_frames
        layout = Layout.make(
            len(filters) * frames,
            frequency=torch.from_numpy(centres / sampling_rate).repeat_interleave(frames),
            position=stft.layout.position[:frames].repeat(len(filters)),
            # No filter holds the mean or the Nyquist frequency: all stand for their conjugates.
            weight=torch.full((len(filters) * frames,), 2.0),
        )
        super().__init__(stft.n_features, layout, is_complex=True, is_invertible=False)
        self.stft, self.n_mels, self.n_frames = stft, len(filters), frames
        self.sampling_rate, self.f_min, self.f_max = float(sampling_rate), float(f_min), f_max
        self.register_buffer("_pool", torch.from_numpy(filters), persistent=False)
        inverse = np.ascontiguousarray(np.linalg.pinv(filters))
        self.register_buffer("_spread", torch.from_numpy(inverse), persistent=False)

    def _analysis(self, x: Tensor) -> Tensor:
        c = self.stft.analysis(x).unflatten(-1, (self.stft.n_frequencies, self.n_frames))
        return (self._pool.to(c.dtype) @ c).flatten(-2)

    def _synthesis(self, c: Tensor) -> Tensor:
        c = c.unflatten(-1, (self.n_mels, self.n_frames))
        return self.stft.synthesis((self._spread.to(c.dtype) @ c).flatten(-2))

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}, sampling_rate={self.sampling_rate:g}, n_mels={self.n_mels}"


def _check_band(sampling_rate: float, f_min: float, f_max: float | None) -> float:
    if not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise ValueError(f"sampling_rate must be positive, in Hz, got {sampling_rate}.")
    f_max = sampling_rate / 2 if f_max is None else float(f_max)
    if not 0 <= f_min < f_max <= sampling_rate / 2:
        raise ValueError(
            f"f_min and f_max must satisfy 0 <= f_min < f_max <= {sampling_rate / 2:g} Hz, got "
            f"f_min={f_min}, f_max={f_max}."
        )
    return f_max


def _filters(
    bins: np.ndarray, f_min: float, f_max: float, n_mels: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles over the bins, of unit norm, and their centres in Hz."""
    if n_mels is None:
        inside = int(((bins > f_min) & (bins < f_max)).sum())
        candidates = range(min(_MANY, (inside + 1) // 2), 0, -1)
    else:
        count = check_n_features(n_mels, "n_mels")
        candidates = range(count, count - 1, -1)
    for count in candidates:
        filters, centres = _triangles(bins, f_min, f_max, count)
        if (norms := np.linalg.norm(filters, axis=1)).all():
            return filters / norms[:, None], centres
    asked = "n_mels" if n_mels is None else f"n_mels={n_mels}"
    raise ValueError(
        f"{asked}: between {f_min:g} and {f_max:g} Hz a mel filter has none of the frequencies of "
        f"the Fourier transform, {bins[1]:.4g} Hz apart; take fewer filters, a wider band or a "
        "larger n_fft."
    )


def _triangles(
    bins: np.ndarray, f_min: float, f_max: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    low, high = (2595 * math.log10(1 + f / 700) for f in (f_min, f_max))
    edges = 700 * (10 ** (np.linspace(low, high, count + 2) / 2595) - 1)
    left, centre, right = (edges[i : i + count, None] for i in range(3))
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    inside = (bins > f_min) & (bins < f_max)  # not what rounding leaves at the edges
    return np.clip(np.minimum(rising, falling), 0, None) * inside, edges[1:-1]
