"""Statistics of the coefficients of a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        The coefficients.
    share : float
        Part of the whole frequency range that the band covers.
    total : ndarray of shape (...)
        Power of the channel: the sum of share times power over its bands.
    """

    def __init__(self, c: np.ndarray, share: float, total: np.ndarray) -> None:
        self.c, self.share, self.total = c, share, total
        self.power = np.square(c).mean(axis=-1)
        self.floor = np.maximum(NEGLIGIBLE * total, TINY)


def mean(band: Band) -> np.ndarray:
    return band.c.mean(axis=-1)


def std(band: Band) -> np.ndarray:
    return band.c.std(axis=-1)


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


def kurtosis(band: Band) -> np.ndarray:
    """Excess kurtosis, 0 for a normal distribution and where nothing varies."""
    centred = band.c - band.c.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1)
    varies = variance > band.floor
    ratio = (centred**4).mean(axis=-1) / np.where(varies, variance, 1) ** 2
    return np.where(varies, ratio - 3, 0)


STATISTICS: dict[str, Callable[[Band], np.ndarray]] = {
    "mean": mean,
    "std": std,
    "energy": energy,
    "log_energy": log_energy,
    "relative_energy": relative_energy,
    "entropy": entropy,
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
    bands: Sequence[np.ndarray], edges: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Statistics of each band.

    Parameters
    ----------
    bands : sequence of ndarray of shape (..., n_coefficients_b)
        Coefficients.
    edges : ndarray of shape (n_bands, 2)
        Edges of the bands in cycles per sample.
    names : sequence of str
        Keys of ``STATISTICS``.

    Returns
    -------
    ndarray of shape (..., n_bands, n_statistics)
        In float64.
    """
    bands = [band.astype(np.float64) for band in bands]
    shares = (2 * np.diff(edges, axis=1)[:, 0]).tolist()
    total = sum(share * np.square(c).mean(axis=-1) for share, c in zip(shares, bands, strict=True))
    columns = [
        np.stack([STATISTICS[name](band) for name in names], axis=-1)
        for band in (Band(c, share, total) for share, c in zip(shares, bands, strict=True))
    ]
    return np.stack(columns, axis=-2)
