"""Gabor frames: short-time spectra with a Gaussian window."""

from __future__ import annotations

import math

import numpy as np

from ._base import check_n_features
from ._stft import TimeFrequency, check_n_fft, overlapped_energy

__all__ = ["Gabor"]


class Gabor(TimeFrequency):
    r"""Gabor frame: shifts and modulations of one Gaussian.

    .. math::

        c_{k, j} = \frac{1}{\sqrt{M}} \sum_m g[m] \, x[j h + m] \, e^{-2 \pi i k m / M},
        \qquad g[m] \propto e^{-m^2 / 2 \sigma^2}, \qquad -M/2 \le m < M/2 ,

    for a circular signal, after zeros that complete its last hop. The Gaussian is cut where the
    Fourier transform ends, so that the frame operator is the diagonal
    :math:`D[t] = \sum_j g[t - j h]^2`, and the inverse is exact either way:

    - `tight`: the window of analysis and synthesis is the canonical tight :math:`g / \sqrt D`,
      nearly a Gaussian, and the energy is kept;
    - else analysis has the Gaussian itself and synthesis its canonical dual :math:`g / D`.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.
    width : float, default=None
        Standard deviation :math:`\sigma` of the Gaussian in samples. None takes
        :math:`\sqrt{n / 2 \pi}`, for which the Gaussian is its own Fourier transform.
    hop : int, default=None
        Samples :math:`h` from one frame to the next, at most `n_fft`. None takes
        :math:`2 \sigma`, rounded down, at least 1.
    n_fft : int, default=None
        Length :math:`M` of the Fourier transforms and of the window. None takes 8 :math:`\sigma`,
        rounded up to an even number.
    tight : bool, default=True
        Whether the window is made tight.

    Attributes
    ----------
    width : float
        Standard deviation in samples.
    window_length, hop, n_fft : int
        As given, or as chosen; the window is as long as the Fourier transform.
    n_frequencies, n_frames : int
        Coefficients are the rows of a matrix of frequencies by frames, one after the other.
    frame_bounds : tuple of float
        Least and greatest gain of energy, those of :math:`D`; ``(1.0, 1.0)`` where tight. The
        Gaussian is scaled so that the mean of :math:`D` is 1.

    Raises
    ------
    ValueError
        If a number is out of its range.

    See Also
    --------
    STFT : With any window.

    References
    ----------
    .. [1] H. G. Feichtinger and T. Strohmer (editors), "Gabor Analysis and Algorithms",
       Birkhäuser, 1998.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Gabor
    >>> basis = Gabor(64, width=4.0, hop=8, tight=False)
    >>> low, high = basis.frame_bounds
    >>> round(low, 3), round(high, 3)
    (0.83, 1.17)
    >>> x = torch.randn(64, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-5)
    True
    """

    def __init__(
        self,
        n_features: int,
        width: float | None = None,
        hop: int | None = None,
        n_fft: int | None = None,
        tight: bool = True,
    ) -> None:
        n = check_n_features(n_features)
        width = math.sqrt(n / (2 * math.pi)) if width is None else float(width)
        if not (math.isfinite(width) and width > 0):
            raise ValueError(f"width must be a positive number of samples, got {width}.")
        hop = check_n_features(max(int(2 * width), 1) if hop is None else hop, "hop")
        n_fft = check_n_fft(2 * math.ceil(4 * width) if n_fft is None else n_fft, 1)
        window = np.exp(-0.5 * ((np.arange(n_fft) - n_fft // 2) / width) ** 2)
        energy = overlapped_energy(window, hop)
        if energy.min() <= 1e-10 * energy.max():
            raise ValueError(
                f"Gabor: Gaussians of width {width:.4g} over n_fft={n_fft} samples every "
                f"hop={hop} samples leave samples unseen; take a smaller hop."
            )
        gain = energy[np.arange(n_fft) % hop]
        scale = math.sqrt(energy.mean())
        forth, back = (window / np.sqrt(gain),) * 2 if tight else (window / scale, window / gain)
        super().__init__(n, forth, back if tight else back * scale, hop, n_fft)
        self.width, self.tight = width, bool(tight)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        choices = f"hop={self.hop}, n_fft={self.n_fft}, tight={self.tight}"
        return f"{self.n_features}, width={self.width:.4g}, {choices}"
