"""Wavelets and levels that parameters ask for."""

import numpy as np
import pytest
import pywt

from sklearn_dbt.feature_extraction._transform_choice import (
    TRANSFORMS,
    choose_level,
    choose_wavelet,
    learned_wavelet,
)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_no_wavelet_is_the_transforms_own(transform):
    expected = "morlet" if transform == "cwt" else "db4"
    assert choose_wavelet(transform, None, learns=False) == expected
    assert choose_wavelet(transform, expected, learns=False) == expected
    other = "db4" if transform == "cwt" else "mexican_hat"
    with pytest.raises(ValueError, match=f"transform='{transform}' takes .*, got '{other}'"):
        choose_wavelet(transform, other, learns=False)


def test_continuous_wavelets_are_not_learnt():
    assert choose_wavelet("swt", "sym3", learns=True) == "sym3"
    with pytest.raises(ValueError, match="learns discrete filters"):
        choose_wavelet("cwt", None, learns=True)


@pytest.mark.parametrize(
    ("transform", "wavelet", "n_times", "level"),
    [
        ("dwt", "db4", 2, 1),
        ("dwt", "haar", 64, 6),
        ("packet", "haar", 64, 4),
        ("cwt", "morlet", 2, 1),
        ("cwt", "morlet", 1024, 7),
    ],
)
def test_default_levels(transform, wavelet, n_times, level):
    assert choose_level(transform, wavelet, None, n_times) == level


def test_a_level_that_is_given():
    assert choose_level("dwt", "db4", np.int64(7), 64) == 7
    with pytest.raises(ValueError, match="at most 7 for recordings of 64 time points, got 8"):
        choose_level("dwt", "db4", 8, 64)


def test_learnt_filters_are_a_wavelet():
    w = pywt.Wavelet("sym5")
    found = learned_wavelet(np.array([w.dec_lo, w.dec_hi]))
    np.testing.assert_allclose(found.filter_bank, w.filter_bank)
