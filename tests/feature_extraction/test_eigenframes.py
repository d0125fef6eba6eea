"""Principal components in blocks against scikit-learn's PCA of everything at once."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from sklearn_dbt.feature_extraction import _eigenframes
from sklearn_dbt.feature_extraction._eigenframes import eigenframes


def frames(n_frames=60, n_pixels=30, rank=5, seed=0):
    rng = np.random.default_rng(seed)
    strength = 2.0 ** np.arange(rank)[::-1]
    X = (rng.normal(size=(n_frames, rank)) * strength) @ rng.normal(size=(rank, n_pixels))
    return X + 0.1 * rng.normal(size=X.shape) + 7


def in_blocks(X, size):
    return lambda: (X[i : i + size] for i in range(0, len(X), size))


def assert_same(found, X, n_components, atol):
    pca = PCA(n_components, svd_solver="full").fit(X)
    np.testing.assert_allclose(found["components_"], pca.components_, atol=atol)
    np.testing.assert_allclose(found["mean_"], pca.mean_, atol=atol)
    ratio = found["explained_variance_ratio_"]
    np.testing.assert_allclose(ratio, pca.explained_variance_ratio_, atol=atol)


@pytest.mark.parametrize("size", [7, 59, 60])
@pytest.mark.parametrize("n_components", [3, 0.9, 0.999])
@pytest.mark.parametrize("solver", ["auto", "covariance_eigh", "full"])
def test_blocks_give_principal_components(size, n_components, solver):
    X = frames()
    assert_same(eigenframes(in_blocks(X, size), n_components, solver, 0), X, n_components, 1e-9)


@pytest.mark.parametrize("shape", [(60, 30), (12, 40)])
def test_many_pixels_are_iterated_on(monkeypatch, shape):
    monkeypatch.setattr(_eigenframes, "MOST_PIXELS", 20)
    X = frames(*shape)
    first, again = (eigenframes(in_blocks(X, 7), 4, "auto", 0) for _ in range(2))
    assert_same(first, X, 4, 1e-6)
    np.testing.assert_array_equal(first["components_"], again["components_"])
    with pytest.raises(ValueError, match=r"n_components=0.9, .* more than 20 pixels"):
        eigenframes(in_blocks(X, 7), 0.9, "auto", 0)


def test_never_more_components_than_frames_or_pixels():
    assert len(eigenframes(in_blocks(frames(5, 30), 2), 8, "auto", 0)["components_"]) == 5
    assert len(eigenframes(in_blocks(frames(20, 3), 6), 8, "auto", 0)["components_"]) == 3


def test_precision_is_kept():
    found = eigenframes(in_blocks(frames().astype(np.float32), 8), 2, "auto", 0)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}


def test_too_few_and_equal_frames_are_told():
    with pytest.raises(ValueError, match="n_samples = 1 frame and at least 2"):
        eigenframes(in_blocks(frames(1), 1), 2, "auto", 0)
    with pytest.raises(ValueError, match="all 6 frames of X are equal"):
        eigenframes(in_blocks(np.tile(frames(1), (6, 1)), 4), 2, "auto", 0)
