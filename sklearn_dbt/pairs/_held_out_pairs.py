"""Hold out pairs of groups that are in no training pair."""

from __future__ import annotations

import math

import numpy as np


def held_out_pairs(
    same: np.ndarray, kept: np.ndarray, groups, fraction: float, seed: int, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Split pairs by their groups; those that cross are dropped.

    Of m groups in all, the pairs within a share f of them are a share of f squared, so the root of
    `fraction` of the groups is held out.

    Parameters
    ----------
    same : ndarray of shape (n_pairs,)
        1 or 0.
    kept : ndarray of int
        Rows of the pairs to split.
    groups : array-like of shape (n_pairs, 2)
        Groups of both series of each pair.
    fraction : float
        Share of pairs to hold out.
    seed : int
        Of the draw of groups.
    name : str
        The estimator's name, for errors.

    Returns
    -------
    train, held_out : ndarray of int

    Raises
    ------
    ValueError
        If the groups are not two a pair, or too few are left on a side.
    """
    groups = np.asarray(groups)
    if groups.shape != (len(same), 2):
        raise ValueError(
            f"{name}: groups must have shape ({len(same)}, 2), the two groups of each pair; got "
            f"{groups.shape}."
        )
    names, codes = np.unique(groups[kept], return_inverse=True)
    n_held_out = math.ceil(math.sqrt(fraction) * len(names))
    chosen = np.random.RandomState(seed).permutation(len(names))[:n_held_out]
    inside = np.isin(codes.reshape(-1, 2), chosen).sum(axis=1)
    train, held_out = kept[inside == 0], kept[inside == 2]
    if len(np.unique(same[train])) < 2 or len(held_out) == 0:
        raise ValueError(
            f"{name}: early_stopping=True leaves {len(train)} training and {len(held_out)} "
            f"held-out pairs when {n_held_out} of {len(names)} groups are held out, and training "
            "needs both classes. Give more pairs, another validation_fraction or "
            "early_stopping=False."
        )
    return train, held_out
