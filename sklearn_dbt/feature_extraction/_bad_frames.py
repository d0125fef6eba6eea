"""Frames that show nothing: blank ones, and those where the sensor was at its limits."""

from __future__ import annotations

import numpy as np

# A frame is saturated if more of its pixels than this share are at a limit.
MOST_SATURATED = 0.5


def is_bad(pixels: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Whether each frame is blank (all pixels equal) or saturated.

    Parameters
    ----------
    pixels : ndarray of shape (n_frames, n_pixels)
        Frames.
    value_range : tuple of float or None
        Limits of the sensor; None knows none, and no frame is saturated.

    Returns
    -------
    ndarray of shape (n_frames,) of bool
    """
    bad = pixels.min(axis=1) == pixels.max(axis=1)
    if value_range is not None:
        low, high = value_range
        bad |= ((pixels <= low) | (pixels >= high)).mean(axis=1) > MOST_SATURATED
    return bad


def interpolate(features: np.ndarray, bad: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Replace rows of bad frames by the line between their neighbours in the same recording.

    Parameters
    ----------
    features : ndarray of shape (n_frames, n_features)
        Descriptions of the frames of all recordings.
    bad : ndarray of shape (n_frames,) of bool
        Which are bad.
    lengths : ndarray of shape (n_recordings,)
        Number of frames of each recording.

    Returns
    -------
    ndarray of shape (n_frames, n_features)
        Before the first good frame its own values go on, and after the last; a recording without
        any stays as it is.
    """
    out = features.copy()
    ends = np.cumsum(lengths)
    for recording in np.unique(np.searchsorted(ends, np.flatnonzero(bad), side="right")):
        rows = np.arange(ends[recording] - lengths[recording], ends[recording])
        good, missing = rows[~bad[rows]], rows[bad[rows]]
        if len(good):
            for j in range(features.shape[1]):
                out[missing, j] = np.interp(missing, good, features[good, j])
    return out
