"""Frames as numbers, against NumPy's percentiles and histogram, and scikit-learn's PCA."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_dbt.feature_extraction import FrameEmbedder

METHODS = ["percentiles", "histogram", "eigenframes", "moments", "dct", "regions"]


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((5, 9, 3, 4))


def frames_of(n_frames=6, height=3, width=2, bound=100):
    values = st.floats(-bound, bound, allow_subnormal=False)
    return arrays(np.float64, (1, n_frames, height, width), elements=values)


@parametrize_with_checks(
    [FrameEmbedder(method=method, bins=3, n_components=3) for method in METHODS]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
def test_panels_out(X, method):
    embedder = FrameEmbedder(method).fit(X)
    panel = embedder.transform(X)
    assert panel.shape == (5, embedder.n_features_out_, 9)
    assert embedder.frame_shape_ == (3, 4)
    assert embedder.n_features_in_ == 12
    assert len(embedder.get_feature_names_out()) == embedder.n_features_out_


@pytest.mark.parametrize("method", METHODS)
def test_each_frame_is_described_by_itself(X, method):
    embedder = FrameEmbedder(method).fit(X)
    panel = embedder.transform(X)
    one = embedder.transform(X[3:4, 2:3])
    np.testing.assert_allclose(panel[3, :, 2], one[0, :, 0], rtol=1e-12, atol=1e-12)


# Of a table the cosines go along its rows: see the tests of the descriptions.
@pytest.mark.parametrize("method", [method for method in METHODS if method != "dct"])
def test_a_table_is_its_frames(X, method):
    panel = FrameEmbedder(method).fit_transform(X)
    table = FrameEmbedder(method).fit_transform(X.reshape(45, 12))
    np.testing.assert_array_equal(table, panel.transpose(0, 2, 1).reshape(45, -1))


@pytest.mark.parametrize("method", METHODS)
def test_recordings_of_different_lengths(X, method):
    recordings = [recording[: 9 - i] for i, recording in enumerate(X)]
    embedder = FrameEmbedder(method).fit(X)
    for series, full in zip(embedder.transform(recordings), embedder.transform(X), strict=True):
        np.testing.assert_allclose(series, full[:, : series.shape[1]], rtol=1e-12, atol=1e-12)
    refit = FrameEmbedder(method).fit(recordings)
    whole = FrameEmbedder(method).fit(np.concatenate(recordings)[None])
    np.testing.assert_array_equal(refit.transform(X), whole.transform(X))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept_and_agrees(X, method, dtype):
    embedder = FrameEmbedder(method, n_components=3).fit(X.astype(dtype))
    panel = embedder.transform(X.astype(dtype))
    assert panel.dtype == dtype
    exact = FrameEmbedder(method, n_components=3).fit_transform(X)
    np.testing.assert_allclose(panel, exact, atol=1e-5 if dtype == np.float32 else 0)
    other = embedder.transform(X.astype(np.float32))
    assert other.dtype == np.float32


@settings(max_examples=25)
@given(frames_of(), st.lists(st.floats(0, 100), min_size=1, max_size=4, unique=True))
def test_percentiles_are_numpys(X, levels):
    panel = FrameEmbedder(percentiles=levels).fit_transform(X)
    for t, frame in enumerate(X[0]):
        np.testing.assert_array_equal(panel[0, :, t], np.percentile(frame, levels))


def test_known_percentiles():
    X = np.arange(101.0).reshape(1, 1, 1, 101)
    panel = FrameEmbedder(percentiles=(0, 12.5, 50, 100)).fit_transform(X)
    np.testing.assert_array_equal(panel[0, :, 0], [0, 12.5, 50, 100])


@settings(max_examples=25)
@given(frames_of(), frames_of(bound=300), st.integers(1, 7), st.booleans())
def test_histograms_are_numpys(X, other, bins, density):
    X[0, 0, 0, 0] = X.max() + 1  # so that there is something to bin
    embedder = FrameEmbedder("histogram", bins=bins, density=density).fit(X)
    edges = embedder.bin_edges_
    assert edges[0] == X.min()
    assert edges[-1] == X.max()
    panel = embedder.transform(other)
    for t, frame in enumerate(other[0]):
        inside = np.clip(frame, edges[0], edges[-1])
        expected = np.histogram(inside, edges)[0] / frame.size
        if density:
            expected = expected / np.diff(edges)
        np.testing.assert_allclose(panel[0, :, t], expected, rtol=1e-12)
    widths = np.diff(edges) if density else 1
    np.testing.assert_allclose((panel[0].T * widths).sum(axis=1), 1, rtol=1e-12)


def test_given_edges_are_used():
    X = np.array([-5.0, 0.0, 0.9, 1.0, 2.9, 3.0, 8.0, 8.0]).reshape(1, 1, 2, 4)
    embedder = FrameEmbedder("histogram", bins=[0, 1, 3]).fit(X)
    np.testing.assert_array_equal(embedder.bin_edges_, [0, 1, 3])
    np.testing.assert_array_equal(embedder.transform(X)[0, :, 0], [3 / 8, 5 / 8])


@pytest.mark.parametrize("n_components", [1, 4, 0.6])
def test_eigenframes_are_principal_components(X, n_components):
    embedder = FrameEmbedder("eigenframes", n_components=n_components).fit(X)
    frames = X.reshape(45, 12)
    values, vectors = np.linalg.eigh(np.cov(frames.T))
    share = values[::-1] / values.sum()
    k = n_components if n_components != 0.6 else int(np.searchsorted(share.cumsum(), 0.6)) + 1
    vectors = vectors[:, ::-1][:, :k].T
    vectors *= np.sign(vectors[np.arange(k), np.abs(vectors).argmax(axis=1)])[:, None]
    np.testing.assert_allclose(embedder.components_, vectors, atol=1e-9)
    np.testing.assert_allclose(embedder.explained_variance_ratio_, share[:k], atol=1e-12)
    np.testing.assert_allclose(embedder.mean_, frames.mean(axis=0), atol=1e-12)
    scores = (frames - frames.mean(axis=0)) @ vectors.T
    np.testing.assert_allclose(
        embedder.transform(X).transpose(0, 2, 1).reshape(45, k), scores, atol=1e-9
    )
    assert embedder.eigenframes_.shape == (k, 3, 4)
    np.testing.assert_array_equal(embedder.eigenframes_[0].ravel(), embedder.components_[0])


def test_all_eigenframes_reconstruct_the_frames(X):
    embedder = FrameEmbedder("eigenframes", n_components=12).fit(X)
    back = np.einsum("nkt,khw->nthw", embedder.transform(X), embedder.eigenframes_)
    np.testing.assert_allclose(back + embedder.mean_.reshape(3, 4), X, atol=1e-12)


@pytest.mark.parametrize(("shape", "expected"), [((1, 3, 4, 4), 3), ((2, 5, 1, 2), 2)])
def test_there_are_never_more_eigenframes_than_frames_or_pixels(shape, expected):
    X = np.random.default_rng(0).standard_normal(shape)
    assert FrameEmbedder("eigenframes").fit(X).n_features_out_ == expected


def test_the_randomized_solver_is_seeded_and_near():
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((80, 3)) * [9, 5, 3]) @ rng.standard_normal((3, 60))
    X += 0.01 * rng.standard_normal(X.shape)
    kwargs = {"method": "eigenframes", "n_components": 3, "svd_solver": "randomized"}
    first, again = (FrameEmbedder(**kwargs, random_state=0).fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.components_, again.components_)
    exact = PCA(3, svd_solver="full").fit(X)
    np.testing.assert_allclose(first.components_, exact.components_, atol=1e-4)


def test_names():
    X = np.random.default_rng(0).standard_normal((2, 3, 2, 2))
    names = lambda *args, **kwargs: list(  # noqa: E731
        FrameEmbedder(*args, **kwargs).fit(X).get_feature_names_out()
    )
    assert names(percentiles=[0, 2.5, 100.0]) == [
        "percentile_0",
        "percentile_2.5",
        "percentile_100",
    ]
    assert names("histogram", bins=2) == ["bin_0", "bin_1"]
    assert names("eigenframes", n_components=2) == ["eigenframe_0", "eigenframe_1"]


def test_names_of_the_columns_are_compared():
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((4, 2)), columns=["a", "b"])
    embedder = FrameEmbedder().fit(frame)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        embedder.get_feature_names_out(["a", "c"])
    embedder.fit(frame.to_numpy().reshape(1, 2, 2, 2))
    assert not hasattr(embedder, "feature_names_in_")


def test_tables_obey_set_output_and_panels_pass(X):
    embedder = FrameEmbedder(percentiles=(50,)).set_output(transform="pandas")
    assert list(embedder.fit_transform(X.reshape(45, 12)).columns) == ["percentile_50"]
    assert embedder.fit_transform(X).shape == (5, 1, 9)


def test_refitting_forgets_the_other_methods(X):
    embedder = FrameEmbedder("histogram").fit(X).set_params(method="eigenframes").fit(X)
    assert not hasattr(embedder, "bin_edges_")
    embedder.set_params(method="percentiles").fit(X)
    assert not hasattr(embedder, "eigenframes_")
    assert not hasattr(embedder, "mean_")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "deep"}, "'method' parameter of FrameEmbedder must be a str among"),
        ({"method": []}, r"method=\[\] must be different names among percentiles, histogram"),
        ({"method": ["dct", "deep"]}, "must be different names among percentiles, histogram"),
        ({"method": ["dct", "dct"]}, "must be different names among percentiles, histogram"),
        ({"n_moments": 5}, "'n_moments' parameter"),
        ({"dct_size": 0}, "'dct_size' parameter"),
        ({"method": "dct", "dct_size": (2, 0)}, "must be one or two positive integers"),
        ({"method": "dct", "dct_size": (2, 2, 2)}, "must be one or two positive integers"),
        ({"method": "regions", "regions": np.ones((3, 4))}, "integers or truth values, got float"),
        ({"method": "regions", "regions": np.zeros((3, 4), int)}, "has no positive label"),
        ({"method": "regions", "regions": np.ones((4, 3), int)}, r"shape \(4, 3\), and a frame"),
        ({"bad_frames": "drop"}, "'bad_frames' parameter"),
        ({"value_range": (1, 0)}, "must be the least and the greatest value"),
        ({"value_range": [0, 1, 2]}, "must be the least and the greatest value"),
        ({"block_size": 0}, "'block_size' parameter"),
        ({"percentiles": ()}, "must be a list of levels"),
        ({"percentiles": [[5, 50]]}, "must be a list of levels"),
        ({"percentiles": 50}, "'percentiles' parameter"),
        ({"percentiles": [5, 101]}, r"levels must lie in \[0, 100\]"),
        ({"percentiles": [5, np.nan]}, r"levels must lie in \[0, 100\]"),
        ({"percentiles": [5, 5]}, "be distinct"),
        ({"bins": 0}, "'bins' parameter"),
        ({"bins": [1]}, "at least two increasing edges"),
        ({"bins": [0, 1, 1]}, "at least two increasing edges"),
        ({"bins": [[0, 1], [1, 2]]}, "at least two increasing edges"),
        ({"bins": [0, np.inf]}, "edges must be finite"),
        ({"density": 2}, "'density' parameter"),
        ({"n_components": 0}, "'n_components' parameter"),
        ({"n_components": 1.5}, "'n_components' parameter"),
        ({"svd_solver": "arpack"}, "'svd_solver' parameter"),
    ],
)
def test_bad_parameters_are_refused(X, params, message):
    with pytest.raises(ValueError, match=message):
        FrameEmbedder(**params).fit(X)


def test_what_cannot_be_learnt_is_refused_and_the_old_fit_stays(X):
    histogram = FrameEmbedder("histogram").fit(X)
    before = histogram.transform(X)
    with pytest.raises(ValueError, match="all values of X lie between 2 and 2, too close for 10"):
        histogram.fit(np.full((2, 3, 4, 4), 2.0))
    np.testing.assert_array_equal(histogram.transform(X), before)
    eigenframes = FrameEmbedder("eigenframes").fit(X)
    with pytest.raises(ValueError, match="all 6 frames of X are equal"):
        eigenframes.fit(np.tile(X[0, 0], (2, 3, 1, 1)))
    with pytest.raises(ValueError, match="n_samples = 1 frame and at least 2"):
        eigenframes.fit(X[:1, :1])
    assert eigenframes.transform(X).shape == (5, 8, 9)
    # A dead frame among others is no error.
    X[1, 2] = 0.0
    assert np.isfinite(FrameEmbedder("histogram").fit_transform(X)).all()
    # Given edges need no spread.
    edges = FrameEmbedder("histogram", bins=[0, 1, 3])
    assert edges.fit_transform(np.full((1, 2, 1, 1), 2.0)).tolist() == [[[0, 0], [1, 1]]]


@pytest.mark.parametrize("method", METHODS)
def test_save_and_load(X, method, tmp_path):
    embedder = FrameEmbedder(method, bins=np.array([-9.0, 0.0, 9.0])).fit(X)
    embedder.save(tmp_path / "model")
    back = FrameEmbedder.load(tmp_path / "model")
    np.testing.assert_array_equal(back.transform(X), embedder.transform(X))
    np.testing.assert_array_equal(back.get_feature_names_out(), embedder.get_feature_names_out())


def test_several_methods_at_once(X):
    together = FrameEmbedder(METHODS, n_components=3).fit(X)
    alone = [FrameEmbedder(method, n_components=3).fit(X) for method in METHODS]
    panel = np.concatenate([embedder.transform(X) for embedder in alone], axis=1)
    np.testing.assert_allclose(together.transform(X), panel, rtol=1e-12)
    names = np.concatenate([embedder.get_feature_names_out() for embedder in alone])
    assert together.get_feature_names_out().tolist() == names.tolist()
    assert together.n_features_out_ == panel.shape[1] == len(set(names))


@pytest.mark.parametrize("methods", ["eigenframes", ["moments", "eigenframes", "dct"]])
def test_inverse_of_eigenframes(X, methods):
    embedder = FrameEmbedder(methods, n_components=12).fit(X)
    panel = embedder.transform(X)
    np.testing.assert_allclose(embedder.inverse_transform(panel), X, atol=1e-12)
    assert embedder.inverse_transform(panel.astype(np.float32)).dtype == np.float32
    recordings = [recording[: 9 - i] for i, recording in enumerate(X)]
    back = embedder.inverse_transform(embedder.transform(recordings))
    for frames, original in zip(back, recordings, strict=True):
        np.testing.assert_allclose(frames, original, atol=1e-12)
    table = X.reshape(45, 12)
    embedder.fit(table)
    np.testing.assert_allclose(embedder.inverse_transform(embedder.transform(table)), table)


def test_few_eigenframes_give_the_nearest_frames(X):
    embedder = FrameEmbedder("eigenframes", n_components=4).fit(X)
    back = embedder.inverse_transform(embedder.transform(X)).reshape(45, 12)
    pca = PCA(4).fit(X.reshape(45, 12))
    expected = pca.inverse_transform(pca.transform(X.reshape(45, 12)))
    np.testing.assert_allclose(back, expected, atol=1e-12)


def test_what_has_no_inverse_is_told(X):
    embedder = FrameEmbedder("dct").fit(X)
    assert not hasattr(embedder, "inverse_transform")
    embedder = FrameEmbedder("eigenframes", n_components=3).fit(X)
    with pytest.raises(ValueError, match=r"shape \(n, 3, n_times\) .* got \(5, 2, 9\)"):
        embedder.inverse_transform(embedder.transform(X)[:, :2])
    with pytest.raises(ValueError, match=r"got \(5, 3\)"):
        embedder.inverse_transform(embedder.transform(X)[..., 0])


# --- frames that show nothing, and more frames than memory ---------------------------------------


def spoilt(X):
    """Blank frames 3 and 4 of recording 1, a saturated one at the end of recording 2."""
    spoilt = X.copy()
    spoilt[1, 3:5] = 0.0
    spoilt[2, 8] = 50.0
    spoilt[2, 8, 0, :2] = 1.0
    return spoilt


@pytest.mark.parametrize("method", METHODS)
def test_bad_frames_are_not_learnt_from_and_bridged(X, method):
    options = {"value_range": (-50, 50), "n_components": 3}
    good = np.ones((5, 9), bool)
    good[1, 3:5] = good[2, 8] = False
    expected = FrameEmbedder(method, **options).fit(X[good][None]).transform(X)
    skipping = FrameEmbedder(method, bad_frames="skip", **options).fit(spoilt(X))
    panel = skipping.transform(spoilt(X))
    np.testing.assert_allclose(panel.transpose(0, 2, 1)[good], expected.transpose(0, 2, 1)[good])
    assert np.isfinite(panel).all()
    bridging = FrameEmbedder(method, bad_frames="interpolate", **options).fit(spoilt(X))
    panel = bridging.transform(spoilt(X))
    np.testing.assert_allclose(panel.transpose(0, 2, 1)[good], expected.transpose(0, 2, 1)[good])
    step = (expected[1, :, 5] - expected[1, :, 2]) / 3
    np.testing.assert_allclose(panel[1, :, 3], expected[1, :, 2] + step, atol=1e-12)
    np.testing.assert_allclose(panel[1, :, 4], expected[1, :, 2] + 2 * step, atol=1e-12)
    np.testing.assert_allclose(panel[2, :, 8], expected[2, :, 7], atol=1e-12)


def test_a_dead_frame_spoils_what_is_kept_and_not_what_is_skipped(X):
    dead = X.copy()
    dead[0, 0] = 1e3
    kept = FrameEmbedder("eigenframes", n_components=2).fit(dead)
    assert np.ptp(kept.eigenframes_[0]) < 0.05  # a flat picture: the dead frame alone
    clean = FrameEmbedder("eigenframes", n_components=2, bad_frames="skip").fit(dead)
    others = FrameEmbedder("eigenframes", n_components=2).fit(X.reshape(1, 45, 3, 4)[:, 1:])
    np.testing.assert_allclose(clean.components_, others.components_, atol=1e-9)


def test_nothing_but_bad_frames():
    X = np.arange(6.0)[None, :, None, None] * np.ones((1, 6, 2, 2))
    embedder = FrameEmbedder(["eigenframes", "moments"], bad_frames="interpolate").fit(X)
    panel = embedder.transform(X)
    assert np.isfinite(panel).all()
    np.testing.assert_allclose(panel[0, -4], np.arange(6.0))


@pytest.mark.parametrize("size", [1, 4, 7, 100])
@pytest.mark.parametrize("bad_frames", ["keep", "interpolate"])
def test_blocks_change_nothing(X, size, bad_frames):
    options = {"n_components": 5, "bad_frames": bad_frames}
    whole = FrameEmbedder(METHODS, **options).fit(spoilt(X))
    blocks = FrameEmbedder(METHODS, **options, block_size=size).fit(spoilt(X))
    expected = whole.transform(spoilt(X))
    np.testing.assert_allclose(blocks.transform(spoilt(X)), expected, atol=1e-9)
    np.testing.assert_allclose(blocks.mean_, whole.mean_, atol=1e-12)
    shares = whole.explained_variance_ratio_
    np.testing.assert_allclose(blocks.explained_variance_ratio_, shares, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_memory_mapped_frames_are_never_all_in_memory(dtype, tmp_path):
    rng, shape = np.random.default_rng(0), (40, 100, 32, 32)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", dtype, shape)
    for recording in X:
        recording[:] = rng.integers(0, 200, shape[1:])
    X.flush()
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    embedder = FrameEmbedder(["eigenframes", "moments"], n_components=3, block_size=64)
    tracemalloc.start()
    panel = embedder.fit(mapped).transform(mapped)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert panel.shape == (40, 7, 100)
    # 4 M pixels; the covariance and its eigenvectors take 8 MB each, a block half a megabyte.
    assert peak < 45e6
    # All frames as floats are 33 MB, which a copy or two would have shown.
    np.testing.assert_allclose(panel[:, 3], X.mean(axis=(2, 3), dtype=float), rtol=1e-5)


def test_fit_comes_first(X):
    for method in ("transform", "get_feature_names_out"):
        with pytest.raises(NotFittedError):
            getattr(FrameEmbedder(), method)(X)
