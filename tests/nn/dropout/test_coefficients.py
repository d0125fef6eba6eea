import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT
from sklearn_dbt.nn.dropout import Coefficients
from sklearn_dbt.nn.dropout._coefficients import (
    given_frequency,
    given_scale,
    linear_energy,
    log_energy,
)
from sklearn_dbt.nn.dropout._descriptors import standardize


def test_log_energy_has_a_floor():
    energies = log_energy(torch.tensor([1.0, 0.0, 1e-30]))
    assert torch.isfinite(energies).all()
    assert energies[0] - energies[1] == pytest.approx(math.log(3e6), rel=1e-3)
    # Scale-free: φ does not change with the unit of the signal.
    e = torch.tensor([3.0, 1.0, 0.01, 0.0], dtype=torch.float64)
    torch.testing.assert_close(standardize(log_energy(e)), standardize(log_energy(1e8 * e)))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(1, 30), st.floats(-20, 20))
def test_energies_come_back_from_their_logarithms(seed, k, size):
    g = torch.Generator().manual_seed(seed)
    e = torch.randn(4, k, generator=g, dtype=torch.float64).square() * math.exp(size)
    e[0, 0] = 0.0
    back = linear_energy(log_energy(e))
    torch.testing.assert_close(back, e, rtol=1e-9, atol=1e-12 * float(e.mean()))
    single = linear_energy(log_energy(e.float()))
    torch.testing.assert_close(single.double(), e, rtol=1e-5, atol=1e-11 * float(e.max()))


def test_what_is_not_known_is_said():
    known = Coefficients(DCT(2), sample=torch.zeros(3, 2))
    assert known.log_energies("sample").shape == (3, 2)
    with pytest.raises(ValueError, match="log-energies of the population are not among the known"):
        known.log_energies("population")
    with pytest.raises(ValueError, match="log-energies of the sample are not among the known"):
        Coefficients(DCT(2)).energies("sample")
    with pytest.raises(ValueError, match="variances of the population are not among the known"):
        known.variances()
    with pytest.raises(ValueError, match="here: the coefficients of this basis have no scale"):
        given_scale(DCT(2).layout, "here")
    assert given_frequency(DCT(2).layout, "here").tolist() == [0, 0.25]
