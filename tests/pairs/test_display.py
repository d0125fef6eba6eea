"""Displays show the data they say they show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from sklearn_dbt.inspection import AlignmentDisplay, PairDistanceDisplay
from sklearn_dbt.nn import soft_dtw_alignment
from sklearn_dbt.pairs import SoftDTWPairClassifier, make_pairs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 12)).cumsum(1), RNG.normal(size=(2, 9)).cumsum(1)
PANEL = RNG.normal(size=(20, 2, 12))
LABELS = np.arange(20) % 2
PANEL[LABELS == 1] += np.sin(np.arange(12))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_alignment_is_drawn_with_both_series_beside_it():
    display = AlignmentDisplay.from_series(X, Y, 0.5, cmap="Blues")
    a, b = torch.from_numpy(X)[None], torch.from_numpy(Y)[None]
    np.testing.assert_allclose(display.image_.get_array(), soft_dtw_alignment(a, b, 0.5)[0])
    assert display.image_.get_cmap().name == "Blues"
    drawn = [line.get_xydata() for line in display.ax_x_.lines]
    np.testing.assert_array_equal(drawn[1], np.stack([X[1], np.arange(12)], 1))
    drawn = [line.get_xydata() for line in display.ax_y_.lines]
    np.testing.assert_array_equal(drawn[0], np.stack([np.arange(9), Y[0]], 1))
    assert display.figure_ is display.ax_.figure
    display.figure_.canvas.draw()


def test_the_hard_path_is_what_the_alignment_becomes():
    display = AlignmentDisplay.from_series(X, Y, 1e-4)
    i, j = display.path.T
    np.testing.assert_allclose(display.alignment[i, j], 1, atol=1e-6)
    assert display.alignment.sum() == pytest.approx(len(i))
    np.testing.assert_array_equal(display.line_.get_xydata(), display.path[:, ::-1])
    assert AlignmentDisplay.from_series(X, Y, hard_path=False).line_ is None


def test_one_channel_and_a_given_axis():
    _, ax = plt.subplots()
    display = AlignmentDisplay.from_series(X[0], Y[0], band=4, ax=ax)
    assert display.ax_ is ax
    assert display.alignment[0, -1] == 0
    with pytest.raises(ValueError, match="least radius that works"):
        AlignmentDisplay.from_series(X[0], Y[0], band=0)


def test_an_estimator_aligns_what_it_compares():
    pairs, same, _ = make_pairs(PANEL, LABELS, random_state=0)
    torch.manual_seed(0)
    model = SoftDTWPairClassifier(
        0.5, 6, encoder=nn.Conv1d(2, 3, 3, stride=2), loss="combined", max_iter=2, random_state=0
    )
    model.fit(pairs, same)
    display = AlignmentDisplay.from_estimator(model, pairs[0])
    a, b = (torch.from_numpy(one)[None] for one in model.encode(pairs[0]))
    assert a.shape == (1, 3, 5)
    np.testing.assert_allclose(
        display.alignment, soft_dtw_alignment(a, b, model.gamma_, band=6)[0], rtol=1e-6
    )


def fitted():
    pairs, same, _ = make_pairs(PANEL, LABELS, n_pairs=80, random_state=0)
    labels = np.where(same == 1, "together", "apart")
    return SoftDTWPairClassifier(random_state=0).fit(pairs, labels), pairs, labels


def test_histograms_roc_and_calibration_of_an_estimator():
    model, pairs, labels = fitted()
    display = PairDistanceDisplay.from_estimator(model, pairs, labels)
    histograms, roc, calibration = display.axes_
    areas = [sum(p.get_height() * p.get_width() for p in c) for c in histograms.containers]
    np.testing.assert_allclose(areas, 1)
    assert display.roc_auc_ == roc_auc_score(labels == "together", -model.pair_distance(pairs))
    x, y = roc.lines[1].get_data()
    assert np.trapezoid(y, x) == pytest.approx(display.roc_auc_)
    said, found = calibration.lines[1].get_data()
    proba = model.predict_proba(pairs)[:, 1]
    assert said.min() >= proba.min()
    assert np.mean(found) == pytest.approx(np.mean(labels == "together"), abs=0.05)
    limit = histograms.lines[0].get_xdata()[0]
    np.testing.assert_array_equal(
        model.predict(pairs) == "together", model.pair_distance(pairs) < limit
    )


def test_given_distances():
    same, distance = np.array([1, 1, 0, 0]), np.array([0.1, 0.6, 0.5, 0.9])
    display = PairDistanceDisplay.from_predictions(same, distance)
    assert len(display.axes_) == 2
    assert display.roc_auc_ == 0.75
    _, axes = plt.subplots(1, 3)
    probability = np.array([0.9, 0.4, 0.5, 0.1])
    display = PairDistanceDisplay.from_predictions(
        same, distance, probability, threshold=0.3, axes=axes
    )
    assert display.axes_[2] is axes[2]
    with pytest.raises(ValueError, match="axes must be 2 axes, got 3"):
        PairDistanceDisplay.from_predictions(same, distance, axes=axes)
    with pytest.raises(ValueError, match=r"two labels, got \[0.0\]"):
        PairDistanceDisplay.from_predictions(np.zeros(4), distance)
    with pytest.raises(ValueError, match="inconsistent"):
        PairDistanceDisplay.from_predictions(same, distance[:3])
