import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, PCA, Fourier
from sklearn_dbt.nn.dropout import Snapshot
from sklearn_dbt.nn.dropout._coefficients import log_energy
from sklearn_dbt.nn.dropout._snapshot import RunningStatistics, energy


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**31), st.sampled_from([Fourier, DCT]), st.floats(0.0, 0.99))
def test_statistics_are_exponential_averages_without_start_bias(seed, make, momentum):
    g = torch.Generator().manual_seed(seed)
    basis, batches = make(6), torch.randn(4, 9, 2, 6, generator=g, dtype=torch.float64) + 0.3
    statistics = RunningStatistics(basis, momentum).double()
    for batch in batches:
        assert statistics.accumulate(basis, batch)
    weights = momentum ** torch.arange(3, -1, -1, dtype=torch.float64)
    weights = weights / weights.sum()
    c = basis.analysis(batches).flatten(1, 2)
    second = (weights[:, None] * energy(c).mean(1)).sum(0)
    first = (weights[:, None] * c.mean(1)).sum(0)
    snapshot = statistics.snapshot(basis)
    torch.testing.assert_close(snapshot.log_energy, log_energy(second))
    torch.testing.assert_close(snapshot.variance, second - first.abs().square())


def test_moments_of_an_adapting_basis():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(500, 4, generator=g, dtype=torch.float64) @ torch.diag(
        torch.tensor([3.0, 2.0, 1.0, 0.5], dtype=torch.float64)
    ) + torch.tensor([1.0, 2.0, 3.0, 4.0])
    basis = PCA(4)
    statistics = RunningStatistics(basis, 0.9)
    for batch in x.split(100):
        statistics.accumulate(basis, batch)
    snapshot = statistics.snapshot(basis)
    assert torch.equal(basis.components, torch.eye(4).double())  # the layer's own is untouched
    torch.testing.assert_close(snapshot.variance, snapshot.basis.eigenvalues)
    torch.testing.assert_close(snapshot.log_energy, log_energy(snapshot.basis.eigenvalues))
    torch.testing.assert_close(
        snapshot.variance[0].sqrt(), torch.tensor(3.0).double(), rtol=0.1, atol=0
    )


def test_blends_lie_between_and_end_where_they_should():
    a, b = Snapshot(torch.zeros(3), torch.ones(3)), Snapshot(torch.ones(3), torch.zeros(3))
    assert a.blend(b, 1) is b
    torch.testing.assert_close(a.blend(b, 0.25).log_energy, torch.full((3,), 0.25))
    torch.testing.assert_close(a.blend(b, 0.25).variance, torch.full((3,), 0.75))


def test_blends_of_an_adapting_basis_blend_its_moments():
    zero, one = torch.zeros(2).double(), torch.ones(2).double()
    a = Snapshot.from_moments(PCA(2), zero, torch.diag(torch.tensor([4.0, 1.0]).double()))
    b = Snapshot.from_moments(PCA(2), one, torch.diag(torch.tensor([0.0, 3.0]).double()))
    half = a.blend(b, 0.5)
    torch.testing.assert_close(half.basis.eigenvalues, torch.tensor([2.0, 2.0]).double())
    torch.testing.assert_close(half.basis.mean, 0.5 * one)
    three = a.blend(b, 0.75)
    torch.testing.assert_close(three.basis.eigenvalues, torch.tensor([2.5, 1.0]).double())


@pytest.mark.parametrize("x", [torch.zeros(0, 6), torch.full((2, 6), torch.nan)])
def test_batches_without_information_are_passed_over(x):
    statistics = RunningStatistics(DCT(6), 0.9)
    assert not statistics.accumulate(DCT(6), x)
    assert statistics.weight == 0
    with pytest.raises(RuntimeError, match="nothing has been observed"):
        statistics.snapshot(DCT(6))


def test_degenerate_moments_give_no_nan():
    snapshot = Snapshot.from_moments(PCA(3), torch.zeros(3).double(), torch.zeros(3, 3).double())
    assert torch.isfinite(snapshot.log_energy).all()
    assert not snapshot.variance.any()
