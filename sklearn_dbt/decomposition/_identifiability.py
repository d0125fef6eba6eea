"""How many components the segments can tell apart."""

from __future__ import annotations

import numpy as np

# Fewest time points of a half segment whose mean says anything.
LEAST_HALF = 4
# Deviations of an eigenvalue of pure noise that one has to exceed to count.
DEVIATIONS = 3.0


def modulation_rank(strengths: np.ndarray, labels: np.ndarray) -> int | None:
    r"""Rank of the changes of strength from segment to segment, beyond chance.

    With :math:`a_\tau` and :math:`b_\tau` the mean strengths in the two halves of a segment,
    centred over the segments and scaled to variance one,

    .. math:: S = \frac{1}{2K} \sum_\tau a_\tau b_\tau^\top + b_\tau a_\tau^\top

    estimates the covariance of the changes without bias, since the chance in the two halves is
    independent. Its eigenvalues count where they exceed the spread that this chance has.

    Parameters
    ----------
    strengths : ndarray of shape (n_points, n)
        Magnitudes of components.
    labels : ndarray of shape (n_points,)
        Segment of each point, not falling.

    Returns
    -------
    int or None
        In 0 to n; None where segments are too few or too short to say.
    """
    segments = np.split(strengths, np.flatnonzero(np.diff(labels)) + 1)
    halves = [np.array_split(s, 2) for s in segments if len(s) >= 2 * LEAST_HALF]
    n = strengths.shape[1]
    if len(halves) <= n:
        return None
    means = np.array([[half.mean(axis=0) for half in pair] for pair in halves])
    means -= means.mean(axis=0)
    scale = means.std(axis=(0, 1))
    first, second = np.moveaxis(means / np.where(scale > 0, scale, 1), 1, 0)
    signal = first.T @ second / len(halves)
    noise = np.square(first - second).mean() / 2
    spread = noise * np.sqrt(n / len(halves))
    eigenvalues = np.linalg.eigvalsh((signal + signal.T) / 2)
    return int((eigenvalues > DEVIATIONS * spread).sum())
