"""What is done to recordings before the network: a transformer, a projection, fewer samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA

from sklearn_dbt.pairs._pair_data import Pairs, padded


@dataclass(frozen=True)
class Front:
    """The fixed steps in front of the network, in this order; None and 1 leave one out.

    Attributes
    ----------
    transformer : fitted transformer or None
        Maps recordings to series.
    components : ndarray of shape (n_components, n_channels) or None
        Directions that the channels are projected on.
    downsampling : int
        Adjacent samples that are averaged into one.
    """

    transformer: Any = None
    components: np.ndarray | None = None
    downsampling: int = 1

    def __call__(self, pairs: Pairs, name: str) -> Pairs:
        """Return the same pairs of changed series; `name` is the estimator's, for errors."""
        pairs = _transform(self.transformer, pairs, name)
        if self.components is not None:
            pairs = replace(pairs, series=self.components.astype(pairs.series.dtype) @ pairs.series)
        return _average(pairs, self.downsampling, name)


def fit_front(
    encoder, n_components: int | None, downsampling: int, pairs: Pairs, name: str
) -> Front:
    """Fit the fixed steps to the distinct recordings of some pairs.

    Parameters
    ----------
    encoder : transformer or None
        Is cloned and fitted; one in :class:`~sklearn.frozen.FrozenEstimator` stays as it is.
    n_components : int or None
        Number of principal components of the channels that are kept.
    downsampling : int
        Adjacent samples that are averaged into one.
    pairs : Pairs
        The training pairs.
    name : str
        The estimator's name, for errors.

    Returns
    -------
    Front

    Raises
    ------
    ValueError
        If there are more components than channels, or the transformer gives no series.
    """
    used = np.unique(pairs.ids)
    pairs = Pairs(pairs.series[used], pairs.lengths[used], np.empty((0, 2), np.int64))
    transformer = None if encoder is None else clone(encoder).fit(pairs.recordings, None)
    if n_components is None:
        return Front(transformer, None, downsampling)
    pairs = _transform(transformer, pairs, name)
    n_channels = pairs.series.shape[1]
    if n_components > n_channels:
        raise ValueError(
            f"{name}: n_components={n_components} is more than the {n_channels} channel(s) of a "
            "recording."
        )
    samples = np.concatenate([recording.T for recording in pairs.recordings])
    components = PCA(n_components, svd_solver="full").fit(samples).components_
    return Front(transformer, components, downsampling)


def _transform(transformer, pairs: Pairs, name: str) -> Pairs:
    if transformer is None:
        return pairs
    output = transformer.transform(pairs.recordings)
    is_list = (
        isinstance(output, list | tuple)
        or getattr(getattr(output, "dtype", None), "kind", "") == "O"
    )
    series = [np.asarray(one) for one in output] if is_list else np.asarray(output)
    no_series = any(one.ndim != 2 or 0 in one.shape for one in series)
    if len(series) != len(pairs.series) or no_series or len({len(one) for one in series}) > 1:
        got = f"a list of {len(series)}" if isinstance(series, list) else f"shape {series.shape}"
        raise ValueError(
            f"{name}: encoder must turn {len(pairs.series)} recordings into as many series, an "
            "array (n, n_channels, n_times) or a list of (n_channels, n_times_i) arrays with the "
            "same channels; got "
            f"{got}."
        )
    for i, one in enumerate(series):
        if not np.isfinite(one).all():
            raise ValueError(f"{name}: encoder gives NaN or infinity for recording {i}.")
    return Pairs(*padded(series), pairs.ids)


def _average(pairs: Pairs, factor: int, name: str) -> Pairs:
    """Average `factor` adjacent samples; the last ones of a recording may be fewer."""
    if factor == 1:
        return pairs
    lengths = -(-pairs.lengths // factor)
    if lengths.min() < 2:
        raise ValueError(
            f"{name}: downsampling={factor} leaves 1 sample of a recording of "
            f"{pairs.lengths.min()}; at least 2 are required."
        )
    starts = np.arange(0, pairs.series.shape[-1], factor)
    counts = np.clip(pairs.lengths[:, None] - starts, 1, factor)
    sums = np.add.reduceat(pairs.series, starts, axis=-1)  # padding is 0
    averages = (sums / counts[:, None]).astype(pairs.series.dtype, copy=False)
    return Pairs(averages[..., : lengths.max()], lengths, pairs.ids)
