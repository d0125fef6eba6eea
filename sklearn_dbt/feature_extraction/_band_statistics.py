"""Statistics of the coefficients of a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

# Powers this far below a channel's own are rounding noise in float32; what is computed from them
# would be noise too, and another one in float64.
NEGLIGIBLE = float(np.finfo(np.float32).eps) ** 2
TINY = float(np.finfo(np.float32).tiny)


class Band:
    """Coefficients of one band in float64, and the power of its channel for comparison.

    Parameters
    ----------
    c : ndarray of shape (..., n_coefficients)
        The coefficients; of complex ones their magnitude.
    share : float
        Part of the whole frequency range that the band covers.
    """

    def __init__(self, c: np.ndarray, share: float) -> None:
        self.given, self.share = np.abs(c) if np.iscomplexobj(c) else c, share
        squares = np.einsum("...k,...k->...", self.given, self.given, dtype=np.float64)
        self.power = squares / c.shape[-1]

    @cached_property
    def c(self) -> np.ndarray:
        return self.given.astype(np.float64, copy=False)

    def compare(self, total: np.ndarray) -> None:
        """Remember the power of the channel: the sum of share times power over its bands."""
        self.total, self.floor = total, np.maximum(NEGLIGIBLE * total, TINY)

    @cached_property
    def centred(self) -> np.ndarray:
        return self.c - self.c.mean(axis=-1, keepdims=True)

    @cached_property
    def variance(self) -> np.ndarray:
        return np.square(self.centred).mean(axis=-1)

    def standardized_moment(self, order: int) -> np.ndarray:
        """Zero where nothing varies."""
        varies = self.variance > self.floor
        moment = (self.centred**order).mean(axis=-1)
        return np.where(varies, moment / np.where(varies, self.variance, 1) ** (order / 2), 0)


def mean(band: Band) -> np.ndarray:
    return band.c.mean(axis=-1)


def std(band: Band) -> np.ndarray:
    return np.sqrt(band.variance)


def log_variance(band: Band) -> np.ndarray:
    return np.log(np.maximum(band.variance, band.floor))


def energy(band: Band) -> np.ndarray:
    return band.power


def log_energy(band: Band) -> np.ndarray:
    return np.log(np.maximum(band.power, band.floor))


def relative_energy(band: Band) -> np.ndarray:
    return band.share * band.power / np.maximum(band.total, TINY)


def entropy(band: Band) -> np.ndarray:
    """Entropy of the energy's distribution over time, 0 for one peak, 1 for an even spread."""
    n = band.c.shape[-1]
    squares = np.square(band.c) + band.floor[..., None]
    p = squares / squares.sum(axis=-1, keepdims=True)
    return -(p * np.log(p)).sum(axis=-1) / np.log(max(n, 2))


def skewness(band: Band) -> np.ndarray:
    """Asymmetry, 0 for a symmetric distribution and where nothing varies."""
    return band.standardized_moment(3)


def kurtosis(band: Band) -> np.ndarray:
    """Excess kurtosis, 0 for a normal distribution and where nothing varies."""
    return np.where(band.variance > band.floor, band.standardized_moment(4) - 3, 0)


# Such as numpy.ptp or scipy.stats.iqr.
Statistic = Callable[..., np.ndarray]

STATISTICS: dict[str, Callable[[Band], np.ndarray]] = {
    "mean": mean,
    "std": std,
    "log_variance": log_variance,
    "energy": energy,
    "log_energy": log_energy,
    "relative_energy": relative_energy,
    "entropy": entropy,
    "skewness": skewness,
    "kurtosis": kurtosis,
}


# Degree of the Legendre polynomial behind each name.
TRENDS: dict[str, int] = {"mean": 0, "slope": 1, "curvature": 2}


def trend_statistics(x: np.ndarray, names: Sequence[str]) -> np.ndarray:
    r"""Signed shape of series in time: coefficients of their Legendre expansion.

    .. math:: a_d = \frac{2 d + 1}{n} \sum_t x_t \, P_d(u_t), \qquad u_t \in (-1, 1)

    Parameters
    ----------
    x : ndarray of shape (..., n_times)
        Series.
    names : sequence of str
        Keys of ``TRENDS``.

    Returns
    -------
    ndarray of shape (..., n_names)
        In float64; the mean is exactly that.
    """
    n = x.shape[-1]
    degrees = [TRENDS[name] for name in names]
    u = (2 * np.arange(n) + 1) / n - 1
    polynomials = np.polynomial.legendre.legvander(u, max(TRENDS.values()))[:, degrees]
    return x.astype(np.float64) @ polynomials * (2 * np.array(degrees) + 1) / n


def band_statistics(
    bands: Sequence[np.ndarray], edges: np.ndarray, statistics: Sequence[str | Statistic]
) -> np.ndarray:
    """Statistics of each band.

    Parameters
    ----------
    bands : sequence of ndarray of shape (..., n_coefficients_b)
        Coefficients.
    edges : ndarray of shape (n_bands, 2)
        Edges of the bands in cycles per sample.
    statistics : sequence of str or callable
        Keys of ``STATISTICS``, or functions ``f(c, axis=-1)`` that take the last axis away.

    Returns
    -------
    ndarray of shape (..., n_bands, n_statistics)
        In float64.

    Raises
    ------
    ValueError
        If a function gives another shape.
    """
    shares = (2 * np.diff(edges, axis=1)[:, 0]).tolist()
    looked_at = [Band(c, share) for share, c in zip(shares, bands, strict=True)]
    total = sum(band.share * band.power for band in looked_at)
    for band in looked_at:
        band.compare(total)
    columns = [np.stack([_statistic(s, band) for s in statistics], axis=-1) for band in looked_at]
    return np.stack(columns, axis=-2)


def _statistic(statistic: str | Statistic, band: Band) -> np.ndarray:
    if isinstance(statistic, str):
        return STATISTICS[statistic](band)
    found = np.asarray(statistic(band.c, axis=-1), dtype=np.float64)
    if found.shape != band.c.shape[:-1]:
        raise ValueError(
            f"statistics: {statistic_name(statistic)}(c, axis=-1) gave the shape {found.shape} for "
            f"coefficients of shape {band.c.shape}; it must take away the last axis."
        )
    return found


def statistic_name(statistic: str | Statistic) -> str:
    """What the columns of a statistic are called."""
    if isinstance(statistic, str):
        return statistic
    return getattr(statistic, "__name__", type(statistic).__name__)
