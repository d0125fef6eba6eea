"""Folds of pairs in which no recording is on both sides."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from sklearn_dbt._compat import GroupsConsumerMixin, num_samples


class PairGroupKFold(GroupsConsumerMixin, BaseCrossValidator):
    r"""K folds of pairs in which no group is on both sides of a split.

    A pair belongs to two groups (its two recordings, subjects, …). The *groups* are dealt to
    :math:`K` folds; split :math:`k` tests on the pairs with both groups in fold :math:`k`, trains
    on those with neither in it, and drops the pairs that cross. With :math:`m` groups about
    :math:`1/K^2` of all possible pairs are in a test set and :math:`(1 - 1/K)^2` in its training
    set, so a small :math:`K` wastes fewer pairs.

    Parameters
    ----------
    n_splits : int, default=3
        Number of folds, at least 2.
    shuffle : bool, default=True
        Deal the groups at random; otherwise in their sorted order, in contiguous blocks.
    random_state : int, RandomState or None, default=0
        Seed of the shuffle.

    See Also
    --------
    sklearn.model_selection.GroupKFold : For samples that belong to one group each.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt import PairGroupKFold
    >>> groups = np.array([[0, 1], [2, 3], [0, 3], [1, 0], [3, 2]])
    >>> folds = PairGroupKFold(n_splits=2, shuffle=False)
    >>> for train, test in folds.split(groups, groups=groups):
    ...     print(train, test)
    [1 4] [0 3]
    [0 3] [1 4]
    """

    def __init__(self, n_splits=3, *, shuffle=True, random_state=0):
        if not isinstance(n_splits, int | np.integer) or n_splits < 2:
            raise ValueError(f"PairGroupKFold: n_splits must be an int >= 2, got {n_splits!r}.")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def split(self, X, y=None, groups=None):
        """Yield training and test rows of each split.

        Parameters
        ----------
        X : array-like of length n_pairs
            Pairs; only their number is used.
        y : array-like of shape (n_pairs,), default=None
            Ignored.
        groups : array-like of shape (n_pairs, 2), default=None
            The two groups of each pair; must be given.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If groups are missing, not two a pair, or too few, or if a side of a split is empty.
        """
        del y
        left, right, n_groups = self._checked_groups(X, groups)
        order = np.arange(n_groups)
        if self.shuffle:
            check_random_state(self.random_state).shuffle(order)
        fold_of = np.empty(n_groups, dtype=int)
        for fold, members in enumerate(np.array_split(order, self.n_splits)):
            fold_of[members] = fold
        for fold in range(self.n_splits):
            inside = (fold_of[left] == fold).astype(int) + (fold_of[right] == fold)
            train, test = np.flatnonzero(inside == 0), np.flatnonzero(inside == 2)
            if not len(train) or not len(test):
                raise ValueError(
                    f"PairGroupKFold: split {fold} has {len(train)} training and {len(test)} test "
                    f"pairs, {len(left) - len(train) - len(test)} crossing ones are dropped. Give "
                    f"more pairs or fewer than n_splits={self.n_splits} folds."
                )
            yield train, test

    def get_n_splits(self, X=None, y=None, groups=None):
        """Number of splits.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        int
        """
        del X, y, groups
        return self.n_splits

    def _checked_groups(self, X, groups):
        if groups is None:
            raise ValueError("PairGroupKFold: groups must be given, shape (n_pairs, 2); got None.")
        groups = np.asarray(groups)
        n_pairs = num_samples(X)
        if groups.shape != (n_pairs, 2):
            raise ValueError(
                f"PairGroupKFold: groups must have shape ({n_pairs}, 2), the two groups of each "
                f"pair; got {groups.shape}."
            )
        names, codes = np.unique(groups, return_inverse=True)
        if len(names) < self.n_splits:
            raise ValueError(
                f"PairGroupKFold: n_splits={self.n_splits} needs as many groups; got {len(names)}."
            )
        left, right = codes.reshape(groups.shape).T
        return left, right, len(names)
