"""Recordings as labelled time points: standardised, cut into segments, blocks held out."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from sklearn_dbt._base import Panel


def standardise(recording: np.ndarray, *, offset: bool = True, gain: bool = True) -> np.ndarray:
    """Remove the offset of each channel and the gain of the recording.

    One gain serves all channels, so that what an amplifier did to the recording as a whole is gone,
    and how its sources compare in strength is not.

    Parameters
    ----------
    recording : ndarray of shape (n_channels, n_times)
        A recording.
    offset : bool, default=True
        Subtract the mean of each channel.
    gain : bool, default=True
        Divide by the root mean square over all channels, after their means.

    Returns
    -------
    ndarray of shape (n_channels, n_times)
        A recording that is constant up to rounding is not divided.
    """
    centred = recording - recording.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.square(centred).mean())
    rounding = 8 * np.finfo(recording.dtype).eps * np.abs(recording).max()
    if scale <= rounding:
        return np.zeros_like(recording) if offset else recording
    result = centred if offset else recording
    return result / scale if gain else result


def join(panel: Panel, *, offset: bool = True, gain: bool = True) -> np.ndarray:
    """Standardise all recordings and put their time points one below the other.

    Parameters
    ----------
    panel : Panel
        The recordings.
    offset, gain : bool, default=True
        See :func:`standardise`.

    Returns
    -------
    ndarray of shape (n_points, n_channels)
    """
    parts = [standardise(recording, offset=offset, gain=gain) for recording in panel.data]
    return np.concatenate(parts, axis=1).T


def whitening_of(points: np.ndarray) -> np.ndarray:
    """PCA whitening of centred points, without the directions in which they do not vary.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_channels)
        Of mean 0.

    Returns
    -------
    ndarray of shape (n_directions, n_channels)
        In float64, rows by falling variance; none where the points are all 0.
    """
    values, vectors = np.linalg.eigh(points.T @ points / len(points))
    values, vectors = values[::-1].astype(np.float64), vectors.T[::-1].astype(np.float64)
    # A standard deviation this much smaller than the largest is rounding of a linear dependence.
    varies = values > values[0] * (100 * np.finfo(points.dtype).eps)
    return vectors[varies] / np.sqrt(values[varies])[:, None]


def label_segments(lengths: np.ndarray, n_windows: int) -> np.ndarray:
    """Number the segment of each time point; each recording has `n_windows` of equal length.

    Parameters
    ----------
    lengths : ndarray of shape (n_recordings,)
        Time points of each recording, at least `n_windows`.
    n_windows : int
        Segments in each recording. Their lengths differ by at most one.

    Returns
    -------
    ndarray of int64, shape (lengths.sum(),)
        From 0, not falling; recording after recording.
    """
    return np.concatenate(
        [i * n_windows + np.arange(n) * n_windows // n for i, n in enumerate(lengths)]
    )


def hold_out_blocks(labels: np.ndarray, fraction: float, random_state: RandomState) -> np.ndarray:
    """Choose one block of consecutive time points in each segment.

    Parameters
    ----------
    labels : ndarray of shape (n_points,)
        Segment of each time point, not falling, each of at least two points.
    fraction : float
        Share of a segment to hold out; at least one point is, and one is left.
    random_state : RandomState
        Places the blocks.

    Returns
    -------
    ndarray of bool, shape (n_points,)
        True where held out.
    """
    counts = np.bincount(labels)
    sizes = np.clip(np.rint(fraction * counts), 1, counts - 1).astype(int)
    first = np.floor(random_state.uniform(size=len(counts)) * (counts - sizes + 1)).astype(int)
    place = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels]
    return (place >= first[labels]) & (place < (first + sizes)[labels])


def check_segments(panel: Panel, segments, estimator: str) -> int:
    """Return the number of windows in a recording, or say why there are no segments to tell apart.

    Parameters
    ----------
    panel : Panel
        The recordings.
    segments : "recording" or int
        The parameter.
    estimator : str
        Name in the errors.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is only one segment, or a recording is too short for its windows.
    """
    n_windows = 1 if segments == "recording" else int(segments)
    if panel.n_recordings * n_windows < 2:
        raise ValueError(
            f"{estimator}: X has one recording (1 sample), which is one segment with "
            f"segments={segments!r}, and at least two are needed to be told apart. Give more "
            "recordings, or cut this one into windows: segments=20, say."
        )
    shortest = int(panel.lengths.argmin())
    if panel.lengths[shortest] < 2 * n_windows:
        raise ValueError(
            f"{estimator}: recording {shortest} of X has n_times={panel.lengths[shortest]}, too "
            f"few for segments={segments} windows of at least 2 time points."
        )
    return n_windows
