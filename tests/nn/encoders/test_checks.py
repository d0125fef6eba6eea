"""The checks of counts and sizes fire, and let through what is allowed."""

import numpy as np
import pytest

from sklearn_dbt.nn.encoders._checks import check_count, check_sizes


@pytest.mark.parametrize("value", [1.0, "3", True, None])
def test_a_count_is_an_integer(value):
    with pytest.raises(TypeError, match="n_units must be an integer, got"):
        check_count(value, "n_units")


def test_a_count_has_a_least_value():
    with pytest.raises(ValueError, match="n_units must be at least 2, got 1"):
        check_count(1, "n_units", least=2)


def test_numpy_integers_become_ints():
    assert type(check_count(np.int64(3), "n_units")) is int


@pytest.mark.parametrize("sizes", [3, "32"])
def test_sizes_are_a_sequence(sizes):
    with pytest.raises(TypeError, match="sizes must be a sequence of integers"):
        check_sizes(sizes, "sizes")


def test_the_wrong_size_is_named():
    with pytest.raises(ValueError, match=r"sizes\[1\] must be at least 1, got 0"):
        check_sizes([4, 0], "sizes")
    with pytest.raises(TypeError, match=r"sizes\[0\] must be an integer, got 4.5"):
        check_sizes([4.5], "sizes")


def test_no_layers_and_arrays_are_sizes():
    assert check_sizes((), "sizes") == []
    assert check_sizes(np.array([4, 5]), "sizes") == [4, 5]
