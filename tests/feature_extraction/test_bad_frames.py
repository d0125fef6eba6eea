"""Frames that show nothing, and the line over them."""

import numpy as np

from sklearn_dbt.feature_extraction._bad_frames import interpolate, is_bad


def test_blank_and_saturated_frames():
    pixels = np.array(
        [[0, 0, 0, 0], [5, 5, 5, 5], [0, 1, 2, 3], [9, 9, 9, 1], [9, 9, 1, 2], [0, 9, 12, 5]]
    )
    expected = [True, True, False, False, False, False]
    np.testing.assert_array_equal(is_bad(pixels, None), expected)
    expected = [True, True, False, True, False, True]
    np.testing.assert_array_equal(is_bad(pixels, (0, 9)), expected)


def test_lines_stay_within_recordings():
    features = np.arange(20.0).reshape(10, 2) ** 2
    bad = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1, 1], bool)
    found = interpolate(features, bad, np.array([5, 2, 3]))
    np.testing.assert_array_equal(found[~bad], features[~bad])
    np.testing.assert_array_equal(found[0], features[1])
    step = (features[4] - features[1]) / 3
    np.testing.assert_allclose(found[2:4], [features[1] + step, features[1] + 2 * step])
    np.testing.assert_array_equal(found[5], features[6])
    np.testing.assert_array_equal(found[7:], features[7:])  # nothing good in this one


def test_the_input_is_not_changed():
    features, bad = np.arange(6.0).reshape(3, 2), np.array([False, True, False])
    before = features.copy()
    interpolate(features, bad, np.array([3]))
    np.testing.assert_array_equal(features, before)
