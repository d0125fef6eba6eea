import numpy as np
import pytest

from benchmarks._study_data import (
    BAND_EDGE,
    SNR,
    SOURCES,
    load,
    pool,
    stretch,
    thin,
    unit_noise,
)


@pytest.mark.parametrize("n_times", [15, 16, 137])
@pytest.mark.parametrize("kind", ["white", "high"])
def test_noise_has_variance_one(kind, n_times):
    noise = unit_noise((40000 // n_times, 2, n_times), kind, np.random.default_rng(0))
    assert noise.shape[-1] == n_times
    assert abs(noise.var() - 1) < 0.03


@pytest.mark.parametrize("n_times", [15, 16, 137])
def test_high_noise_has_nothing_below_its_band(n_times):
    noise = unit_noise((5, 2, n_times), "high", np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    low = np.fft.rfftfreq(n_times) < BAND_EDGE
    assert power[..., low].max() < 1e-20 * power.max()
    assert power[..., ~low].min(axis=(0, 1)).min() > 0


def test_unknown_noise_is_refused():
    with pytest.raises(ValueError, match="'white' or 'high', got 'pink'"):
        unit_noise((2, 1, 8), "pink", np.random.default_rng(0))


@pytest.mark.parametrize("noise", ["white", "high"])
def test_noise_is_added_at_the_stated_ratio_and_is_always_the_same(noise):
    clean, noisy, again = load("diabetes"), load("diabetes", noise), load("diabetes", noise)
    added = noisy.X_train - clean.X_train
    ratio = 10 * np.log10(clean.X_train.var() / added.var())
    assert abs(ratio - SNR) < 0.3
    np.testing.assert_array_equal(noisy.X_test, again.X_test)
    assert not np.array_equal(added[: len(clean.X_test)], noisy.X_test - clean.X_test)
    np.testing.assert_array_equal(clean.y_train, noisy.y_train)


def test_split_without_an_official_one_shares_no_row():
    data = load("diabetes")
    train, test = ({x.tobytes() for x in X} for X in (data.X_train, data.X_test))
    assert len(train) + len(test) == 442
    assert not train & test


def test_pool_averages_neighbours_and_drops_the_remainder():
    X = np.arange(11.0)[None, None]
    np.testing.assert_array_equal(pool(X, 5), [[[1.0, 4.0, 7.0]]])
    np.testing.assert_array_equal(pool(X, 11), X)


def test_stretch_keeps_ends_and_straight_lines():
    recordings = [np.linspace([0.0, 1.0], [6.0, 1.0], n).T for n in (4, 9)]
    out = stretch(recordings, 7)
    np.testing.assert_allclose(out, np.tile([np.arange(7.0), np.ones(7)], (2, 1, 1)), atol=1e-12)


def test_thin_takes_as_many_of_each_class_in_order():
    y = np.array([0] * 30 + [1] * 4 + [2] * 10)
    rows = thin(y, 5)
    assert np.bincount(y[rows]).tolist() == [5, 4, 5]
    assert np.all(np.diff(rows) > 0)
    np.testing.assert_array_equal(rows, thin(y, 5))


def test_thinned_sets_stay_in_the_half_of_their_parents():
    for name, source in SOURCES.items():
        assert source.half == SOURCES[name.partition("-")[0]].half


def test_halves_are_alike():
    halves = {half: [s for s in SOURCES.values() if s.half == half] for half in
              {s.half for s in SOURCES.values()}}  # fmt: skip
    assert len(halves) == 2
    assert len({sum(s.regression for s in sets) for sets in halves.values()}) == 1
    sizes = [len(sets) for sets in halves.values()]
    assert abs(sizes[0] - sizes[1]) <= 1
