"""What the pair study compares: distances as they are, metric learning, and ours.

Each method is a function of a :class:`Task` and a seed; it chooses its settings on the training
recordings alone and answers with a score of each test pair, larger where the two go together.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks._study_data import stretch
from sklearn_dbt import PairGroupKFold, SoftDTWPairClassifier
from sklearn_dbt.nn import soft_dtw

GAMMAS = (0.01, 0.1, 1.0, 10.0)
#: Sakoe-Chiba radii as shares of the longest recording; None is no band.
BANDS = (None, 0.05, 0.1, 0.2)
INNER_FOLDS = 2


@dataclass(frozen=True)
class Task:
    """Recordings and pairs of them; none of the test recordings is a training recording.

    Attributes
    ----------
    name : str
        Of the set.
    X_train, X_test : list of ndarray of shape (n_channels, n_times_i)
        Recordings, scaled by the training recordings' channels.
    y_train : ndarray
        Classes of the training recordings, for the baseline that needs them.
    train, test : ndarray of shape (n_pairs, 2)
        Numbers of the recordings of each pair.
    same, same_test : ndarray of shape (n_pairs,)
        Whether both are of one class.
    """

    name: str
    X_train: list[np.ndarray]
    X_test: list[np.ndarray]
    y_train: np.ndarray
    train: np.ndarray
    test: np.ndarray
    same: np.ndarray
    same_test: np.ndarray

    @property
    def ways_of_length(self) -> tuple[bool, ...]:
        """Whether distances may be divided by both lengths, as ours are; no choice if all agree."""
        lengths = {x.shape[1] for x in self.X_train}
        return (False,) if len(lengths) == 1 else (False, True)

    def radius(self, share: float | None) -> int | None:
        """A share of the longest recording, in samples, wide enough for all lengths."""
        if share is None:
            return None
        lengths = [x.shape[1] for x in (*self.X_train, *self.X_test)]
        # the widest gap between neighbours of the shortest that a path must bridge
        least = -(-max(lengths) // max(1, min(lengths) - 1))
        return max(least, round(share * max(lengths)))


def _pairwise(
    X: list[np.ndarray], pairs: np.ndarray, distance: Callable[[np.ndarray, np.ndarray], float]
) -> np.ndarray:
    return np.array([distance(X[i], X[j]) for i, j in pairs])


def _best(task: Task, settings: Iterable, distances: Callable) -> np.ndarray:
    """Scores of the test pairs by the setting whose distance is best on the training pairs."""

    def auc(setting) -> float:
        return float(roc_auc_score(task.same, -distances(task.X_train, task.train, setting)))

    return -distances(task.X_test, task.test, max(settings, key=auc))


def euclidean(task: Task, seed: int) -> np.ndarray:  # noqa: ARG001 (nothing is drawn)
    """Stretch all recordings to one length and subtract."""
    n_times = int(np.median([x.shape[1] for x in task.X_train]))
    X = stretch(task.X_test, n_times)
    return -np.linalg.norm(X[task.test[:, 0]] - X[task.test[:, 1]], axis=(1, 2))


def hard_dtw(task: Task, seed: int) -> np.ndarray:  # noqa: ARG001
    """Dynamic time warping by tslearn, its band chosen on the training pairs."""
    from tslearn.metrics import dtw

    def distances(X, pairs, setting):
        share, by_length = setting
        radius = task.radius(share)
        options = {} if radius is None else {"sakoe_chiba_radius": radius}
        values = _pairwise(X, pairs, lambda a, b: dtw(a.T, b.T, **options))
        return values / np.sqrt(_total_lengths(X, pairs)) if by_length else values

    return _best(task, itertools.product(BANDS, task.ways_of_length), distances)


def plain_soft_dtw(task: Task, seed: int) -> np.ndarray:  # noqa: ARG001
    """Soft-DTW values, smoothing and band chosen on the training pairs."""

    def distances(X, pairs, setting):
        gamma, share, by_length = setting
        series, lengths = _padded(X)
        i, j = pairs.T
        sides = {"lengths_x": lengths[i], "lengths_y": lengths[j]}
        values = soft_dtw(series[i], series[j], gamma, band=task.radius(share), **sides).numpy()
        return values / _total_lengths(X, pairs) if by_length else values

    return _best(task, itertools.product(GAMMAS, BANDS, task.ways_of_length), distances)


def _total_lengths(X: list[np.ndarray], pairs: np.ndarray) -> np.ndarray:
    return np.array([x.shape[1] for x in X])[pairs].sum(axis=1)


def _padded(X: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([x.shape[1] for x in X])
    series = torch.zeros(len(X), X[0].shape[0], int(lengths.max()))
    for row, x in zip(series, X, strict=True):
        row[:, : x.shape[1]] = torch.from_numpy(x)
    return series, lengths


def features(X: list[np.ndarray]) -> np.ndarray:
    """Catch22 of each channel, with mean and standard deviation, by aeon."""
    from aeon.transformations.collection.feature_based import Catch22

    lengths = {x.shape[1] for x in X}
    panel = np.stack(X) if len(lengths) == 1 else X
    # its kernels want float64
    panel = panel.astype(float) if isinstance(panel, np.ndarray) else [x.astype(float) for x in X]
    found = Catch22(catch24=True, replace_nans=True).fit_transform(panel)
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)


def nca(task: Task, seed: int) -> np.ndarray:
    """Neighbourhood components analysis of features; it is told the classes, not only the pairs."""
    train, test = features(task.X_train), features(task.X_test)
    models = [
        make_pipeline(
            StandardScaler(),
            reduction,
            NeighborhoodComponentsAnalysis(n_components, max_iter=100, random_state=seed),
        )
        for n_components in (2, 5, 10)
        for reduction in ("passthrough", PCA(0.9, random_state=seed))
    ]
    aucs = [_inner_auc_of_classes(task, model, train) for model in models]
    Z = models[int(np.argmax(aucs))].fit(train, task.y_train).transform(test)
    return -np.linalg.norm(Z[task.test[:, 0]] - Z[task.test[:, 1]], axis=1)


def _inner_auc_of_classes(task: Task, model, X: np.ndarray) -> float:
    aucs = []
    for train, test in _inner_folds(task):
        rows = np.unique(task.train[train])
        try:
            Z = model.fit(X[rows], task.y_train[rows]).transform(X)
        except ValueError:  # more components than features
            return -1.0
        i, j = task.train[test].T
        aucs.append(roc_auc_score(task.same[test], -np.linalg.norm(Z[i] - Z[j], axis=1)))
    return float(np.mean(aucs))


def pair_logistic(task: Task, seed: int) -> np.ndarray:  # noqa: ARG001
    """A diagonal metric of features, learned from the pairs by logistic regression."""
    scaler = StandardScaler().fit(features(task.X_train))

    def squared(X, pairs):
        Z = scaler.transform(features(X)).clip(-5, 5)
        return (Z[pairs[:, 0]] - Z[pairs[:, 1]]) ** 2

    train, test = squared(task.X_train, task.train), squared(task.X_test, task.test)
    folds = list(_inner_folds(task))

    def auc(C):
        model = LogisticRegression(C=C, max_iter=2000)
        return np.mean(
            [
                roc_auc_score(
                    task.same[b], model.fit(train[a], task.same[a]).decision_function(train[b])
                )
                for a, b in folds
            ]
        )

    model = LogisticRegression(C=max((1e-4, 1e-3, 1e-2, 0.1, 1.0), key=auc), max_iter=2000)
    return model.fit(train, task.same).decision_function(test)


def _inner_folds(task: Task):
    """Folds of the training pairs that share no recording."""
    return PairGroupKFold(INNER_FOLDS).split(task.train, groups=task.train)


def divergence(task: Task, seed: int) -> np.ndarray:
    """Ours, nothing of the distance learned; smoothing and band chosen on the training pairs."""
    model = _best_divergence(task, seed)
    return model.decision_function(_pairs(task.X_test, task.test))


def _best_divergence(task: Task, seed: int) -> SoftDTWPairClassifier:
    models = [
        SoftDTWPairClassifier(
            gamma, task.radius(share), preprocessor=task.X_train, random_state=seed
        ).fit(task.train, task.same)
        for gamma in GAMMAS
        for share in BANDS
    ]
    return max(models, key=lambda m: roc_auc_score(task.same, m.decision_function(task.train)))


def _pairs(X: list[np.ndarray], pairs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(X[i], X[j]) for i, j in pairs]


def encoders(n_channels: int, seed: int) -> dict[str, nn.Module | None]:
    """What may stand in front of the distance: channel weights only, filters, a small network."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        width = 9
        found: dict[str, nn.Module | None] = {
            "weights": None,
            "filters": nn.Conv1d(n_channels, 8, width, padding=width // 2),
            "network": nn.Sequential(
                nn.Conv1d(n_channels, 16, width, padding=width // 2),
                nn.ReLU(),
                nn.Conv1d(16, 8, width, padding=width // 2),
            ),
        }
        if n_channels > 1:
            found["projection"] = nn.Conv1d(n_channels, min(n_channels, 8), 1)
    return found


def learned(task: Task, seed: int) -> np.ndarray:
    """Ours, the distance learned: encoder, then loss, then learning at all, by inner folds."""
    start = _best_divergence(task, seed)
    trained = SoftDTWPairClassifier(
        start.gamma,
        start.band,
        learn_gamma=True,
        learn_channels=True,
        encoder_learning_rate=0.003,
        max_iter=40,
        batch_size=64,
        preprocessor=task.X_train,
        random_state=seed,
    )
    candidates = [
        clone(trained).set_params(encoder=encoder)
        for encoder in encoders(task.X_train[0].shape[0], seed).values()
    ]
    best = max(candidates, key=lambda model: _inner_auc(task, model))
    mined = clone(best).set_params(loss="contrastive", mining="semi-hard")
    best = max((start, best, mined), key=lambda model: _inner_auc(task, model))
    best.fit(task.train, task.same)
    return best.decision_function(_pairs(task.X_test, task.test))


def _inner_auc(task: Task, model: SoftDTWPairClassifier) -> float:
    aucs = []
    for train, test in _inner_folds(task):
        fitted = clone(model).fit(task.train[train], task.same[train])
        aucs.append(roc_auc_score(task.same[test], fitted.decision_function(task.train[test])))
    return float(np.mean(aucs))


METHODS = {
    "Euclidean": euclidean,
    "hard DTW": hard_dtw,
    "soft-DTW": plain_soft_dtw,
    "NCA on features": nca,
    "pair logistic on features": pair_logistic,
    "ours, fixed": divergence,
    "ours, learned": learned,
}
