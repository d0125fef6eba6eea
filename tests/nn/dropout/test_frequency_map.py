import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, DWT, PCA, Fourier
from sklearn_dbt.nn.dropout._frequency_map import frequency_map

N = 12


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([Fourier, DCT, DWT]), st.sampled_from([Fourier, DCT, DWT]))
def test_maps_carry_constants_and_lie_within(make, other):
    source, target = make(N).layout, other(N).layout
    for kind in ("linear", "nearest"):
        matrix = frequency_map(source, target, kind, "here")
        if make is other:
            assert matrix is None
            continue
        torch.testing.assert_close(matrix.sum(1), torch.ones(len(matrix)))
        assert (matrix >= 0).all()
    nearest = frequency_map(DCT(8).layout, Fourier(8).layout, "nearest", "here")
    assert torch.equal(nearest, torch.eye(8)[[0, 2, 4, 6, 7]])  # every second; 1/2 is beyond
    assert frequency_map(PCA(N).layout, DCT(N).layout, "linear", "here") is None  # the same index


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(2, 20), st.integers(2, 20))
def test_linear_maps_interpolate(seed, n, m):
    rates = np.random.default_rng(seed).random(n)
    source, target = DCT(n).layout, Fourier(m).layout
    if n == len(target.index) and torch.equal(source.frequency, target.frequency):
        return
    matrix = frequency_map(source, target, "linear", "here").double().numpy()
    f, g = source.frequency.double().numpy(), target.frequency.double().numpy()
    np.testing.assert_allclose(matrix @ rates, np.interp(g, f, rates), atol=1e-6)


def test_one_frequency_is_everywhere():
    matrix = frequency_map(DCT(1).layout, DCT(3).layout, "linear", "here")
    assert matrix.tolist() == [[1.0]] * 3


def test_what_has_no_frequency_must_have_the_same_index():
    with pytest.raises(ValueError, match="here has 4 coefficients and the first member 3"):
        frequency_map(PCA(4).layout, DCT(3).layout, "linear", "here")
