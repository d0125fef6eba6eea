"""Make pairs of recordings: of one class, and of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state


def make_pairs(
    X: ArrayLike | Sequence[ArrayLike],
    y: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    n_pairs: int | None = None,
    positive_fraction: float = 0.5,
    return_indices: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Any, np.ndarray, np.ndarray]:
    r"""Draw pairs of recordings and label them: 1 for the same class, 0 for different ones.

    Recordings take turns as anchors, and each anchor draws its partners at random without
    repetition, so that none is favoured and large classes do not crowd out small ones. No pair of
    a recording with itself and no pair twice (in either order) is made.

    Parameters
    ----------
    X : array-like of shape (n, n_channels, n_times) or (n, n_times), or list of 2D arrays
        Recordings. A table is a panel of one channel; a list holds ``(n_channels, n_times_i)``
        arrays.
    y : array-like of shape (n,)
        Class of each recording.
    groups : array-like of shape (n,), default=None
        Group of each recording (subject, session, …); None is the recording's own number.
    n_pairs : int, default=None
        How many pairs; None makes twice as many as there are recordings, or as many as there are.
    positive_fraction : float, default=0.5
        Share of pairs of the same class, strictly between 0 and 1.
    return_indices : bool, default=False
        Return the numbers of the two recordings in place of the recordings, for a classifier whose
        ``preprocessor`` is `X`.
    random_state : int, RandomState or None, default=None
        Seed of the draw.

    Returns
    -------
    pairs : ndarray of shape (n_pairs, 2, n_channels, n_times) or list of tuple
        The pairs, in random order; a list of two-tuples when `X` is ragged, an int array of shape
        (n_pairs, 2) with `return_indices`.
    y : ndarray of shape (n_pairs,)
        1 where both recordings have the same class, otherwise 0.
    groups : ndarray of shape (n_pairs, 2)
        The groups of both, as :class:`~sklearn_dbt.PairGroupKFold` takes them.

    Raises
    ------
    ValueError
        If there are not as many pairs of a kind as asked for, lengths differ, or a number is out of
        its range.

    See Also
    --------
    sklearn_dbt.PairGroupKFold : Splits pairs so that no group is on both sides.
    sklearn_dbt.SoftDTWPairClassifier : Learns from such pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import make_pairs
    >>> X = np.random.default_rng(0).normal(size=(10, 3, 50))
    >>> pairs, same, groups = make_pairs(X, np.arange(10) % 2, random_state=0)
    >>> pairs.shape, same.mean(), groups.shape
    ((20, 2, 3, 50), np.float64(0.5), (20, 2))
    """
    recordings, is_ragged = _as_recordings(X)
    y = np.asarray(y)
    if any(label is None or label != label for label in y.ravel().tolist()):
        raise ValueError("make_pairs: y holds NaN or None; leave out recordings without a label.")
    y = np.unique(y, return_inverse=True)[1]
    groups = np.arange(len(recordings)) if groups is None else np.asarray(groups)
    check_consistent_length(recordings, y, groups)
    n_positive, n_negative = _how_many(np.bincount(y), n_pairs, positive_fraction)
    rng = check_random_state(random_state)
    drawn = [_draw(y, same, n, rng) for same, n in ((True, n_positive), (False, n_negative))]
    order = rng.permutation(n_positive + n_negative)
    indices = np.concatenate(drawn)[order]
    same = np.repeat([1, 0], [n_positive, n_negative])[order]
    pairs: np.ndarray | list[tuple[np.ndarray, np.ndarray]]
    if return_indices:
        pairs = indices
    elif is_ragged:
        pairs = [(recordings[i], recordings[j]) for i, j in indices]
    else:
        pairs = recordings[indices]
    return pairs, same, groups[indices]


def _as_recordings(X):
    """Return a panel, or a list of (n_channels, n_times_i) arrays, and whether it is a list."""
    if isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) == 2:
        X = [np.asarray(recording) for recording in X]
        if len({recording.shape for recording in X}) > 1:
            return X, True
    X = np.asarray(X)
    if X.ndim not in (2, 3):
        raise ValueError(
            "make_pairs: X must be a panel (n, n_channels, n_times), a table (n, n_times) or a "
            f"list of (n_channels, n_times_i) arrays; got shape {X.shape}."
        )
    return (X[:, None] if X.ndim == 2 else X), False


def _how_many(sizes: np.ndarray, n_pairs: int | None, fraction: float) -> tuple[int, int]:
    """Return the numbers of positive and negative pairs to draw, given the sizes of the classes."""
    if not 0 < fraction < 1:
        raise ValueError(f"make_pairs: positive_fraction must lie in (0, 1); got {fraction}.")
    n = int(sizes.sum())
    n_alike = int((sizes * (sizes - 1) // 2).sum())
    possible = np.array([n_alike, n * (n - 1) // 2 - n_alike])
    if possible.min() == 0:
        kind = "no class has two recordings" if possible[0] == 0 else "there is only one class"
        raise ValueError(f"make_pairs: pairs of both kinds are needed, but in y {kind}.")
    share = np.array([fraction, 1 - fraction])
    if n_pairs is None:
        n_pairs = int(min(2 * n, *(possible / share)))
        n_pairs = max(n_pairs, 2)
    elif not isinstance(n_pairs, int | np.integer) or n_pairs < 2:
        raise ValueError(f"make_pairs: n_pairs must be an int >= 2; got {n_pairs!r}.")
    n_positive = min(max(round(n_pairs * fraction), 1), n_pairs - 1)
    wanted = np.array([n_positive, n_pairs - n_positive])
    if (wanted > possible).any():
        raise ValueError(
            f"make_pairs: {wanted[0]} pairs of the same class and {wanted[1]} of different ones "
            f"were asked for; y allows {possible[0]} and {possible[1]}."
        )
    return n_positive, n_pairs - n_positive


def _draw(y, same: bool, n_pairs: int, random_state) -> np.ndarray:
    """Draw distinct pairs (anchor, partner); anchors take turns in random order."""
    anchors = random_state.permutation(len(y))
    partners: dict[int, list[int]] = {}
    taken: set[tuple[int, int]] = set()
    pairs: list[tuple[int, int]] = []
    while len(pairs) < n_pairs:
        for i in anchors:
            if i not in partners:
                others = np.flatnonzero((y == y[i]) == same)
                partners[i] = random_state.permutation(others[others != i]).tolist()
            while partners[i]:
                j = partners[i].pop()
                if (min(i, j), max(i, j)) not in taken:
                    taken.add((min(i, j), max(i, j)))
                    pairs.append((i, j))
                    break
            if len(pairs) == n_pairs:
                break
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
