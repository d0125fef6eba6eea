"""The rank of the modulation against ranks that are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.decomposition._identifiability import modulation_rank


def strengths(rank, n=4, n_segments=40, n_times=200, seed=0):
    """Magnitudes whose logarithms are modulated in `rank` independent ways, and their segments."""
    rng = np.random.default_rng(seed)
    ways = np.linalg.qr(rng.normal(size=(n, n)))[0][:rank]
    modulation = np.exp(0.5 * rng.normal(size=(n_segments, rank)) @ ways)
    labels = np.repeat(np.arange(n_segments), n_times)
    return modulation[labels] * np.abs(rng.laplace(size=(len(labels), n))), labels


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_full_rank(seed):
    assert modulation_rank(*strengths(4, seed=seed)) == 4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_no_modulation(seed):
    assert modulation_rank(*strengths(0, seed=seed)) == 0


def test_one_way_for_all():
    modulation, labels = strengths(1, n=1, seed=1)
    rng = np.random.default_rng(2)
    common = modulation * np.abs(rng.laplace(size=(len(labels), 3)))
    assert modulation_rank(common, labels) == 1


@pytest.mark.parametrize(("n_segments", "n_times"), [(4, 200), (40, 6)])
def test_too_few_or_short_to_say(n_segments, n_times):
    assert modulation_rank(*strengths(4, n_segments=n_segments, n_times=n_times)) is None


def test_constant_components_have_no_rank():
    modulation, labels = strengths(4)
    modulation[:, 2] = 1
    assert modulation_rank(modulation, labels) == 3
