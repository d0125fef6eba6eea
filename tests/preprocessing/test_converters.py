"""There and back again, and what does not fit is refused."""

import builtins
import sys
import types

import numpy as np
import pytest
from tslearn.utils import to_time_series_dataset

from sklearn_dbt.preprocessing import from_mne, from_tslearn, to_mne, to_tslearn


def ragged():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((2, length)) for length in (5, 3, 4)]


def test_a_panel_goes_there_and_back():
    X = np.random.default_rng(0).standard_normal((4, 3, 5)).astype(np.float32)
    there = to_tslearn(X)
    assert there.shape == (4, 5, 3)
    assert there.dtype == np.float32
    np.testing.assert_array_equal(from_tslearn(there), X)
    np.testing.assert_array_equal(to_tslearn(X[:, 0]), X[:, 0][:, :, None])


def test_ragged_recordings_are_padded_as_tslearn_pads():
    recordings = ragged()
    there = to_tslearn(recordings)
    np.testing.assert_array_equal(there, to_time_series_dataset([r.T for r in recordings]))
    for back, recording in zip(from_tslearn(there), recordings, strict=True):
        np.testing.assert_array_equal(back, recording)


def test_nan_inside_a_series_is_no_padding():
    X = np.ones((1, 4, 1))
    X[0, 1] = np.nan
    assert from_tslearn(X).shape == (1, 1, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_tslearn(np.ones((2, 3))), r"shape \(2, 3\); expected \(n_series"),
        (lambda: from_tslearn(np.full((2, 3, 1), np.nan)), "2 series of NaN alone"),
        (lambda: from_tslearn(np.ones((0, 3, 1))), "at least 1 time point"),
        (lambda: to_tslearn([]), "expected a panel"),
        (lambda: to_tslearn([np.ones((2, 0))]), r"got shapes \[\(2, 0\)\]"),
        (lambda: to_tslearn([np.ones((2, 3)), np.ones((1, 3))]), r"channels, \[1, 2\]"),
        (lambda: to_mne(np.ones((2, 3)), 1.0), r"to_mne: X has shape \(2, 3\)"),
        (lambda: to_mne(np.ones((2, 3, 4)), 1.0, ["a"]), "1 names for 3 channels"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


class Epochs:
    ch_names = ("Cz", "Pz")
    info = {"sfreq": 128}

    def __init__(self, shape):
        self.shape = shape

    def get_data(self):
        return np.zeros(self.shape)


def test_epochs_give_panel_names_and_rate():
    X, channels, rate = from_mne(Epochs((3, 2, 7)))
    assert X.shape == (3, 2, 7)
    assert channels == ["Cz", "Pz"]
    assert rate == 128.0
    with pytest.raises(TypeError, match=r"gave shape \(2, 7\).*into epochs first"):
        from_mne(Epochs((2, 7)))
    with pytest.raises(TypeError, match="int has no get_data, ch_names, info"):
        from_mne(3)


def test_without_mne_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_mne(name, *args, **kwargs):
        if name == "mne":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_mne)
    with pytest.raises(ImportError, match="to_mne needs mne: pip install mne"):
        to_mne(np.ones((2, 3, 4)), 128.0)


def test_a_panel_becomes_epochs(monkeypatch):
    """With a stand-in for mne, which is heavy: names, rate and kinds reach it as they should."""
    mne = types.ModuleType("mne")
    mne.create_info = lambda names, rate, kinds: {"ch_names": names, "sfreq": rate, "kinds": kinds}
    mne.EpochsArray = lambda X, info, **_: types.SimpleNamespace(
        get_data=lambda: X, ch_names=info["ch_names"], info=info
    )
    monkeypatch.setitem(sys.modules, "mne", mne)
    X = np.random.default_rng(0).standard_normal((3, 2, 16))
    epochs = to_mne(X, 128.0, ["Cz", "Pz"], ch_types="eog")
    assert epochs.info["kinds"] == "eog"
    back, channels, rate = from_mne(epochs)
    np.testing.assert_array_equal(back, X)
    assert (channels, rate) == (["Cz", "Pz"], 128.0)
    assert to_mne(X, 1.0).ch_names == ["ch0", "ch1"]
