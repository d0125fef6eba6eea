"""The short-time Fourier transform of a circular signal, and the core that its kin share."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.signal import get_window
from torch import Tensor

from ._base import Basis, Layout, check_n_features

__all__ = ["STFT", "TimeFrequency", "overlapped_energy"]


class TimeFrequency(Basis):
    """Spectra of windowed frames of a circular signal: the core of `STFT` and `Gabor`.

    Frame j is centred at sample j · hop, and that sample is time 0 of its phases. The signal is
    padded with zeros to a multiple of the hop and then circular. Since no window is longer than
    the spectrum, the frame operator is diagonal: sample t gains the energy of the windows over it.
    """

    _window: Tensor
    _dual: Tensor

    def __init__(self, n: int, window: np.ndarray, dual: np.ndarray, hop: int, n_fft: int) -> None:
        n_frames = -(-n // hop)
        k = torch.arange(n_fft // 2 + 1)
        weight = torch.where((k == 0) | (2 * k == n_fft), 1.0, 2.0)
        position = hop * torch.arange(n_frames, dtype=torch.float64)
        layout = Layout.make(
            len(k) * n_frames,
            frequency=(k.double() / n_fft).repeat_interleave(n_frames),
            position=position.repeat(len(k)),
            weight=weight.repeat_interleave(n_frames),
        )
        gain = overlapped_energy(window, hop)[(np.arange(min(n, hop)) + len(window) // 2) % hop]
        bounds = (float(gain.min()), float(gain.max()))
        is_tight = max(abs(bounds[0] - 1), abs(bounds[1] - 1)) < 1e-12
        super().__init__(
            n, layout, is_complex=True, is_orthogonal=is_tight and n_fft * n_frames == n
        )
        self.frame_bounds = (1.0, 1.0) if is_tight else bounds
        self.window_length, self.hop, self.n_fft = len(window), hop, n_fft
        self.n_frames, self.n_frequencies = n_frames, len(k)
        self.register_buffer("_window", torch.from_numpy(window), persistent=False)
        self.register_buffer("_dual", torch.from_numpy(dual), persistent=False)

    def _analysis(self, x: Tensor) -> Tensor:
        lead = self.window_length // 2
        x = torch.nn.functional.pad(x, (0, self.n_frames * self.hop - self.n_features))
        blocks = x.roll(lead, -1).unflatten(-1, (self.n_frames, self.hop))
        # A frame is its block of `hop` samples and those that follow.
        frames = torch.cat([blocks.roll(-q, -2) for q in range(self._n_blocks)], dim=-1)
        frames = frames[..., : self.window_length] * self._window.to(x.dtype)
        frames = torch.nn.functional.pad(frames, (0, self.n_fft - self.window_length))
        return torch.fft.rfft(frames.roll(-lead, -1), norm="ortho").mT.flatten(-2)

    def _synthesis(self, c: Tensor) -> Tensor:
        lead = self.window_length // 2
        spectra = c.unflatten(-1, (self.n_frequencies, self.n_frames)).mT
        frames = torch.fft.irfft(spectra, n=self.n_fft, norm="ortho").roll(lead, -1)
        frames = frames[..., : self.window_length] * self._dual.to(frames.dtype)
        frames = torch.nn.functional.pad(
            frames, (0, self._n_blocks * self.hop - self.window_length)
        )
        blocks = frames.unflatten(-1, (self._n_blocks, self.hop)).unbind(-2)
        added = sum((block.roll(q, -2) for q, block in enumerate(blocks)), blocks[0].new_zeros(()))
        return added.flatten(-2).roll(-lead, -1)[..., : self.n_features]

    @property
    def _n_blocks(self) -> int:
        return -(-self.window_length // self.hop)


class STFT(TimeFrequency):
    r"""Short-time Fourier transform whose window is made tight, so that it keeps the energy.

    .. math::

        c_{k, j} = \frac{1}{\sqrt{M}} \sum_m w[m] \, x[j h + m] \, e^{-2 \pi i k m / M},
        \qquad
        w[m] = v[m] \Big/ \sqrt{\textstyle\sum_q v[m + q h]^2} ,

    with the given window :math:`v` of :math:`L` samples, centred at 0, the hop :math:`h` and
    :math:`M \ge L` frequencies. The signal is circular, after zeros that complete its last hop.
    With the layout's weights Parseval's identity holds exactly, whatever the redundancy
    :math:`M / h`, and the adjoint is the inverse.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.
    window_length : int, default=None
        Length :math:`L` of the window in samples. None takes the length of a given window, else
        the power of two from :math:`2 \sqrt n` up, at most :math:`n`.
    hop : int, default=None
        Samples :math:`h` from one frame to the next, at most `window_length`. None takes half of
        the window, rounded down, at least 1.
    n_fft : int, default=None
        Length :math:`M` of the Fourier transforms, at least `window_length`. None takes that.
    window : str, tuple or array of shape (window_length,), default="hann"
        Window :math:`v`: its name or (name, parameters) as `scipy.signal.get_window` takes them,
        or its samples.

    Attributes
    ----------
    window_length, hop, n_fft : int
        As given, or as chosen.
    n_frequencies, n_frames : int
        Coefficients are the rows of a matrix of frequencies by frames, one after the other.
    frame_bounds : tuple of float
        ``(1.0, 1.0)``: the energy is kept.

    Raises
    ------
    ValueError
        If a length is out of its range, or the windows leave a sample unseen.

    See Also
    --------
    Gabor : With a Gaussian window.
    Mel : Pooled over the frequencies of the mel scale.

    References
    ----------
    .. [1] I. Daubechies, A. Grossmann and Y. Meyer, "Painless nonorthogonal expansions", Journal
       of Mathematical Physics 27(5), 1271-1283, 1986.
    .. [2] K. Gröchenig, "Foundations of Time-Frequency Analysis", Birkhäuser, 2001.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import STFT
    >>> basis = STFT(100, window_length=16, hop=8)
    >>> x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    >>> c = basis.analysis(x)
    >>> c.unflatten(-1, (basis.n_frequencies, basis.n_frames)).shape
    torch.Size([9, 13])
    >>> torch.allclose(basis.synthesis(c), x, atol=1e-5)
    True
    """

    def __init__(
        self,
        n_features: int,
        window_length: int | None = None,
        hop: int | None = None,
        n_fft: int | None = None,
        window: str | tuple | ArrayLike = "hann",
    ) -> None:
        n = check_n_features(n_features)
        shape = _window(window, window_length, n)
        hop = check_n_features(max(len(shape) // 2, 1) if hop is None else hop, "hop")
        n_fft = check_n_fft(n_fft, len(shape))
        energy = overlapped_energy(shape, hop)
        if energy.min() <= 1e-10 * energy.max():
            raise ValueError(
                f"STFT: windows of {len(shape)} samples every hop={hop} samples leave samples "
                "unseen; take a smaller hop or another window."
            )
        tight = shape / np.sqrt(energy[np.arange(len(shape)) % hop])
        super().__init__(n, tight, tight, hop, n_fft)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}, {self.window_length}, hop={self.hop}, n_fft={self.n_fft}"


def overlapped_energy(window: np.ndarray, hop: int) -> np.ndarray:
    """Energy of all the shifts of a window by multiples of the hop, at samples 0 to hop - 1."""
    padded = np.pad(window**2, (0, -len(window) % hop))
    return padded.reshape(-1, hop).sum(0)


def check_n_fft(n_fft: int | None, window_length: int) -> int:
    """Length of the Fourier transform, at least that of the window."""
    if n_fft is None:
        return window_length
    if (value := check_n_features(n_fft, "n_fft")) < window_length:
        raise ValueError(f"n_fft must be at least {window_length}, the window, got {value}.")
    return value


def _window(window: str | tuple | ArrayLike, length: int | None, n: int) -> np.ndarray:
    if length is not None:
        length = check_n_features(length, "window_length")
    if isinstance(window, str | tuple):
        if length is None:
            length = min(n, 2 ** math.ceil(math.log2(2 * math.sqrt(n))))
        return np.asarray(get_window(window, length), dtype=float)
    shape = np.array(window, dtype=float)
    if shape.ndim != 1 or length not in (None, len(shape)) or not np.isfinite(shape).all():
        expected = "(window_length,)" if length is None else f"({length},)"
        raise ValueError(
            f"window must be a name or finite samples of shape {expected}, got {shape.shape}."
        )
    return shape
