import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from tslearn.metrics import dtw_path
from tslearn.metrics import soft_dtw as tslearn_soft_dtw

from sklearn_dbt.nn.alignment import soft_dtw, soft_dtw_alignment
from sklearn_dbt.nn.alignment._band import admitted


def series(n_pairs, n_channels, n_times, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_pairs, n_channels, n_times, generator=generator, dtype=dtype)


def paths(n, m, inside):
    """Enumerate all alignments of an (n, m) matrix."""

    def extend(path):
        i, j = path[-1]
        if (i, j) == (n - 1, m - 1):
            yield path
        for cell in ((i + 1, j), (i, j + 1), (i + 1, j + 1)):
            if cell[0] < n and cell[1] < m and inside[cell]:
                yield from extend([*path, cell])

    yield from extend([(0, 0)])


def brute_force(x, y, gamma, band=None):
    """Value, expected alignment and derivative by gamma of one pair, from all its paths."""
    n, m = x.shape[1], y.shape[1]
    cost = (x[:, :, None] - y[:, None, :]).square().sum(0)
    inside = admitted(torch.tensor([n]), torch.tensor([m]), n, m, band)[0]
    every = list(paths(n, m, inside))
    totals = torch.stack([sum(cost[cell] for cell in path) for path in every])
    p = torch.softmax(-totals / gamma, 0)
    expected = torch.zeros(n, m, dtype=x.dtype)
    for weight, path in zip(p, every, strict=True):
        for cell in path:
            expected[cell] += weight
    return -gamma * torch.logsumexp(-totals / gamma, 0), expected, (p * p.log()).sum()


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (4, 1), (4, 4), (5, 3), (3, 6)])
@pytest.mark.parametrize("band", [None, 2, 3])
@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_all_paths(n, m, band, gamma):
    x, y = series(2, 2, n), series(2, 2, m, seed=1)
    x.requires_grad_()
    tensor = torch.tensor(gamma, dtype=x.dtype, requires_grad=True)
    value = soft_dtw(x, y, tensor, band=band)
    alignment = soft_dtw_alignment(x, y, gamma, band=band)
    value.sum().backward()
    truths = [brute_force(a, b, gamma, band) for a, b in zip(x.detach(), y, strict=True)]
    for v, e, (value_truth, expected, _) in zip(value, alignment, truths, strict=True):
        torch.testing.assert_close(v, value_truth, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(e, expected, rtol=1e-10, atol=1e-12)
    by_gamma = sum(truth[2] for truth in truths)
    torch.testing.assert_close(tensor.grad, by_gamma, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (37, 18), (1, 9), (50, 64)])
@pytest.mark.parametrize("gamma", [0.01, 1.0, 50.0])
def test_value_is_tslearns(n, m, gamma):
    x, y = series(3, 4, n), series(3, 4, m, seed=1)
    truth = [tslearn_soft_dtw(a.T.numpy(), b.T.numpy(), gamma) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(soft_dtw(x, y, gamma), truth, rtol=1e-12)
    single = soft_dtw(x.float(), y.float(), gamma)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, truth, rtol=2e-6)


@pytest.mark.parametrize("divergence", [False, True])
@pytest.mark.parametrize("band", [None, 3])
@pytest.mark.parametrize("lengths", [None, ([7, 4, 6], [5, 3, 1])])
def test_gradcheck(divergence, band, lengths):
    x, y = series(3, 2, 7).requires_grad_(), series(3, 2, 5, seed=1).requires_grad_()
    gamma = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    lengths_x, lengths_y = lengths or (None, None)

    def function(x, y, gamma):
        return soft_dtw(
            x,
            y,
            gamma,
            band=band,
            lengths_x=lengths_x,
            lengths_y=lengths_y,
            divergence=divergence,
        )

    assert gradcheck(function, (x, y, gamma))


def test_derivative_by_gamma_is_the_specs_formula():
    x, y = series(4, 2, 12), series(4, 2, 9, seed=1)
    gamma = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    value = soft_dtw(x, y, gamma)
    value.sum().backward()
    cost = (x[:, :, :, None] - y[:, :, None, :]).square().sum(1)
    expected = (soft_dtw_alignment(x, y, gamma) * cost).sum((1, 2))
    torch.testing.assert_close(gamma.grad, ((value - expected) / gamma).sum().detach())


def test_gradient_is_that_of_the_expected_cost():
    x, y = series(3, 2, 10).requires_grad_(), series(3, 2, 8, seed=1)
    soft_dtw(x, y, 0.3).sum().backward()
    alignment = soft_dtw_alignment(x, y, 0.3)
    truth = 2 * (alignment[:, None] * (x[:, :, :, None] - y[:, :, None, :])).sum(3)
    torch.testing.assert_close(x.grad, truth.detach())


@pytest.mark.parametrize(("n", "m"), [(15, 15), (15, 9)])
def test_small_gamma_is_hard_dtw(n, m):
    x, y = series(3, 2, n), series(3, 2, m, seed=1)
    value, alignment = soft_dtw(x, y, 1e-6), soft_dtw_alignment(x, y, 1e-6)
    for a, b, v, e in zip(x, y, value, alignment, strict=True):
        path, distance = dtw_path(a.T.numpy(), b.T.numpy())
        assert math.isclose(v, distance**2, rel_tol=1e-6)
        hard = torch.zeros(n, m, dtype=torch.float64)
        hard[tuple(np.transpose(path))] = 1
        torch.testing.assert_close(e, hard, rtol=0, atol=1e-6)


def test_large_gamma_averages_all_paths():
    x, y = torch.zeros(1, 1, 4), torch.zeros(1, 1, 5)
    n_paths = len(list(paths(4, 5, torch.ones(4, 5, dtype=torch.bool))))
    assert math.isclose(soft_dtw(x, y, 3.0), -3 * math.log(n_paths), rel_tol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [1e-4, 1.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_hard_cases_stay_finite(dtype, gamma, scale):
    x, y = series(2, 3, 120) * scale, series(2, 3, 100, seed=1) * scale
    x[0, :, 60] = 1e3  # a wall: cost 1e6 in every path
    x, y = x.to(dtype).requires_grad_(), y.to(dtype)
    value = soft_dtw(x, y, gamma)
    value.sum().backward()
    truth = [
        tslearn_soft_dtw(a.T.numpy(), b.T.numpy(), gamma)
        for a, b in zip(x.detach().double(), y.double(), strict=True)
    ]
    np.testing.assert_allclose(
        value.detach(), truth, rtol=1e-6 if dtype == torch.float32 else 1e-12
    )
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.01, 1.0, 100.0])
def test_float32_gradient_is_accurate_on_long_series(gamma):
    x, y = series(2, 3, 600), series(2, 3, 500, seed=1)
    grads = []
    for dtype in (torch.float32, torch.float64):
        a = x.float().to(dtype).requires_grad_()
        soft_dtw(a, y.float().to(dtype), gamma).sum().backward()
        grads.append(a.grad.double())
    assert (grads[0] - grads[1]).norm() < 1e-4 * grads[1].norm()


def test_padding_is_not_looked_at():
    x, y = series(3, 2, 9), series(3, 2, 8, seed=1)
    lengths_x, lengths_y = torch.tensor([9, 5, 1]), [4, 8, 3]
    padded_x, padded_y = x.clone(), y.clone()
    for p in range(3):
        padded_x[p, :, lengths_x[p] :] = math.nan
        padded_y[p, :, lengths_y[p] :] = math.inf
    padded_x.requires_grad_()
    padded_y.requires_grad_()
    arguments = {"lengths_x": lengths_x, "lengths_y": lengths_y}
    value = soft_dtw(padded_x, padded_y, 0.5, divergence=True, **arguments)
    value.sum().backward()
    alignment = soft_dtw_alignment(padded_x, padded_y, 0.5, **arguments)
    for p in range(3):
        n, m = lengths_x[p], lengths_y[p]
        a, b = x[p : p + 1, :, :n].clone().requires_grad_(), y[p : p + 1, :, :m]
        alone = soft_dtw(a, b, 0.5, divergence=True)
        alone.backward()
        torch.testing.assert_close(value[p], alone[0], rtol=0, atol=0)
        torch.testing.assert_close(padded_x.grad[p, :, :n], a.grad[0], rtol=0, atol=0)
        assert (padded_x.grad[p, :, n:] == 0).all()
        assert (padded_y.grad[p, :, m:] == 0).all()
        torch.testing.assert_close(
            alignment[p, :n, :m], soft_dtw_alignment(a, b, 0.5)[0], rtol=0, atol=0
        )
        assert (alignment[p, n:] == 0).all()
        assert (alignment[p, :, m:] == 0).all()


def test_nan_and_inf_come_out():
    x, y = series(3, 2, 8), series(3, 2, 8, seed=1)
    clean = soft_dtw(x, y)
    x[0, 1, 3], x[1, 0, 0] = math.nan, math.inf
    value = soft_dtw(x, y)
    assert value[0].isnan()
    assert value[1] == math.inf
    assert value[2] == clean[2]
    assert soft_dtw(x, y, band=1)[:2].isfinite().sum() == 0


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    n_channels=st.integers(1, 3),
    gamma=st.floats(1e-3, 1e2),
    band=st.one_of(st.none(), st.integers(12, 20)),
    seed=st.integers(0, 1000),
)
def test_properties(n, m, n_channels, gamma, band, seed):
    x, y = series(2, n_channels, n, seed), series(2, n_channels, m, seed + 1)
    value = soft_dtw(x, y, gamma, band=band)
    close = {"rtol": 1e-9, "atol": 1e-9 * max(1.0, gamma)}
    torch.testing.assert_close(soft_dtw(y, x, gamma, band=band), value, **close)
    torch.testing.assert_close(soft_dtw(x.flip(2), y.flip(2), gamma, band=band), value, **close)
    torch.testing.assert_close(soft_dtw(x + 5, y + 5, gamma, band=band), value, **close)
    torch.testing.assert_close(soft_dtw(3 * x, 3 * y, 9 * gamma, band=band), 9 * value, **close)
    e = soft_dtw_alignment(x, y, gamma, band=band)
    assert (e >= 0).all()
    assert (e <= 1 + 1e-12).all()
    assert (e.sum(1) >= 1 - 1e-12).all()  # every sample is matched at least once
    assert (e.sum(2) >= 1 - 1e-12).all()
    torch.testing.assert_close(e[:, 0, 0], torch.ones(2, dtype=e.dtype))
    torch.testing.assert_close(e[:, -1, -1], torch.ones(2, dtype=e.dtype))
    # the path moves on: its expected row does not fall from one anti-diagonal to the next pair
    value_up = soft_dtw(x, y, 2 * gamma, band=band)
    assert (value_up <= value + 1e-9).all()  # minus the entropy is the slope in gamma
    divergence = soft_dtw(x, y, gamma, band=band, divergence=True)
    assert (divergence >= -1e-9 * max(1.0, gamma)).all()
    torch.testing.assert_close(
        soft_dtw(x, x, gamma, band=band, divergence=True), torch.zeros(2, dtype=e.dtype), **close
    )


def test_identical_constants_of_unequal_lengths_have_a_positive_divergence():
    value = soft_dtw(torch.zeros(1, 1, 4), torch.zeros(1, 1, 12), divergence=True)
    assert math.isclose(value, 3.26, abs_tol=0.005)


def test_a_wide_band_is_no_band_and_a_narrow_one_costs():
    x, y = series(3, 2, 30), series(3, 2, 17, seed=1)
    free, wide = soft_dtw(x, y, 0.1), soft_dtw(x, y, 0.1, band=30)
    torch.testing.assert_close(free, wide, rtol=0, atol=0)
    values = torch.stack([soft_dtw(x, y, 0.1, band=r) for r in range(1, 31)])
    assert (values.diff(dim=0) <= 1e-9).all()
    assert (values[0] > free + 0.1).all()


def test_zero_band_of_equal_lengths_is_the_squared_euclidean_distance():
    x, y = series(3, 2, 11), series(3, 2, 11, seed=1)
    truth = (x - y).square().sum((1, 2))
    torch.testing.assert_close(soft_dtw(x, y, 5.0, band=0), truth)
    x.requires_grad_()
    soft_dtw(x, y, 5.0, band=0).sum().backward()
    torch.testing.assert_close(x.grad, 2 * (x - y).detach())


def test_no_grad_second_call_and_inputs():
    x, y = series(4, 2, 20).requires_grad_(), series(4, 2, 20, seed=1)
    before = x.detach().clone(), y.clone()
    with torch.no_grad():
        first, second = soft_dtw(x, y), soft_dtw(x, y)
    assert not first.requires_grad
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(soft_dtw(x, y).detach(), first, rtol=1e-14, atol=1e-14)
    assert not soft_dtw_alignment(x, y).requires_grad
    torch.testing.assert_close((x.detach(), y), before, rtol=0, atol=0)


def test_strided_and_mixed_gradients():
    x, y = series(3, 10, 2).transpose(1, 2), series(3, 2, 7, seed=1).requires_grad_()
    value = soft_dtw(x, y)
    torch.testing.assert_close(value, soft_dtw(x.contiguous(), y))
    value.sum().backward()
    assert y.grad.shape == y.shape
    both = series(2, 1, 6).requires_grad_()  # the same leaf on both sides
    soft_dtw(both, both).sum().backward()
    copy = both.detach().clone().requires_grad_()
    soft_dtw(both.detach(), copy).sum().backward()
    torch.testing.assert_close(both.grad, 2 * copy.grad)


def test_second_derivative_is_refused():
    x, y = series(1, 1, 5).requires_grad_(), series(1, 1, 5, seed=1)
    (grad,) = torch.autograd.grad(soft_dtw(x, y).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated once"):
        grad.sum().backward()


def test_gamma_in_float32_and_as_one_element():
    x, y = series(2, 1, 6, dtype=torch.float32), series(2, 1, 6, seed=1, dtype=torch.float32)
    for shape in ((), (1,)):
        gamma = torch.full(shape, 0.5, requires_grad=True)
        soft_dtw(x, y, gamma).sum().backward()
        assert gamma.grad.shape == shape
        assert gamma.grad.dtype == torch.float32
        assert gamma.grad.item() < 0


def test_compiled_model_gives_the_same():
    def loss(x, y):
        return soft_dtw(2 * x, y, 0.5).sum()

    x, y = series(2, 2, 9).requires_grad_(), series(2, 2, 8, seed=1)
    loss(x, y).backward()
    truth, x.grad = x.grad, None
    torch.compile(loss, backend="aot_eager")(x, y).backward()
    torch.testing.assert_close(x.grad, truth)


def test_importing_the_engine_does_not_import_numba_nor_a_call_the_compiler():
    code = (
        "import sys, sklearn_dbt.nn.alignment as a; assert 'numba' not in sys.modules; "
        "import torch; t = torch.zeros(1, 1, 2); a.soft_dtw(t, t); assert 'numba' in sys.modules; "
        "a.soft_dtw_alignment(t, t); assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


X = torch.zeros(2, 3, 10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": X.numpy()}, TypeError, "x must be a torch tensor; got ndarray"),
        ({"y": X.half()}, TypeError, "y must be float32 or float64; got torch.float16"),
        ({"y": X.double()}, TypeError, "share dtype and device"),
        ({"x": X[0]}, ValueError, r"shape \(n_pairs, n_channels, n_times\); got \(3, 10\)"),
        ({"y": X[:, :, :0]}, ValueError, r"y is empty: its shape is \(2, 3, 0\)"),
        ({"y": X[:, :2]}, ValueError, r"agree in n_pairs and n_channels; .* \(2, 2, 10\)"),
        ({"y": X[:1]}, ValueError, r"agree in n_pairs and n_channels; .* \(1, 3, 10\)"),
        ({"gamma": 0}, ValueError, "gamma must be positive and finite; got 0"),
        ({"gamma": -1.0}, ValueError, "gamma must be positive"),
        ({"gamma": math.nan}, ValueError, "gamma must be positive"),
        ({"gamma": torch.tensor(math.inf)}, ValueError, "gamma must be positive"),
        ({"gamma": torch.ones(2)}, TypeError, "one element; got a torch.float32 tensor"),
        ({"gamma": torch.tensor(1)}, TypeError, "floating tensor of one element"),
        ({"gamma": "1"}, TypeError, "gamma must be a number"),
        ({"gamma": True}, TypeError, "gamma must be a number"),
        ({"band": -1}, ValueError, "at least 0; got -1"),
        ({"band": 2.0}, TypeError, "an int or None; got 2.0"),
        ({"band": True}, TypeError, "an int or None; got True"),
        ({"lengths_x": [10, 11]}, ValueError, "between 1 and the 10 samples .* 11 at place 1"),
        ({"lengths_y": [0, 10]}, ValueError, "lengths_y must lie between 1 .* 0 at place 0"),
        ({"lengths_x": [10]}, ValueError, r"shape \(2,\); got \(1,\)"),
        ({"lengths_x": [10.0, 9.0]}, TypeError, "lengths_x must be integers; got torch.float32"),
    ],
)
def test_errors(arguments, error, message):
    arguments = {"x": X, "y": X, **arguments}
    with pytest.raises(error, match=message):
        soft_dtw(**arguments)
    with pytest.raises(error, match=message):
        soft_dtw_alignment(**arguments)


def test_a_band_too_narrow_names_the_least_that_works():
    x, y = series(2, 1, 100), series(2, 1, 20, seed=1)
    for function in (soft_dtw, soft_dtw_alignment):
        with pytest.raises(
            ValueError, match=r"lengths 100 and 20: .* least radius that works is 3"
        ):
            function(x, y, band=2)
        assert function(x, y, band=3).isfinite().all()
    with pytest.raises(ValueError, match=r"lengths 100 and 10: .* least radius that works is 5"):
        soft_dtw(x, y, band=4, lengths_x=[100, 100], lengths_y=[20, 10])
    with pytest.raises(ValueError, match="least radius that works is 1"):
        soft_dtw(x, x, band=0, lengths_x=[100, 99])


@pytest.mark.parametrize("band", [2**62, 2**63 - 1, 10**30, torch.tensor(200), np.int64(500)])
def test_a_band_wider_than_the_series_is_none(band):
    x, y = series(2, 1, 20), series(2, 1, 17, seed=1)
    torch.testing.assert_close(soft_dtw(x, y, band=band), soft_dtw(x, y), rtol=0, atol=0)
