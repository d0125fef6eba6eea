"""Statistics of components over a recording."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def mean(series: np.ndarray) -> np.ndarray:
    return series.mean(axis=-1)


def log_variance(series: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(series.var(axis=-1), np.finfo(series.dtype).eps))


def trend(series: np.ndarray) -> np.ndarray:
    """Change of the least-squares line from begin to end."""
    time = np.linspace(-0.5, 0.5, series.shape[-1], dtype=series.dtype)
    return series @ time / np.square(time).sum()


STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": mean,
    "log_variance": log_variance,
    "trend": trend,
}


def component_statistics(series: np.ndarray) -> np.ndarray:
    """Return the statistics of each component, one component after another.

    Parameters
    ----------
    series : ndarray of shape (n_components, n_times)
        Components of a recording, of at least 2 time points.

    Returns
    -------
    ndarray of shape (n_components * n_statistics,)
    """
    return np.stack([statistic(series) for statistic in STATISTICS.values()], axis=-1).ravel()
