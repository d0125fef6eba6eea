r"""Taking noise out of bands: where the threshold lies, and what becomes of coefficients above it.

A complex coefficient is a vector of two components, so everything below is written for vectors
:math:`c` of :math:`m` components (1 or 2) with independent noise of standard deviation
:math:`\sigma` each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

# Median of the length of a standard normal vector of one and of two components.
MEDIAN_LENGTH = {1: 0.6744897501960817, 2: float(np.sqrt(2 * np.log(2)))}


def _n_components(c: np.ndarray) -> int:
    return 2 if np.iscomplexobj(c) else 1


# --- what becomes of coefficients ----------------------------------------------------------------


def _soft(c: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    size = np.abs(c)
    return c * (np.maximum(size - threshold, 0) / np.where(size > 0, size, 1))


def _hard(c: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    return np.where(np.abs(c) > threshold, c, 0)


def _garrote(c: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    size = np.abs(c)
    kept = size > threshold
    share = np.divide(threshold, size, out=np.zeros_like(size), where=kept)
    return np.where(kept, c * (1 - np.square(share)), 0)


RULES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "soft": _soft,
    "hard": _hard,
    "garrote": _garrote,
}


# --- where the threshold lies --------------------------------------------------------------------


def _universal(c: np.ndarray, sigma: np.ndarray, n: int, rule: str) -> np.ndarray:  # noqa: ARG001
    return sigma * np.sqrt(2 * np.log(n))


def _bayes(c: np.ndarray, sigma: np.ndarray, n: int, rule: str) -> np.ndarray:  # noqa: ARG001
    power = np.square(np.abs(c)).mean(axis=-1, keepdims=True) / _n_components(c)
    signal = np.maximum(power - sigma**2, 0)
    # Where there is noise only, nothing is kept.
    return np.where(signal > 0, sigma**2 / np.sqrt(np.where(signal > 0, signal, 1)), np.inf)


def _sure(c: np.ndarray, sigma: np.ndarray, n: int, rule: str) -> np.ndarray:
    risk, sizes = risk_estimate(c, sigma, rule)
    universal = _universal(c, sigma, n, rule)
    # Beyond the universal threshold there is nothing to look for.
    risk = np.where(sizes <= universal, risk, np.inf)
    best = np.take_along_axis(sizes, risk.argmin(axis=-1, keepdims=True), axis=-1)
    return np.where(_is_sparse(c, sigma), universal, best)


def _is_sparse(c: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Whether a band holds so little energy beyond the noise that its risk cannot be estimated."""
    k, power = c.shape[-1], np.square(np.abs(c)).mean(axis=-1, keepdims=True) / _n_components(c)
    return power <= sigma**2 * (1 + np.log2(max(k, 2)) ** 1.5 / np.sqrt(k))


def risk_estimate(c: np.ndarray, sigma: np.ndarray, rule: str) -> tuple[np.ndarray, np.ndarray]:
    r"""Stein's unbiased estimate of the squared error, with the threshold at each coefficient.

    .. math::

        R(\lambda) = \sum_k \| \eta_\lambda(c_k) - c_k \|^2
        + 2 \sigma^2 \operatorname{div} \eta_\lambda(c_k) - m \sigma^2

    where, above the threshold, :math:`\eta` moves a coefficient by :math:`\lambda` (soft) or
    :math:`\lambda^2 / \|c\|` (garrote) towards zero, and its divergence is
    :math:`m - (m - 1) \lambda / \|c\|` or :math:`m - (m - 2) \lambda^2 / \|c\|^2`.

    Parameters
    ----------
    c : ndarray of shape (..., k)
        Coefficients.
    sigma : ndarray of shape (..., 1)
        Standard deviation of the noise.
    rule : {"soft", "garrote"}
        How coefficients shrink.

    Returns
    -------
    risk, thresholds : ndarray of shape (..., k + 1)
        The thresholds are 0 and the sizes of the coefficients, increasing.
    """
    m, k = _n_components(c), c.shape[-1]
    sizes = np.sort(np.abs(c), axis=-1)
    above = np.arange(k, -1, -1)
    # Sums over coefficients up to the threshold, and of powers -1 and -2 of those above it.
    below = _padded(np.cumsum(np.square(sizes), axis=-1), front=True)
    safe = np.where(sizes > 0, sizes, np.inf)
    thresholds = _padded(sizes, front=True)
    squares = np.square(thresholds)
    if rule == "soft":
        moved = above * squares
        divergence = m * above - (m - 1) * thresholds * _sums_above(1 / safe)
    else:
        ratio = squares * _sums_above(1 / np.square(safe))
        moved = squares * ratio
        divergence = m * above - (m - 2) * ratio
    return below + moved + sigma**2 * (2 * divergence - m * k), thresholds


def _sums_above(values: np.ndarray) -> np.ndarray:
    """Sums of the last k, k - 1, ..., 0 values."""
    return _padded(np.cumsum(values[..., ::-1], axis=-1)[..., ::-1], front=False)


def _padded(values: np.ndarray, *, front: bool) -> np.ndarray:
    zero = np.zeros_like(values[..., :1])
    return np.concatenate([zero, values] if front else [values, zero], axis=-1)


SELECTIONS: dict[str, Callable[[np.ndarray, np.ndarray, int, str], np.ndarray]] = {
    "universal": _universal,
    "sure": _sure,
    "bayes": _bayes,
}


def shrink(
    bands: Sequence[np.ndarray],
    n_times: int,
    rule: str,
    noise: str,
    selection: str = "auto",
    lowest: str = "keep",
) -> list[np.ndarray]:
    r"""Shrink every band but the lowest, which is kept or dropped.

    Parameters
    ----------
    bands : sequence of ndarray of shape (..., n_coefficients)
        The lowest frequencies first.
    n_times : int
        Number of samples :math:`n`.
    rule : {"soft", "hard", "garrote"}
        What happens to coefficients above the threshold.
    noise : {"finest", "level"}
        The band whose median absolute coefficient gives :math:`\hat\sigma`: the highest, or each
        its own.
    selection : {"auto", "universal", "sure", "bayes"}, default="auto"
        How the threshold is chosen; "auto" is "sure", or "universal" for a hard one, whose risk
        cannot be estimated.
    lowest : {"keep", "drop"}, default="keep"
        What becomes of the lowest band.

    Returns
    -------
    list of ndarray
    """
    if selection == "auto":
        selection = "universal" if rule == "hard" else "sure"
    sources = bands[1:] if noise == "level" else [bands[-1]] * (len(bands) - 1)
    shrunk = [bands[0] if lowest == "keep" else np.zeros_like(bands[0])]
    for band, source in zip(bands[1:], sources, strict=True):
        sigma = (
            np.median(np.abs(source), axis=-1, keepdims=True) / MEDIAN_LENGTH[_n_components(source)]
        )
        # In units of the noise, squares neither overflow nor vanish.
        unit = np.where(sigma > 0, sigma, 1)
        threshold = unit * SELECTIONS[selection](band / unit, sigma / unit, n_times, rule)
        shrunk.append(RULES[rule](band, threshold).astype(band.dtype, copy=False))
    return shrunk
