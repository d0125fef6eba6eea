"""Unmixing by the covariances of many segments, which one matrix makes diagonal at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["JointDiagonalization", "joint_diagonalize", "separability"]

# Least curvature of a pair of rows in the model of the criterion; near 0 the pair is not separable
# and an unbounded step along it would mean nothing.
LEAST_CURVATURE = 1e-4
MAX_HALVINGS = 20


class JointDiagonalization(NamedTuple):
    """What :func:`joint_diagonalize` returns.

    Parameters
    ----------
    unmixing : ndarray of shape (n, n)
        The matrix :math:`B`.
    n_iter : int
        Iterations run.
    gradient : float
        Largest entry of the relative gradient at the end; 0 at a stationary point.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.nn.encoders import joint_diagonalize
    >>> unmixing, n_iter, gradient = joint_diagonalize([np.eye(2), np.diag([1.0, 4.0])])
    >>> n_iter, gradient
    (0, 0.0)
    """

    unmixing: NDArray[np.float64]
    n_iter: int
    gradient: float


def joint_diagonalize(
    covariances: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    max_iter: int = 200,
    tol: float = 1e-8,
) -> JointDiagonalization:
    r"""Find one matrix that makes several covariances as diagonal as it can.

    Minimises Pham's criterion, the Gaussian mutual information averaged over the segments,

    .. math::

        L(B) = \frac{1}{2} \sum_k \pi_k \Bigl[ \log \det \operatorname{diag}(B C_k B^\top)
               - \log \det (B C_k B^\top) \Bigr] \ge 0 ,

    by a quasi-Newton method. With :math:`D_k = B C_k B^\top`, the relative gradient and the
    curvature are, off the diagonal,

    .. math::

        G_{ij} = \sum_k \pi_k \frac{D_{k,ij}}{D_{k,ii}}, \qquad
        \Gamma_{ij} = \sum_k \pi_k \frac{D_{k,jj}}{D_{k,ii}} ,

    and a step :math:`B \leftarrow (I + \alpha E) B` solves, for every pair,

    .. math::

        \begin{pmatrix} \Gamma_{ij} & 1 \\ 1 & \Gamma_{ji} \end{pmatrix}
        \begin{pmatrix} E_{ij} \\ E_{ji} \end{pmatrix}
        = - \begin{pmatrix} G_{ij} \\ G_{ji} \end{pmatrix} ,

    and :math:`\alpha` is halved until the criterion falls. Where no two components' variances are
    proportional over the segments, the minimum is unique up to order, sign and scale.

    Parameters
    ----------
    covariances : array-like of shape (n_segments, n, n)
        Symmetric positive definite matrices :math:`C_k`.
    weights : array-like of shape (n_segments,), default=None
        Positive weights :math:`\pi_k`, scaled to sum to 1 (numbers of samples, say); None is equal
        ones.
    max_iter : int, default=200
        Most iterations.
    tol : float, default=1e-8
        Stop when no entry of the relative gradient is larger.

    Returns
    -------
    JointDiagonalization
        ``unmixing``, whose rows are scaled so that ``B @ C @ B.T`` has a unit diagonal for the
        weighted mean ``C``, ``n_iter`` and ``gradient``.

    Raises
    ------
    ValueError
        For other shapes, and matrices that are not finite, symmetric and positive definite; for
        weights that are not positive.

    References
    ----------
    .. [1] D.-T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices",
       SIAM Journal on Matrix Analysis and Applications 22(4), 1136-1152, 2001.
    .. [2] P. Ablin, J.-F. Cardoso, A. Gramfort, "Beyond Pham's algorithm for joint
       diagonalization", ESANN 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dbt.nn.encoders import joint_diagonalize
    >>> mixing = np.array([[1.0, 0.5], [0.2, 1.0]])
    >>> variances = np.array([[1.0, 3.0], [2.0, 1.0], [4.0, 5.0]])
    >>> covariances = [mixing * v @ mixing.T for v in variances]
    >>> product = joint_diagonalize(covariances).unmixing @ mixing
    >>> bool(np.abs(product * (1 - np.eye(2))).max() < 1e-6)
    True
    """
    matrices, pi = _check(covariances, weights)
    values, vectors = np.linalg.eigh(np.tensordot(pi, matrices, axes=1))
    unmixing = vectors.T / np.sqrt(values)[:, None]
    current = _transform(unmixing, matrices)
    loss, n_iter = _criterion(unmixing, current, pi), 0
    for n_iter in range(1, max_iter + 1):
        gradient, curvature = _derivatives(current, pi)
        if np.abs(gradient).max() <= tol:
            n_iter -= 1
            break
        direction, step = _direction(gradient, curvature), 1.0
        for _ in range(MAX_HALVINGS):
            candidate = unmixing + step * direction @ unmixing
            moved = _transform(candidate, matrices)
            new_loss = _criterion(candidate, moved, pi)
            if new_loss < loss:
                break
            step /= 2
        else:
            # No step is downhill any more in floating point.
            break
        unmixing, current, loss = candidate, moved, new_loss
    gradient, _ = _derivatives(current, pi)
    scale = np.sqrt(np.einsum("k,kii->i", pi, current))
    return JointDiagonalization(unmixing / scale[:, None], n_iter, float(np.abs(gradient).max()))


def separability(variances: ArrayLike, weights: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""Tell which pairs of components the variances of the segments can separate.

    .. math::

        \Bigl( \sum_k \pi_k \frac{v_{ki}}{v_{kj}} \Bigr)
        \Bigl( \sum_k \pi_k \frac{v_{kj}}{v_{ki}} \Bigr) - 1 \ge 0

    is 0 when the two variances are proportional over the segments: then any rotation of the two
    components keeps every covariance diagonal.

    Parameters
    ----------
    variances : array-like of shape (n_segments, n)
        Positive variance :math:`v_{ki}` of each component in each segment.
    weights : array-like of shape (n_segments,), default=None
        Positive weights, scaled to sum to 1; None is equal ones.

    Returns
    -------
    ndarray of shape (n, n)
        Symmetric, with a zero diagonal.

    Raises
    ------
    ValueError
        For another rank, and variances or weights that are not positive.

    References
    ----------
    .. [1] D.-T. Pham, J.-F. Cardoso, "Blind separation of instantaneous mixtures of nonstationary
       sources", IEEE Transactions on Signal Processing 49(9), 1837-1848, 2001.

    Examples
    --------
    >>> from sklearn_dbt.nn.encoders import separability
    >>> separability([[1.0, 2.0], [4.0, 2.0]]).round(4).tolist()
    [[0.0, 0.5625], [0.5625, 0.0]]
    """
    v = np.asarray(variances, dtype=np.float64)
    if v.ndim != 2 or 0 in v.shape:
        raise ValueError(
            f"variances must have shape (n_segments, n) with neither 0, got {v.shape}."
        )
    if not (np.isfinite(v).all() and (v > 0).all()):
        raise ValueError("variances must be positive and finite.")
    ratios = (v.T * _check_weights(weights, len(v))) @ (1 / v)
    product = ratios * ratios.T - 1
    np.fill_diagonal(product, 0.0)
    return product


def _transform(unmixing, covariances):
    return unmixing @ covariances @ unmixing.T


def _criterion(unmixing, transformed, weights) -> float:
    """Pham's criterion, up to the constant ``-sum(weights * logdet(C)) / 2``."""
    diagonals = np.einsum("kii->ki", transformed)
    return 0.5 * weights @ np.log(diagonals).sum(1) - np.linalg.slogdet(unmixing)[1]


def _derivatives(transformed, weights):
    """Relative gradient, zero on the diagonal, and the ratios that make up the curvature."""
    diagonals = np.einsum("kii->ki", transformed)
    gradient = np.einsum("k,kij,ki->ij", weights, transformed, 1 / diagonals)
    np.fill_diagonal(gradient, 0.0)
    return gradient, (weights[:, None] / diagonals).T @ diagonals


def _direction(gradient, curvature):
    """Solve the 2 x 2 system of every pair, its smallest eigenvalue lifted where it is too flat."""
    smallest = (curvature + curvature.T) / 2 - np.hypot((curvature - curvature.T) / 2, 1)
    lifted = curvature + np.maximum(LEAST_CURVATURE - smallest, 0)
    determinant = lifted * lifted.T - 1
    np.fill_diagonal(determinant, 1.0)
    return -(lifted.T * gradient - gradient.T) / determinant


def _check(covariances, weights):
    covariances = np.asarray(covariances, dtype=np.float64)
    shape = covariances.shape
    if covariances.ndim != 3 or shape[1] != shape[2] or 0 in shape:
        raise ValueError(
            f"covariances must have shape (n_segments, n, n) with neither 0, got {shape}."
        )
    if not np.isfinite(covariances).all():
        raise ValueError("covariances hold NaN or infinity; all values must be finite.")
    asymmetry = np.abs(covariances - covariances.transpose(0, 2, 1)).max(axis=(1, 2))
    odd = asymmetry > 1e-8 * np.abs(covariances).max(axis=(1, 2))
    if odd.any():
        raise ValueError(f"covariances[{odd.argmax()}] is not symmetric.")
    smallest = np.linalg.eigvalsh(covariances)[:, 0]
    if (smallest <= 0).any():
        k = int(smallest.argmin())
        raise ValueError(
            f"covariances[{k}] is not positive definite, its least eigenvalue is "
            f"{smallest[k]:.3g}; add a little of the mean covariance to each one."
        )
    return covariances, _check_weights(weights, shape[0])


def _check_weights(weights, n_segments: int):
    weights = np.ones(n_segments) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights.shape != (n_segments,):
        raise ValueError(f"weights must have shape ({n_segments},), got {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError("weights must be positive and finite.")
    return weights / weights.sum()
