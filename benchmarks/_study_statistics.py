"""Compare methods over data sets: ranks, Friedman, Nemenyi, Wilcoxon with Holm's correction.

All of it follows J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR
7, 2006. Blocks are data sets, columns are methods, larger scores are better.
"""

from pathlib import Path

import numpy as np
from scipy import stats


def mean_ranks(scores: np.ndarray) -> np.ndarray:
    """Mean rank of each column over the rows; 1 is best, equals share their ranks."""
    return stats.rankdata(-np.asarray(scores), axis=1).mean(axis=0)


def friedman(scores: np.ndarray) -> float:
    """p-value of Friedman's test that all columns are equally good; nan below 3 x 3."""
    n, k = np.shape(scores)
    if n < 3 or k < 3 or np.all(scores == scores[:, :1]):
        return float("nan")
    return float(stats.friedmanchisquare(*np.transpose(scores)).pvalue)


def critical_difference(n_methods: int, n_sets: int, alpha: float = 0.05) -> float:
    r"""Difference of mean ranks that Nemenyi's test takes for real.

    .. math:: CD = q_\alpha \sqrt{k (k + 1) / (6 N)}

    with the studentized range at infinite degrees of freedom over :math:`\sqrt 2` as
    :math:`q_\alpha`.

    Parameters
    ----------
    n_methods, n_sets : int
        k and N.
    alpha : float, default=0.05
        Level.

    Returns
    -------
    float
        The critical difference.
    """
    q = stats.studentized_range.ppf(1 - alpha, n_methods, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_sets)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values after Holm's step-down correction, in the order given."""
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(steps))
    return adjusted


def wilcoxon(ours: np.ndarray, other: np.ndarray) -> float:
    """Two-sided p-value of the signed-rank test on paired scores; 1 where all pairs are equal."""
    difference = np.asarray(ours) - np.asarray(other)
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="zsplit").pvalue)


def cliques(ranks: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """Longest runs of sorted ranks that lie within the critical difference.

    Parameters
    ----------
    ranks : ndarray
        In ascending order.
    difference : float
        The critical difference.

    Returns
    -------
    list of (int, int)
        First and last position of each run of at least two; none inside another.
    """
    runs: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.searchsorted(ranks, ranks[first] + difference, side="right")) - 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def draw_ranks(methods: list[str], ranks: np.ndarray, difference: float, path: Path, title: str):
    """Draw mean ranks on a line; bars join methods that Nemenyi's test cannot tell apart.

    Parameters
    ----------
    methods : list of str
        Names.
    ranks : ndarray
        Their mean ranks.
    difference : float
        The critical difference, drawn to scale.
    path : Path
        Picture to write.
    title : str
        Above it.
    """
    from matplotlib.figure import Figure

    order = np.argsort(ranks, kind="stable")
    ranks, methods = np.asarray(ranks)[order], [methods[i] for i in order]
    k, left = len(ranks), (len(ranks) + 1) // 2
    runs = cliques(ranks, difference)
    low = 1.2 + 0.25 * len(runs)
    figure = Figure(figsize=(8, 0.3 * (left + len(runs)) + 1.3), layout="constrained")
    ax = figure.subplots()
    ax.plot([1, k], [0, 0], color="0.2", lw=1)
    for tick in range(1, k + 1):
        ax.plot([tick, tick], [0, -0.2], color="0.2", lw=1)
        ax.text(tick, -0.35, str(tick), ha="center", va="bottom")
    for i, (rank, method) in enumerate(zip(ranks, methods, strict=True)):
        is_left = i < left
        depth = low + 0.6 * (i if is_left else k - 1 - i)
        edge, align = (0.6, "right") if is_left else (k + 0.4, "left")
        color = "C3" if method.startswith("ours") else "0.2"
        ax.plot([rank, rank, edge], [0, depth, depth], color=color, lw=0.9)
        label = f"{method}  {rank:.2f}" if is_left else f"{rank:.2f}  {method}"
        ax.text(edge - 0.05 if is_left else edge + 0.05, depth, label, ha=align, va="center")
    for i, (first, last) in enumerate(runs):
        height = 0.45 + 0.25 * i
        ax.plot([ranks[first] - 0.03, ranks[last] + 0.03], [height] * 2, color="0.4", lw=3)
    ax.plot([1, 1 + difference], [-1.6, -1.6], color="0.2", lw=2)
    ax.text(1, -1.8, f"critical difference {difference:.2f}", va="bottom")
    ax.set(xlim=(-1.6, k + 2.6), ylim=(low + 0.6 * left, -2.8), title=title)
    ax.axis("off")
    figure.savefig(path, dpi=130)
