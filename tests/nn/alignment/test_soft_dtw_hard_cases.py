"""Hard cases of soft-DTW: tiny gamma, huge costs, walls, long series, bad neighbours."""

import functools
import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from tslearn.metrics import dtw_path, dtw_path_from_metric

from sklearn_dbt.nn.alignment import (
    _diagonals,
    _kernels,
    soft_dtw,
    soft_dtw_alignment,
    soft_dtw_matrix,
)

DTYPES = [torch.float32, torch.float64]
assert_exactly = functools.partial(torch.testing.assert_close, rtol=0, atol=0)


def series(n_pairs, n_channels, n_times, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_pairs, n_channels, n_times, generator=generator, dtype=dtype)


def with_gradients(x, y, gamma, **options):
    """Value, gradients by both series and by gamma."""
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    gamma = torch.tensor(gamma, dtype=x.dtype, requires_grad=True)
    value = soft_dtw(x, y, gamma, **options)
    return value.detach(), *torch.autograd.grad(value.sum(), (x, y, gamma))


def oracle(x, y, gamma, band=None):
    """The same in float64 by the other engine, of the very same numbers."""
    x, y = x.double(), y.double()
    lengths = torch.full((len(x),), x.shape[2]), torch.full((len(y),), y.shape[2])
    value, grad_x, grad_y, grad_gamma, _ = _diagonals.solve(
        x, y, *lengths, band, gamma, gradient=True, by_gamma=True
    )
    return value, grad_x, grad_y, grad_gamma.sum()


def assert_near(result, truth, rtol):
    """Each result within ``rtol`` of the largest number of its own kind in its pair."""
    for found, true in zip(result, truth, strict=True):
        assert found.isfinite().all()
        size = true.abs().flatten(1).amax(1) if true.ndim > 1 else true.abs()
        error = (found.double() - true).abs()
        error = error.flatten(1).amax(1) if true.ndim > 1 else error
        assert (error <= rtol * size + 1e-300).all(), (error / size).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "m"), [(25, 25), (40, 17)])
@pytest.mark.parametrize("gamma", [1e-6, 1e-9])
def test_tiny_gamma_is_the_best_path_and_its_gradient(dtype, n, m, gamma):
    x, y = series(4, 2, n).to(dtype), series(4, 2, m, seed=1).to(dtype)
    value, grad_x, grad_y, _ = with_gradients(x, y, gamma)
    alignment = soft_dtw_alignment(x, y, gamma)
    for p in range(4):
        a, b = x[p].double(), y[p].double()
        path, distance = dtw_path(a.T.numpy(), b.T.numpy())
        assert math.isclose(value[p], distance**2, rel_tol=1e-6 if dtype == torch.float32 else 1e-9)
        i, j = torch.tensor(path).T
        hard = torch.zeros(n, m, dtype=dtype)
        hard[i, j] = 1
        torch.testing.assert_close(alignment[p], hard, rtol=0, atol=1e-3)
        step = 2 * (a[:, i] - b[:, j])
        by_x = torch.zeros_like(a).index_add(1, i, step)
        by_y = torch.zeros_like(b).index_add(1, j, -step)
        close = {"rtol": 1e-4 if dtype == torch.float32 else 1e-9, "atol": 1e-5}
        torch.testing.assert_close(grad_x[p].double(), by_x, **close)
        torch.testing.assert_close(grad_y[p].double(), by_y, **close)


def test_tiny_gamma_within_a_band_is_the_best_path_of_the_band():
    x, y = series(3, 2, 30), series(3, 2, 30, seed=1)
    value = soft_dtw(x, y, 1e-8, band=4)
    for a, b, v in zip(x, y, value, strict=True):
        cost = (a[:, :, None] - b[:, None, :]).square().sum(0).numpy()
        constraint = {"global_constraint": "sakoe_chiba", "sakoe_chiba_radius": 4}
        _, best = dtw_path_from_metric(cost, metric="precomputed", **constraint)
        assert math.isclose(v, best, rel_tol=1e-6)


def test_equal_paths_share_the_weight_however_small_gamma_is():
    x, y = torch.zeros(1, 1, 2, dtype=torch.float64), torch.zeros(1, 1, 2, dtype=torch.float64)
    for gamma in (1e-300, 1e-6, 1.0):
        value = soft_dtw(x, y, gamma)
        assert math.isclose(value, -gamma * math.log(3), rel_tol=1e-12)
        third = torch.tensor([[[1, 1 / 3], [1 / 3, 1]]], dtype=torch.float64)
        torch.testing.assert_close(soft_dtw_alignment(x, y, gamma), third)


@pytest.mark.parametrize("band", [None, 9])
@pytest.mark.parametrize(
    ("dtype", "size", "rtol"),
    [
        (torch.float32, 1e8, 1e-4),
        (torch.float32, 1e15, 1e-4),  # costs near the largest number there is
        (torch.float64, 1e8, 1e-12),
        (torch.float64, 1e30, 1e-12),
        (torch.float64, 1e150, 1e-12),
    ],
)
def test_huge_costs(dtype, size, rtol, band):
    x, y = (size * series(3, 2, 60, s).to(dtype) for s in (0, 1))
    (value, *grads, _), (truth, *true_grads, _) = (f(x, y, 1.0, band=band) for f in BOTH)
    assert_near((value, *grads), (truth, *true_grads), rtol)
    # gamma means nothing here: this is the hard path's cost
    if band is None:
        hard = [dtw_path(a.T.numpy(), b.T.numpy())[1] ** 2 for a, b in zip(x.double(), y.double())]  # noqa: B905
        np.testing.assert_allclose(value, hard, rtol=1e-6)


BOTH = (with_gradients, oracle)


@pytest.mark.parametrize("size", [1e8, 1e30])
def test_a_huge_offset_between_the_two_series(size):
    x, y = series(2, 2, 40), series(2, 2, 40, seed=1) + size
    assert_near(with_gradients(x, y, 1.0)[:3], oracle(x, y, 1.0)[:3], 1e-12)


@mpmath.workdps(50)
def exact(x, y, gamma):
    """Value and gradients of one pair, with fifty digits."""
    g = mpmath.mpf(gamma)
    (n_channels, n), m = x.shape, y.shape[1]
    u, v = ([[mpmath.mpf(t) for t in row] for row in series.double().tolist()] for series in (x, y))
    channels, least, weights = range(n_channels), {}, {}
    for i, j in itertools.product(range(n), range(m)):
        cost = sum((u[c][i] - v[c][j]) ** 2 for c in channels)
        before = [p for p in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if p in least]
        origin = min((least[p] for p in before), default=0)
        shares = [mpmath.exp((origin - least[p]) / g) for p in before] or [1]
        least[i, j] = cost + origin - g * mpmath.log(sum(shares))
        weights[i, j] = {p: e / sum(shares) for p, e in zip(before, shares, strict=False)}
    expected = dict.fromkeys(least, mpmath.mpf(0))
    expected[n - 1, m - 1] = mpmath.mpf(1)
    grad_x, grad_y = ([[mpmath.mpf(0)] * k for _ in channels] for k in (n, m))
    for i, j in reversed(expected):
        for p, weight in weights[i, j].items():
            expected[p] += weight * expected[i, j]
        for c in channels:
            slope = 2 * expected[i, j] * (u[c][i] - v[c][j])
            grad_x[c][i] += slope
            grad_y[c][j] -= slope
    grads = (np.array(t, dtype=float) for t in (grad_x, grad_y))
    return float(least[n - 1, m - 1]), *map(torch.from_numpy, grads)


def solved(engine, x, y, gamma):
    """Value and gradients of one pair by one of the engines."""
    lengths = torch.tensor([x.shape[1]]), torch.tensor([y.shape[1]])
    value, grad_x, grad_y, *_ = engine.solve(x[None], y[None], *lengths, None, gamma, gradient=True)
    return value.item(), grad_x[0].double(), grad_y[0].double()


def walled(dtype, height, width):
    """A pair whose every path crosses a wall in the middle of x, and the three parts of x."""
    x, y = series(1, 2, 30)[0].to(dtype), series(1, 2, 30, seed=1)[0].to(dtype)
    x[:, 15 : 15 + width] += height
    return x, y, (slice(0, 15), slice(15, 15 + width), slice(15 + width, 30))


@functools.cache
def walled_truth(dtype, height, width, gamma):
    x, y, _ = walled(dtype, height, width)
    return exact(x, y, gamma)


def largest_error(found, true):
    return ((found - true).abs().max() / true.abs().max()).item()


WALLS = [
    pytest.mark.parametrize("gamma", [1e-2, 1.0, 30.0]),
    pytest.mark.parametrize("height", [1e3, 1e6]),  # costs of 2e6 and 2e12 a sample
    pytest.mark.parametrize("width", [1, 5]),
]


def walls(test):
    return functools.reduce(lambda test, mark: mark(test), WALLS, test)


@walls
@pytest.mark.parametrize("engine", [_kernels, _diagonals])
def test_a_wall_in_the_middle(engine, gamma, height, width):
    x, y, (before, wall, after) = walled(torch.float64, height, width)
    value, grad_x, grad_y = solved(engine, x, y, gamma)
    truth, true_x, true_y = walled_truth(torch.float64, height, width, gamma)
    assert truth > width * height**2
    assert math.isclose(value, truth, rel_tol=1e-14)
    assert largest_error(grad_x[:, before], true_x[:, before]) < 1e-13
    assert largest_error(grad_x[:, wall], true_x[:, wall]) < 1e-13
    # Behind the wall costs are told apart as well as their sum, which has the wall in it.
    resolution = 1e-13 + torch.finfo(x.dtype).eps * truth / gamma
    assert largest_error(grad_x[:, after], true_x[:, after]) < resolution
    assert largest_error(grad_y, true_y) < 1e-13 + resolution / height


@walls
def test_a_wall_in_the_middle_of_float32(gamma, height, width):
    x, y, parts = walled(torch.float32, height, width)
    a, b = x[None].clone().requires_grad_(), y[None].clone().requires_grad_()
    value = soft_dtw(a, b, gamma)
    value.sum().backward()
    value = value.item()
    truth, true_x, true_y = walled_truth(torch.float32, height, width, gamma)
    assert math.isclose(value, truth, rel_tol=1e-7)
    rtol = 1e-6 + torch.finfo(torch.float64).eps * truth / gamma
    for part in parts:
        assert largest_error(a.grad[0, :, part], true_x[:, part]) < rtol
    assert largest_error(b.grad[0], true_y) < 1e-6
    quiet = true_y.abs() < 0.1 * height  # what is matched with the wall would hide the others
    assert quiet.sum() >= 40
    assert largest_error(b.grad[0][quiet], true_y[quiet]) < rtol


def test_a_wall_does_not_touch_the_other_pairs():
    x, y = series(3, 2, 40).float(), series(3, 2, 40, seed=1).float()
    clean = with_gradients(x, y, 1.0), soft_dtw_alignment(x, y, 1.0)
    x[1, :, 20] = 1e6
    found = with_gradients(x, y, 1.0), soft_dtw_alignment(x, y, 1.0)
    others = torch.tensor([0, 2])
    for a, b in zip((*found[0][:3], found[1]), (*clean[0][:3], clean[1]), strict=True):
        assert_exactly(a[others], b[others])
        assert not torch.equal(a[1], b[1])
    double = soft_dtw_alignment(x[1:2].double(), y[1:2].double(), 1.0)
    torch.testing.assert_close(found[1][1:2].double(), double, rtol=1e-6, atol=1e-7)


def test_walls_in_both_series_and_at_both_ends():
    x, y = series(1, 1, 45)[0], series(1, 1, 35, seed=1)[0]
    x[..., 0], x[..., 22:25], x[..., -1], y[..., 10:12] = 1e4, 1e4, -1e4, -1e4
    truths = exact(x, y, 1.0)
    for engine in (_kernels, _diagonals):
        value, *grads = solved(engine, x, y, 1.0)
        assert math.isclose(value, truths[0], rel_tol=1e-14)
        for grad, true in zip(grads, truths[1:], strict=True):
            assert largest_error(grad, true) < 1e-10
            quiet = true.abs() < 1e3
            assert largest_error(grad[quiet], true[quiet]) < 2.3e-16 * truths[0]


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_noise_of_length_1024_in_float32(gamma):
    x, y = series(2, 2, 1024).float(), series(2, 2, 1024, seed=1).float()
    (value, *grads), (truth, *true_grads) = with_gradients(x, y, gamma), oracle(x, y, gamma)
    assert_near((value,), (truth,), 1e-6)
    assert_near(grads, true_grads, 1e-3)
    for grad, true in zip(grads, true_grads, strict=True):
        assert (grad - true).norm() < 1e-4 * true.norm()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("divergence", [False, True])
def test_second_call_under_no_grad_equals_the_first(dtype, divergence):
    x, y = series(3, 2, 50).to(dtype), series(3, 2, 40, seed=1).to(dtype)
    options = {"gamma": 0.5, "band": 20, "divergence": divergence}
    first = soft_dtw(x.requires_grad_(), y, **options)
    with torch.no_grad():
        second, third = soft_dtw(x, y, **options), soft_dtw(x, y, **options)
    assert_exactly(second, third)
    assert not second.requires_grad
    torch.testing.assert_close(first.detach(), second)
    first.sum().backward()
    grad, x.grad = x.grad, None
    soft_dtw(x, y, **options).sum().backward()  # and no_grad leaves nothing behind
    assert_exactly(x.grad, grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lengths_of_each_pair_within_a_band(dtype):
    x, y = series(4, 2, 60).to(dtype), series(4, 2, 50, seed=1).to(dtype)
    lengths_x, lengths_y = [60, 30, 12, 1], [50, 45, 3, 50]
    band = 8
    padded = {"lengths_x": lengths_x, "lengths_y": lengths_y}
    value, grad_x, grad_y, _ = with_gradients(x, y, 0.5, band=band, **padded)
    alignment = soft_dtw_alignment(x, y, 0.5, band=band, **padded)
    for p, (n, m) in enumerate(zip(lengths_x, lengths_y, strict=True)):
        a, b = x[p : p + 1, :, :n], y[p : p + 1, :, :m]
        truth, true_x, true_y, _ = with_gradients(a, b, 0.5, band=band)
        assert_exactly(value[p], truth[0])
        assert_exactly(grad_x[p, :, :n], true_x[0])
        assert_exactly(grad_y[p, :, :m], true_y[0])
        assert_exactly(alignment[p, :n, :m], soft_dtw_alignment(a, b, 0.5, band=band)[0])
        rtol = 1e-4 if dtype == torch.float32 else 1e-10
        exact = oracle(a, b, 0.5, band)
        assert_near((truth, true_x, true_y), exact[:3], rtol)
    assert grad_x[1, :, 30:].eq(0).all()
    assert grad_y[2, :, 3:].eq(0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bad_pair_does_not_touch_the_others(bad, dtype):
    x, y = series(9, 2, 40).to(dtype), series(9, 2, 30, seed=1).to(dtype)
    clean = with_gradients(x, y, 0.5)
    clean_alignment = soft_dtw_alignment(x, y, 0.5)
    x[4, 1, 17] = bad
    value, grad_x, grad_y, _ = with_gradients(x, y, 0.5)
    alignment = soft_dtw_alignment(x, y, 0.5)
    others = torch.arange(9) != 4
    assert not value[4].isfinite()
    for found, true in zip((value, grad_x, grad_y), clean[:3], strict=True):
        assert_exactly(found[others], true[others])
    assert_exactly(alignment[others], clean_alignment[others])
    matrix = soft_dtw_matrix(x, gamma=0.5)
    assert matrix[others][:, others].isfinite().all()
    assert not matrix[4].isfinite().any()


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine"])
def test_no_pairs_give_no_values(metric):
    none, some = torch.zeros(0, 3, 10, requires_grad=True), torch.zeros(4, 3, 7)
    options = {"metric": metric, "band": 5}
    value = soft_dtw(none, none[..., :7], divergence=True, **options)
    assert value.shape == (0,)
    value.sum().backward()
    assert none.grad.shape == none.shape
    assert soft_dtw(none, none, lengths_x=[], lengths_y=[], **options).shape == (0,)
    assert soft_dtw_alignment(none, none[..., :7], **options).shape == (0, 10, 7)
    assert soft_dtw_matrix(none, **options).shape == (0, 0)
    assert soft_dtw_matrix(none, some, divergence=True, **options).shape == (0, 4)
    assert soft_dtw_matrix(some, none, **options).shape == (4, 0)
    lengths = torch.zeros(0, dtype=torch.int64)
    for engine in (_kernels, _diagonals):
        found, grad, *_ = engine.solve(none, none, lengths, lengths, None, 1.0, gradient=True)
        assert found.shape == (0,)
        assert grad.shape == none.shape


@pytest.mark.parametrize("shape", [(2, 0, 5), (2, 3, 0), (0, 3, 0)])
def test_no_channels_or_samples_are_refused(shape):
    empty = torch.zeros(shape)
    for function in (soft_dtw, soft_dtw_alignment, soft_dtw_matrix):
        with pytest.raises(ValueError, match=r"x is empty: its shape is \("):
            function(empty, empty)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 33])
@pytest.mark.parametrize("band", [None, 0, 3])
def test_one_sample_against_many_has_one_path(dtype, n, band):
    x, y = series(3, 2, 1).to(dtype), series(3, 2, n, seed=1).to(dtype)
    value, grad_x, grad_y, by_gamma = with_gradients(x, y, 0.7, band=band)
    torch.testing.assert_close(value, (x - y).square().sum((1, 2)))
    torch.testing.assert_close(grad_x, 2 * (x - y).sum(2, keepdim=True))
    torch.testing.assert_close(grad_y, -2 * (x - y))
    assert by_gamma == 0
    torch.testing.assert_close(soft_dtw(y, x, 0.7, band=band), value)
    # a step of a path is certain but for its rounding, and so many steps are taken
    rounding = n * torch.finfo(dtype).eps
    assert (soft_dtw_alignment(x, y, 0.7, band=band) - 1).abs().max() <= rounding


def test_memory_grows_with_the_band_and_not_with_the_square_of_the_length():
    for n in (500, 1000, 2000):
        cells = sum(min(n - 1, i + 10) - max(0, i - 10) + 1 for i in range(n))
        room = _kernels._area(n, n, 10)  # cells whose weights are kept, with margins
        assert cells <= room <= cells + 2 * (2 * n + 1)


@pytest.mark.parametrize(("step", "gamma"), [(100.0, 1e-4), (1e4, 1.0)])
def test_a_wall_between_the_levels_of_a_step(step, gamma):
    """The sample is inside the range of the other series, and far from all of its samples."""
    noise = 0.007 * gamma**0.5 / 1e-2 * series(2, 1, 60)
    levels = torch.where(torch.arange(60) < 30, 0.0, step)
    x, y = (levels + noise[:1]).float(), (levels + noise[1:]).float()
    x[..., 15] = step / 2
    found = soft_dtw_alignment(x, y, gamma)
    truth = soft_dtw_alignment(x.double(), y.double(), gamma)
    assert (found - truth).abs().max() < 1e-3
