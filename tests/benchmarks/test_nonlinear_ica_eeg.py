"""Linear and nonlinear components are described alike, in front of the same classifier."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from benchmarks import nonlinear_ica_eeg as bench

X = np.random.default_rng(0).normal(size=(12, 3, 40)) * np.array([1.0, 2.0, 4.0])[:, None]


def test_linear_components_are_those_of_all_time_points():
    found = bench.LinearComponents(PCA(2, whiten=True)).fit(X).transform(X)
    assert found.shape == (12, 6)
    pca = PCA(2, whiten=True).fit(np.concatenate(X, axis=1).T)
    series = pca.transform(X[5].T)
    line = np.polyfit(np.linspace(0, 1, 40), series, 1)[0]
    expected = np.stack([series.mean(axis=0), np.log(series.var(axis=0)), line], axis=1)
    np.testing.assert_allclose(np.abs(found[5]), np.abs(expected.ravel()), rtol=1e-9)


def test_all_pipelines_give_as_many_columns_and_differ_in_what_they_remove():
    made = bench.pipelines(2, 0)
    assert list(made) == list(bench.pipelines(1, 0))
    for method in bench.METHODS:
        plain, kept = made[method][0], made[method + bench.KEPT][0]
        assert (plain.remove_offset, plain.remove_gain) == (True, True)
        assert (kept.remove_offset, kept.remove_gain) == (False, False)
        assert plain.method == kept.method == method


@pytest.mark.parametrize("name", ["PCA", "FastICA"])
def test_accuracy_is_that_of_the_test_recordings(name):
    y = np.arange(12) % 2
    strong = X * np.where(y, 5.0, 1.0)[:, None, None]
    other = X * np.where(y, 1.0, 5.0)[:, None, None]
    pipeline = bench.pipelines(2, 0)[name]
    told = bench.StudySet("told", strong, y, strong, y, 2, False)
    assert bench.accuracy(told, pipeline)[0] == 1.0
    turned = bench.StudySet("turned", strong, y, other, y, 2, False)
    assert bench.accuracy(turned, pipeline)[0] == 0.0
