"""The display of sources shows sources and mixture of whatever estimator found them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA, FastICA
from sklearn.pipeline import make_pipeline

from sklearn_dbt import NonlinearICAEncoder
from sklearn_dbt.inspection import SourcesDisplay

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:NonlinearICAEncoder:UserWarning"
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def X():
    return np.random.default_rng(0).laplace(size=(4, 3, 60))


def standardized(series):
    return (series - series.mean(axis=-1, keepdims=True)) / series.std(axis=-1, keepdims=True)


def assert_shows(display, sources):
    assert len(display.lines_) == len(sources)
    for k, (line, source) in enumerate(zip(display.lines_, sources, strict=True)):
        np.testing.assert_allclose(line.get_ydata(), standardized(source) / 6 - k, atol=1e-6)


def test_nonlinear_sources_have_no_mixing(X):
    encoder = NonlinearICAEncoder(n_init=1, max_iter=2, random_state=0).fit(X)
    display = SourcesDisplay.from_estimator(encoder, X, recording=2, sampling_rate=20)
    assert_shows(display, encoder.transform(X)[2])
    assert display.mixing_ax_ is None
    assert display.mixing_image_ is None
    np.testing.assert_allclose(display.lines_[0].get_xdata(), np.arange(60) / 20)
    assert display.ax_.get_xlabel() == "Time (s)"
    ragged = [x[:, : 60 - i] for i, x in enumerate(X)]
    display = SourcesDisplay.from_estimator(encoder, ragged, recording=3)
    assert_shows(display, encoder.transform(ragged)[3])
    assert display.ax_.get_xlabel() == "Sample"


def test_a_table_is_one_channel(X):
    encoder = NonlinearICAEncoder(n_init=1, max_iter=2, random_state=0).fit(X[:, 0])
    display = SourcesDisplay.from_estimator(encoder, X[:, 0], recording=1)
    assert_shows(display, encoder.transform(X[:, 0])[1][None])


@pytest.mark.parametrize("make", [FastICA, PCA])
def test_linear_sources_come_with_their_mixing(X, make):
    estimator = make(2, random_state=0).fit(X[0].T)
    channels = ["Fz", "Cz", "Pz"]
    display = SourcesDisplay.from_estimator(estimator, X[0].T, channels=channels)
    assert_shows(display, estimator.transform(X[0].T).T)
    mixing = estimator.mixing_ if make is FastICA else estimator.components_.T
    expected = mixing.T / np.abs(mixing.T).max(axis=1, keepdims=True)
    np.testing.assert_allclose(display.mixing_image_.get_array(), expected)
    labels = [label.get_text() for label in display.mixing_ax_.get_xticklabels()]
    assert labels == channels
    # Rows lie beside their sources.
    assert display.mixing_ax_.get_ylim() == display.ax_.get_ylim()
    n = len(display.lines_)
    assert display.mixing_image_.get_extent()[2:] == [0.5 - n, 0.5]


def test_peaks_of_the_outer_sources_are_shown_but_for_outliers():
    sources = np.zeros((2, 100))
    sources[0, 5], sources[1, 7] = 1.0, -1.0  # ten standard deviations
    low, high = SourcesDisplay(sources).plot().ax_.get_ylim()
    assert 1.5 < high + 0.2 < 1.95
    assert low == pytest.approx(-1 - high)
    sources = np.zeros((1, 10_000))
    sources[0, 5] = 1.0
    assert SourcesDisplay(sources).plot().ax_.get_ylim() == (-0.5, 1.5)


def test_names_axes_and_what_does_not_vary():
    _, ax = plt.subplots()
    sources = np.stack([np.ones(9), np.arange(9.0)])
    display = SourcesDisplay(sources, np.zeros((2, 2)), names=["still", "moving"]).plot(ax, lw=3)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert [label.get_text() for label in ax.get_yticklabels()] == ["still", "moving"]
    assert np.isfinite(display.lines_[0].get_ydata()).all()
    assert np.isfinite(display.mixing_image_.get_array()).all()
    assert display.lines_[0].get_linewidth() == 3
    assert display.mixing_ax_.get_xlabel() == "Mixing, by channel"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mixing": np.ones((2, 5))},
            r"mixing must have the shape \(n_channels, 3\), got \(2, 5\)",
        ),
        ({"mixing": np.ones((4, 3)), "channels": ["a"]}, "channels must be 4 names, .* got 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_figure_is_made(options, message):
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message):
        SourcesDisplay(np.ones((3, 9)), **options).plot()
    assert plt.get_fignums() == before


def test_what_cannot_be_shown_is_told(X):
    pipeline = make_pipeline(NonlinearICAEncoder(max_iter=2, random_state=0)).fit(X)
    with pytest.raises(ValueError, match=r"Pipeline.transform gave the shape \(4, "):
        SourcesDisplay.from_estimator(pipeline, X)
    encoder = NonlinearICAEncoder(n_init=1, max_iter=2, output="features", random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"output='series', got 'features'"):
        SourcesDisplay.from_estimator(encoder, X)
    encoder.set_params(output="series")
    with pytest.raises(ValueError, match="recording=4: X has 4"):
        SourcesDisplay.from_estimator(encoder, X, recording=4)
    pca = PCA().fit(X[0].T)
    with pytest.raises(ValueError, match="recording=1: X is one recording"):
        SourcesDisplay.from_estimator(pca, X[0].T, recording=1)
