"""What tensor decompositions share."""

import sys

import numpy as np
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import CanonicalPolyadic, TensorTrain, Tucker
from sklearn_dbt.nn.basis._tensors import (
    check_rank,
    check_shape,
    fix_signs,
    numpy_tensorly,
    orthonormal_columns,
    stacked_samples,
)

FITTED = [
    lambda: Tucker((2, 3), (1, 2)),
    lambda: CanonicalPolyadic((2, 3), 2),
    lambda: TensorTrain((2, 3), (2, 3)),
]


def signals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@given(n=st.integers(1, 6), given_rank=st.integers(0, 6), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_columns_are_made_orthonormal_and_keep_their_span(n, given_rank, seed):
    columns = signals(n, min(n, given_rank), seed=seed)
    q = orthonormal_columns(columns, n)
    torch.testing.assert_close(q.T @ q, torch.eye(n, dtype=torch.float64))
    first = q[:, : columns.shape[1]]
    torch.testing.assert_close(first @ (first.T @ columns), columns)
    torch.testing.assert_close(orthonormal_columns(first, n)[:, : first.shape[1]], first)


def test_dependent_columns_are_no_trouble():
    q = orthonormal_columns(torch.zeros(3, 2, dtype=torch.float64), 2)
    torch.testing.assert_close(q.T @ q, torch.eye(2, dtype=torch.float64))


def test_signs_are_those_of_the_largest_entries():
    columns = torch.tensor([[1.0, 0.5], [-3.0, 2.0]])
    assert fix_signs(columns).tolist() == [[-1.0, 0.5], [3.0, 2.0]]


def test_samples_are_stacked_along_the_last_axis():
    x = signals(4, 2, 6)
    tensor = stacked_samples("Here", x, (2, 3))
    assert tensor.shape == (2, 3, 8)
    expected = x.reshape(8, 2, 3)[5].numpy() / x.abs().max().item()
    np.testing.assert_allclose(tensor[..., 5], expected)


@pytest.mark.parametrize("make", FITTED)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(0, 6), r"fit: x must hold at least 1 sample, got \(0, 6\)"),
        (torch.full((2, 6), torch.nan), "fit: x has values that are not finite"),
        (torch.zeros(2, 6), "fit: x is 0 everywhere"),
        (torch.zeros(2, 5), "fit: the last axis of x must have length 6"),
    ],
)
def test_samples_are_checked_before_anything_changes(make, x, message):
    basis = make().fit(signals(9, 6))
    before = {name: value.clone() for name, value in basis.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        basis.fit(x)
    assert all(torch.equal(value, before[name]) for name, value in basis.state_dict().items())


@pytest.mark.parametrize("make", FITTED)
def test_fits_repeat_leave_no_trace_and_do_not_mind_the_scale(make):
    x, state = signals(9, 6), str(np.random.get_state())  # noqa: NPY002
    basis = make().fit(x)
    assert str(np.random.get_state()) == state  # noqa: NPY002
    for other in (make().fit(x), make().fit(x.reshape(3, 3, 6)), make().fit(1e-200 * x)):
        for name, value in basis.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value)
    assert not any(value.requires_grad for value in basis.state_dict().values())


@pytest.mark.parametrize("make", FITTED)
@pytest.mark.parametrize("n_samples", [1, 2])
def test_few_samples_are_enough(make, n_samples):
    basis = make().fit(signals(n_samples, 6))
    assert all(torch.isfinite(value).all() for value in basis.state_dict().values())


def test_tensorly_computes_with_numpy_and_is_left_as_it_was():
    tensorly.set_backend("pytorch", local_threadsafe=True)
    try:
        with numpy_tensorly() as lent:
            assert lent.get_backend() == "numpy"
        assert tensorly.get_backend() == "pytorch"
        Tucker((2, 3), (1, 2)).fit(signals(9, 6))
        assert tensorly.get_backend() == "pytorch"
    finally:
        tensorly.set_backend("numpy", local_threadsafe=True)


@pytest.mark.parametrize("make", FITTED)
def test_missing_tensorly_is_told(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorly", None)
    basis = make()  # only fitting needs it
    with pytest.raises(ImportError, match=r"needs tensorly.*pip install 'sklearn-dbt\[tensor\]'"):
        basis.fit(signals(9, 6))


def test_shape_is_checked():
    assert check_shape([2, np.int64(3)]) == (2, 3)
    with pytest.raises(TypeError, match="shape must be a sequence of integers, got a int"):
        check_shape(6)
    with pytest.raises(ValueError, match="shape must have at least 1 axis"):
        check_shape(())
    with pytest.raises(ValueError, match=r"shape\[1\] must be an integer of at least 1, got 0"):
        check_shape((2, 0))


def test_rank_is_checked():
    assert check_rank(np.int64(3), 3, "rank", "so") == 3
    for rank in (0, 4):
        with pytest.raises(ValueError, match=f"rank must lie from 1 to 3, so, got {rank}"):
            check_rank(rank, 3, "rank", "so")
    for rank in (1.0, True, None):
        with pytest.raises(TypeError, match="rank must be an integer of at least 1, got a"):
            check_rank(rank, 3, "rank", "so")
