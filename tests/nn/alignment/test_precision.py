import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.alignment._precision import needs_double


def series(n_pairs, n_channels, n_times, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_pairs, n_channels, n_times, generator=generator)


def lengths_of(x):
    return torch.full((len(x),), x.shape[2])


def needed(x, y, gamma=1.0):
    return needs_double(x, y, lengths_of(x), lengths_of(y), gamma).tolist()


def test_noise_does_not_need_it_and_a_wall_does():
    x, y = series(3, 4, 200), series(3, 4, 150, seed=1)
    assert needed(x, y) == [False] * 3
    x[1, 2, 100] = 1e3
    assert needed(x, y) == needed(y, x) == [False, True, False]
    assert needed(x, y, 1e3) == [False] * 3  # seven digits of 1e6 are fine for that
    assert needed(x, x) == [False] * 3  # every path may cross the wall at no cost


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 9),
    m=st.integers(1, 9),
    size=st.sampled_from([1.0, 30.0, 100.0, 1e3]),
    gamma=st.sampled_from([1e-3, 1.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_a_wall_is_never_higher_than_the_best_path(n, m, size, gamma, seed):
    x, y = size * series(4, 2, n, seed), series(4, 2, m, seed + 1)
    cost = (x[:, :, :, None] - y[:, :, None, :]).square().sum(1)
    # every row and every column has a cell of the path, which may be one and the same
    best = cost.amin(2).sum(1) + cost.amin(1).sum(1)
    limit = 1e-3 * gamma / torch.finfo(x.dtype).eps
    for is_needed, height in zip(needed(x, y, gamma), best, strict=True):
        assert not is_needed or height > 0.999 * limit
    distance = torch.zeros(4)
    for a, b in ((x, y), (y, x)):
        low, high = b.amin(2, keepdim=True), b.amax(2, keepdim=True)
        distance += (torch.relu(low - a) + torch.relu(a - high)).square().sum((1, 2))
    sure = (distance / limit - 1).abs() > 1e-5
    assert [n for n, s in zip(needed(x, y, gamma), sure, strict=True) if s] == (distance > limit)[
        sure
    ].tolist()


@pytest.mark.parametrize("padding", [math.nan, math.inf, 1e6])
def test_padding_is_not_looked_at(padding):
    x, y = series(2, 2, 20), series(2, 2, 20, seed=1)
    x[:, :, 15:] = y[:, :, 12:] = padding
    x[1, 0, 3] = 1e4
    lengths = torch.tensor([15, 15]), torch.tensor([12, 12])
    assert needs_double(x, y, *lengths, 1.0).tolist() == [False, True]


def test_nan_has_no_height_and_no_pairs_none():
    x, y = series(2, 1, 5), series(2, 1, 5)
    x[0, 0, 0] = math.nan
    assert needed(x, y) == [False, False]
    assert needed(x[:0], y[:0]) == []
