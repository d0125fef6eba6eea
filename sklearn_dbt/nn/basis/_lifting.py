"""The wavelet transform by lifting steps, exactly invertible by construction."""

from __future__ import annotations

import math

import pywt
import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features
from ._dwt import check_level

__all__ = ["LiftingDWT"]

# A step adds to one half of the samples a combination of the other half: (half that changes,
# {lag: factor}). Then approximation and detail are scaled.
_Step = tuple[str, dict[int, float]]
_R2, _R3 = math.sqrt(2), math.sqrt(3)
_SCHEMES: dict[str, tuple[list[_Step], float, float]] = {
    "haar": ([("odd", {0: -1.0}), ("even", {0: 0.5})], _R2, -1 / _R2),
    "db2": (
        [("even", {0: _R3}), ("odd", {0: -_R3 / 4, -1: (2 - _R3) / 4}), ("even", {1: -1.0})],
        (_R3 - 1) / _R2,
        -(_R3 + 1) / _R2,
    ),
    "bior2.2": ([("odd", {0: -0.5, 1: -0.5}), ("even", {-1: 0.25, 0: 0.25})], _R2, -1 / _R2),
    "bior4.4": (
        [
            ("odd", dict.fromkeys((0, 1), -1.586134342059924)),
            ("even", dict.fromkeys((-1, 0), -0.052980118572961)),
            ("odd", dict.fromkeys((0, 1), 0.882911075530934)),
            ("even", dict.fromkeys((-1, 0), 0.443506852043971)),
        ],
        1.149604398860241,
        -1 / 1.149604398860241,
    ),
}
_MODES = ("symmetric", "periodic")


class LiftingDWT(Basis):
    r"""Discrete wavelet transform by lifting: as many coefficients as samples, at any length.

    Each level parts its signal into even samples :math:`s` and odd ones :math:`d`; then predicts
    and updates alternate, each of which adds to one half what it knows of the other,

    .. math::

        d[i] \leftarrow d[i] + \sum_l p_l \, s[i + l], \qquad
        s[i] \leftarrow s[i] + \sum_l u_l \, d[i + l] ,

    and :math:`s` and :math:`d` are scaled. Synthesis undoes the steps in reverse, so it is the
    inverse whatever the numbers, the boundaries and the length: an odd signal has one more
    approximation than details. The coefficients are in the order :math:`(a_J, d_J, \dots, d_1)`.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.
    wavelet : {"haar", "db2", "bior2.2", "bior4.4"}, default="bior4.4"
        The wavelet; ``"bior2.2"`` is the 5/3 and ``"bior4.4"`` the 9/7 of JPEG 2000.
    level : int, default=None
        Number of levels :math:`J`, from 0 (the identity) to :math:`\lceil \log_2 n \rceil`. None
        takes ``pywt.dwt_max_level``, but at least 1 where there are 2 samples or more.
    mode : {"symmetric", "periodic"}, default="symmetric"
        Beyond its ends the signal is mirrored at its first and last sample, or goes round.

    Attributes
    ----------
    bands : dict of str to slice
        Where each band's coefficients are, in their order: ``"a3"``, ``"d3"``, ``"d2"``, ``"d1"``.
    level : int
        Number of levels.
    wavelet, mode : str
        As given.

    See Also
    --------
    DWT : Every wavelet and boundary mode of PyWavelets, by filters.

    Notes
    -----
    With ``"periodic"`` and lengths that are even at every level the coefficients of ``"haar"``,
    ``"bior2.2"`` and ``"bior4.4"`` equal those of `DWT` and of PyWavelets with
    ``mode="periodization"``, as far as its filters have digits. Those of ``"db2"`` do so but for a
    shift: each level sees its signal one sample ahead, and its details are one place further on.

    The position in the layout is the sample whose place a coefficient takes.

    References
    ----------
    .. [1] I. Daubechies and W. Sweldens, "Factoring wavelet transforms into lifting steps",
       Journal of Fourier Analysis and Applications 4(3), 247-269, 1998.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import LiftingDWT
    >>> basis = LiftingDWT(7, wavelet="bior2.2", level=1)
    >>> c = basis.analysis(torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    >>> ((c / 2**0.5).round(decimals=4) + 0.0).tolist()
    [0.0, 2.0, 4.0, 6.0, 0.0, 0.0, 0.0]
    >>> basis.bands
    {'a1': slice(0, 4, None), 'd1': slice(4, 7, None)}
    """

    _levels: list[_LiftingLevel]

    def __init__(
        self,
        n_features: int,
        wavelet: str = "bior4.4",
        level: int | None = None,
        mode: str = "symmetric",
    ) -> None:
        n = check_n_features(n_features)
        for name, value, allowed in (("wavelet", wavelet, _SCHEMES), ("mode", mode, _MODES)):
            if value not in allowed:
                names = ", ".join(repr(a) for a in allowed)
                raise ValueError(f"{name} must be one of {names}; got {value!r}.")
        level = check_level(level, n, pywt.Wavelet(wavelet).dec_len)
        lengths = [n]
        for _ in range(level):
            lengths.append((lengths[-1] + 1) // 2)
        is_orthogonal = all(_is_orthogonal(m, wavelet, mode) for m in lengths[:-1])
        super().__init__(n, _layout(lengths), is_orthogonal=is_orthogonal)
        self.wavelet, self.level, self.mode = wavelet, level, mode
        self.bands = {f"a{level}": slice(0, lengths[-1])}
        for j in range(level, 0, -1):  # before d_j are the a_j that it goes with
            self.bands[f"d{j}"] = slice(lengths[j], lengths[j - 1])
        levels = [_LiftingLevel(m, wavelet, mode) for m in lengths[:-1]]
        self._levels = nn.ModuleList(levels)  # type: ignore[assignment]

    def _analysis(self, x: Tensor) -> Tensor:
        details: list[Tensor] = []
        for level in self._levels:
            x, detail = level.analysis(x)
            details.insert(0, detail)
        return torch.cat([x, *details], dim=-1)

    def _synthesis(self, c: Tensor) -> Tensor:
        x, *details = c.split([band.stop - band.start for band in self.bands.values()], dim=-1)
        for level, detail in zip(reversed(self._levels), details, strict=True):
            x = level.synthesis(x, detail)
        return x

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        choices = f"wavelet={self.wavelet!r}, level={self.level}, mode={self.mode!r}"
        return f"{self.n_features}, {choices}"


class _LiftingLevel(nn.Module):
    """One level, for signals of one length of at least 2."""

    def __init__(self, length: int, wavelet: str, mode: str) -> None:
        super().__init__()
        self.length = length
        steps, self.low, self.high = _SCHEMES[wavelet]
        self.steps = [(half, list(taps.values())) for half, taps in steps]
        for i, (half, taps) in enumerate(steps):
            for j, lag in enumerate(taps):
                index = _neighbours(length, half, lag, mode)
                self.register_buffer(f"_index_{i}_{j}", index, persistent=False)

    def analysis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., length) -> approximation and detail."""
        halves = {"even": x[..., ::2], "odd": x[..., 1::2]}
        for i in range(len(self.steps)):
            self._lift(halves, i, 1.0)
        return halves["even"] * self.low, halves["odd"] * self.high

    def synthesis(self, approximation: Tensor, detail: Tensor) -> Tensor:
        """Approximation and detail -> (..., length)."""
        halves = {"even": approximation / self.low, "odd": detail / self.high}
        for i in reversed(range(len(self.steps))):
            self._lift(halves, i, -1.0)
        odd = torch.nn.functional.pad(halves["odd"], (0, self.length % 2))
        return torch.stack([halves["even"], odd], dim=-1).flatten(-2)[..., : self.length]

    def _lift(self, halves: dict[str, Tensor], i: int, sign: float) -> None:
        half, factors = self.steps[i]
        other = halves["odd" if half == "even" else "even"]
        for j, factor in enumerate(factors):
            seen = other.index_select(-1, self.get_buffer(f"_index_{i}_{j}"))
            halves[half] = halves[half] + sign * factor * seen


def _neighbours(length: int, half: str, lag: int, mode: str) -> Tensor:
    """Where, in the other half, the sample is that a step combines with each of this half."""
    parity = 1 if half == "odd" else 0
    size, other = (length + 1 - parity) // 2, (length + parity) // 2
    i = torch.arange(size) + lag
    if mode == "periodic":
        return i % other
    # Mirrored at the first and the last sample, which keeps even even and odd odd.
    t = (2 * i + 1 - parity) % (2 * (length - 1))
    return torch.where(t < length, t, 2 * (length - 1) - t) // 2


def _is_orthogonal(length: int, wavelet: str, mode: str) -> bool:
    """Whether one level is an orthogonal matrix; long ones are like a short one of their parity."""
    length = length if length < 32 else 32 + length % 2
    eye = torch.eye(length, dtype=torch.float64)
    matrix = torch.cat(_LiftingLevel(length, wavelet, mode).analysis(eye), dim=-1)
    return torch.allclose(matrix @ matrix.T, eye, rtol=0, atol=1e-10)


def _layout(lengths: list[int]) -> Layout:
    level = len(lengths) - 1
    bands = [(0.25 / 2**level, level, 2**level * torch.arange(lengths[-1]))]
    for j in range(level, 0, -1):
        place = 2 ** (j - 1) * (2 * torch.arange(lengths[j - 1] // 2) + 1)
        bands.append((0.75 / 2**j, j, place))
    return Layout.make(
        lengths[0],
        frequency=torch.cat([torch.full((len(p),), f, dtype=torch.float64) for f, _, p in bands]),
        scale=torch.cat([torch.full((len(p),), s) for _, s, p in bands]),
        position=torch.cat([p for _, _, p in bands]),
    )
