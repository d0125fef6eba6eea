"""Orthogonal wavelets that are learnt: a lattice of rotations, exactly paraunitary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
import pywt
import torch
from torch import Tensor, nn

from ._base import Basis, check_n_features
from ._dwt import DWT
from ._filter_bank import Level, filter_properties

__all__ = ["LatticeWavelet"]


class LatticeWavelet(Basis):
    r"""Periodized wavelet transform whose orthogonal filters are learnt by gradient.

    The filters' polyphase matrix is a product of rotations and delays,

    .. math::

        \begin{pmatrix} H(z) \\ G(z) \end{pmatrix}
        = R(\theta_{K-1}) \, \Lambda(z^2) \cdots R(\theta_1) \, \Lambda(z^2) \, R(\theta_0)
        \begin{pmatrix} 1 \\ z^{-1} \end{pmatrix}, \qquad
        R(\theta) = \begin{pmatrix} \cos \theta & \sin \theta \\
        -\sin \theta & \cos \theta \end{pmatrix}, \quad
        \Lambda(z) = \begin{pmatrix} 1 & \\ & z^{-1} \end{pmatrix},

    which is paraunitary whatever the angles are, and every orthogonal filter pair of length
    :math:`2 K` is such a product. So the transform stays orthogonal to rounding however its
    angles are trained, with no penalty and no projection. The low-pass filter has a zero at the
    Nyquist frequency, as a wavelet needs, if and only if the angles sum to :math:`\pi / 4`; the
    parametrisation

    .. math:: \theta_k = \phi_k + \frac{1}{K} \Bigl( \frac{\pi}{4} - \sum_j \phi_j \Bigr)

    of the angles by free ones keeps that too.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.
    angles : sequence of float or Tensor of shape (n_angles,), default=None
        The angles to start with, in radians; all are shifted alike so that they sum to
        :math:`\pi/4`. The filters have ``2 * n_angles`` taps. None takes those of ``"db4"``.
    level : int, default=None
        Number of levels, as in `DWT`.

    Attributes
    ----------
    free_angles : torch.nn.Parameter of shape (n_angles,)
        The free angles :math:`\phi`, float64 unless the module is converted.
    angles : Tensor of shape (n_angles,)
        The angles :math:`\theta`.
    filters : Tensor of shape (2, 2 * n_angles)
        Low-pass and high-pass analysis filter, float64: PyWavelets' ``dec_lo`` and ``dec_hi``.
    bands : dict of str to slice
        Where each band's coefficients are, as in `DWT`.
    level : int
        Number of levels.

    See Also
    --------
    DWT : The same transform with filters that are given.

    Notes
    -----
    Coefficients are those of `DWT` with ``mode="periodization"``. A level whose input has odd
    length repeats its last sample, so that then there are more coefficients than samples and the
    transform inverts but is not orthogonal. Positions in the layout are those of the filters to
    start with.

    References
    ----------
    .. [1] P. P. Vaidyanathan and P.-Q. Hoang, "Lattice structures for optimal design and robust
       implementation of two-channel perfect-reconstruction QMF banks", IEEE Transactions on
       Acoustics, Speech, and Signal Processing 36(1), 81-94, 1988.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DWT, LatticeWavelet
    >>> basis = LatticeWavelet.from_wavelet(32, "sym4", level=2)
    >>> x = torch.arange(32.0)
    >>> expected = DWT(32, "sym4", level=2).analysis(x)
    >>> torch.allclose(basis.analysis(x), expected, atol=1e-4)
    True
    >>> optimizer = torch.optim.SGD(basis.parameters(), lr=1e-4)
    >>> basis.analysis(x)[basis.bands["d1"]].square().sum().backward()
    >>> optimizer.step()
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-4)
    True
    """

    _analysis_taps: Tensor
    _synthesis_taps: Tensor

    def __init__(
        self,
        n_features: int,
        angles: Sequence[float] | Tensor | None = None,
        level: int | None = None,
    ) -> None:
        n = check_n_features(n_features)
        start = _angles_of(np.array(pywt.Wavelet("db4").dec_lo)) if angles is None else angles
        free = _check_angles(start)
        # The wavelet that the angles are now says lengths, bands and layout.
        low, high = _filters(_on_plane(free)).tolist()
        wavelet = pywt.Wavelet("lattice", filter_bank=[low, high, low[::-1], high[::-1]])
        fixed = DWT(n, wavelet, level)
        super().__init__(n, fixed.layout, is_orthogonal=fixed.is_orthogonal)
        self.level, self.bands = fixed.level, fixed.bands
        self.free_angles = nn.Parameter(free)
        lengths = [n]
        for _ in range(self.level):
            lengths.append((lengths[-1] + 1) // 2)
        numbered = cast(pywt.Wavelet, _numbered_taps(len(low)))
        levels = [Level(length, numbered, "periodization") for length in lengths[:-1]]
        self._levels = nn.ModuleList(levels)
        # Which tap stands where in a level's matrices, 0 for none: the same at each level.
        for name in ("_analysis", "_synthesis"):
            taps = [getattr(one, f"{name}_matrix").long() for one in levels[:1]]
            self.register_buffer(f"{name}_taps", taps[0] if taps else None, persistent=False)

    @classmethod
    def from_wavelet(
        cls, n_features: int, wavelet: str | pywt.Wavelet = "db4", level: int | None = None
    ) -> LatticeWavelet:
        """Start with an orthogonal wavelet of PyWavelets.

        Parameters
        ----------
        n_features : int
            Length of the signals in samples, at least 1.
        wavelet : str or pywt.Wavelet, default="db4"
            An orthogonal wavelet: haar, db, sym or coif of moderate length.
        level : int, default=None
            Number of levels, as in `DWT`.

        Returns
        -------
        LatticeWavelet
            Its filters equal the wavelet's to 1e-8 at least (to rounding, for short ones).

        Raises
        ------
        ValueError
            If the wavelet is not orthogonal, or so long that its angles cannot be computed to
            this precision.
        """
        if not isinstance(wavelet, pywt.Wavelet):
            if wavelet not in (names := pywt.wavelist(kind="discrete")):
                raise ValueError(
                    "wavelet must be a pywt.Wavelet or the name of an orthogonal wavelet, got "
                    f"{wavelet!r}. Names of discrete wavelets: {', '.join(names)}."
                )
            wavelet = pywt.Wavelet(wavelet)
        if not filter_properties(wavelet)[1]:
            raise ValueError(f"wavelet must be orthogonal, got {wavelet.name!r}.")
        given = np.array([wavelet.dec_lo, wavelet.dec_hi])
        angles = _angles_of(given[0])
        found = _filters(_on_plane(torch.from_numpy(angles))).numpy()
        if not (error := np.abs(found - given).max()) <= 1e-8:
            raise ValueError(
                f"the angles of the wavelet {wavelet.name!r} ({given.shape[1]} taps) give its "
                f"filters with an error of {error:.1g}; take a shorter one or another phase."
            )
        return cls(n_features, torch.from_numpy(angles), level)

    @property
    def angles(self) -> Tensor:
        """The angles in radians; their sum is a quarter of pi."""
        return _on_plane(self.free_angles.double())

    @property
    def filters(self) -> Tensor:
        """Low-pass and high-pass analysis filter, a row each."""
        return _filters(self.angles)

    def _analysis(self, x: Tensor) -> Tensor:
        rest = x.reshape(-1, self.n_features)
        details: list[Tensor] = []
        matrix = self._matrix(self._analysis_taps, x.dtype) if self.level else None
        for level in self._levels:
            rest, detail = cast(Level, level).analysis(rest, matrix)
            details.insert(0, detail)
        return torch.cat([rest, *details], dim=-1).reshape(*x.shape[:-1], self.n_coefficients)

    def _synthesis(self, c: Tensor) -> Tensor:
        sizes = [band.stop - band.start for band in self.bands.values()]
        if not self.level:
            return c
        x, *details = c.reshape(-1, self.n_coefficients).split(sizes, dim=-1)
        matrix = self._matrix(self._synthesis_taps, c.dtype)
        for level, detail in zip(reversed(self._levels), details, strict=True):
            x = cast(Level, level).synthesis(x, detail, matrix)
        return x.reshape(*c.shape[:-1], self.n_features)

    def _matrix(self, taps: Tensor, dtype: torch.dtype) -> Tensor:
        filters = self.filters.flatten()
        numbered = torch.cat([filters.new_zeros(1), filters]).to(dtype)
        return numbered.index_select(0, taps.flatten()).view(taps.shape)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}, n_angles={len(self.free_angles)}, level={self.level}"


def _on_plane(angles: Tensor) -> Tensor:
    """The nearest angles that sum to a quarter of pi."""
    return angles + (math.pi / 4 - angles.sum()) / len(angles)


def _filters(angles: Tensor) -> Tensor:
    """Filters of a lattice: rotate, delay the second row by two samples, rotate, ..."""
    cos, sin = angles.cos(), angles.sin()
    low, high = torch.stack([cos[0], sin[0]]), torch.stack([-sin[0], cos[0]])
    zeros = angles.new_zeros(2)
    for c, s in zip(cos[1:], sin[1:], strict=True):
        low, high = torch.cat([low, zeros]), torch.cat([zeros, high])
        low, high = c * low + s * high, c * high - s * low
    return torch.stack([low, high])


def _angles_of(low: np.ndarray) -> np.ndarray:
    """Angles of the lattice whose low-pass filter this is, from the last one to the first."""
    signs = np.resize([-1.0, 1.0], len(low))
    high = signs * low[::-1]
    angles: list[float] = []
    while len(low) > 2:
        # Turned back, the low-pass filter ends in two zeros; the larger quotient says how far.
        tap = -1 if np.hypot(low[-1], high[-1]) > np.hypot(low[-2], high[-2]) else -2
        angle = math.atan2(low[tap], high[tap])
        c, s = math.cos(angle), math.sin(angle)
        low, high = (c * low - s * high)[:-2], (s * low + c * high)[2:]
        angles.insert(0, angle)
    angles.insert(0, math.atan2(low[1], low[0]))
    # The filter sums to √2, so these sum to π/4 up to whole turns.
    turns = round((sum(angles) - math.pi / 4) / (2 * math.pi))
    angles[0] -= 2 * math.pi * turns
    return np.array(angles)


def _check_angles(angles: Sequence[float] | Tensor | np.ndarray) -> Tensor:
    values = torch.as_tensor(angles, dtype=torch.float64).detach().clone()
    if values.ndim != 1 or len(values) == 0 or not torch.isfinite(values).all():
        raise ValueError(
            "angles must be at least one finite number of radians in a row, got "
            f"shape {tuple(values.shape)} and values {values.tolist()}."
        )
    return values


def _numbered_taps(taps: int) -> SimpleNamespace:
    """A wavelet whose taps are their own numbers, from 1: matrices of it are tables of taps."""
    low = list(range(1, taps + 1))
    high = list(range(taps + 1, 2 * taps + 1))
    return SimpleNamespace(
        dec_len=taps, dec_lo=low, dec_hi=high, rec_lo=low[::-1], rec_hi=high[::-1]
    )
