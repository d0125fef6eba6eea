"""What all faces share: the panel and its checks, names of columns, and the HTML metadata.

A *panel* is ``(n_recordings, n_channels, n_times)``. A 2D ``X`` is a panel of one channel, so that
scikit-learn's own checks and tabular users are served; a *ragged* panel is a list of
``(n_channels, n_times_i)`` arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length

from sklearn_dbt._compat import validate_data
from sklearn_dbt._persistence import PersistenceMixin

FLOATS = (np.float64, np.float32)
EXPECTED = (
    "expected a panel (n_recordings, n_channels, n_times), a table (n_recordings, n_times) "
    "or a list of (n_channels, n_times_i) arrays"
)


@dataclass(frozen=True)
class Panel:
    """Checked recordings and how they came in.

    Attributes
    ----------
    data : ndarray of shape (n_recordings, n_channels, n_times) or list of ndarray
        The recordings; a list of ``(n_channels, n_times_i)`` arrays when their lengths differ.
    is_table : bool
        Whether `X` was 2D, a panel of one channel without its channel axis.
    """

    data: np.ndarray | list[np.ndarray]
    is_table: bool = False

    @property
    def is_ragged(self) -> bool:
        return isinstance(self.data, list)

    @property
    def n_recordings(self) -> int:
        return len(self.data)

    @property
    def n_channels(self) -> int:
        return self.data[0].shape[0]

    @property
    def lengths(self) -> np.ndarray:
        """Number of time points of each recording, shape (n_recordings,)."""
        return np.array([recording.shape[-1] for recording in self.data])

    @property
    def n_times(self) -> int:
        """Number of time points of the longest recording."""
        return int(self.lengths.max()) if isinstance(self.data, list) else self.data.shape[-1]

    @property
    def dtype(self) -> np.dtype:
        return self.data[0].dtype

    def like_input(self, series: np.ndarray) -> np.ndarray:
        """Give a ``(n, n_channels_out, n_times)`` result the rank of the input.

        A result for a table is flattened to ``(n, n_channels_out * n_times)``.
        """
        return series.reshape(len(series), -1) if self.is_table else series


class DBTEstimator(PersistenceMixin, BaseEstimator):
    """Base of every estimator here: persistence without pickle and links of the HTML display."""

    _doc_link_module = "sklearn_dbt"
    _doc_link_template = (
        "https://sklearn-dbt.readthedocs.io/en/stable/generated/"
        "{estimator_module}.{estimator_name}.html"
    )


def check_panel(
    estimator: BaseEstimator,
    X,
    y="no_validation",
    *,
    reset: bool,
    ragged: bool = False,
    min_recordings: int = 1,
    min_times: int = 1,
    **y_options,
):
    """Check `X` as a panel, and `y` with it, and remember or compare the number of channels.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` (channels of a panel, columns of a table), ``feature_names_in_``
        and ``_n_dims_in`` when `reset`, and is compared with them otherwise.
    X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
        The recordings. float32 and float64 are kept, everything else becomes float64.
    y : array-like, default="no_validation"
        Target, checked as by :func:`sklearn.utils.validation.validate_data`.
    reset : bool
        True in `fit`, False where a fitted estimator meets new data.
    ragged : bool, default=False
        Whether recordings of different lengths are allowed.
    min_recordings : int, default=1
        Least number of recordings.
    min_times : int, default=1
        Least number of time points.
    **y_options
        ``multi_output`` and ``y_numeric``.

    Returns
    -------
    panel : Panel
        The checked recordings.
    y : ndarray
        Only when `y` was given.

    Raises
    ------
    ValueError
        For a wrong rank, swapped axes, NaN, infinity, too few recordings or time points, or
        another number of channels than in `fit`.
    """
    recordings, is_ragged = _as_recordings(X)
    if is_ragged:
        panel = _check_ragged(estimator, recordings, reset, ragged, min_recordings)
        if not _is_unset(y):
            y = validate_data(estimator, y=y, reset=False, **y_options)
            check_consistent_length(recordings, y)
    else:
        panel, y = _check_rectangular(estimator, recordings, y, reset, min_recordings, y_options)
    _check_times(estimator, panel, min_times)
    if reset:
        estimator._n_dims_in = 2 if panel.is_table else 3
    return panel if isinstance(y, str) and y == "no_validation" else (panel, y)


def _is_unset(y) -> bool:
    return y is None or (isinstance(y, str) and y == "no_validation")


def _as_recordings(X):
    """Return the recordings and whether they are a list of 2D arrays of unlike shapes."""
    is_object_array = getattr(X, "ndim", None) == 1 and getattr(X.dtype, "kind", None) == "O"
    if not (isinstance(X, list | tuple) or is_object_array) or len(X) == 0 or np.ndim(X[0]) != 2:
        return X, False
    recordings = [_as_float(recording) for recording in X]
    dtype = np.result_type(*recordings)
    recordings = [recording.astype(dtype, copy=False) for recording in recordings]
    same = all(recording.shape == recordings[0].shape for recording in recordings)
    return (np.stack(recordings), False) if same else (recordings, True)


def _as_float(recording) -> np.ndarray:
    recording = np.asarray(recording)
    return recording if recording.dtype in FLOATS else recording.astype(np.float64)


def _check_rectangular(estimator, X, y, reset, min_recordings, y_options):
    name, n_dims = _name(estimator), len(getattr(X, "shape", (0, 0)))
    if not reset:
        _check_same_rank(estimator, n_dims)
        _check_swapped(estimator, X, n_dims)
    options = {"dtype": FLOATS, "ensure_min_samples": min_recordings}
    if not _is_unset(y):
        options |= y_options
    if n_dims > 2:
        if n_dims != 3:
            raise ValueError(
                f"{name}: X has {n_dims} dimensions, shape {tuple(X.shape)}; {EXPECTED}."
            )
        options |= {"allow_nd": True, "ensure_all_finite": False}
    checked = validate_data(estimator, X, y, reset=reset, **options)
    X, y = checked if not _is_unset(y) else (checked, y)
    if X.ndim == 2:
        return Panel(X[:, None, :], is_table=True), y
    for axis, label in ((1, "channels"), (2, "time points")):
        if X.shape[axis] == 0:
            raise ValueError(f"{name}: X has 0 {label}, shape {X.shape}; {EXPECTED}.")
    _check_finite(estimator, X)
    if reset and X.shape[1] > 2 * X.shape[2] > 2:
        warnings.warn(
            f"{name}: X has {X.shape[1]} channels and only {X.shape[2]} time points; its axes look "
            f"swapped: {EXPECTED}. If so, pass X.transpose(0, 2, 1).",
            UserWarning,
            stacklevel=4,
        )
    return Panel(X), y


def _check_ragged(estimator, recordings, reset, ragged, min_recordings) -> Panel:
    name, shapes = _name(estimator), [recording.shape for recording in recordings]
    for i, shape in enumerate(shapes):
        if len(shape) != 2 or 0 in shape:
            raise ValueError(
                f"{name}: recording {i} of X has shape {shape}; a list must hold non-empty "
                "(n_channels, n_times_i) arrays."
            )
    channels = {shape[0] for shape in shapes}
    if len(channels) > 1:
        times = {shape[1] for shape in shapes}
        hint = (
            f" All have {times.pop()} columns: their axes look swapped; pass each one transposed."
            if len(times) == 1
            else ""
        )
        raise ValueError(
            f"{name}: recordings of X have different numbers of channels "
            f"{sorted(channels)}; all must have the same.{hint}"
        )
    if not ragged:
        lengths = sorted({shape[1] for shape in shapes})
        raise ValueError(
            f"{name}: recordings of X have {len(lengths)} different lengths, from {lengths[0]} "
            f"to {lengths[-1]} time points; all must have the same. Cut, pad or resample them."
        )
    if len(recordings) < min_recordings:
        raise ValueError(
            f"{name}: X has {len(recordings)} recording(s) and at least {min_recordings} "
            "are required."
        )
    if not reset:
        _check_same_rank(estimator, 3)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    _check_n_channels(estimator, channels.pop(), reset)
    for i, recording in enumerate(recordings):
        _check_finite(estimator, recording[None], first=i)
    return Panel(recordings)


def _check_n_channels(estimator, n_channels: int, reset: bool) -> None:
    if reset:
        estimator.n_features_in_ = n_channels
    elif n_channels != estimator.n_features_in_:
        raise ValueError(
            f"X has {n_channels} channels, but {_name(estimator)} was fitted with "
            f"{estimator.n_features_in_}."
        )


def _check_same_rank(estimator, n_dims: int) -> None:
    fitted = getattr(estimator, "_n_dims_in", n_dims)
    if n_dims > 1 and n_dims != fitted:
        kinds = {2: "a table (2D)", 3: "a panel (3D)"}
        raise ValueError(
            f"{_name(estimator)} was fitted on {kinds[fitted]} and got "
            f"{kinds.get(n_dims, f'{n_dims}D data')}; pass the same rank. A one-channel panel is "
            "X[:, None, :]."
        )


def _check_swapped(estimator, X, n_dims: int) -> None:
    if n_dims == 3 and X.shape[1] != estimator.n_features_in_ == X.shape[2]:
        raise ValueError(
            f"{_name(estimator)}: X has {X.shape[1]} channels, but {estimator.n_features_in_} were "
            f"seen in fit; its axes look swapped, shape {tuple(X.shape)}: {EXPECTED}. "
            "Pass X.transpose(0, 2, 1)."
        )


def _check_finite(estimator, X: np.ndarray, first: int = 0) -> None:
    # One sum is NaN or infinite where any value is, at a tenth of the cost of looking at each.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return
    finite = np.isfinite(X)
    if finite.all():
        return
    i, channel, time = np.argwhere(~finite)[0]
    value = "NaN" if np.isnan(X[i, channel, time]) else "infinity"
    raise ValueError(
        f"{_name(estimator)}: Input X contains {value}: recording {first + i}, channel {channel}, "
        f"time point {time}; all values must be finite."
    )


def _check_times(estimator, panel: Panel, min_times: int) -> None:
    shortest = int(panel.lengths.min())
    if shortest < min_times:
        where = f"n_features = {shortest}" if panel.is_table else f"{shortest} time point(s)"
        raise ValueError(
            f"{_name(estimator)}: a recording of X has {where} and at least {min_times} are "
            "required."
        )


def _name(estimator) -> str:
    return type(estimator).__name__


def series_names(names: Sequence[str], n_times: int, is_table: bool) -> np.ndarray:
    """Name the columns of a series output: channels of a panel, channel and time of a table.

    Parameters
    ----------
    names : sequence of str
        Names of the output channels.
    n_times : int
        Time points of one channel.
    is_table : bool
        Whether the output is flattened to 2D, channel after channel.

    Returns
    -------
    ndarray of str, dtype object
    """
    if not is_table:
        return np.asarray(names, dtype=object)
    return np.array([f"{name}_t{t}" for name in names for t in range(n_times)], dtype=object)
