"""Pairs may come in parts: what is fixed is solved for exactly, what is learned goes on."""

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

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


class Noisy(nn.Module):
    """Remembers what torch's generator gave it in training."""

    def __init__(self):
        super().__init__()
        self.gain, self.drawn = nn.Parameter(torch.ones(())), []

    def forward(self, x):
        if self.training:
            self.drawn.append(torch.rand(()).item())
        return self.gain * x


def test_parts_get_noise_of_their_own(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(0.3, encoder=Noisy(), random_state=0)
    for _ in range(3):
        model.partial_fit(pairs[:40], same[:40], classes=[0, 1])
    assert len(set(model.encoder_.drawn)) == len(model.encoder_.drawn) == 3


def test_a_copy_mines_by_its_own_network(task):
    pairs, same, _ = task
    options = {"learn_channels": True, "mining": "hard", "max_iter": 1, "random_state": 0}
    model = SoftDTWPairClassifier(0.3, **options).fit(pairs, same)
    twin = copy.deepcopy(model)
    for each in (model, twin):
        for _ in range(3):
            each.partial_fit(pairs, same)
    np.testing.assert_array_equal(twin.channel_weights_, model.channel_weights_)
    looked_at = twin.net_.iterator_train.keywords["distances"].args[0]
    assert looked_at is twin.net_.module_


def test_a_part_that_fails_changes_nothing(task):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(0.3, band=0, loss="combined", batch_size=8, max_iter=2)
    before = model.fit(pairs, same).pair_distance(pairs)
    short = [*pairs[:30], (pairs[30, 0], pairs[30, 1, :, :20])]
    with pytest.raises(ValueError, match="too narrow"):
        model.partial_fit(short, same[:31])
    np.testing.assert_array_equal(model.pair_distance(pairs), before)


def test_an_interrupted_fit_can_go_on(task, monkeypatch):
    pairs, same, _ = task
    model = SoftDTWPairClassifier(0.3, random_state=0)
    record = SoftDTWPairClassifier._record_epoch

    def interrupt(self, held_out):
        if self.n_iter_ == 1:
            raise KeyboardInterrupt
        return record(self, held_out)

    monkeypatch.setattr(SoftDTWPairClassifier, "_record_epoch", interrupt)
    with pytest.raises(KeyboardInterrupt, match="after 1 epochs"):
        model.fit(pairs[:100], same[:100])
    monkeypatch.undo()
    model.partial_fit(pairs[100:], same[100:])
    whole = SoftDTWPairClassifier(0.3, random_state=0).fit(pairs, same)
    np.testing.assert_allclose(model.predict_proba(pairs), whole.predict_proba(pairs), rtol=1e-4)


def test_numpy_numbers_and_weights_of_classes(task):
    pairs, same, _ = task
    options = {"learn_gamma": np.True_, "batch_size": np.int64(50), "max_iter": 1}
    SoftDTWPairClassifier(0.3, **options).fit(pairs[:60], same[:60])
    with pytest.raises(ValueError, match="negative weight"):
        SoftDTWPairClassifier(class_weight={0: -1, 1: 1}).fit(pairs, same)
    with pytest.raises(ValueError, match="only one class: 1"):
        SoftDTWPairClassifier(class_weight={0: 0, 1: 1}).fit(pairs, same)


def test_series_too_large_for_their_precision(task):
    pairs, same, _ = task
    with pytest.raises(ValueError, match=r"distances are not finite.* Scale the recordings"):
        SoftDTWPairClassifier().fit((1e25 * pairs).astype(np.float32), same)


def test_a_later_part_without_anchors_is_refused(task):
    pairs, same, _ = task
    options = {"loss": "contrastive", "mining": "semi-hard", "max_iter": 1}
    model = SoftDTWPairClassifier(0.3, **options).fit(pairs, same)
    with pytest.raises(ValueError, match="needs recordings that are in pairs of both kinds"):
        model.partial_fit(pairs[same == 1], same[same == 1])
