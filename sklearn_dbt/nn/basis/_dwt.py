"""The discrete wavelet transform with PyWavelets' filters and boundary modes."""

from __future__ import annotations

import operator

import numpy as np
import pywt
import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features
from ._cascade import Cascade
from ._filter_bank import Level, coefficient_length, decompose, filter_properties, recompose

__all__ = ["DWT", "check_level", "check_mode", "check_wavelet", "positions"]

# Up to this many samples all the remaining levels together are one matrix product.
_LONG = 256


class DWT(Basis):
    r"""Discrete wavelet transform, equal to PyWavelets' in every wavelet and boundary mode.

    Starting from :math:`a_0 = x`, each level filters and keeps every second sample,

    .. math::

        a_{j+1}[o] = \sum_m h[m] \, \tilde a_j[2 o + 1 - m], \qquad
        d_{j+1}[o] = \sum_m g[m] \, \tilde a_j[2 o + 1 - m],

    where :math:`\tilde a` is :math:`a` extended beyond its ends as the mode says (with
    ``"periodization"`` the index is :math:`2 o + F/2 - m` for filters of length :math:`F`). The
    coefficients are in PyWavelets' order :math:`(a_J, d_J, \dots, d_1)`. Except with
    ``"periodization"`` there are more of them than samples.

    Parameters
    ----------
    n_features : int
        Length of the signals in samples, at least 1.
    wavelet : str or pywt.Wavelet, default="db4"
        A discrete wavelet: a name from ``pywt.wavelist(kind="discrete")`` or an object.
    level : int, default=None
        Number of levels :math:`J`, from 0 (the identity) to
        :math:`\lceil \log_2 n \rceil`. None takes ``pywt.dwt_max_level``, the most levels
        free of boundary effects, but at least 1 where there are 2 samples or more.
    mode : str, default="periodization"
        Boundary mode, one of ``pywt.Modes.modes``.

    Attributes
    ----------
    bands : dict of str to slice
        Where each band's coefficients are, in their order: ``"a3"``, ``"d3"``, ``"d2"``, ``"d1"``.
    level : int
        Number of levels.
    wavelet, mode : str
        Names of the wavelet and of the boundary mode.

    Notes
    -----
    The layout gives each coefficient the arithmetic centre of its ideal band,
    :math:`0.75 / 2^j` cycles per sample for details of level :math:`j` and :math:`0.25 / 2^J`
    for the approximation, and as its position the sample around which the energy of its filter
    is centred.

    The transform is orthogonal for an orthogonal wavelet with ``"periodization"`` (for Haar's
    with any mode) and lengths that are even at every level. ``"dmey"`` is a truncated filter that
    does not reconstruct perfectly; `is_invertible` is False for it.

    References
    ----------
    .. [1] S. Mallat, "A Wavelet Tour of Signal Processing", 3rd edition, chapter 7, Academic
       Press, 2009.
    .. [2] G. R. Lee, R. Gommers, F. Waselewski, K. Wohlfahrt and A. O'Leary, "PyWavelets: A
       Python package for wavelet analysis", Journal of Open Source Software 4(36), 1237, 2019.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DWT
    >>> basis = DWT(8, wavelet="haar", level=2)
    >>> basis.bands
    {'a2': slice(0, 2, None), 'd2': slice(2, 4, None), 'd1': slice(4, 8, None)}
    >>> c = basis.analysis(torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0]))
    >>> c.round(decimals=4).tolist()
    [2.0, 6.0, 0.0, -2.0, 0.0, 0.0, 0.0, 0.0]
    >>> basis.layout.scale.tolist()
    [2, 2, 2, 2, 1, 1, 1, 1]
    """

    _levels: list[Level]
    _rest_analysis: Tensor | None
    _rest_synthesis: Tensor | None

    def __init__(
        self,
        n_features: int,
        wavelet: str | pywt.Wavelet = "db4",
        level: int | None = None,
        mode: str = "periodization",
    ) -> None:
        n = check_n_features(n_features)
        filters = check_wavelet(wavelet)
        check_mode(mode)
        level = check_level(level, n, filters.dec_len)
        # Lengths of the signal and its approximations: a_0, ..., a_J.
        lengths = [n]
        for _ in range(level):
            lengths.append(coefficient_length(lengths[-1], filters.dec_len, mode))
        n_coefficients = sum(lengths[1:]) + lengths[-1]
        exact, orthogonal = filter_properties(filters)
        super().__init__(
            n,
            _layout(lengths, filters, mode),
            # As many coefficients as samples: periodization, or filters of two taps.
            is_orthogonal=not level
            or (orthogonal and n_coefficients == n and all(m % 2 == 0 for m in lengths[:-1])),
            is_invertible=not level or exact,
        )
        self.wavelet, self.level, self.mode = filters.name, level, mode
        self.bands = _bands(lengths)
        self._cascade = Cascade(lengths, filters, mode) if level else None
        levels = [Level(m, filters, mode) for m in lengths[:-1]]
        n_long = sum(m > _LONG for m in lengths[:-1])
        self._levels = nn.ModuleList(levels[:n_long])  # type: ignore[assignment]
        self._register_rest(lengths[n_long], levels[n_long:])

    def _analysis(self, x: Tensor) -> Tensor:
        if self._cascade is not None and self._cascade.serves(x):
            c = self._cascade.analysis(x.reshape(-1, self.n_features))
            return c.reshape(*x.shape[:-1], self.n_coefficients)
        rest, *details = decompose(x.reshape(-1, self.n_features), self._levels)
        if self._rest_analysis is not None:
            rest = rest @ self._rest_analysis.to(x.dtype)
        return torch.cat([rest, *details], dim=-1).reshape(*x.shape[:-1], self.n_coefficients)

    def _synthesis(self, c: Tensor) -> Tensor:
        if self._cascade is not None and self._cascade.serves(c):
            x = self._cascade.synthesis(c.reshape(-1, self.n_coefficients))
            return x.reshape(*c.shape[:-1], self.n_features)
        sizes = [level.n_coefficients for level in reversed(self._levels)]
        sizes.insert(0, self.n_coefficients - sum(sizes))
        rest, *details = c.reshape(-1, self.n_coefficients).split(sizes, dim=-1)
        if self._rest_synthesis is not None:
            rest = rest @ self._rest_synthesis.to(c.dtype)
        x = recompose([rest, *details], self._levels)
        return x.reshape(*c.shape[:-1], self.n_features)

    def _register_rest(self, length: int, levels: list[Level]) -> None:
        """Analysis and synthesis of the short levels as matrices: what unit vectors become."""
        forth, back = None, None
        if levels:
            bands = decompose(torch.eye(length, dtype=torch.float64), levels)
            forth = torch.cat(bands, dim=-1)
            unit = torch.eye(forth.shape[1], dtype=torch.float64)
            back = recompose(unit.split([band.shape[1] for band in bands], -1), levels)
        self.register_buffer("_rest_analysis", forth, persistent=False)
        self.register_buffer("_rest_synthesis", back, persistent=False)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        choices = f"wavelet={self.wavelet!r}, level={self.level}, mode={self.mode!r}"
        return f"{self.n_features}, {choices}"


def _layout(lengths: list[int], wavelet: pywt.Wavelet, mode: str) -> Layout:
    level, n = len(lengths) - 1, lengths[0]
    low, high = np.array(wavelet.dec_lo), np.array(wavelet.dec_hi)
    # c[o] = sum_m f[m] x[2^j o + offset - m] with the equivalent filter f of each band.
    step = wavelet.dec_len // 2 if mode == "periodization" else 1
    scaling, offset = np.ones(1), 0
    places, frequencies, scales = [], [], []
    for j, size in enumerate(lengths[1:], start=1):
        spread = np.zeros((2, (wavelet.dec_len - 1) * 2 ** (j - 1) + 1))
        spread[:, :: 2 ** (j - 1)] = low, high
        offset += step * 2 ** (j - 1)
        detail = np.convolve(scaling, spread[1])
        scaling = np.convolve(scaling, spread[0])
        places.append(positions(detail, offset, 2**j, size, n, mode))
        frequencies.append(np.full(size, 0.75 / 2**j))
        scales.append(np.full(size, j))
    size = lengths[-1]
    places.append(positions(scaling, offset, 2**level, size, n, mode))
    frequencies.append(np.full(size, 0.25 / 2**level))
    scales.append(np.full(size, level))
    frequency, scale, position = (
        torch.from_numpy(np.concatenate(parts[::-1])) for parts in (frequencies, scales, places)
    )
    return Layout.make(len(scale), frequency=frequency, scale=scale, position=position)


def positions(
    equivalent: np.ndarray, offset: int, step: int, size: int, n: int, mode: str
) -> np.ndarray:
    """Samples around which the energy of a filter is centred, for each of its coefficients."""
    energy = equivalent**2
    centroid = np.arange(len(energy)) @ energy / energy.sum()
    position = step * np.arange(size) + offset - centroid
    return position % n if mode.startswith("period") else np.clip(position, 0, n - 1)


def _bands(lengths: list[int]) -> dict[str, slice]:
    level = len(lengths) - 1
    names = [f"a{level}", *(f"d{j}" for j in range(level, 0, -1))]
    edges = np.cumsum([0, lengths[-1], *lengths[:0:-1]]).tolist()
    return {name: slice(*edge) for name, *edge in zip(names, edges[:-1], edges[1:], strict=True)}


def check_wavelet(wavelet: str | pywt.Wavelet) -> pywt.Wavelet:
    """The discrete wavelet of a name, or the object that it is."""
    if isinstance(wavelet, pywt.Wavelet):
        return wavelet
    if wavelet not in (names := pywt.wavelist(kind="discrete")):
        raise ValueError(
            f"wavelet must be a pywt.Wavelet or the name of a discrete wavelet, got {wavelet!r}. "
            f"Names: {', '.join(names)}."
        )
    return pywt.Wavelet(wavelet)


def check_mode(mode: str) -> None:
    """Raise unless this is a boundary mode of PyWavelets."""
    if mode not in pywt.Modes.modes:
        raise ValueError(f"mode must be one of {', '.join(pywt.Modes.modes)}; got {mode!r}.")


def check_level(level: int | None, n: int, taps: int) -> int:
    """Number of levels: what is asked for, or as many as are free of boundary effects."""
    largest = (n - 1).bit_length()  # ⌈log2 n⌉: a further level has nothing left to halve
    if level is None:
        return max(min(largest, pywt.dwt_max_level(n, taps)), min(n - 1, 1))
    if isinstance(level, bool) or not hasattr(type(level), "__index__"):
        raise TypeError(f"level must be an integer or None, got {level!r}.")
    value = operator.index(level)
    if not 0 <= value <= largest:
        raise ValueError(
            f"level must be between 0 and {largest} for signals of {n} samples, got {value}."
        )
    return value
