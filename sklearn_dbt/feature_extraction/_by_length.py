"""Recordings in arrays of one length, and in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sklearn_dbt._base import Panel

# Samples of a block: what is computed of it in several steps is still in the cache.
BLOCK = 2**19


def groups_by_length(panel: Panel) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Recordings of each length.

    Parameters
    ----------
    panel : Panel
        The recordings.

    Yields
    ------
    which, x : ndarray of shape (n_i,), (n_i, n_channels, n_times_i)
        Their places in the panel, and the recordings.
    """
    if not isinstance(panel.data, list):
        yield np.arange(panel.n_recordings), panel.data
        return
    for length in np.unique(panel.lengths):
        which = np.flatnonzero(panel.lengths == length)
        yield which, np.stack([panel.data[i] for i in which])


def map_by_length(rule: Callable[[np.ndarray], np.ndarray], panel: Panel):
    """Apply a rule that takes each recording by itself.

    Parameters
    ----------
    rule : callable
        From an array of recordings to an array as long.
    panel : Panel
        The recordings.

    Returns
    -------
    ndarray, or list of ndarray for ragged recordings
    """
    if not isinstance(panel.data, list):
        return _in_blocks(rule, panel.data)
    results: list = [None] * panel.n_recordings
    for which, x in groups_by_length(panel):
        for i, result in zip(which, _in_blocks(rule, x), strict=True):
            results[i] = result
    return results


def _in_blocks(rule: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    size = max(1, BLOCK // max(1, x[0].size))
    blocks = [rule(x[i : i + size]) for i in range(0, len(x), size)]
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
