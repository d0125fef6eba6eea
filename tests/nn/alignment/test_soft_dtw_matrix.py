import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from tslearn.metrics import cdist_soft_dtw

from sklearn_dbt.nn.alignment import _soft_dtw_matrix, soft_dtw, soft_dtw_matrix


def series(n, n_channels, n_times, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, n_channels, n_times, generator=generator, dtype=dtype)


def one_by_one(x, y, lengths_x, lengths_y, **options):
    rows = [
        [soft_dtw(a[None, :, :n], b[None, :, :m], **options)[0] for b, m in zip(y, lengths_y)]  # noqa: B905
        for a, n in zip(x, lengths_x, strict=True)
    ]
    return torch.stack([torch.stack(row) for row in rows])


@given(
    n_x=st.integers(1, 5),
    n_y=st.integers(1, 5),
    n_times=st.integers(2, 8),
    divergence=st.booleans(),
    band=st.sampled_from([None, 7]),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_each_entry_is_the_value_of_its_pair(n_x, n_y, n_times, divergence, band, seed):
    x, y = series(n_x, 2, n_times, seed), series(n_y, 2, n_times + 1, seed + 1)
    rng = np.random.default_rng(seed)
    lengths_x = rng.integers(2, n_times, n_x, endpoint=True)
    lengths_y = rng.integers(2, n_times + 1, n_y, endpoint=True)
    options = {"gamma": 0.7, "divergence": divergence, "band": band}
    padded = {"lengths_x": lengths_x.tolist(), "lengths_y": lengths_y.tolist()}
    found = soft_dtw_matrix(x, y, **padded, **options)
    expected = one_by_one(x, y, lengths_x, lengths_y, **options)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_one_set_is_symmetric_to_the_bit_and_its_divergence_zero_on_the_diagonal():
    x = series(7, 3, 20, dtype=torch.float32)
    lengths = [20, 5, 9, 20, 13, 2, 20]
    values = soft_dtw_matrix(x, lengths_x=lengths)
    assert torch.equal(values, values.T)
    both = soft_dtw_matrix(x, x, lengths_x=lengths, lengths_y=lengths)
    torch.testing.assert_close(values, both, rtol=1e-5, atol=1e-4)
    divergences = soft_dtw_matrix(x, lengths_x=lengths, divergence=True)
    assert torch.equal(divergences.diagonal(), torch.zeros(7))


@pytest.mark.parametrize("gamma", [0.1, 1.0])
def test_tslearn_finds_the_same(gamma):
    x, y = series(6, 2, 15), series(4, 2, 12, seed=1)
    for others in (None, y):
        theirs = cdist_soft_dtw(
            x.mT.numpy(), None if others is None else others.mT.numpy(), gamma=gamma
        )
        ours = soft_dtw_matrix(x, others, gamma)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_tiles_change_nothing(monkeypatch):
    x, y = series(6, 2, 10).requires_grad_(), series(5, 2, 8, seed=1)
    whole = [soft_dtw_matrix(x), soft_dtw_matrix(x, y, divergence=True)]
    gradients = [torch.autograd.grad(m.sin().sum(), x)[0] for m in whole]
    monkeypatch.setattr(_soft_dtw_matrix, "_TILE", 100)
    tiled = [soft_dtw_matrix(x), soft_dtw_matrix(x, y, divergence=True)]
    for a, b in zip(whole, tiled, strict=True):
        assert torch.equal(a, b)
    for a, m in zip(gradients, tiled, strict=True):
        torch.testing.assert_close(torch.autograd.grad(m.sin().sum(), x)[0], a)


def test_tiles_hold_no_more_than_they_may(monkeypatch):
    seen = []
    solve = _soft_dtw_matrix.pair_values

    def watched(x, y, *others):
        seen.append(x.numel() + y.numel())
        return solve(x, y, *others)

    monkeypatch.setattr(_soft_dtw_matrix, "pair_values", watched)
    monkeypatch.setattr(_soft_dtw_matrix, "_TILE", 200)
    soft_dtw_matrix(series(9, 2, 10))
    assert max(seen) <= 200
    assert sum(seen) == 9 * 10 // 2 * 40


@pytest.mark.parametrize("divergence", [False, True])
def test_gradients(divergence):
    x, y = series(3, 2, 5).requires_grad_(), series(2, 2, 4, seed=1).requires_grad_()
    gamma = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda *a: soft_dtw_matrix(*a, divergence=divergence), (x, y, gamma))
    assert gradcheck(lambda x, g: soft_dtw_matrix(x, None, g, divergence=divergence), (x, gamma))


def test_a_distance_plugs_into_neighbours():
    from sklearn.neighbors import KNeighborsClassifier

    t, label = torch.linspace(0, 6, 30), torch.arange(24) % 2
    phase = torch.rand(24, 1, generator=torch.Generator().manual_seed(0))
    x = torch.sin(t * (1 + label[:, None]) + 0.5 * phase)[:, None]
    train, test = x[:16], x[16:]
    distance = soft_dtw_matrix(train, gamma=0.1, divergence=True)
    model = KNeighborsClassifier(1, metric="precomputed").fit(distance.clamp_min(0), label[:16])
    between = soft_dtw_matrix(test, train, gamma=0.1, divergence=True).clamp_min(0)
    assert model.score(between, label[16:]) == 1


@pytest.mark.parametrize(
    ("x", "y", "options", "match"),
    [
        (series(2, 1, 4), series(2, 3, 4), {}, r"agree in n_channels; got .*\(2, 1, 4\).*\(2, 3"),
        (series(2, 1, 4)[0], None, {}, r"x must have shape \(n_series, n_channels, n_times\)"),
        (series(2, 1, 4), None, {"lengths_y": [4, 4]}, "lengths_y is given without y"),
        (series(2, 1, 4), None, {"lengths_x": [4]}, r"one length each, shape \(2,\); got \(1,\)"),
        (series(2, 1, 9), series(1, 1, 2), {"band": 0}, "least radius that works is"),
        (series(2, 1, 4), None, {"gamma": 0.0}, "gamma must be positive"),
    ],
)
def test_bad_input_is_named(x, y, options, match):
    with pytest.raises(ValueError, match=match):
        soft_dtw_matrix(x, y, **options)
