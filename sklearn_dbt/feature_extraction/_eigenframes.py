"""Principal components of frames that need not all be in memory."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state

# Up to this many pixels the whole covariance is computed.
MOST_PIXELS = 4096
# Subspace iteration: directions beyond those asked for, and passes over all frames.
N_SPARE, N_PASSES = 10, 7

Blocks = Callable[[], Iterable[np.ndarray]]


def eigenframes(
    blocks: Blocks, n_components: int | float, svd_solver: str, random_state: object
) -> dict[str, np.ndarray]:
    """Mean frame and principal components.

    Frames of one block are handed to scikit-learn's PCA. Of several blocks the covariance is
    summed up block by block, or for many pixels its products with a few directions (subspace
    iteration), so that no more than a block is in memory.

    Parameters
    ----------
    blocks : callable
        Gives the frames, arrays of shape (n_frames_b, n_pixels), anew each time it is called.
    n_components : int or float
        How many, or the share of the variance that they explain.
    svd_solver : str
        As in PCA; "full" and "randomized" take all frames at once.
    random_state : int, RandomState or None
        Seed of randomized solvers.

    Returns
    -------
    dict
        ``components_``, ``mean_`` and ``explained_variance_ratio_``.

    Raises
    ------
    ValueError
        If there are too few frames, or all are equal, or a share of the variance is asked for of
        very many pixels in several blocks.
    """
    n_frames, n_blocks, mean = _mean(blocks)
    if n_frames < 2:
        raise ValueError(
            f"FrameEmbedder: X has n_samples = {n_frames} frame and at least 2 are required for "
            "eigenframes."
        )
    first = next(iter(blocks()))[0]
    if not any(np.any(block != first) for block in blocks()):
        raise ValueError(
            f"FrameEmbedder: all {n_frames} frames of X are equal; eigenframes need frames that "
            "differ."
        )
    if isinstance(n_components, numbers.Integral):
        n_components = min(int(n_components), n_frames, len(mean))
    if n_blocks == 1 or svd_solver in ("full", "randomized"):
        pca = PCA(n_components, svd_solver=svd_solver, random_state=random_state)
        pca.fit(np.concatenate(list(blocks())))
        found = pca.components_, pca.mean_, pca.explained_variance_ratio_
    else:
        found = _in_blocks(blocks, mean, n_components, random_state)
    return dict(zip(("components_", "mean_", "explained_variance_ratio_"), found, strict=True))


def _mean(blocks: Blocks) -> tuple[int, int, np.ndarray]:
    n_frames, n_blocks, total = 0, 0, np.zeros(())
    for block in blocks():
        n_frames, n_blocks = n_frames + len(block), n_blocks + 1
        total = total + block.sum(axis=0, dtype=np.float64)
    return n_frames, n_blocks, total / max(n_frames, 1)


def _in_blocks(blocks: Blocks, mean: np.ndarray, n_components: Any, random_state: object):
    def centred() -> Iterable[np.ndarray]:
        return (block.astype(np.float64) - mean for block in blocks())

    if len(mean) <= MOST_PIXELS:
        scatter = sum(x.T @ x for x in centred())
        values, vectors = np.linalg.eigh(scatter)
        total = np.trace(scatter)
    else:
        values, vectors = _subspace(centred, len(mean), n_components, random_state)
        total = sum(np.square(x).sum() for x in centred())
    share = np.maximum(values[::-1], 0) / total
    if not isinstance(n_components, numbers.Integral):
        n_components = int(np.searchsorted(share.cumsum(), n_components, side="right")) + 1
    # As PCA has them: the entry of greatest magnitude is positive.
    components = vectors[:, ::-1].T[:n_components]
    greatest = np.abs(components).argmax(axis=1)
    components = components * np.sign(components[np.arange(len(components)), greatest])[:, None]
    dtype = next(iter(blocks())).dtype
    return components.astype(dtype), mean.astype(dtype), share[:n_components].astype(dtype)


def _subspace(centred: Blocks, n_pixels: int, n_components: Any, random_state: object):
    if not isinstance(n_components, numbers.Integral):
        raise ValueError(
            f"FrameEmbedder: n_components={n_components!r}, a share of the variance, needs all "
            f"eigenframes; frames of more than {MOST_PIXELS} pixels that are read in several "
            "blocks need a number of them."
        )
    n_directions = min(int(n_components) + N_SPARE, n_pixels)
    vectors = check_random_state(random_state).standard_normal((n_pixels, n_directions))
    for _ in range(N_PASSES):
        vectors, _ = np.linalg.qr(sum(x.T @ (x @ vectors) for x in centred()))
    values, rotation = np.linalg.eigh(sum(y.T @ y for y in (x @ vectors for x in centred())))
    return values, vectors @ rotation
