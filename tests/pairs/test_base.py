"""Pairs may come in parts: what is fixed is solved for exactly, what is learned goes on."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sklearn_dbt.pairs import SoftDTWPairClassifier, make_pairs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def task():
    """Pairs of two shapes at random onsets, and a second channel of noise."""
    rng = np.random.default_rng(0)
    y = np.arange(36) % 2
    t = np.arange(30) - rng.integers(0, 15, size=(36, 1))
    shapes = np.where(y[:, None] == 1, t > 0, (t > 0) & (t < 7)) + 0.1 * rng.normal(size=(36, 30))
    X = np.stack([shapes, 2 * rng.normal(size=(36, 30))], axis=1)
    return make_pairs(X, y, n_pairs=240, random_state=0)


def test_partial_fit_in_parts_is_fit_where_the_distance_is_fixed(task):
    pairs, same, _ = task
    labels = np.where(same == 1, "same", "different")
    whole = SoftDTWPairClassifier(0.1, random_state=0).fit(pairs[:150], labels[:150])
    parts = SoftDTWPairClassifier(0.1, random_state=0)
    classes = ["same", "different"]
    parts.partial_fit(pairs[:60], labels[:60], classes=classes)
    positive = 60 + np.flatnonzero(same[60:150])
    negative = 60 + np.flatnonzero(same[60:150] == 0)
    parts.partial_fit(pairs[positive], labels[positive]).partial_fit(
        pairs[negative], labels[negative]
    )
    np.testing.assert_allclose(parts.predict_proba(pairs), whole.predict_proba(pairs), rtol=1e-4)
    assert parts.n_iter_ == len(parts.loss_curve_) == 3


def test_partial_fit_goes_on_where_the_distance_is_learned(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(0.3, learn_channels=True, random_state=0)
    auc = []
    for epoch in range(30):
        rows = np.arange(epoch % 2, 240, 2)
        model.partial_fit(pairs[rows], same[rows], classes=[0, 1])
        auc.append(roc_auc_score(same, model.decision_function(pairs)))
    assert auc[-1] > auc[0] + 0.1
    assert model.n_iter_ == 30


def test_partial_fit_errors(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(0.1)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(pairs, same)
    with pytest.raises(ValueError, match="only one class: 1"):
        model.partial_fit(pairs[same == 1], same[same == 1], classes=[0, 1])
    with pytest.raises(ValueError, match="Only binary classification"):
        model.partial_fit(pairs, same, classes=[0, 1, 2])
    assert not hasattr(model, "net_")
    model.partial_fit(pairs, same, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y holds \[2\], and classes are \[0 1\]"):
        model.partial_fit(pairs, same + 1)
    with pytest.raises(ValueError, match=r"classes=\[1 2\] differ"):
        model.partial_fit(pairs, same + 1, classes=[1, 2])
    with pytest.raises(ValueError, match="cannot be known in partial_fit"):
        model.set_params(class_weight="balanced").partial_fit(pairs, same)
