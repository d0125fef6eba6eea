import multiprocessing
import threading

import numpy as np
import pytest
import torch
from numba import njit

from sklearn_dbt.nn.alignment import _kernels


@njit
def exp_all(x):
    return np.array([_kernels._exp(v) for v in x])


@njit
def log_all(x):
    return np.array([_kernels._log(v) for v in x])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_and_log_are_good_to_the_last_place(dtype):
    eps, least = np.finfo(dtype).eps, np.log(np.sqrt(np.finfo(dtype).tiny))
    x = -np.geomspace(1e-9, -least * 0.9999, 20_001).astype(dtype)
    assert exp_all(x).dtype == dtype
    truth = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(exp_all(x) / truth - 1)) < 1.5 * eps
    s = np.linspace(1, 3, 20_001).astype(dtype)
    assert np.max(np.abs(log_all(s) - np.log(s.astype(np.longdouble)))) < 1.5 * eps
    special = exp_all(np.array([0, -np.inf, 1.01 * least, np.nan], dtype))
    np.testing.assert_array_equal(special, [1, 0, 0, np.nan])


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
