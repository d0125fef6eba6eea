import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_distances
from torch.autograd import gradcheck
from tslearn.metrics import SoftDTW

from sklearn_dbt.nn.alignment import _metric, soft_dtw, soft_dtw_alignment, soft_dtw_matrix

cosine = functools.partial(soft_dtw, metric="cosine")


def series(n_pairs, n_channels, n_times, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_pairs, n_channels, n_times, generator=generator, dtype=dtype)


def with_zeros(n_pairs, n_channels, n_times, seed=0):
    """Series some of whose samples are zeros in all channels."""
    generator = torch.Generator().manual_seed(seed)
    keep = torch.rand(n_pairs, 1, n_times, generator=generator) > 0.3
    return series(n_pairs, n_channels, n_times, seed) * keep


def costs(x, y):
    """scikit-learn's cosine distances between the samples of each pair."""
    return [cosine_distances(a.T.numpy(), b.T.numpy()) for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize("make", [series, with_zeros])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_costs_are_scikit_learns(make, n_channels):
    x, y = make(4, n_channels, 9), make(4, n_channels, 7, seed=1)
    lengths = torch.full((4,), 9), torch.full((4,), 7)
    u, v = _metric.as_sqeuclidean(x, y, *lengths, "cosine")
    cost = (u[:, :, :, None] - v[:, :, None, :]).square().sum(1)
    np.testing.assert_allclose(cost, costs(x, y), rtol=1e-13, atol=1e-15)
    assert u.shape[1] == n_channels + (2 if make is with_zeros else 0)


@pytest.mark.parametrize("make", [series, with_zeros])
@pytest.mark.parametrize(("n", "m"), [(20, 20), (37, 18), (1, 9)])
@pytest.mark.parametrize("gamma", [0.01, 1.0])
def test_value_and_alignment_are_tslearns_on_the_cost_matrix(make, n, m, gamma):
    x, y = make(3, 4, n), make(3, 4, m, seed=1)
    values, alignments = cosine(x, y, gamma), soft_dtw_alignment(x, y, gamma, metric="cosine")
    assert cosine(x.float(), y.float(), gamma).dtype == torch.float32
    np.testing.assert_allclose(cosine(x.float(), y.float(), gamma), values, rtol=1e-5, atol=1e-5)
    for cost, value, alignment in zip(costs(x, y), values, alignments, strict=True):
        oracle = SoftDTW(cost, gamma)
        # tslearn stores the cost in its own precision
        assert math.isclose(value, oracle.compute(), rel_tol=1e-6, abs_tol=1e-6)
        np.testing.assert_allclose(alignment, oracle.grad(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("divergence", [False, True])
@pytest.mark.parametrize("lengths", [None, ([7, 4, 6], [5, 3, 4])])
def test_gradcheck(divergence, lengths):
    x, y = series(3, 2, 7).requires_grad_(), series(3, 2, 5, seed=1).requires_grad_()
    gamma = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    lengths_x, lengths_y = lengths or (None, None)
    options = {"lengths_x": lengths_x, "lengths_y": lengths_y, "band": 4}
    assert gradcheck(lambda *a: cosine(*a, divergence=divergence, **options), (x, y, gamma))
    sets = {"divergence": divergence, "metric": "cosine"}
    assert gradcheck(lambda *a: soft_dtw_matrix(*a, **sets), (x, y, gamma))
    assert gradcheck(lambda x: soft_dtw_matrix(x, **sets), x)


def test_samples_of_zeros_have_no_gradient_and_leave_the_others_theirs():
    x, y = with_zeros(3, 2, 8).requires_grad_(), with_zeros(3, 2, 6, seed=1).requires_grad_()
    cosine(x, y, 0.2).sum().backward()
    for t in (x, y):
        is_zero = (t == 0).all(1, keepdim=True).expand_as(t)
        assert is_zero.any()
        assert (t.grad[is_zero] == 0).all()
        assert (t.grad[~is_zero] != 0).any()

    kept = (x != 0).any(1, keepdim=True)

    def of_the_others(others):
        return cosine(torch.where(kept, others, 0), y.detach(), 0.2)

    assert gradcheck(of_the_others, torch.where(kept, x, 1.0).detach().requires_grad_())


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    n_channels=st.integers(1, 4),
    zeros=st.booleans(),
    scale=st.sampled_from([1e-180, 1e-3, 7.0, 1e180]),
    gamma=st.floats(1e-2, 10),
    seed=st.integers(0, 1000),
)
def test_properties(n, m, n_channels, zeros, scale, gamma, seed):
    make = with_zeros if zeros else series
    x, y = make(2, n_channels, n, seed), make(2, n_channels, m, seed + 1)
    value = cosine(x, y, gamma)
    close = {"rtol": 1e-9, "atol": 1e-9 * max(1.0, gamma)}
    torch.testing.assert_close(cosine(y, x, gamma), value, **close)
    # the amplitude of each single sample is of no consequence, however large or small
    gains = scale * (1 + series(2, 1, n, seed + 2).abs())
    torch.testing.assert_close(cosine(gains * x, y, gamma), value, **close)
    rotation = torch.linalg.qr(series(1, n_channels, n_channels, seed + 3)[0])[0]
    torch.testing.assert_close(cosine(rotation @ x, rotation @ y, gamma), value, **close)
    assert cosine(x, x, gamma, divergence=True).abs().max() <= close["atol"]
    matrix = soft_dtw_matrix(x, y, gamma, metric="cosine")
    torch.testing.assert_close(matrix.diagonal(), value, **close)


def test_gradient_is_orthogonal_to_the_samples_and_finite_at_any_scale():
    for scale in (1e-160, 1.0, 1e160):
        x, y = (scale * series(2, 3, 9)).requires_grad_(), series(2, 3, 8, seed=1)
        cosine(x, y, 0.5).sum().backward()
        assert (x.grad.abs().amax((1, 2)) * scale > 0.01).all()
        assert ((x.grad * scale) * (x.detach() / scale)).sum(1).abs().max() < 1e-12


def test_padding_is_not_looked_at():
    x, y = series(3, 2, 9), series(3, 2, 8, seed=1)
    lengths_x, lengths_y = [9, 5, 1], [4, 8, 3]
    padded_x, padded_y = x.clone(), y.clone()
    for p in range(3):
        padded_x[p, :, lengths_x[p] :] = math.nan
        padded_y[p, :, lengths_y[p] :] = math.inf
    padded_x.requires_grad_()
    options = {"gamma": 0.5, "divergence": True}
    arguments = {"lengths_x": lengths_x, "lengths_y": lengths_y}
    value = cosine(padded_x, padded_y, **arguments, **options)
    value.sum().backward()
    matrix = soft_dtw_matrix(padded_x, padded_y, metric="cosine", **arguments, **options)
    torch.testing.assert_close(matrix.diagonal(), value.detach())
    lengths = torch.tensor(lengths_x), torch.tensor(lengths_y)
    u, _ = _metric.as_sqeuclidean(padded_x, padded_y, *lengths, "cosine")
    assert u.shape == x.shape  # padding is no sample of zeros
    for p in range(3):
        n, m = lengths_x[p], lengths_y[p]
        a, b = x[p : p + 1, :, :n].clone().requires_grad_(), y[p : p + 1, :, :m]
        alone = cosine(a, b, **options)
        alone.backward()
        torch.testing.assert_close(value[p], alone[0], rtol=0, atol=0)
        torch.testing.assert_close(padded_x.grad[p, :, :n], a.grad[0], rtol=0, atol=0)
        assert (padded_x.grad[p, :, n:] == 0).all()


def test_nan_and_inf_come_out_of_their_own_pair_as_nan():
    x, y = series(3, 2, 8), series(3, 2, 8, seed=1)
    clean = cosine(x, y)
    x[0, 1, 3], x[1, 0, 0] = math.nan, math.inf
    value = cosine(x, y)
    assert value[:2].isnan().all()
    assert value[2] == clean[2]


def test_compiled_model_gives_the_same():
    def loss(x, y):
        return cosine(2 * x, y, 0.5).sum()

    x, y = with_zeros(2, 2, 9).requires_grad_(), series(2, 2, 8, seed=1)
    loss(x, y).backward()
    truth, x.grad = x.grad, None
    torch.compile(loss, backend="aot_eager", fullgraph=True)(x, y).backward()
    torch.testing.assert_close(x.grad, truth)


@pytest.mark.parametrize("function", [soft_dtw, soft_dtw_alignment, soft_dtw_matrix])
@pytest.mark.parametrize("metric", ["euclidean", None])
def test_another_metric_is_refused(function, metric):
    x = series(2, 1, 4)
    with pytest.raises(ValueError, match=f"one of sqeuclidean, cosine; got {metric!r}"):
        function(x, x, metric=metric)
    assert torch.equal(function(x, x, metric="sqeuclidean"), function(x, x))
