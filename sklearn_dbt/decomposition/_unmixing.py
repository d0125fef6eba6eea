"""Linear unmixing of contrastive features, by what the data support, in a standard form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import FastICA

from sklearn_dbt.metrics import match_components
from sklearn_dbt.nn.encoders import joint_diagonalize

# Correlation of the changes of variance in both halves of the segments, from which on they are
# taken for changes and not for chance.
REPEATABLE = 0.5
# Fewest time points of a half segment whose variance says anything.
LEAST_HALF = 4
# Most points FastICA looks at; its precision no longer matters beyond.
ICA_POINTS = 20_000
# Share of the mean covariance's trace that is added to it, so that features that died can be borne.
RIDGE = 1e-9


@dataclass
class Unmixing:
    """An affine map from features to components.

    Parameters
    ----------
    mean : ndarray of shape (n_components,)
        Mean of the features.
    matrix : ndarray of shape (n_components, n_components)
        Unmixing of the centred features: components of mean 0 and variance 1 over all points.
    contrast : ndarray of shape (n_components,)
        Share of each component's variance that lies between the segments, falling.
    method : str
        How it was found.
    """

    mean: np.ndarray
    matrix: np.ndarray
    contrast: np.ndarray
    method: str

    def in_places_of(self, matrix: np.ndarray, mean: np.ndarray, features: np.ndarray) -> Unmixing:
        """Return it with components in the order, and with the signs, of another unmixing.

        Parameters
        ----------
        matrix : ndarray of shape (n_components, n_components)
            The other unmixing's matrix.
        mean : ndarray of shape (n_components,)
            Its mean.
        features : ndarray of shape (n_points, n_components)
            What both are compared on.

        Returns
        -------
        Unmixing
        """
        before = ((features - mean) @ matrix.T).T
        order, correlation = match_components(before, ((features - self.mean) @ self.matrix.T).T)
        signs = np.where(correlation < 0, -1.0, 1.0)[:, None]
        return Unmixing(self.mean, signs * self.matrix[order], self.contrast[order], self.method)


def unmix(
    features: np.ndarray, labels: np.ndarray, strength: np.ndarray, method: str, seed: int
) -> Unmixing:
    """Unmix features, and put the components in order.

    Parameters
    ----------
    features : ndarray of shape (n_points, n_components)
        In float64.
    labels : ndarray of shape (n_points,)
        Segment of each point, not falling.
    strength : ndarray of shape (n_points,)
        What components should rise with, on the whole.
    method : {"auto", "joint_diagonalization", "fastica"}
        "auto" diagonalises where the variances of the components change from segment to segment in
        their own, repeatable ways, and falls back on FastICA.
    seed : int
        Seed of FastICA.

    Returns
    -------
    Unmixing
    """
    mean = features.mean(axis=0)
    centred = features - mean
    method, matrix = _choose(centred, np.split(centred, _starts(labels)), method, seed)
    matrix, contrast = _standard_form(matrix, centred, labels, strength)
    return Unmixing(mean, matrix, contrast, method)


def _choose(centred, segments, method, seed) -> tuple[str, np.ndarray]:
    if centred.shape[1] == 1:
        return "none", np.ones((1, 1))
    if method != "fastica":
        matrix = _diagonalise(segments)
        if method != "auto" or variances_change(segments, matrix):
            return "joint_diagonalization", matrix
    return "fastica", _fastica(centred, seed)


def _starts(labels: np.ndarray) -> np.ndarray:
    """Where each segment but the first begins."""
    return np.flatnonzero(np.diff(labels)) + 1


def _diagonalise(segments: list[np.ndarray]) -> np.ndarray:
    """Joint diagonalisation of the segments' covariances, each drawn a little to their mean.

    As many pseudo-observations of the mean as a covariance needs to be invertible keep short
    segments from dominating, and leave the result equivariant.
    """
    counts = np.array([len(segment) for segment in segments])
    scatters = np.stack([(s - s.mean(axis=0)).T @ (s - s.mean(axis=0)) for s in segments])
    n = scatters.shape[1]
    mean = scatters.sum(axis=0) / counts.sum()
    mean += (RIDGE * np.trace(mean) / n or 1.0) * np.eye(n)
    prior = n + 1
    covariances = (scatters + prior * mean) / (counts + prior)[:, None, None]
    return joint_diagonalize(covariances, counts).unmixing


def variances_change(segments: list[np.ndarray], matrix: np.ndarray) -> bool:
    """Tell whether joint diagonalisation has something to go by.

    For each pair of components the log-ratio of their variances must change from segment to
    segment in the same way in the first and in the second halves of the segments.

    Parameters
    ----------
    segments : list of ndarray of shape (n_points_k, n)
        Features of each segment.
    matrix : ndarray of shape (n, n)
        Unmixing matrix.

    Returns
    -------
    bool
    """
    halves = [np.array_split(s @ matrix.T, 2) for s in segments if len(s) >= 2 * LEAST_HALF]
    if len(halves) <= matrix.shape[0]:
        return False
    variances = np.array([[half.var(axis=0) for half in pair] for pair in halves])
    if (variances <= 0).any():
        return False
    first, second = np.moveaxis(np.log(variances), 1, 0)
    pairs = np.triu_indices(matrix.shape[0], k=1)
    first, second = (log[:, pairs[0]] - log[:, pairs[1]] for log in (first, second))
    return bool(_correlation(first, second).min() > REPEATABLE)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of `a` with that of `b`, 0 where one is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return (a * b).sum(axis=0) / np.where(norm > 0, norm, 1)


def _fastica(centred: np.ndarray, seed: int) -> np.ndarray:
    if len(centred) > ICA_POINTS:
        rows = np.random.RandomState(seed).permutation(len(centred))[:ICA_POINTS]
        centred = centred[rows]
    ica = FastICA(whiten="unit-variance", max_iter=1000, tol=1e-3, random_state=seed)
    return ica.fit(centred).components_


def _standard_form(matrix, centred, labels, strength) -> tuple[np.ndarray, np.ndarray]:
    """Unit variance; rising with the strength, as |s| does; falling contrast between segments."""
    components = centred @ matrix.T
    scale = components.std(axis=0)
    scale[scale <= 0] = 1.0
    scale[(strength - strength.mean()) @ components < 0] *= -1
    contrast = contrast_of(components / scale, labels)
    order = np.argsort(-contrast, kind="stable")
    return (matrix / scale[:, None])[order], contrast[order]


def contrast_of(components: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of the variance of each component that lies between segments.

    Parameters
    ----------
    components : ndarray of shape (n_points, n_components)
        Components.
    labels : ndarray of shape (n_points,)
        Segment of each point, not falling.

    Returns
    -------
    ndarray of shape (n_components,)
        In [0, 1]; 0 for a constant.
    """
    starts = np.r_[0, _starts(labels)]
    counts = np.diff(np.r_[starts, len(labels)])
    centred = components - components.mean(axis=0)
    means = np.add.reduceat(centred, starts) / counts[:, None]
    variance = np.square(centred).mean(axis=0)
    return counts @ means**2 / len(labels) / np.where(variance > 0, variance, 1.0)


def scale_components(features: np.ndarray, inputs: np.ndarray, contrast: np.ndarray) -> Unmixing:
    """Bring features that are components already to their standard form.

    Parameters
    ----------
    features : ndarray of shape (n_points, n_components)
        Components in any order, scale and sign.
    inputs : ndarray of shape (n_points, n_directions)
        Whitened points: a component rises with the one it correlates most with.
    contrast : ndarray of shape (n_components,)
        What components are ordered by, the largest first.

    Returns
    -------
    Unmixing
        Unit variance; the method is "none".
    """
    mean = features.mean(axis=0)
    centred = features - mean
    scale = centred.std(axis=0)
    scale[scale <= 0] = 1.0
    loadings = centred.T @ inputs
    largest = np.abs(loadings).argmax(axis=1)
    scale[loadings[np.arange(len(scale)), largest] < 0] *= -1
    order = np.argsort(-contrast, kind="stable")
    return Unmixing(mean, np.diag(1 / scale)[order], contrast[order], "none")


def linear_unmixing(points: np.ndarray, labels: np.ndarray, n_components: int) -> np.ndarray:
    """Linear unmixing by the variances of segments, which a nonlinear one may start from.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_directions)
        Whitened points, in float64.
    labels : ndarray of shape (n_points,)
        Segment of each point, not falling; with one segment only nothing is unmixed.
    n_components : int
        Rows to return, those whose variances change most from segment to segment.

    Returns
    -------
    ndarray of shape (n_components, n_directions)
        Components have variance 1 over all points; the largest entry of a row is positive.
    """
    centred = points - points.mean(axis=0)
    segments = np.split(centred, _starts(labels))
    if len(segments) == 1 or points.shape[1] == 1:
        return np.eye(n_components, points.shape[1])
    matrix = _diagonalise(segments)
    components = centred @ matrix.T
    largest = matrix[np.arange(len(matrix)), np.abs(matrix).argmax(axis=1)]
    matrix /= (np.sign(largest) * components.std(axis=0))[:, None]
    order = np.argsort(-contrast_of(np.abs(components), labels), kind="stable")
    return matrix[order[:n_components]]
