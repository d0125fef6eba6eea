"""Places of electrodes: textbook angles, and the symmetries and distances of the 10-10 system."""

import sys
import types

import numpy as np
import pytest

from sklearn_dbt.datasets import electrode_positions

LEFT = ["Fp1", "AF7", "F3", "F5", "FC1", "FT7", "C3", "T7", "CP5", "TP9", "P7", "PO3", "O1", "T9"]
RIGHT = [
    "Fp2",
    "AF8",
    "F4",
    "F6",
    "FC2",
    "FT8",
    "C4",
    "T8",
    "CP6",
    "TP10",
    "P8",
    "PO4",
    "O2",
    "T10",
]


def on_sphere(names):
    """Undo the projection."""
    x, y = electrode_positions(names).T
    angle, azimuth = np.hypot(x, y) * np.pi / 2, np.arctan2(x, y)
    return np.stack(
        [np.sin(angle) * np.sin(azimuth), np.sin(angle) * np.cos(azimuth), np.cos(angle)], axis=1
    )


def degrees_between(a, b):
    return np.rad2deg(np.arccos(np.clip(np.sum(a * b, axis=-1), -1, 1)))


def test_the_midline_is_cut_in_tenths():
    midline = ["Fpz", "AFz", "Fz", "FCz", "Cz", "CPz", "Pz", "POz", "Oz"]
    expected = np.array([72, 54, 36, 18, 0, -18, -36, -54, -72]) / 90
    np.testing.assert_allclose(electrode_positions(midline)[:, 1], expected, atol=1e-12)
    np.testing.assert_allclose(electrode_positions(midline)[:, 0], 0, atol=1e-12)


def test_the_ears_row_is_cut_in_tenths():
    row = ["T9", "T7", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "T8", "T10"]
    np.testing.assert_allclose(
        electrode_positions(row), np.stack([np.arange(-5, 6) / 5, np.zeros(11)], axis=1), atol=1e-12
    )


def test_left_mirrors_right():
    left, right = electrode_positions(LEFT), electrode_positions(RIGHT)
    np.testing.assert_allclose(left * [-1, 1], right, atol=1e-12)
    assert np.all(left[:, 0] < 0)


def test_neighbours_of_a_row_are_equally_far():
    for row in (
        ["AF7", "AF5", "AF3", "AF1", "AFz", "AF2", "AF4", "AF6", "AF8"],
        ["F7", "F5", "F3", "F1", "Fz", "F2", "F4", "F6", "F8"],
        ["TP7", "CP5", "CP3", "CP1", "CPz", "CP2", "CP4", "CP6", "TP8"],
        ["PO7", "PO5", "PO3", "PO1", "POz"],
    ):
        places = on_sphere(row)
        steps = degrees_between(places[1:], places[:-1])
        np.testing.assert_allclose(steps, steps[0], rtol=1e-10)
        # All of a row lie in one plane.
        spanned = places[1:] - places[0]
        np.testing.assert_allclose(np.linalg.svd(spanned, compute_uv=False)[2:], 0, atol=1e-12)


def test_neighbours_on_the_ring_are_18_degrees_apart_in_azimuth():
    ring = ["Fpz", "Fp2", "AF8", "F8", "FT8", "T8", "TP8", "P8", "PO8", "O2", "Oz"]
    x, y = electrode_positions(ring).T
    np.testing.assert_allclose(np.hypot(x, y), 0.8, rtol=1e-12)
    np.testing.assert_allclose(np.rad2deg(np.arctan2(x, y)), 18 * np.arange(11), atol=1e-10)


def test_old_names_and_case():
    np.testing.assert_array_equal(
        electrode_positions(["t3", "T6", "m1", "FPZ"]),
        electrode_positions(["T7", "P8", "TP9", "Fpz"]),
    )
    assert electrode_positions([]).shape == (0, 2)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"\['EOG', 'C9'\] are not in the 10-10 system; known"):
        electrode_positions(["Cz", "EOG", "C9"])


# --- montages ------------------------------------------------------------------------------------


class Digitized:
    """What is needed of a montage of MNE."""

    def __init__(self, places):
        self.places = places

    def get_positions(self):
        return {"ch_pos": self.places}


def test_a_montage_on_any_sphere_is_put_on_ours():
    names = [*LEFT, *RIGHT, "Cz"]
    places = 0.093 * on_sphere(names) + [0.01, -0.02, 0.04]
    montage = Digitized(dict(zip(names, places, strict=True)))
    expected = electrode_positions(names)
    np.testing.assert_allclose(electrode_positions(montage=montage), expected, atol=1e-9)
    asked = ["cz", "o2", "Fp1"]
    found = electrode_positions(asked, montage)
    np.testing.assert_allclose(found, electrode_positions(asked), atol=1e-9)


def test_places_beyond_the_disc_are_brought_in_together():
    inner = on_sphere(["Cz", "C4", "Fz", "P3"])
    chin = np.array([0, np.sin(np.deg2rad(120)), np.cos(np.deg2rad(120))])
    names = ["Cz", "C4", "Fz", "P3", "chin"]
    places = dict(zip(names, np.vstack([inner, chin]), strict=True))
    found = electrode_positions(montage=Digitized(places))
    expected = electrode_positions(names[:4]) * 90 / 120
    np.testing.assert_allclose(found[:4], expected, atol=1e-9)
    np.testing.assert_allclose(found[4], [0, 1], atol=1e-9)


def test_the_spherical_montage_of_mne_is_the_10_10_system():
    mne = pytest.importorskip("mne")
    if "spherical_1010" not in mne.channels.get_builtin_montages():
        pytest.skip("comes with newer versions of MNE")
    # Of these it has others, or none.
    others = {"T9", "T10", "TP9", "TP10", "PO3", "PO4"}
    names = [name for name in [*LEFT, *RIGHT, "Fpz", "Cz", "Oz", "POz"] if name not in others]
    found = electrode_positions(names, "spherical_1010")
    np.testing.assert_allclose(found, electrode_positions(names), atol=0.005)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give names of electrodes, a montage, or both"),
        ({"names": ["Cz", "A1"], "montage": Digitized({"Cz": [0, 0, 1]})}, "has 1 electrodes"),
        ({"montage": 3}, "montage=3 must be a montage of MNE or the name of one"),
    ],
)
def test_what_is_no_montage_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        electrode_positions(**arguments)


def test_names_that_are_not_in_the_montage_are_refused():
    places = dict(zip(["a", "b", "c", "d"], np.vstack([np.eye(3), [[0, 0, -1]]]), strict=True))
    with pytest.raises(ValueError, match=r"\['e'\] are not in the montage; known are A, B, C, D"):
        electrode_positions(["a", "e"], Digitized(places))
    places["c"] = [np.nan, 0, 0]
    with pytest.raises(ValueError, match="four of known place"):
        electrode_positions(["a"], Digitized(places))


def test_unknown_names_of_montages_and_no_mne(monkeypatch):
    mne = types.ModuleType("mne")
    mne.channels = types.SimpleNamespace(get_builtin_montages=lambda: ["biosemi8"])
    monkeypatch.setitem(sys.modules, "mne", mne)
    with pytest.raises(ValueError, match="montage='biosemi9' does not come with MNE; biosemi8 do"):
        electrode_positions(montage="biosemi9")
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(ImportError, match="needs mne: pip install mne"):
        electrode_positions(montage="biosemi8")
