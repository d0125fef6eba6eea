"""The best line from distance to logit: Platt's method, solved to the end."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit

# Least slope, in logits a standard deviation, where near pairs are not the likelier ones.
LEAST_SLOPE = 1e-3
MAX_STEPS = 100


def soft_targets(same: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    r"""Return what the probability of a negative and of a positive pair should be.

    Not 0 and 1, but what a uniform prior leaves after :math:`N_-` and :math:`N_+` pairs,
    :math:`1 / (N_- + 2)` and :math:`(N_+ + 1) / (N_+ + 2)`, so that the line stays finite where the
    classes do not overlap.

    Parameters
    ----------
    same : ndarray of shape (n_pairs,)
        1 or 0.
    weights : ndarray of shape (n_pairs,)
        How often each pair counts.

    Returns
    -------
    negative, positive : float

    References
    ----------
    .. [1] J. Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to
       Regularized Likelihood Methods", Advances in Large Margin Classifiers, 1999.
    """
    n_positive, n_negative = weights[same == 1].sum(), weights[same == 0].sum()
    return float(1 / (n_negative + 2)), float((n_positive + 1) / (n_positive + 2))


def fit_line(distance: np.ndarray, same: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    r"""Return the w > 0 and :math:`\alpha` of least cross-entropy of :math:`\alpha - w d`.

    Newton's method on a convex function of two numbers, with soft targets. Where the best w is not
    positive it is next to nothing.

    Parameters
    ----------
    distance : ndarray of shape (n_pairs,)
        Distances.
    same : ndarray of shape (n_pairs,)
        1 or 0.
    weights : ndarray of shape (n_pairs,)
        Weight of each pair.

    Returns
    -------
    scale, threshold : float
        w and :math:`\alpha`.
    """
    distance, weights = distance.astype(np.float64), weights.astype(np.float64)
    negative, positive = soft_targets(same, weights)
    target = np.where(same == 1, positive, negative)
    centre = np.average(distance, weights=weights)
    spread = np.sqrt(np.average((distance - centre) ** 2, weights=weights)) or 1.0
    u = (distance - centre) / spread
    prior = np.average(target, weights=weights)
    flat = np.log(prior / (1 - prior))
    slope, offset = _newton(u, target, weights, flat)
    if slope < LEAST_SLOPE:
        slope, offset = LEAST_SLOPE, flat
    return slope / spread, offset + slope * centre / spread


def _newton(u, target, weights, flat) -> tuple[float, float]:
    design = np.stack([-u, np.ones_like(u)], axis=1)

    def loss(line):
        logit = design @ line
        return -weights @ (target * log_expit(logit) + (1 - target) * log_expit(-logit))

    line, here = np.array([0.0, flat]), np.inf
    for _ in range(MAX_STEPS):
        here, p = loss(line), expit(design @ line)
        gradient = design.T @ (weights * (p - target))
        hessian = design.T @ ((weights * p * (1 - p))[:, None] * design)
        # lstsq: where all distances are equal the slope has no curvature and stays 0
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        while loss(line - step) > here and np.abs(step).max() > 1e-12:
            step = step / 2
        line = line - step
        if np.abs(step).max() < 1e-10:
            break
    return float(line[0]), float(line[1])
