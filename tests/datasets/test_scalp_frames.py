"""Maps of the scalp: exact at electrodes, brute force, and what interpolation must preserve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import RBFInterpolator

from sklearn_dbt.datasets import electrode_positions, scalp_frames

METHODS = ["inverse_distance", "thin_plate"]
PLACES = electrode_positions(["F3", "F4", "T7", "T8", "Pz"])


def centres(height, width):
    return [
        [((2 * j + 1) / width - 1, 1 - (2 * i + 1) / height) for j in range(width)]
        for i in range(height)
    ]


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((3, 5, 7))


def test_inverse_distance_by_brute_force(X):
    frames = scalp_frames(X, PLACES, (4, 3))
    assert frames.shape == (3, 7, 4, 3)
    for i, row in enumerate(centres(4, 3)):
        for j, place in enumerate(row):
            weights = [1 / ((place[0] - x) ** 2 + (place[1] - y) ** 2) for x, y in PLACES]
            expected = np.einsum("c,nct->nt", weights, X) / sum(weights)
            np.testing.assert_allclose(frames[:, :, i, j], expected, rtol=1e-12)


def test_thin_plate_is_scipys_at_every_time(X):
    frames = scalp_frames(X, PLACES, (4, 3), method="thin_plate")
    grid = np.array(centres(4, 3)).reshape(-1, 2)
    for n, t in ((0, 0), (2, 6)):
        expected = RBFInterpolator(PLACES, X[n, :, t], kernel="thin_plate_spline")(grid)
        np.testing.assert_allclose(frames[n, t].ravel(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_exact_at_electrodes_and_nose_up(method):
    # On a 5 x 5 grid these are centres of pixels: nose, left, middle, right.
    places = np.array([[0, 0.8], [-0.8, 0], [0, 0], [0.8, 0.0]])
    X = np.arange(8.0).reshape(1, 4, 2)
    frames = scalp_frames(X, places, (5, 5), method=method)
    found = frames[0][:, [0, 2, 2, 2], [2, 0, 2, 4]]
    np.testing.assert_allclose(found, X[0].T, atol=1e-10)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_constants_stay_and_maps_add_up(seed, method):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 1, 5, 3))
    maps = lambda X: scalp_frames(X, PLACES, (6, 5), method=method)  # noqa: E731
    np.testing.assert_allclose(maps(np.full((1, 5, 1), 3.0)), 3, rtol=1e-9)
    np.testing.assert_allclose(maps(2 * a - b), 2 * maps(a) - maps(b), atol=1e-9)


def test_inverse_distance_never_overshoots_and_a_thin_plate_keeps_slopes(X):
    frames = scalp_frames(X, PLACES)
    assert np.all(frames <= X.max(axis=1)[..., None, None] + 1e-12)
    assert np.all(frames >= X.min(axis=1)[..., None, None] - 1e-12)
    slope = (PLACES @ [2.0, -3.0] + 1)[None, :, None]
    expected = np.array(centres(8, 8)) @ [2.0, -3.0] + 1
    frames = scalp_frames(slope, PLACES, method="thin_plate")
    np.testing.assert_allclose(frames[0, 0], expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(X, dtype):
    frames = scalp_frames(X.astype(dtype), PLACES)
    assert frames.dtype == dtype
    np.testing.assert_allclose(frames, scalp_frames(X, PLACES), atol=1e-5)


def test_outside_the_disc(X):
    frames = scalp_frames(X, PLACES, (4, 4), outside=-9.0)
    corners = np.zeros((4, 4), dtype=bool)
    corners[[0, 0, 3, 3], [0, 3, 0, 3]] = True
    assert np.all(frames[..., corners] == -9)
    np.testing.assert_array_equal(
        frames[..., ~corners], scalp_frames(X, PLACES, (4, 4))[..., ~corners]
    )


def test_recordings_of_different_lengths(X):
    recordings = [X[0], X[1, :, :4]]
    maps = scalp_frames(recordings, PLACES)
    assert [m.shape for m in maps] == [(7, 8, 8), (4, 8, 8)]
    np.testing.assert_allclose(maps[1], scalp_frames(X, PLACES)[1, :4], atol=1e-12)
    assert scalp_frames(list(X), PLACES).shape == (3, 7, 8, 8)


def test_one_electrode_is_the_same_everywhere():
    frames = scalp_frames(np.array([[[1.0, 2.0]]]), [[0.3, 0.1]], (2, 2))
    np.testing.assert_allclose(frames[0, 1], 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"montage": PLACES[:4]}, r"recording 0 of X has shape \(5, 7\), with 4 positions"),
        ({"montage": PLACES.T}, r"positions have shape \(2, 5\)"),
        ({"montage": np.zeros((0, 2))}, r"positions have shape \(0, 2\)"),
        ({"montage": PLACES * 2}, r"position 0 is \(.*\); all must lie in the unit disc"),
        ({"montage": PLACES * np.nan}, "position 0 is"),
        ({"montage": PLACES[[0, 1, 2, 3, 0]]}, "two positions are equal"),
        ({"montage": np.outer(np.arange(5), [0.1, 0.2]), "method": "thin_plate"}, "on one line"),
        ({"shape": (3,)}, r"shape=\(3,\) must be two positive integers"),
        ({"shape": (3, 0)}, "two positive integers"),
        ({"shape": (3, 1.5)}, "two positive integers"),
        ({"shape": 8}, "two positive integers"),
        ({"method": "nearest"}, "allowed are inverse_distance, thin_plate"),
        ({"X": np.zeros((3, 4))}, r"recording 0 of X has shape \(4,\)"),
    ],
)
def test_bad_arguments_are_refused(X, change, message):
    with pytest.raises(ValueError, match=message):
        scalp_frames(**{"X": X, "montage": PLACES} | change)


def test_names_of_electrodes_are_their_places(X):
    names = ["F3", "F4", "T7", "T8", "Pz"]
    np.testing.assert_array_equal(scalp_frames(X, names), scalp_frames(X, PLACES))


class Digitized:
    """What is needed of a montage of MNE."""

    def get_positions(self):
        angles = np.deg2rad([(80, 0), (40, 90), (0, 0), (40, -90), (90, 180)])
        names = ["nose", "right", "up", "left", "low"]
        places = [[np.sin(t) * np.sin(p), np.sin(t) * np.cos(p), np.cos(t)] for t, p in angles]
        head = 0.09 * np.array(places) + [0, 0, 0.04]
        return {"ch_pos": dict(zip(names, head, strict=True))}


def test_a_montage_is_its_places_in_order(X):
    places = np.array([[0, 80], [40, 0], [0, 0], [-40, 0], [0, -90]]) / 90
    np.testing.assert_allclose(scalp_frames(X, Digitized()), scalp_frames(X, places), rtol=1e-9)
    with pytest.raises(ValueError, match="with 5 positions"):
        scalp_frames(X[:, :4], Digitized())


def test_montages_of_mne():
    mne = pytest.importorskip("mne")
    name = "biosemi16"
    X = np.random.default_rng(0).standard_normal((2, 16, 3))
    frames = scalp_frames(X, name, (6, 6))
    assert frames.shape == (2, 3, 6, 6)
    np.testing.assert_array_equal(
        frames, scalp_frames(X, mne.channels.make_standard_montage(name), (6, 6))
    )
