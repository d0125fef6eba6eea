"""Recordings as labelled time points: standardised, cut into segments, blocks held out."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState

from sklearn_dbt._base import Panel


def offset_and_gain(
    recording: np.ndarray, *, offset: bool = True, gain: bool = True
) -> tuple[np.ndarray, float]:
    """Say what to subtract from each channel of a recording, and what to multiply all of it by.

    One gain serves all channels, so that what an amplifier did to the recording as a whole is gone,
    and how its sources compare in strength is not.

    Parameters
    ----------
    recording : ndarray of shape (n_channels, n_times)
        A recording.
    offset : bool, default=True
        Subtract the mean of each channel; otherwise nothing.
    gain : bool, default=True
        Divide by the root mean square over all channels, after their means; otherwise by nothing.

    Returns
    -------
    offset : ndarray of shape (n_channels,)
        The means, or 0.
    gain : float
        One over the root mean square, or 1; 0 for a recording that is constant up to rounding and
        whose offset is removed.
    """
    # In units of about the greatest value, whose squares neither overflow nor vanish; of a power
    # of two, which rounds nothing.
    peak = np.abs(recording).max()
    unit = np.ldexp(recording.dtype.type(1), np.frexp(peak)[1] - 1)
    relative = recording / unit
    centre = relative.mean(axis=1)
    mean = centre * unit
    scale = unit * np.sqrt(np.square(relative - centre[:, None]).mean())
    rounding = 8 * np.finfo(recording.dtype).eps * peak
    subtracted = mean if offset else np.zeros_like(mean)
    if scale <= rounding:
        return subtracted, 0.0 if offset else 1.0
    return subtracted, 1 / scale if gain else 1.0


def whitening_of(covariance: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """PCA whitening by a covariance, without the directions in which points do not vary.

    Parameters
    ----------
    covariance : ndarray of shape (n_channels, n_channels)
        Of the points.
    dtype : dtype
        Precision of the points, which says how small a variance is rounding.

    Returns
    -------
    ndarray of shape (n_directions, n_channels)
        In that precision, rows by falling variance; none where the points are all 0.
    """
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1].astype(np.float64), vectors.T[::-1].astype(np.float64)
    # A standard deviation this much smaller than the largest is rounding of a linear dependence.
    varies = values > values[0] * (100 * np.finfo(dtype).eps)
    return (vectors[varies] / np.sqrt(values[varies])[:, None]).astype(dtype)


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
