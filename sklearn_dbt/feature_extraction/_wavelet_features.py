"""One row a recording: the trend of each channel and statistics of its bands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from sklearn_dbt.feature_extraction._band_statistics import (
    STATISTICS,
    TRENDS,
    Statistic,
    band_statistics,
    statistic_name,
    trend_statistics,
)
from sklearn_dbt.feature_extraction._wavelet_bands import BandTransform


@dataclass(frozen=True)
class BandFeatures:
    """What is told of each channel.

    Attributes
    ----------
    trend : list of str
        Keys of ``TRENDS``: the shape of the lowest band's series.
    statistics : list of str or callable
        Of the coefficients of each band.
    """

    trend: list[str]
    statistics: list[str | Statistic]

    @classmethod
    def checked(cls, trend, statistics) -> BandFeatures:
        """Features as parameters of an estimator say; ValueError for unknown or equal names."""
        trends, chosen = _listed(trend), _listed(statistics)
        _check_names("trend", trends, TRENDS, trend)
        names = [statistic_name(statistic) for statistic in chosen]
        functions = [statistic_name(statistic) for statistic in chosen if callable(statistic)]
        _check_names("statistics", names, [*STATISTICS, *functions], statistics)
        if not chosen:
            raise ValueError(f"statistics must be names among {', '.join(STATISTICS)}; got [].")
        return cls(trends, chosen)

    def names(self, bands: Sequence[str]) -> list[str]:
        """Columns of one channel, whose bands are called so."""
        trend = [f"{bands[0]}_trend_{name}" for name in self.trend]
        return trend + [f"{b}_{statistic_name(s)}" for b in bands for s in self.statistics]

    def table(self, bands: BandTransform, x: np.ndarray) -> np.ndarray:
        """Features of recordings (n, n_channels, n_times), channel after channel."""
        coefficients = bands.analysis(x)
        table = band_statistics(coefficients, bands.edges, self.statistics)
        table = table.reshape(*x.shape[:-1], -1)
        if self.trend:
            trend = self._trend_of_lowest(bands, coefficients, x.shape[-1])
            table = np.concatenate([trend, table], axis=-1)
        return table.reshape(len(x), -1).astype(x.dtype)

    def _trend_of_lowest(
        self, bands: BandTransform, coefficients: Sequence[np.ndarray], n_times: int
    ) -> np.ndarray:
        lowest, others = coefficients[0], [None] * (len(coefficients) - 1)
        k = lowest.shape[-1]
        if np.iscomplexobj(lowest) or lowest.size < k * k:
            return trend_statistics(bands.synthesis([lowest, *others], n_times), self.trend)
        # All is linear: what unit vectors give says what any coefficients do.
        series = bands.synthesis([np.eye(k), *others], n_times)
        return lowest.astype(np.float64) @ trend_statistics(series, self.trend)


def _listed(given) -> list:
    return [given] if isinstance(given, str) or callable(given) else list(given)


def _check_names(what: str, names: list[str], known: Collection[str], given) -> None:
    if any(name not in known for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{what} must be different names among {', '.join(known)}; got {given!r}.")
