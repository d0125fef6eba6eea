"""Our estimators in the dropout study: as they come, and over a small grid.

They run as a user runs them, through ``fit`` and ``predict``; only the number of epochs and the
seed are given. ``GRID`` is the one place where the tuned variant is described.
"""

import json
import warnings
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks._study_data import StudySet
from benchmarks._study_peers import grid
from benchmarks._study_training import judge
from sklearn_dbt import TrustRegionDropoutClassifier, TrustRegionDropoutRegressor

DEFAULT, TUNED, FACE = "ours", "ours, tuned", "none (face)"
#: What the tuned variant is searched over, by the same folds as the peers.
GRID = grid(dropout_rate=(0.3, 0.7), mask_sharing=("octave", "none"))
#: The same face without dropout: what our software costs and scores without our method.
PLAIN = {"controller": "fixed", "dropout_rate": 0.0}
#: The defaults with one of their parts left out, to see what it is worth.
ABLATIONS = {
    "rates fixed": {"controller": "fixed"},
    "masks not shared": {"mask_sharing": "none"},
    "rates by energy": {"policy": "energy"},
}
OURS = {DEFAULT: [{}], TUNED: GRID, FACE: [PLAIN], **{k: [v] for k, v in ABLATIONS.items()}}
#: What is no method of its own that others are ranked against.
UNRANKED = (FACE, *ABLATIONS)


def setup_of(method: str) -> str:
    """Fingerprint of defaults and grid: figures of others are not to be taken for these."""
    faces = (TrustRegionDropoutClassifier(), TrustRegionDropoutRegressor())
    text = json.dumps([[repr(face.get_params()) for face in faces], OURS[method]])
    return f"{zlib.crc32(text.encode()):08x}"


def fit_and_judge_ours(
    data: StudySet,
    settings: dict,
    rows: np.ndarray,
    test: np.ndarray | None,
    seed: int,
    epochs: int,
) -> tuple[tuple[float, float, float], int]:
    """Fit one estimator and judge it on rows it has not seen.

    Parameters
    ----------
    data : StudySet
        Where all rows come from.
    settings : dict
        Parameters that are not left at their defaults.
    rows, test : ndarray
        Training rows, and those to judge on (None: the test recordings).
    seed, epochs : int
        ``random_state`` and ``max_iter``.

    Returns
    -------
    (score, loss, rmse), epochs
        As `judge` gives them, and the epochs that were run.
    """
    face = TrustRegionDropoutRegressor if data.regression else TrustRegionDropoutClassifier
    model = face(random_state=seed, max_iter=epochs, **settings)
    with warnings.catch_warnings():
        # A fixed number of epochs is part of the study, and a collapsed radius one of its results.
        warnings.simplefilter("ignore")
        model.fit(data.X_train[rows], data.y_train[rows])
    X, y = (data.X_test, data.y_test) if test is None else (data.X_train[test], data.y_train[test])
    if data.regression:
        out = model.predict(X)
    else:
        shares = np.clip(model.predict_proba(X), 1e-12, None)
        out = np.full((len(X), data.n_outputs), np.log(1e-12))
        out[:, model.classes_] = np.log(shares)
    figures = judge(torch.as_tensor(out, dtype=torch.float64), torch.as_tensor(y), data.regression)
    return figures, model.n_iter_


def best(settings: Sequence[dict], figures: np.ndarray) -> tuple[dict, float]:
    """Settings with the best mean score over the folds; among equals, the least mean loss.

    Parameters
    ----------
    settings : sequence of dict
        The grid.
    figures : ndarray of shape (len(settings), n_folds, 3)
        Score, loss and RMSE of each on each fold.

    Returns
    -------
    settings, score
        The chosen ones and their mean score.
    """
    score, loss, _ = figures.mean(axis=1).T
    # Means over folds that are equal may differ in the last bit.
    chosen = np.lexsort((loss, -score.round(9)))[0]
    return settings[chosen], float(score[chosen])
