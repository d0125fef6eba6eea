"""The discrete wavelet packet transform, the full tree."""

from __future__ import annotations

import numpy as np
import pywt
import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features
from ._dwt import check_level, check_mode, check_wavelet, positions
from ._filter_bank import Level, coefficient_length, filter_properties

__all__ = ["WaveletPacket"]


class WaveletPacket(Basis):
    r"""Discrete wavelet packet transform: details are split like approximations.

    .. math::

        w_{j+1, 2b}[o] = \sum_m h[m] \, \tilde w_{j, b}[2 o + 1 - m], \qquad
        w_{j+1, 2b+1}[o] = \sum_m g[m] \, \tilde w_{j, b}[2 o + 1 - m], \qquad w_{0, 0} = x ,

    extended as in `DWT`. The coefficients are the :math:`2^J` bands of the last level in the order
    of their frequencies, as in ``pywt.WaveletPacket(...).get_level(J, "freq")``: bands of equal
    width, where those of `DWT` are octaves.

    Parameters
    ----------
    n_features : int
        Length of the signals in samples, at least 1.
    wavelet : str or pywt.Wavelet, default="db4"
        A discrete wavelet: a name from ``pywt.wavelist(kind="discrete")`` or an object.
    level : int, default=None
        Number of levels :math:`J`, from 0 (the identity) to :math:`\lceil \log_2 n \rceil`. None
        takes ``pywt.dwt_max_level``, but at least 1 where there are 2 samples or more.
    mode : str, default="periodization"
        Boundary mode, one of ``pywt.Modes.modes``.

    Attributes
    ----------
    bands : dict of str to slice
        Where each band's coefficients are, from low frequencies to high: ``"aa"``, ``"ad"``,
        ``"dd"``, ``"da"`` for two levels, PyWavelets' names of the paths.
    level : int
        Number of levels.
    wavelet, mode : str
        Names of the wavelet and of the boundary mode.

    See Also
    --------
    DWT : Splits the approximations only.

    Notes
    -----
    The layout gives band :math:`i` the centre of its ideal band, :math:`(i + 1/2) / 2^{J+1}`
    cycles per sample, and all coefficients the scale :math:`J`. When it is orthogonal or
    invertible is as for `DWT`.

    References
    ----------
    .. [1] R. R. Coifman and M. V. Wickerhauser, "Entropy-based algorithms for best basis
       selection", IEEE Transactions on Information Theory 38(2), 713-718, 1992.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import WaveletPacket
    >>> basis = WaveletPacket(8, wavelet="haar", level=2)
    >>> list(basis.bands)
    ['aa', 'ad', 'dd', 'da']
    >>> c = basis.analysis(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    >>> (c[basis.bands["da"]] + 0.0).round(decimals=4).tolist()
    [2.0, 2.0]
    >>> (basis.layout.frequency[::2]).tolist()
    [0.0625, 0.1875, 0.3125, 0.4375]
    """

    _levels: list[Level]
    _order: Tensor

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
        lengths = [n]
        for _ in range(level):
            lengths.append(coefficient_length(lengths[-1], filters.dec_len, mode))
        # Band i of the natural order holds the i-th path; frequencies follow Gray's code, since
        # leaving out samples mirrors the frequencies of a detail.
        order = np.arange(2**level) ^ (np.arange(2**level) >> 1)
        exact, orthogonal = filter_properties(filters)
        is_square = 2**level * lengths[-1] == n and all(m % 2 == 0 for m in lengths[:-1])
        super().__init__(
            n,
            _layout(lengths, filters, mode, order),
            is_orthogonal=not level or (orthogonal and is_square),
            is_invertible=not level or exact,
        )
        self.wavelet, self.level, self.mode = filters.name, level, mode
        size = lengths[-1]
        self.bands = {
            _path(band, level): slice(i * size, (i + 1) * size) for i, band in enumerate(order)
        }
        levels = [Level(m, filters, mode) for m in lengths[:-1]]
        self._levels = nn.ModuleList(levels)  # type: ignore[assignment]
        self.register_buffer("_order", torch.from_numpy(order), persistent=False)

    def _analysis(self, x: Tensor) -> Tensor:
        nodes = x.reshape(-1, self.n_features)
        for level in self._levels:  # every band is one more row
            nodes = torch.stack(level.analysis(nodes), dim=1).flatten(0, 1)
        bands = nodes.unflatten(0, (-1, 2**self.level)).index_select(1, self._order)
        return bands.reshape(*x.shape[:-1], self.n_coefficients)

    def _synthesis(self, c: Tensor) -> Tensor:
        bands = c.reshape(-1, 2**self.level, self.n_coefficients // 2**self.level)
        nodes = bands.index_select(1, self._order.argsort()).flatten(0, 1)
        for level in reversed(self._levels):
            nodes = level.synthesis(nodes[::2], nodes[1::2])
        return nodes.reshape(*c.shape[:-1], self.n_features)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        choices = f"wavelet={self.wavelet!r}, level={self.level}, mode={self.mode!r}"
        return f"{self.n_features}, {choices}"


def _path(band: int, level: int) -> str:
    """Approximation or detail, level by level, as PyWavelets writes it."""
    return "".join("ad"[(band >> j) & 1] for j in range(level - 1, -1, -1))


def _layout(lengths: list[int], wavelet: pywt.Wavelet, mode: str, order: np.ndarray) -> Layout:
    level, n, size = len(lengths) - 1, lengths[0], lengths[-1]
    filters = [np.array(wavelet.dec_lo), np.array(wavelet.dec_hi)]
    # c[o] = sum_m f[m] x[2^J o + offset - m] with the equivalent filter f of each band.
    step = wavelet.dec_len // 2 if mode == "periodization" else 1
    equivalents, offset = [np.ones(1)], step * (2**level - 1)
    for j in range(level):
        spread = np.zeros((2, (wavelet.dec_len - 1) * 2**j + 1))
        spread[:, :: 2**j] = filters
        equivalents = [np.convolve(f, g) for f in equivalents for g in spread]
    places = [positions(equivalents[i], offset, 2**level, size, n, mode) for i in order]
    frequency = (torch.arange(2**level, dtype=torch.float64) + 0.5) / 2 ** (level + 1)
    return Layout.make(
        size * 2**level,
        frequency=frequency.repeat_interleave(size),
        scale=torch.full((size * 2**level,), level),
        position=torch.from_numpy(np.concatenate(places)),
    )
