"""Displays show the bands and the eigenframes that there are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_dbt import FrameEmbedder, WaveletEmbedder
from sklearn_dbt.inspection import EigenframesDisplay, ScalogramDisplay


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((3, 2, 128))


@pytest.mark.parametrize(
    "options",
    [
        {"transform": "dwt", "level": 3},
        {"transform": "swt", "level": 2},
        {"transform": "packet", "level": 2},
        {"transform": "packet", "level": 3, "best_basis": "shannon"},
        {"transform": "cwt", "level": 3},
    ],
)
def test_a_scalogram_shows_every_coefficient(X, options):
    embedder = WaveletEmbedder(sampling_rate=64, **options).fit(X)
    display = ScalogramDisplay.from_estimator(embedder, X, recording=2, channel=1)
    coefficients = embedder._band_transform().analysis(X[2, 1])
    powers = [np.abs(c) ** 2 for c in coefficients]
    greatest = max(power.max() for power in powers)
    assert len(display.meshes_) == len(embedder.bands_)
    for mesh, power, edges in zip(display.meshes_, powers, embedder.band_edges_, strict=True):
        expected = np.maximum(10 * np.log10(power / greatest), -60)
        np.testing.assert_allclose(np.ravel(mesh.get_array()), expected, atol=1e-9)
        corners = mesh.get_coordinates()
        assert (corners[0, 0, 0], corners[0, -1, 0]) == (0, 2.0)
        assert corners[1, 0, 1] == edges[1]
        assert edges[0] in (0, corners[0, 0, 1])
    assert display.ax_.get_xlabel() == "Time (s)"
    assert display.ax_.get_ylabel() == "Frequency (Hz)"
    is_even = options == {"transform": "packet", "level": 2}
    assert display.ax_.get_yscale() == ("linear" if is_even else "log")
    assert display.ax_.get_ylim()[1] == 32


def test_a_scalogram_of_a_tone_is_bright_where_the_tone_is():
    t = np.arange(512) / 100
    X = np.sin(2 * np.pi * 7 * t)[None] * (t > 2.5)
    embedder = WaveletEmbedder(transform="cwt", sampling_rate=100).fit(X)
    display = ScalogramDisplay.from_estimator(embedder, X)
    brightest = max(display.meshes_, key=lambda mesh: mesh.get_array().max())
    low, high = np.unique(brightest.get_coordinates()[..., 1])
    assert low < 7 < high
    assert np.ravel(brightest.get_array()).argmax() > 250


def test_scalograms_without_a_rate_on_given_axes_and_of_silence(X):
    embedder = WaveletEmbedder(level=2).fit(X)
    _, ax = plt.subplots()
    display = ScalogramDisplay.from_estimator(embedder, 0 * X, ax=ax, cmap="gray")
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.ax_.get_xlabel() == "Sample"
    assert display.ax_.get_ylabel() == "Frequency (cycles per sample)"
    assert all((mesh.get_array() == -60).all() for mesh in display.meshes_)
    assert display.meshes_[0].get_cmap().name == "gray"


def test_ragged_recordings_have_scalograms(X):
    recordings = [x[:, : 128 - 10 * i] for i, x in enumerate(X)]
    embedder = WaveletEmbedder(level=2).fit(recordings)
    display = ScalogramDisplay.from_estimator(embedder, recordings, recording=2)
    assert display.ax_.get_xlim() == (0, 108)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recording": 3}, "recording=3: X has 3"),
        ({"channel": 2}, "channel=2: X has 2"),
        ({"channel": -1}, "channel=-1: X has 2"),
    ],
)
def test_what_is_not_there_has_no_scalogram(X, options, message):
    with pytest.raises(ValueError, match=message):
        ScalogramDisplay.from_estimator(WaveletEmbedder().fit(X), X, **options)


@pytest.mark.parametrize("n_components", [1, 3, 7])
def test_eigenframes_are_tiles_of_one_picture(n_components):
    X = np.random.default_rng(0).standard_normal((2, 30, 5, 9))
    embedder = FrameEmbedder(["moments", "eigenframes"], n_components=n_components).fit(X)
    display = EigenframesDisplay.from_estimator(embedder)
    sheet = display.image_.get_array()
    assert np.isfinite(sheet.filled(np.nan)).sum() == n_components * 45
    for k, text in enumerate(display.texts_):
        share = 100 * embedder.explained_variance_ratio_[k]
        assert text.get_text() == f"{k}: {share:.1f} %"
        # Its name is above the middle of the tile.
        x, y = text.get_position()
        top, left = round(y + 0.6), round(x + 0.5 - 4.5)
        np.testing.assert_array_equal(
            sheet[top : top + 5, left : left + 9], embedder.eigenframes_[k]
        )
    low, high = display.image_.get_clim()
    assert high == -low == np.abs(embedder.components_).max()


def test_eigenframes_on_given_axes():
    _, ax = plt.subplots()
    display = EigenframesDisplay(np.ones((2, 3, 3)), [0.5, 0.25]).plot(ax, cmap="gray")
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.image_.get_cmap().name == "gray"


def test_without_eigenframes_or_pictures_the_error_says_so():
    X = np.random.default_rng(0).standard_normal((2, 6, 3, 3))
    with pytest.raises(ValueError, match="method='dct' has no eigenframes"):
        EigenframesDisplay.from_estimator(FrameEmbedder("dct").fit(X))
    with pytest.raises(ValueError, match="fitted on a table"):
        EigenframesDisplay.from_estimator(FrameEmbedder("eigenframes").fit(X.reshape(12, 9)))
