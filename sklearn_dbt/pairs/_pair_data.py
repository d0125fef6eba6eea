"""Read pairs in whatever form they come: arrays, lists of two-tuples, indices, halves of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sklearn_dbt._base import check_panel

FORMS = (
    "pairs are an array (n_pairs, 2, n_channels, n_times), a list of two-tuples of "
    "(n_channels, n_times_i) arrays, with preprocessor= an integer array (n_pairs, 2), or a table "
    "whose rows are read as two halves"
)


@dataclass(frozen=True)
class Pairs:
    """Pairs as pointers into the distinct series they are made of.

    Attributes
    ----------
    series : ndarray of shape (n_series, n_channels, n_times)
        Each distinct series once, padded with 0.
    lengths : ndarray of shape (n_series,)
        Number of samples of each.
    ids : ndarray of shape (n_pairs, 2)
        The two series of each pair.
    """

    series: np.ndarray
    lengths: np.ndarray
    ids: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def recordings(self) -> np.ndarray | list[np.ndarray]:
        """The distinct series without padding: a panel, or a list where lengths differ."""
        if (self.lengths == self.series.shape[-1]).all():
            return self.series
        return [one[:, :n] for one, n in zip(self.series, self.lengths, strict=True)]


def read_pairs(estimator, X, *, reset: bool, preprocessor=None) -> Pairs:
    """Check pairs and find the distinct series in them.

    Parameters
    ----------
    estimator : estimator
        Gets what :func:`~sklearn_dbt._base.check_panel` remembers when `reset`.
    X : array-like or list
        Pairs in any of the forms.
    reset : bool
        True in `fit`.
    preprocessor : array-like, list or callable, default=None
        The panel that indices point into, or what gives the recordings of an array of names.

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        For another rank or shape, NaN, infinity, nothing at all, series of length 1, indices
        without a panel or beyond it.
    """
    name = type(estimator).__name__
    recordings = _flatten(X, name)
    if recordings is not None:
        _check_finite(recordings, name)
        panel = check_panel(estimator, recordings, reset=reset, ragged=True, min_times=2)
        return _distinct(panel.data)
    if callable(preprocessor):
        names, ids = _check_names(X, name)
        panel = check_panel(estimator, preprocessor(names), reset=reset, ragged=True, min_times=2)
        if panel.n_recordings != len(names):
            raise ValueError(
                f"{name}: preprocessor was asked for {len(names)} recordings and gave "
                f"{panel.n_recordings}."
            )
        return Pairs(*padded(panel.data), ids)
    if preprocessor is not None:
        if getattr(preprocessor, "ndim", None) == 2:  # a panel of one channel
            preprocessor = np.asarray(preprocessor)[:, None]
        ids = _check_indices(X, len(preprocessor), name)
        panel = check_panel(estimator, preprocessor, reset=reset, ragged=True, min_times=2)
        return Pairs(*padded(panel.data), ids)
    panel = check_panel(estimator, X, reset=reset, min_times=2)
    if not panel.is_table:
        raise ValueError(f"{name}: X has 3 dimensions, shape {panel.data.shape}; {FORMS}.")
    n = panel.n_times
    halves = np.stack([panel.data[..., : (n + 1) // 2], panel.data[..., n // 2 :]], axis=1)
    return _distinct(halves.reshape(-1, *halves.shape[2:]))


def _flatten(X, name: str) -> np.ndarray | list[np.ndarray] | None:
    """Return the recordings of all pairs one after the other; None where X is no list of pairs."""
    if _is_list_of_pairs(X):
        for i, pair in enumerate(X):
            if len(pair) != 2:
                raise ValueError(
                    f"{name}: pair {i} of X holds {len(pair)} series instead of 2; {FORMS}."
                )
        return [recording for pair in X for recording in pair]
    try:
        n_dims = getattr(X, "ndim", None) or np.asarray(X).ndim
    except ValueError as error:  # a list of arrays of unlike shapes
        raise ValueError(f"{name}: X is a list of {type(X[0]).__name__}s; {FORMS}.") from error
    if n_dims < 4:
        return None
    X = np.asarray(X)
    if X.ndim != 4 or X.shape[1] != 2:
        raise ValueError(f"{name}: X has shape {X.shape}; {FORMS}.")
    return X.reshape(2 * len(X), *X.shape[2:])


def _check_finite(recordings: np.ndarray | list[np.ndarray], name: str) -> None:
    """Raise where a value is not finite, and say which pair it is in."""
    for i, recording in enumerate(map(np.asarray, recordings)):
        if recording.dtype.kind != "f" or np.isfinite(recording).all():
            continue
        place = tuple(np.argwhere(~np.isfinite(recording))[0].tolist())
        value = "NaN" if np.isnan(recording[place]) else "infinity"
        raise ValueError(
            f"{name}: Input X contains {value}: pair {i // 2}, series {i % 2}, place {place} of it "
            "(channel, time point); all values must be finite."
        )


def _is_list_of_pairs(X) -> bool:
    is_object_array = isinstance(X, np.ndarray) and X.dtype == object and X.ndim <= 2
    if not (isinstance(X, list | tuple) or is_object_array) or len(X) == 0:
        return False
    first = X[0]
    is_sequence = isinstance(first, Sequence | np.ndarray) and not isinstance(first, str)
    return is_sequence and len(first) > 0 and np.ndim(first[0]) == 2


def _two_columns(X, name: str) -> np.ndarray:
    ids = np.asarray(X)
    if ids.ndim != 2 or ids.shape[1] != 2:
        raise ValueError(
            f"{name}: with preprocessor=, X holds the numbers of two recordings a pair, shape "
            f"(n_pairs, 2); got shape {ids.shape}."
        )
    if len(ids) == 0:
        raise ValueError(f"{name}: X has 0 pairs and at least 1 is required.")
    return ids


def _check_names(X, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct names of recordings, and which two each pair is made of."""
    ids = _two_columns(X, name)
    names, places = np.unique(ids, return_inverse=True)
    return names, places.reshape(ids.shape)


def _check_indices(X, n_recordings: int, name: str) -> np.ndarray:
    ids = _two_columns(X, name)
    if ids.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: with preprocessor=, X holds the numbers of recordings; got {ids.dtype}."
        )
    wrong = np.argwhere((ids < 0) | (ids >= n_recordings))
    if len(wrong):
        raise ValueError(
            f"{name}: pair {wrong[0, 0]} points to recording {ids[tuple(wrong[0])]}, but "
            f"preprocessor holds {n_recordings}, numbered from 0 to {n_recordings - 1}."
        )
    return ids.astype(np.int64)


def _distinct(recordings: np.ndarray | list[np.ndarray]) -> Pairs:
    """Keep equal recordings once: what a series is to itself is then computed once."""
    numbers: dict[bytes, int] = {}
    firsts, ids = [], np.empty(len(recordings), dtype=np.int64)
    for i, recording in enumerate(recordings):
        key = hashlib.blake2b(np.ascontiguousarray(recording).data, digest_size=16).digest()
        if key not in numbers:
            numbers[key] = len(numbers)
            firsts.append(i)
        ids[i] = numbers[key]
    if isinstance(recordings, np.ndarray):
        series, lengths = padded(recordings[firsts])
    else:
        series, lengths = padded([recordings[i] for i in firsts])
    return Pairs(series, lengths, ids.reshape(-1, 2))


def padded(recordings: np.ndarray | list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return a panel, padded with 0 where lengths differ, and the lengths."""
    lengths = np.array([recording.shape[-1] for recording in recordings])
    if isinstance(recordings, np.ndarray):
        return recordings, lengths
    n_channels, dtype = recordings[0].shape[0], recordings[0].dtype
    series = np.zeros((len(recordings), n_channels, lengths.max()), dtype)
    for row, recording in zip(series, recordings, strict=True):
        row[:, : recording.shape[-1]] = recording
    return series, lengths
