"""The steps in front of the network do what scikit-learn's PCA and plain means do."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sklearn_dbt import ChannelScaler, WaveletEmbedder
from sklearn_dbt.pairs._front import fit_front
from sklearn_dbt.pairs._pair_data import Pairs, padded

RNG = np.random.default_rng(0)
RAGGED = [RNG.normal(size=(3, n)) * [[1], [5], [2]] for n in (9, 12, 7, 10)]
PAIRS = Pairs(*padded(RAGGED), np.array([[0, 1], [1, 2]]))  # recording 3 is in no pair


class Transformer(TransformerMixin, BaseEstimator):
    """Gives what it is told to."""

    def __init__(self, output):
        self.output = output

    def fit(self, X, y=None):
        self.n_seen_ = len(X)
        return self

    def transform(self, X):
        return self.output(X)


def test_nothing_is_done_by_default():
    front = fit_front(None, None, 1, PAIRS, "Face")
    assert front(PAIRS, "Face") is PAIRS


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_downsampling_averages_adjacent_samples(factor):
    pairs = fit_front(None, None, factor, PAIRS, "Face")(PAIRS, "Face")
    for recording, found, length in zip(RAGGED, pairs.series, pairs.lengths, strict=True):
        blocks = [
            recording[:, i : i + factor].mean(1) for i in range(0, recording.shape[1], factor)
        ]
        assert length == len(blocks)
        np.testing.assert_allclose(found[:, :length], np.stack(blocks, 1))
        assert (found[:, length:] == 0).all()
    np.testing.assert_array_equal(pairs.ids, PAIRS.ids)


def test_projection_is_scikit_learns_on_the_samples_of_recordings_in_pairs():
    front = fit_front(None, 2, 1, PAIRS, "Face")
    samples = np.concatenate([recording.T for recording in RAGGED[:3]])
    pca = PCA(2).fit(samples)
    np.testing.assert_allclose(np.abs(front.components), np.abs(pca.components_), rtol=1e-10)
    pairs = front(PAIRS, "Face")
    for a, b in ((0, 1), (2, 3)):  # what soft-DTW sees: differences between samples
        ours = pairs.series[a][:, 0] - pairs.series[b][:, 1]
        theirs = np.diff(pca.transform([RAGGED[b][:, 1], RAGGED[a][:, 0]]), axis=0)[0]
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-9)


def test_a_transformer_is_fitted_to_recordings_in_pairs_and_a_frozen_one_is_not():
    free = Transformer(lambda X: X)
    front = fit_front(free, None, 1, PAIRS, "Face")
    assert front.transformer.n_seen_ == 3
    assert not hasattr(free, "n_seen_")
    scaler = ChannelScaler().fit([recording + 100 for recording in RAGGED])
    frozen = fit_front(FrozenEstimator(scaler), None, 1, PAIRS, "Face")(PAIRS, "Face")
    expected = scaler.transform(RAGGED)
    for found, n, truth in zip(frozen.series, frozen.lengths, expected, strict=True):
        np.testing.assert_array_equal(found[:, :n], truth)


def test_a_pipeline_projection_and_downsampling_in_this_order():
    panel = RNG.normal(size=(6, 2, 32)).astype(np.float32)
    pairs = Pairs(*padded(panel), np.array([[0, 1], [2, 3], [4, 5]]))
    pipeline = make_pipeline(ChannelScaler(), WaveletEmbedder(level=2))
    series = pipeline.fit(panel).transform(panel)
    found = fit_front(pipeline, 3, 2, pairs, "Face")(pairs, "Face")
    components = PCA(3).fit(np.concatenate([one.T for one in series])).components_
    truth = (components @ series).reshape(6, 3, 16, 2).mean(3)
    np.testing.assert_allclose(np.abs(found.series), np.abs(truth), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda X: np.stack([x.mean(1) for x in X]), r"into as many series.* got shape \(3, 3\)"),
        (lambda X: X[:1], "must turn 3 recordings into as many series.* got a list of 1"),
        (lambda X: [x * np.nan for x in X], "gives NaN or infinity for recording 0"),
    ],
)
def test_a_transformer_that_gives_no_series_is_refused(output, message):
    with pytest.raises(ValueError, match=f"Face: encoder .*{message}"):
        fit_front(Transformer(output), 1, 1, PAIRS, "Face")


def test_other_errors():
    with pytest.raises(ValueError, match="n_components=4 is more than the 3 channel"):
        fit_front(None, 4, 1, PAIRS, "Face")
    with pytest.raises(ValueError, match="downsampling=7 leaves 1 sample of a recording of 7"):
        fit_front(None, None, 7, PAIRS, "Face")(PAIRS, "Face")
