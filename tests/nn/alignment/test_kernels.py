import multiprocessing
import threading

import numpy as np
import pytest
import torch
from numba import njit

from sklearn_dbt.nn.alignment import _diagonals, _kernels


@njit
def exp2_all(x):
    return np.array([_kernels._exp2(v) for v in x])


@njit
def log2_all(x):
    return np.array([_kernels._log2(v) for v in x])


@njit
def split_all(x):
    return [(_kernels._mantissa(v), _kernels._exponent(v)) for v in x]


@njit
def scaled_all(m, d):
    return np.array([_kernels._scaled(m, v) for v in d])


FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@FLOATS
def test_exp2_and_log2_are_good_to_the_last_place(dtype):
    eps = np.finfo(dtype).eps
    r = np.linspace(-0.5, 0.5, 20_001).astype(dtype)
    assert exp2_all(r).dtype == dtype
    assert np.max(np.abs(exp2_all(r) / np.exp2(r.astype(np.longdouble)) - 1)) < 1.5 * eps
    s = np.linspace(1, 2, 20_001).astype(dtype)
    assert np.max(np.abs(log2_all(s) - np.log2(s.astype(np.longdouble)))) < 1.5 * eps


@FLOATS
def test_numbers_are_split_and_put_together_exactly(dtype):
    z = np.random.default_rng(0).uniform(0.5, 12, 1000).astype(dtype)
    fractions, exponents = np.frexp(z)
    mantissas, found = map(np.array, zip(*split_all(z), strict=True))
    np.testing.assert_array_equal(mantissas, 2 * fractions)
    np.testing.assert_array_equal(found, exponents - 1)
    least = np.log2(np.sqrt(np.finfo(dtype).tiny))
    d = -np.arange(0, -least).astype(dtype)
    np.testing.assert_array_equal(scaled_all(dtype(1.25), d), np.ldexp(1.25, d.astype(int)))
    nothing = np.array([least - 1, -1e9, -1e36, -np.inf], dtype)
    np.testing.assert_array_equal(scaled_all(dtype(1.25), nothing), 0)


@FLOATS
@pytest.mark.parametrize("gamma", [1e-30, 1e-3, 1.0, 1e30])
def test_costs_of_any_size(dtype, gamma):
    """Beyond the exponents of float32 the pair is computed in float64, and never wrongly."""
    x, y, n_x, n_y, band, _ = batch(4, 30)
    for size in (1e-12, 1.0, 1e10):
        a, b = (size * t.to(torch.float64) for t in (x, y))
        single = dtype == np.float32
        a, b = (a.float(), b.float()) if single else (a, b)
        found = _kernels.solve(a, b, n_x, n_y, band, gamma, gradient=True, by_gamma=True)
        truth = _diagonals.solve(
            a.double(), b.double(), n_x, n_y, band, gamma, gradient=True, by_gamma=True
        )
        tolerance = 2e-5 if single else 1e-9
        # the derivative by gamma is minus an entropy, in nats; its unit is 1
        for ours, theirs, least in zip(found[:4], truth[:4], (0, 0, 0, 1), strict=True):
            scale = max(theirs.abs().max(), least)
            assert (ours - theirs).abs().max() <= tolerance * scale


@FLOATS
def test_costs_beyond_all_numbers_are_infinite(dtype):
    x, y, n_x, n_y, band, _ = batch(3, 10)
    x, y = (t.to(torch.float32 if dtype == np.float32 else torch.float64) for t in (x, y))
    x[0] *= float(np.finfo(dtype).max) ** 0.6 if dtype == np.float64 else 1e38
    gamma = 1.0 if dtype == np.float64 else 1e-300
    value, grad_x, *_ = _kernels.solve(x, y, n_x, n_y, band, gamma, gradient=True)
    assert value[0] == np.inf
    assert grad_x[0].isnan().all()
    if dtype == np.float64:
        assert value[1:].isfinite().all()
        assert grad_x[1:].isfinite().all()


def batch(n_pairs=12, n_times=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_pairs, 2, n_times, generator=generator)
    y = torch.randn(n_pairs, 2, n_times, generator=generator)
    lengths = torch.full((n_pairs,), n_times)
    return x, y, lengths, lengths, None, 0.5


def solve(**options):
    return _kernels.solve(*batch(**options), gradient=True, by_gamma=True)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_number_of_threads_does_not_change_the_result(two_threads):
    several = solve()
    torch.set_num_threads(1)
    for a, b in zip(several, solve(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_two_python_threads_at_once(two_threads):
    truths = [solve(seed=s) for s in range(4)]
    results = [None] * 4

    def work(s):
        results[s] = [solve(seed=s) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for truth, repeated in zip(truths, results, strict=True):
        for result in repeated:
            for a, b in zip(truth, result, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=0)


def _value_in_child(queue):
    queue.put(solve()[0].tolist())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_kernels_survive_a_fork(two_threads):
    here = solve()[0].tolist()  # threads have run before the fork
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_value_in_child, args=(queue,))
    child.start()
    child.join(60)
    alive = child.is_alive()
    if alive:
        child.kill()
    assert not alive, "the forked child hangs"
    assert queue.get() == here


def test_what_is_kept_for_the_way_back_is_of_the_inputs_size():
    results = solve(n_pairs=3)
    assert sum(t.numel() for t in results) == 2 * 3 * 2 * 120 + 2 * 3


def test_strided_input_does_not_compile_anew():
    x, y, lengths, _, *rest = batch(n_pairs=3)
    n, m = torch.stack([lengths, lengths], 1).T
    truth = _kernels.solve(x, y, lengths, lengths, *rest)[0]
    compiled = len(_kernels._solve.signatures)
    strided = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert not strided.is_contiguous()
    assert not n.is_contiguous()
    torch.testing.assert_close(_kernels.solve(strided, y, n, m, *rest)[0], truth, rtol=0, atol=0)
    assert len(_kernels._solve.signatures) == compiled
