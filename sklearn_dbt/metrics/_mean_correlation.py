"""How well components agree with the sources they should be, whatever their order and sign."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

KINDS = ("pearson", "spearman")


class Matching(NamedTuple):
    """What :func:`match_components` returns.

    Parameters
    ----------
    order : ndarray of int, shape (n_sources,)
        The component that was matched with each source.
    correlation : ndarray of shape (n_sources,)
        Their correlations, with signs.

    Examples
    --------
    >>> from sklearn_dbt.metrics import match_components
    >>> order, correlation = match_components([[0, 1, 2], [0, 1, 0]], [[0, -1, 0], [1, 2, 3]])
    >>> order.tolist(), correlation.round(6).tolist()
    ([1, 0], [1.0, -1.0])
    """

    order: NDArray[np.int64]
    correlation: NDArray[np.float64]


def mean_correlation_coefficient(
    s_true: ArrayLike, s_est: ArrayLike, kind: str = "pearson"
) -> float:
    r"""Mean absolute correlation of sources and components, matched one to one.

    .. math:: \mathrm{MCC} = \max_\pi \frac{1}{n} \sum_{i=1}^n |\rho(s_i, z_{\pi(i)})|

    over all assignments :math:`\pi` of different components to the sources, found by the Hungarian
    method. It is 1 when components are the sources up to order, sign, and scale ("pearson") or any
    monotone function ("spearman"). Score on time that was not trained on, and compare magnitudes
    with magnitudes: :math:`|s|` for a method that cannot see signs.

    Parameters
    ----------
    s_true : array-like of shape (n_recordings, n_sources, n_times), or list of 2D arrays
        Sources. An array of shape ``(n_sources, n_times)`` is one recording.
    s_est : array-like of shape (n_recordings, n_components, n_times), or list of 2D arrays
        Components of the same recordings; at least as many as sources.
    kind : {"pearson", "spearman"}, default="pearson"
        Correlation of values, or of ranks.

    Returns
    -------
    float
        In [0, 1]. A series that is constant has correlation 0 with everything.

    Raises
    ------
    ValueError
        For an unknown kind, shapes that do not agree, values that are not finite, and fewer
        components than sources.

    See Also
    --------
    match_components : Which component belongs to which source.

    References
    ----------
    .. [1] A. Hyvärinen, H. Morioka, "Unsupervised feature extraction by time-contrastive learning
       and nonlinear ICA", NeurIPS 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.metrics import mean_correlation_coefficient
    >>> sources = np.random.default_rng(0).normal(size=(3, 1000))
    >>> round(mean_correlation_coefficient(sources, -2 * sources[::-1]), 6)
    1.0
    >>> round(mean_correlation_coefficient(sources, sources**3, kind="spearman"), 6)
    1.0
    """
    return float(np.abs(match_components(s_true, s_est, kind).correlation).mean())


def match_components(s_true: ArrayLike, s_est: ArrayLike, kind: str = "pearson") -> Matching:
    """Match components with sources one to one, so that they correlate most on the whole.

    Parameters
    ----------
    s_true : array-like of shape (n_recordings, n_sources, n_times), or list of 2D arrays
        Sources. An array of shape ``(n_sources, n_times)`` is one recording.
    s_est : array-like of shape (n_recordings, n_components, n_times), or list of 2D arrays
        Components of the same recordings; at least as many as sources.
    kind : {"pearson", "spearman"}, default="pearson"
        Correlation of values, or of ranks.

    Returns
    -------
    Matching
        ``order`` and ``correlation``.

    Raises
    ------
    ValueError
        As :func:`mean_correlation_coefficient`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.metrics import match_components
    >>> sources = np.random.default_rng(0).normal(size=(3, 1000))
    >>> match_components(sources, -sources[[2, 0, 1]]).order.tolist()
    [1, 2, 0]
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {list(KINDS)}, got {kind!r}.")
    sources, components = _in_a_row(s_true, "s_true"), _in_a_row(s_est, "s_est")
    if sources.shape[1] != components.shape[1]:
        raise ValueError(
            f"s_true has {sources.shape[1]} time points and s_est {components.shape[1]}; both must "
            "be of the same recordings."
        )
    if len(components) < len(sources):
        raise ValueError(
            f"s_est has {len(components)} components, fewer than the {len(sources)} sources of "
            "s_true; every source needs one of its own."
        )
    correlation = _correlations(sources, components, kind)
    rows, order = linear_sum_assignment(-np.abs(correlation))
    return Matching(order, correlation[rows, order])


def _in_a_row(series, name: str) -> np.ndarray:
    """All recordings one after the other, shape (n_series, n_times), in float64."""
    parts = [np.asarray(part, dtype=np.float64) for part in series]
    if parts and all(part.ndim == 1 for part in parts):
        parts = [np.asarray(series, dtype=np.float64)]
    shapes = [part.shape for part in parts]
    if not parts or any(len(s) != 2 or 0 in s or s[0] != shapes[0][0] for s in shapes):
        raise ValueError(
            f"{name} must be (n_series, n_times), (n_recordings, n_series, n_times) or a list of "
            f"2D arrays with one number of series, got shapes {shapes[:3]}."
        )
    joined = np.concatenate(parts, axis=1)
    if not np.isfinite(joined).all():
        raise ValueError(f"{name} holds NaN or infinity; all values must be finite.")
    return joined


def _correlations(a: np.ndarray, b: np.ndarray, kind: str) -> np.ndarray:
    if kind == "spearman":
        a, b = rankdata(a, axis=1), rankdata(b, axis=1)
    a, b = _standardised(a), _standardised(b)
    return np.clip(a @ b.T, -1, 1)


def _standardised(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    is_constant = np.ptp(rows, axis=1, keepdims=True) == 0
    return np.where(is_constant, 0.0, centred) / np.where(is_constant, 1.0, norm)
