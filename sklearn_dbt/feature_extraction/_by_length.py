"""Recordings in arrays of one length, and in blocks that stay in the cache, a thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

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

    Many recordings are taken in blocks, from PyTorch's number of threads.

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
    blocks = [x[i : i + size] for i in range(0, len(x), size)]
    n_threads = min(torch.get_num_threads(), len(blocks))
    if n_threads == 1:
        results = list(map(rule, blocks))
    else:
        # They live as long as the call: nothing is left behind that a fork could break.
        with ThreadPoolExecutor(n_threads) as pool:
            results = list(pool.map(rule, blocks))
    return np.concatenate(results) if len(results) > 1 else results[0]
