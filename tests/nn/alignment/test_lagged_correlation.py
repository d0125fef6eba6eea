import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from sklearn_dbt.nn.alignment import lagged_correlation


def series(n_pairs, n_channels, n_times, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_pairs, n_channels, n_times, generator=generator, dtype=torch.float64)


def brute_force(a, b, max_lag, beta, eps=1e-8):
    n, rho = len(a), []
    for lag in range(-max_lag, max_lag + 1):
        t = [t for t in range(n) if 0 <= t + lag < n]
        u = np.array([a[s] for s in t])
        v = np.array([b[s + lag] for s in t])
        u, v = u - u.mean(), v - v.mean()
        rho.append((u @ v) / (np.sqrt(u @ u) * np.sqrt(v @ v) + eps))
    rho = np.array(rho)
    weights = np.exp(beta * rho - (beta * rho).max())
    return weights @ rho / weights.sum()


@pytest.mark.parametrize(("n_times", "max_lag"), [(2, 1), (7, 0), (7, 3), (20, 10), (21, 4)])
@pytest.mark.parametrize("beta", [0.1, 10.0, 1e4])
def test_definition(n_times, max_lag, beta):
    x, y = series(2, 3, n_times), series(2, 3, n_times, seed=1)
    truth = [
        [brute_force(a, b, max_lag, beta) for a, b in zip(u.numpy(), v.numpy(), strict=True)]
        for u, v in zip(x, y, strict=True)
    ]
    result = lagged_correlation(x, y, max_lag, beta)
    assert result.shape == (2, 3)
    np.testing.assert_allclose(result, truth, rtol=1e-10, atol=1e-12)
    single = lagged_correlation(x.float(), y.float(), max_lag, beta)
    assert single.dtype == torch.float32
    if beta < 1e3:  # a softmax that sharp turns rounding into ties
        np.testing.assert_allclose(single, truth, rtol=1e-4, atol=1e-5)


def test_numpy_corrcoef_at_lag_zero():
    x, y = series(1, 2, 30), series(1, 2, 30, seed=1)
    truth = [np.corrcoef(a, b)[0, 1] for a, b in zip(x[0].numpy(), y[0].numpy(), strict=True)]
    np.testing.assert_allclose(lagged_correlation(x, y, 0)[0], truth, rtol=1e-8)


def test_gradcheck():
    x, y = series(2, 2, 9).requires_grad_(), series(2, 2, 9, seed=1).requires_grad_()
    beta = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x, y, beta: lagged_correlation(x, y, 4, beta), (x, y, beta))


@settings(deadline=None, max_examples=30)
@given(
    n_times=st.integers(4, 30),
    fraction=st.floats(0, 0.5),
    beta=st.floats(0.1, 100),
    seed=st.integers(0, 1000),
)
def test_properties(n_times, fraction, beta, seed):
    x, y = series(2, 2, n_times, seed), series(2, 2, n_times, seed + 1)
    max_lag = int(fraction * n_times)
    value = lagged_correlation(x, y, max_lag, beta)
    assert (value.abs() <= 1).all()
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(lagged_correlation(y, x, max_lag, beta), value, **close)
    torch.testing.assert_close(lagged_correlation(3 * x + 2, y - 7, max_lag, beta), value, **close)
    torch.testing.assert_close(
        lagged_correlation(x.flip(2), y.flip(2), max_lag, beta), value, **close
    )
    assert (lagged_correlation(x, y, max_lag, 2 * beta) >= value - 1e-12).all()


def test_a_delayed_copy_is_found():
    x = series(1, 1, 60)
    y = torch.cat([series(1, 1, 7, seed=1), x[..., :-7]], -1)
    assert lagged_correlation(x, y, 6, 200.0).item() < 0.6
    assert lagged_correlation(x, y, 7, 200.0).item() > 0.999


def test_a_constant_has_correlation_and_gradient_zero():
    x, y = torch.full((1, 1, 10), 0.1).requires_grad_(), torch.zeros(1, 1, 10)
    value = lagged_correlation(x, y, 3)
    value.sum().backward()
    assert value.item() == 0
    assert (x.grad == 0).all()


X = torch.zeros(2, 3, 10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_lag": 6}, ValueError, "between 0 and half of the 10 samples, 5; got 6"),
        ({"max_lag": -1}, ValueError, "got -1"),
        ({"max_lag": 2.0}, TypeError, "an int; got 2.0"),
        ({"max_lag": True}, TypeError, "an int; got True"),
        ({"beta": 0.0}, ValueError, "beta must be positive"),
        ({"beta": None}, TypeError, "beta must be a number"),
        ({"eps": 0.0}, ValueError, "eps must be positive"),
        ({"y": X[:, :, :9]}, ValueError, "equal n_times; got 10 and 9"),
        ({"y": X[:1]}, ValueError, "agree in n_pairs"),
        ({"x": X[0]}, ValueError, r"\(n_pairs, n_channels, n_times\)"),
        ({"x": [[1.0]]}, TypeError, "x must be a torch tensor; got list"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        lagged_correlation(**{"x": X, "y": X, "max_lag": 2, **arguments})
