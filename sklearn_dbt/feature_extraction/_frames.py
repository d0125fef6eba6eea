"""Reading heat-map series: one frame a row, and the way back to recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from sklearn_dbt._base import FLOATS
from sklearn_dbt._compat import validate_data

EXPECTED = (
    "expected heat-map series (n, n_times, height, width), a list of (n_times_i, height, width) "
    "arrays, or a table (n_frames, n_pixels) of flattened frames"
)


@dataclass(frozen=True)
class Frames:
    """Checked frames, and how they came in.

    Attributes
    ----------
    pixels : ndarray of shape (n_frames, n_pixels)
        All frames of all recordings, flattened row by row.
    shape : tuple of int
        ``(height, width)``, or ``(n_pixels,)`` for a table.
    lengths : ndarray of shape (n_recordings,) or None
        Number of frames of each recording; None for a table of single frames.
    """

    pixels: np.ndarray
    shape: tuple[int, ...]
    lengths: np.ndarray | None = None

    def as_input(self, features: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Give ``(n_frames, n_features)`` the form of the input, channels before time."""
        if self.lengths is None:
            return features
        if np.all(self.lengths == self.lengths[0]):
            series = features.reshape(len(self.lengths), self.lengths[0], -1)
            return np.ascontiguousarray(series.transpose(0, 2, 1))
        parts = np.split(features, np.cumsum(self.lengths)[:-1])
        return [np.ascontiguousarray(part.T) for part in parts]


def check_frames(estimator: BaseEstimator, X: ArrayLike | Sequence, *, reset: bool) -> Frames:
    """Check `X` as heat-map series or as a table of frames.

    Parameters
    ----------
    estimator : estimator
        Named in errors; its ``frame_shape_`` is compared with `X` unless `reset`. For a table it
        gets ``n_features_in_`` and ``feature_names_in_`` when `reset`.
    X : array-like of shape (n, n_times, height, width) or (n_frames, n_pixels), or list
        The frames. float32 and float64 are kept, everything else becomes float64.
    reset : bool
        True in `fit`, False where a fitted estimator meets new data.

    Returns
    -------
    Frames

    Raises
    ------
    ValueError
        For a wrong rank, NaN, infinity, nothing to read, or frames of another shape than in `fit`.
    """
    if isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) == 3:
        return _check_series(estimator, list(X), reset)
    shape = tuple(getattr(X, "shape", (0, 0)))
    if len(shape) == 4:
        X = _as_floats(estimator, X)
        return _check_series(estimator, X, reset)
    if len(shape) > 2:
        hint = (
            " For one recording of many frames pass X[None]; for one frame a recording, "
            "X[:, None] or X.reshape(len(X), -1)."
        )
        raise ValueError(
            f"{_name(estimator)}: X has {len(shape)} dimensions, shape {shape}; {EXPECTED}."
            f"{hint if len(shape) == 3 else ''}"
        )
    return _check_table(estimator, X, reset)


def _name(estimator) -> str:
    return type(estimator).__name__


def _as_floats(estimator, X, **options) -> np.ndarray:
    return check_array(
        X, dtype=FLOATS, allow_nd=True, ensure_all_finite=False, estimator=estimator, **options
    )


def _check_table(estimator, X, reset: bool) -> Frames:
    fitted: tuple[int, ...] = getattr(estimator, "frame_shape_", ())
    if not reset and len(fitted) == 2 and len(getattr(X, "shape", ())) == 2:
        height, width = fitted
        raise ValueError(
            f"{_name(estimator)} was fitted on series of {height} x {width} frames and got a "
            f"table, shape {tuple(X.shape)}; pass X.reshape(n, n_times, {height}, {width})."
        )
    pixels = validate_data(estimator, X, reset=reset, dtype=FLOATS)
    return Frames(pixels, (pixels.shape[1],))


def _check_series(estimator, X: np.ndarray | list, reset: bool) -> Frames:
    """Check a 4D array, or a list of 3D ones, of float values."""
    if isinstance(X, list):
        X = [_as_floats(estimator, recording, ensure_min_samples=0) for recording in X]
        X = [recording.astype(np.result_type(*X), copy=False) for recording in X]
    shapes = [recording.shape for recording in X]
    for i, shape in enumerate(shapes):
        if len(shape) != 3 or 0 in shape:
            raise ValueError(
                f"{_name(estimator)}: recording {i} of X has shape {shape}, where a recording has "
                f"at least one frame (n_times, height, width); {EXPECTED}."
            )
        if shape[1:] != shapes[0][1:]:
            raise ValueError(
                f"{_name(estimator)}: frames of recording {i} of X have shape {shape[1:]} and "
                f"those of recording 0 {shapes[0][1:]}; all must have the same."
            )
    frame_shape, lengths = shapes[0][1:], np.array([shape[0] for shape in shapes])
    if not reset:
        _check_frame_shape(estimator, shapes[0])
    frames = np.concatenate(X) if isinstance(X, list) else X.reshape(-1, *frame_shape)
    _check_finite(estimator, frames, lengths)
    return Frames(frames.reshape(len(frames), -1), frame_shape, lengths)


def _check_finite(estimator, frames: np.ndarray, lengths: np.ndarray) -> None:
    finite = np.isfinite(frames)
    if finite.all():
        return
    index, row, column = np.argwhere(~finite)[0]
    recording = int(np.searchsorted(np.cumsum(lengths), index, side="right"))
    frame = index - lengths[:recording].sum()
    value = "NaN" if np.isnan(frames[index, row, column]) else "infinity"
    raise ValueError(
        f"{_name(estimator)}: Input X contains {value}: recording {recording}, frame {frame}, row "
        f"{row}, column {column}; all values must be finite."
    )


def _check_frame_shape(estimator, shape: tuple[int, int, int]) -> None:
    fitted = estimator.frame_shape_
    if shape[1:] == fitted:
        return
    if len(fitted) == 1:
        raise ValueError(
            f"{_name(estimator)} was fitted on a table and got series of {shape[1]} x {shape[2]} "
            "frames; pass the same rank, X.reshape(-1, height * width)."
        )
    swapped = any(tuple(shape[a] for a in axes)[1:] == fitted for axes in permutations(range(3)))
    raise ValueError(
        f"{_name(estimator)}: frames of X have shape {shape[1:]}, but {fitted} was seen in fit; "
        f"{'its axes look swapped; ' if swapped else ''}{EXPECTED}."
    )
