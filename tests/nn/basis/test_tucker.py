"""The Tucker decomposition; what every basis does is in test_properties.py."""

import functools

import numpy as np
import pytest
import tensorly
import tensorly.decomposition
import torch

from sklearn_dbt.nn.basis import Tucker


def signals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def dense(basis):
    """Orthonormal columns that the factors span: their Kronecker product."""
    return functools.reduce(torch.kron, basis.factors)


@pytest.mark.parametrize(
    ("shape", "ranks"), [((3, 4, 2), (2, 3, 1)), ((5,), (2,)), ((2, 3), (2, 3))]
)
def test_dense_matrix_and_tensorly(shape, ranks):
    n = int(np.prod(shape))
    basis, x = Tucker(shape, ranks).fit(signals(20, n)), signals(3, n, seed=1)
    c, columns = basis.analysis(x), dense(basis)
    torch.testing.assert_close(c, x @ columns)
    torch.testing.assert_close(basis.synthesis(c), c @ columns.T)
    torch.testing.assert_close(columns.T @ columns, torch.eye(len(c[0]), dtype=torch.float64))
    factors = [factor.numpy() for factor in basis.factors]
    for core, y in zip(c.reshape(3, *ranks).numpy(), basis.synthesis(c), strict=True):
        np.testing.assert_allclose(tensorly.tucker_to_vec((core, factors)), y, atol=1e-12)


def test_the_fit_is_that_of_tensorly():
    x, ranks = signals(20, 24), [2, 2, 2]
    basis = Tucker((3, 4, 2), (2, 2, 2)).fit(x)
    (core, factors), _ = tensorly.decomposition.partial_tucker(
        np.moveaxis(x.reshape(20, 3, 4, 2).numpy(), 0, -1), ranks, [0, 1, 2], tol=1e-8
    )
    for ours, theirs, rank in zip(basis.factors, factors, ranks, strict=True):
        np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-6)
        assert ours.shape[1] == rank
    energy = basis.analysis(x).square().sum().item()
    np.testing.assert_allclose(energy, np.linalg.norm(core) ** 2, rtol=1e-8)


def test_signals_of_low_rank_are_recovered():
    factors = [signals(n, 2, seed=n) for n in (4, 5, 3)]
    matrix = functools.reduce(torch.kron, factors)
    x = signals(30, 8) @ matrix.T
    basis = Tucker((4, 5, 3), (2, 2, 2))
    assert (basis.synthesis(basis.analysis(x)) - x).norm() > 0.5 * x.norm()
    basis.fit(x)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


def test_synthesis_is_the_projection_on_what_is_spanned():
    basis, x = Tucker((3, 4), (2, 2)).fit(signals(20, 12)), signals(3, 12, seed=1)
    y = basis.synthesis(basis.analysis(x))
    torch.testing.assert_close(basis.synthesis(basis.analysis(y)), y)
    torch.testing.assert_close(((x - y) * y).sum(-1), torch.zeros(3, dtype=torch.float64))


def test_before_the_fit_the_corner_is_kept():
    basis, x = Tucker((3, 4), (2, 2)), signals(12)
    assert torch.equal(basis.analysis(x), x.reshape(3, 4)[:2, :2].flatten())


@pytest.mark.parametrize(("ranks", "is_full"), [((2, 3), True), ((2, 2), False), ((1, 3), False)])
def test_full_ranks_are_a_rotation(ranks, is_full):
    basis = Tucker((2, 3), ranks)
    assert basis.is_orthogonal == basis.is_invertible == is_full
    assert basis.n_coefficients == ranks[0] * ranks[1]


def test_too_few_samples_for_the_ranks_are_filled_up():
    x = signals(1, 12)
    basis = Tucker((3, 4), (3, 1)).fit(x)  # one matrix has but one left vector for one right
    columns = dense(basis)
    torch.testing.assert_close(columns.T @ columns, torch.eye(3, dtype=torch.float64))
    _, values, _ = torch.linalg.svd(x.reshape(3, 4))
    torch.testing.assert_close(basis.analysis(x).norm(), values[0])


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ((2,), "ranks must have one entry for each of the 2 axes, got 1"),
        ((2, 4), r"ranks\[1\] must lie from 1 to 3, the size of axis 1, got 4"),
        ((0, 3), r"ranks\[0\] must lie from 1 to 2"),
    ],
)
def test_ranks_are_checked(ranks, message):
    with pytest.raises(ValueError, match=message):
        Tucker((2, 3), ranks)


def test_repr():
    assert repr(Tucker([2, 3], [2, 1])) == "Tucker(shape=(2, 3), ranks=(2, 1))"
