"""Reading heat-map series, block by block: one frame a row, and the way back to recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


# Values of a block, if nobody says how many frames to read at once.
BLOCK = 2**22


@dataclass(frozen=True)
class Frames:
    """Checked frames, and how they came in.

    Attributes
    ----------
    recordings : ndarray or list of ndarray
        The frames as they were given, recording by recording; for a table one of all its rows.
        Nothing is read before it is asked for, so they may be memory-mapped.
    shape : tuple of int
        ``(height, width)``, or ``(n_pixels,)`` for a table.
    lengths : ndarray of shape (n_recordings,) or None
        Number of frames of each recording; None for a table of single frames.
    """

    recordings: np.ndarray | list[np.ndarray]
    shape: tuple[int, ...]
    lengths: np.ndarray | None = None

    @property
    def n_pixels(self) -> int:
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64 as given; float64 for anything else."""
        given = np.result_type(*(recording.dtype for recording in self.recordings))
        return given if given in FLOATS else np.dtype(np.float64)

    @property
    def pixels(self) -> np.ndarray:
        """All frames at once, flattened, shape (n_frames, n_pixels)."""
        return np.concatenate(list(self.blocks(max(1, sum(map(len, self.recordings))))))

    def blocks(self, size: int | None = None) -> Iterator[np.ndarray]:
        """Yield all frames in order, flattened, at most so many at once."""
        size = max(1, BLOCK // self.n_pixels) if size is None else size
        parts: list[np.ndarray] = []
        room = size
        for recording in self.recordings:
            start = 0
            while start < len(recording):
                parts.append(recording[start : start + room])
                start, room = start + len(parts[-1]), room - len(parts[-1])
                if room == 0:
                    yield self._joined(parts)
                    parts, room = [], size
        if parts:
            yield self._joined(parts)

    def _joined(self, parts: list[np.ndarray]) -> np.ndarray:
        flat = [part.reshape(len(part), -1) for part in parts]
        joined = flat[0] if len(flat) == 1 else np.concatenate(flat)
        return np.asarray(joined.astype(self.dtype, copy=False))

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
        return _check_series(estimator, _as_numbers(estimator, X), reset)
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


def _as_numbers(estimator, X, **options) -> np.ndarray:
    """Real numbers as they are, so that nothing is read yet; anything else as floats."""
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and (len(X) or options):
        return X
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
    return Frames([pixels], (pixels.shape[1],))


def _check_series(estimator, X: np.ndarray | list, reset: bool) -> Frames:
    """Check a 4D array, or a list of 3D ones, of real numbers."""
    if isinstance(X, list):
        X = [_as_numbers(estimator, recording, ensure_min_samples=0) for recording in X]
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
    frames = Frames(X, frame_shape, lengths)
    _check_finite(estimator, frames)
    return frames


def _check_finite(estimator, frames: Frames) -> None:
    start, lengths = 0, np.asarray(frames.lengths)
    for block in frames.blocks():
        finite = np.isfinite(block)
        if not finite.all():
            index, pixel = np.argwhere(~finite)[0]
            recording = int(np.searchsorted(np.cumsum(lengths), start + index, side="right"))
            frame = start + index - lengths[:recording].sum()
            row, column = divmod(int(pixel), frames.shape[1])
            value = "NaN" if np.isnan(block[index, pixel]) else "infinity"
            raise ValueError(
                f"{_name(estimator)}: Input X contains {value}: recording {recording}, frame "
                f"{frame}, row {row}, column {column}; all values must be finite."
            )
        start += len(block)


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
