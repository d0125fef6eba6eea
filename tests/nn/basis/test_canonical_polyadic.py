"""The canonical polyadic decomposition; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import scipy.linalg
import tensorly
import torch

from sklearn_dbt.nn.basis import CanonicalPolyadic


def signals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def dense(factors):
    """Flattened atoms: the factors' column-wise Kronecker product."""
    atoms = np.asarray(factors[0])
    for factor in factors[1:]:
        atoms = scipy.linalg.khatri_rao(atoms, np.asarray(factor))
    return torch.from_numpy(atoms)


@pytest.mark.parametrize(
    ("shape", "rank"), [((3, 4, 2), 5), ((5,), 2), ((2, 3), 1), ((2, 2, 2, 2), 3), ((2, 3), 6)]
)
def test_dense_matrix_and_tensorly(shape, rank):
    n = int(np.prod(shape))
    basis, x = CanonicalPolyadic(shape, rank).fit(signals(20, n)), signals(3, n, seed=1)
    c, atoms = basis.analysis(x), dense(basis.factors)
    expected, *_ = np.linalg.lstsq(atoms, x.T, rcond=None)
    np.testing.assert_allclose(c, expected.T, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(basis.synthesis(c), c @ atoms.T)
    torch.testing.assert_close(atoms.norm(dim=0), torch.ones(rank, dtype=torch.float64))
    factors = [factor.numpy() for factor in basis.factors]
    for weights, y in zip(c.numpy(), basis.synthesis(c), strict=True):
        np.testing.assert_allclose(tensorly.cp_to_vec((weights, factors)), y, atol=1e-12)


def test_atoms_are_recovered():
    factors = [signals(n, 3, seed=n) for n in (4, 5, 3)]
    factors = [factor / factor.norm(dim=0) for factor in factors]
    scales = torch.tensor([1.0, 5.0, 25.0], dtype=torch.float64)
    x = (signals(30, 3) * scales) @ dense(factors).T
    basis = CanonicalPolyadic((4, 5, 3), 3).fit(x, n_iter_max=2000, tol=1e-14)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x, rtol=1e-5, atol=1e-5)
    for ours, true in zip(basis.factors, factors, strict=True):
        cosines = (ours * true.flip(1)).sum(0).abs()  # by decreasing energy
        torch.testing.assert_close(cosines, torch.ones_like(cosines), rtol=1e-6, atol=1e-6)


def test_synthesis_is_the_projection_on_what_is_spanned():
    basis, x = CanonicalPolyadic((3, 4), 4).fit(signals(20, 12)), signals(3, 12, seed=1)
    y = basis.synthesis(basis.analysis(x))
    torch.testing.assert_close(basis.synthesis(basis.analysis(y)), y)
    torch.testing.assert_close(((x - y) * y).sum(-1), torch.zeros(3, dtype=torch.float64))


def test_before_the_fit_the_first_entries_are_kept():
    basis, x = CanonicalPolyadic((3, 4), 6), signals(12)
    assert torch.equal(basis.analysis(x), x[:6])
    assert torch.equal(basis.synthesis(x[:6]), torch.cat([x[:6], torch.zeros(6).double()]))


def test_more_atoms_than_the_samples_have():
    one = CanonicalPolyadic((3, 4), 1).fit(signals(20, 12)).factors
    x = signals(5, 1) @ dense(one).T
    basis = CanonicalPolyadic((3, 4), 4).fit(x)
    assert all(torch.isfinite(factor).all() for factor in basis.factors)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x, rtol=1e-6, atol=1e-6)


def test_a_breakdown_is_told_and_changes_nothing(monkeypatch):
    def breaks_down(*args, **kwargs):
        raise np.linalg.LinAlgError("Singular matrix")

    basis, x = CanonicalPolyadic((3, 4), 2), signals(12)
    before = basis.analysis(x)
    monkeypatch.setattr("tensorly.decomposition.parafac", breaks_down)
    with pytest.raises(ValueError, match="least squares broke down at rank=2"):
        basis.fit(x[None])
    assert torch.equal(basis.analysis(x), before)


@pytest.mark.parametrize("rank", [0, 7])
def test_rank_is_checked(rank):
    with pytest.raises(ValueError, match=f"rank must lie from 1 to 6, .*features, got {rank}"):
        CanonicalPolyadic((2, 3), rank)


def test_no_rank_is_taken_to_be_invertible():
    assert not CanonicalPolyadic((2, 3), 6).is_invertible


def test_repr():
    assert repr(CanonicalPolyadic([2, 3], 4)) == "CanonicalPolyadic(shape=(2, 3), rank=4)"
