"""The tensor train; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import tensorly
import tensorly.decomposition
import torch

from sklearn_dbt.nn.basis import TensorTrain


def signals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def dense(basis):
    """Columns that the train makes, core by core."""
    columns = torch.ones(1, 1, dtype=torch.float64)
    for core in basis.cores:
        columns = torch.tensordot(columns, core, dims=1).flatten(0, 1)
    return columns


@pytest.mark.parametrize(
    ("shape", "ranks"), [((3, 4, 2), (2, 5, 4)), ((5,), (2,)), ((2, 3), (2, 6)), ((2, 2), (1, 1))]
)
def test_dense_matrix_and_tensorly(shape, ranks):
    n = int(np.prod(shape))
    basis, x = TensorTrain(shape, ranks).fit(signals(20, n)), signals(3, n, seed=1)
    c, columns = basis.analysis(x), dense(basis)
    torch.testing.assert_close(c, x @ columns)
    torch.testing.assert_close(basis.synthesis(c), c @ columns.T)
    eye = torch.eye(ranks[-1], dtype=torch.float64)
    torch.testing.assert_close(columns.T @ columns, eye)
    for core in basis.cores:  # left-orthogonal, each of them
        unfolded = core.flatten(0, 1)
        eye = torch.eye(core.shape[2], dtype=torch.float64)
        torch.testing.assert_close(unfolded.T @ unfolded, eye)
    train = [core.numpy() for core in basis.cores] + [c.T.numpy()[:, :, None]]
    whole = tensorly.tt_to_tensor(train)
    np.testing.assert_allclose(whole.reshape(n, 3).T, basis.synthesis(c), atol=1e-12)


def test_the_fit_is_that_of_tensorly():
    x = signals(20, 24)
    basis = TensorTrain((3, 4, 2), (2, 3, 4)).fit(x)
    train = tensorly.decomposition.tensor_train(
        np.moveaxis(x.reshape(20, 3, 4, 2).numpy(), 0, -1), [1, 2, 3, 4, 1]
    )
    expected = tensorly.tt_to_tensor(train).reshape(24, 20).T
    projected = basis.synthesis(basis.analysis(x))
    # Its coefficients are those of the data that the earlier cores left: the same projection.
    np.testing.assert_allclose(projected, expected, atol=1e-10)


def test_signals_of_low_rank_are_recovered():
    hidden = TensorTrain((4, 3, 5), (2, 3, 4)).fit(signals(30, 60, seed=1))
    x = hidden.synthesis(signals(30, 4, seed=2))
    basis = TensorTrain((4, 3, 5), (2, 3, 4))
    assert (basis.synthesis(basis.analysis(x)) - x).norm() > 0.5 * x.norm()
    basis.fit(x)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


def test_coefficients_come_by_decreasing_energy():
    x = signals(40, 12) @ signals(12, 12, seed=1)
    energy = TensorTrain((3, 4), (3, 5)).fit(x).analysis(x).square().sum(0)
    assert (energy.diff() < 0).all()


def test_before_the_fit_the_first_entries_are_kept():
    basis, x = TensorTrain((3, 4), (3, 5)), signals(12)
    assert torch.equal(basis.analysis(x), x[:5])


def test_fewer_samples_than_ranks_are_filled_up():
    x = signals(2, 12)
    basis = TensorTrain((3, 4), (3, 5)).fit(x)
    columns = dense(basis)
    torch.testing.assert_close(columns.T @ columns, torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    x = signals(1, 8)
    basis = TensorTrain((2, 2, 2), (2, 4, 8)).fit(x)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


@pytest.mark.parametrize(("ranks", "is_full"), [((2, 6), True), ((2, 5), False), ((1, 3), False)])
def test_a_full_last_rank_is_a_rotation(ranks, is_full):
    basis = TensorTrain((2, 3), ranks)
    assert basis.is_orthogonal == basis.is_invertible == is_full
    assert basis.n_coefficients == ranks[-1]


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        ((2,), "ranks must have one entry for each of the 2 axes, got 1"),
        ((3, 3), r"ranks\[0\] must lie from 1 to 2, the rank before it times .* axis 0, got 3"),
        ((1, 4), r"ranks\[1\] must lie from 1 to 3"),
    ],
)
def test_ranks_are_checked(ranks, message):
    with pytest.raises(ValueError, match=message):
        TensorTrain((2, 3), ranks)


def test_repr():
    assert repr(TensorTrain([2, 3], [2, 4])) == "TensorTrain(shape=(2, 3), ranks=(2, 4))"
