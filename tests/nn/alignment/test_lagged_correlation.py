import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from sklearn_dbt.nn.alignment import _lagged_correlation, lagged_correlation


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


def test_a_constant_against_a_series_has_correlation_and_gradient_zero():
    # the mean of equal numbers is not always that number
    for dtype, n_times in ((torch.float32, 7), (torch.float64, 41), (torch.float32, 1001)):
        for max_lag in (3, n_times // 2):
            x = torch.full((1, 1, n_times), 0.1, dtype=dtype).requires_grad_()
            y = series(1, 1, n_times).to(dtype).requires_grad_()
            value = lagged_correlation(x, y, max_lag)
            value.sum().backward()
            assert value.item() == 0
            assert (x.grad == 0).all()
            assert (y.grad == 0).all()


def both_ways(x, y, max_lag, eps=1e-8):
    """Correlations of all lags and their gradients, by definition and by FFT."""
    found = []
    for way in (_lagged_correlation._direct, _lagged_correlation._by_fft):
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        rho = way(a, b, max_lag, eps)
        slopes = torch.linspace(-1, 2, rho.numel(), dtype=rho.dtype).view_as(rho)
        found.append((rho.detach(), *torch.autograd.grad((slopes * rho).sum(), (a, b))))
    return found


def assert_both_ways_agree(x, y, max_lag, tolerance):
    (rho, *grads), (by_fft, *grads_by_fft) = both_ways(x, y, max_lag)
    assert by_fft.dtype == x.dtype
    torch.testing.assert_close(by_fft, rho, rtol=0, atol=tolerance)
    for t, grad, other in zip((x, y), grads, grads_by_fft, strict=True):
        size = grad.norm(dim=-1, keepdim=True) + 1 / t.std(-1, keepdim=True)
        assert ((grad - other).abs() <= tolerance * size).all()


@settings(deadline=None, max_examples=40)
@given(
    n_times=st.integers(12, 90),
    fraction=st.floats(0.1, 0.5),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
    slope=st.sampled_from([0.0, 0.3, -100.0]),
    seed=st.integers(0, 1000),
)
def test_both_ways_agree(n_times, fraction, offset, slope, seed):
    x, y = series(2, 2, n_times, seed), series(2, 2, n_times, seed + 1)
    max_lag = max(1, int(fraction * n_times))
    trend = offset + slope * torch.arange(n_times, dtype=x.dtype)
    # what an offset costs is already lost in the series itself
    tolerance = 1e-9 * max(1.0, abs(offset) / 1e3)
    assert_both_ways_agree(x + trend, y - 2 * trend, max_lag, tolerance)
    assert_both_ways_agree(x + trend, y, max_lag, tolerance)


@settings(deadline=None, max_examples=10)
@given(
    offset=st.sampled_from([0.0, 1e3]),
    slope=st.sampled_from([0.0, 0.01]),
    n_times=st.integers(100, 300),
    seed=st.integers(0, 1000),
)
def test_float32_is_as_accurate_as_its_series(offset, slope, n_times, seed):
    trend = offset + slope * torch.arange(n_times)
    x, y = (series(2, 2, n_times, s).float() + trend for s in (seed, seed + 1))
    max_lag = n_times // 3
    truth, *grads = both_ways(x.double(), y.double(), max_lag)[0]
    rho, *found = both_ways(x, y, max_lag)[1]
    assert rho.dtype == torch.float32
    torch.testing.assert_close(rho.double(), truth, rtol=0, atol=1e-6)  # of the very same numbers
    for grad, other in zip(grads, found, strict=True):
        assert (grad - other).norm() < 1e-5 * grad.norm()
    assert_both_ways_agree(x, y, max_lag, 1e-3 if offset else 1e-4)


@settings(deadline=None, max_examples=40)
@given(
    n_times=st.integers(30, 120),
    start=st.floats(0.3, 0.7),
    rest=st.sampled_from([0.0, 1e-12, 1e-9, 1e-6, 1e-3]),
    at_the_end=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_overlaps_that_hardly_vary_while_the_rest_does(n_times, start, rest, at_the_end, seed):
    x, y = series(2, 2, n_times, seed), series(2, 2, n_times, seed + 1)
    quiet = torch.arange(n_times) < int(start * n_times)
    quiet = quiet if at_the_end else quiet.flip(0)
    x = torch.where(quiet, 0.1 + rest * x, 50 * x)
    (rho, *grads), (by_fft, *grads_by_fft) = both_ways(x, y, n_times // 2)
    assert all(t.isfinite().all() for t in (by_fft, *grads_by_fft))
    # numbers near 0.1 are 1e-17 apart: of variations of 1e-12 five digits are there
    tolerance = 1e-4 if rest == 1e-12 else 1e-8
    torch.testing.assert_close(by_fft, rho, rtol=0, atol=tolerance)
    for grad, other in zip(grads, grads_by_fft, strict=True):
        assert (grad - other).norm() <= 1e-4 * grad.norm()
    if rest == 0:
        assert (_constant_overlaps(x, y, n_times // 2) == (by_fft == 0)).all()


def _constant_overlaps(x, y, max_lag):
    """Which lags have an overlap where one of the two does not vary."""
    n_times, found = x.shape[-1], []
    for lag in range(-max_lag, max_lag + 1):
        a = x[..., max(0, -lag) : n_times - max(0, lag)]
        b = y[..., max(0, lag) : n_times + min(0, lag)]
        found.append((a == a[..., :1]).all(-1) | (b == b[..., :1]).all(-1))
    return torch.stack(found, -1)


@pytest.mark.parametrize("shape", [(2, 1, 9), (2, 2, 2), (1, 1, 64)])
@pytest.mark.parametrize("max_lag", [1, 4, 32])
def test_both_ways_agree_on_any_shape(shape, max_lag):
    max_lag = min(max_lag, shape[2] // 2)
    assert_both_ways_agree(series(*shape), series(*shape, seed=1), max_lag, 1e-12)


@pytest.mark.parametrize("max_lag", [3, 20])
def test_no_pairs_give_no_values(max_lag):
    none = torch.zeros(0, 2, 40, requires_grad=True)
    value = lagged_correlation(none, none, max_lag)
    assert value.shape == (0, 2)
    value.sum().backward()
    assert none.grad.shape == none.shape


@pytest.mark.parametrize("max_lag", [1, 8])
def test_gradcheck_by_fft(max_lag):
    x, y = series(2, 2, 16).requires_grad_(), series(2, 2, 16, seed=1).requires_grad_()
    assert gradcheck(lambda x, y: _lagged_correlation._by_fft(x, y, max_lag, 1e-8), (x, y))
    beta = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x, y, beta: lagged_correlation(x, y, 8, beta), (x, y, beta))


def test_gradcheck_where_some_lags_are_too_rough_for_an_fft():
    x, y = series(1, 2, 16), series(1, 2, 16, seed=1)
    x[0, 0, :9] *= 1e-4
    x[0, 0, 9:] *= 1e4
    direct, at_lag = [], _lagged_correlation._at_lag

    def watched(x, y, lag, eps):
        direct.append(lag)
        return at_lag(x, y, lag, eps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_lagged_correlation, "_at_lag", watched)
        rho = _lagged_correlation._by_fft(x, y, 8, 1e-8)
    assert direct == [7, 8]  # the overlaps of at most nine samples, of one of two channels
    torch.testing.assert_close(rho, _lagged_correlation._direct(x, y, 8, 1e-8), atol=1e-9, rtol=0)

    def function(y):
        return _lagged_correlation._by_fft(x, y, 8, 1e-8)

    assert gradcheck(function, y.requires_grad_())


@pytest.mark.parametrize("max_lag", [3, 30])
def test_nan_stays_in_its_channel(max_lag):
    x, y = series(2, 2, 80), series(2, 2, 80, seed=1)
    clean = lagged_correlation(x, y, max_lag)
    x[0, 1, 40], y[1, 0, 3] = torch.nan, torch.inf
    value = lagged_correlation(x, y, max_lag)
    assert value.isnan().tolist() == [[False, True], [True, False]]
    torch.testing.assert_close(value[0, 0], clean[0, 0])
    torch.testing.assert_close(value[1, 1], clean[1, 1])


# said by the compiler to itself where it leaves the graph
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_compiled_model_gives_the_same():
    x, y = series(2, 2, 64).requires_grad_(), series(2, 2, 64, seed=1)
    truth = torch.autograd.grad(lagged_correlation(x, y, 20).sum(), x)[0]
    compiled = torch.compile(lambda x, y: lagged_correlation(x, y, 20).sum(), backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(compiled(x, y), x)[0], truth)


def test_many_lags_take_the_fft():
    least = _lagged_correlation._LEAST_LAG_OF_FFT
    x, y = series(2, 2, 40), series(2, 2, 40, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_lagged_correlation, "_direct", None)
        lagged_correlation(x, y, least)
        patch.undo()
        patch.setattr(_lagged_correlation, "_by_fft", None)
        lagged_correlation(x, y, least - 1)


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
