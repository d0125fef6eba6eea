"""Learnt filters: paraunitary to rounding, better than what they start from; known ones found."""

import numpy as np
import pytest
import pywt
import torch

from sklearn_dbt.feature_extraction import _learned_wavelet
from sklearn_dbt.feature_extraction._learned_wavelet import learn_filters
from sklearn_dbt.feature_extraction._sparsity import COSTS, sparsity_cost


@pytest.fixture
def short_search(monkeypatch):
    monkeypatch.setattr(_learned_wavelet, "MOST_STARTS", 16)
    monkeypatch.setattr(_learned_wavelet, "ROUNDS", ((3, 5), (1, 10)))


def recordings(n=128, shape=(6, 2), seed=0):
    """Decaying waves that begin anywhere."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    begin, pitch = rng.uniform(0, n, (*shape, 1)), rng.uniform(0.1, 0.3, (*shape, 1))
    waves = np.exp(-((t - begin) % n) / 8) * np.cos(2 * np.pi * pitch * (t - begin))
    return waves + 0.01 * rng.normal(size=waves.shape)


def assert_paraunitary(filters):
    """Even shifts of both filters are orthonormal: to rounding, not to a tolerance of training."""
    low, high = filters
    for a, b, same in ((low, low, 1), (high, high, 1), (low, high, 0)):
        lags = np.correlate(a, b, "full")[(len(a) - 1) % 2 :: 2]
        expected = np.zeros(len(lags))
        expected[len(lags) // 2] = same
        np.testing.assert_allclose(lags, expected, atol=1e-14)
    assert low.sum() == pytest.approx(np.sqrt(2), abs=1e-13)
    assert high.sum() == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("objective", COSTS)
@pytest.mark.parametrize("wavelet", ["db2", "db4"])
def test_filters_are_paraunitary_and_cost_less(short_search, objective, wavelet):
    x = recordings()
    filters, curve = learn_filters([x], [None], wavelet, 3, objective)
    assert_paraunitary(filters)
    assert filters.shape == (2, pywt.Wavelet(wavelet).dec_len)
    assert (np.diff(curve) <= 0).all()
    low, high = filters.tolist()
    learned = pywt.Wavelet("", filter_bank=[low, high, low[::-1], high[::-1]])
    energy = torch.from_numpy(np.square(x).sum(-1))
    costs = []
    for w in (wavelet, learned):
        c = np.concatenate(pywt.wavedec(x, w, "periodization", 3), axis=-1)
        costs.append(float(sparsity_cost(torch.from_numpy(c), energy, objective).mean()))
    assert costs == pytest.approx([curve[0], curve[-1]], rel=1e-9)
    assert costs[1] < costs[0] - 1e-4 * abs(costs[0])


@pytest.mark.parametrize("objective", ["l1", "shannon"])
def test_the_wavelet_that_made_the_data_is_found(objective):
    # Few large coefficients of sym4, taken back to signals: in sym4 they are sparse again.
    rng = np.random.default_rng(0)
    c = rng.normal(size=(40, 1, 256)) * (rng.random((40, 1, 256)) < 0.05)
    bands = np.split(c, [32, 64, 128], axis=-1)
    x = pywt.waverec(bands, "sym4", "periodization")
    filters, curve = learn_filters([x], [None], "db4", 3, objective)
    given, energy = torch.from_numpy(c), torch.from_numpy(np.square(c).sum(-1))
    truth = float(sparsity_cost(given, energy, objective).mean())
    assert curve[0] > 1.5 * truth
    assert curve[-1] == pytest.approx(truth, rel=5e-3)
    response = np.abs(np.fft.rfft(filters, 64))
    w = pywt.Wavelet("sym4")
    np.testing.assert_allclose(response, np.abs(np.fft.rfft([w.dec_lo, w.dec_hi], 64)), atol=0.01)


def test_haar_has_nothing_to_learn():
    filters, curve = learn_filters([recordings()], [None], "haar", 2, "shannon")
    np.testing.assert_allclose(filters, pywt.Wavelet("haar").filter_bank[:2], atol=1e-15)
    assert len(curve) == 1


def test_lengths_share_their_filters(short_search):
    x = recordings(96)
    whole, _ = learn_filters([x], [None], "db3", 2, "shannon")
    parted, _ = learn_filters([x[:2], x[2:]], [None, None], "db3", 2, "shannon")
    np.testing.assert_allclose(parted, whole, atol=1e-5)
    mixed, curve = learn_filters([x, recordings(61)], [None, None], "db3", 2, "shannon")
    assert_paraunitary(mixed)
    assert curve[-1] < curve[0]


def test_an_objective_of_ones_own_sees_bands_and_targets():
    x, y, seen = recordings(64), np.array([0, 1, 0, 1, 0, 1]), []

    def energy_of_details(bands, target):
        seen.append((tuple(band.shape for band in bands), target))
        return bands[-1].square().mean()

    filters, curve = learn_filters([x[:4], x[4:]], [y[:4], y[4:]], "db3", 2, energy_of_details)
    assert seen[0][0] == ((4, 2, 16), (4, 2, 16), (4, 2, 32))
    np.testing.assert_array_equal(seen[0][1], y[:4])
    np.testing.assert_array_equal(seen[1][1], y[4:])
    details = pywt.dwt(
        x, pywt.Wavelet("", filter_bank=[*filters, *filters[:, ::-1]]), "periodization"
    )
    assert curve[-1] == pytest.approx(np.mean(details[1] ** 2), rel=1e-6)
    assert curve[-1] < curve[0]
    assert_paraunitary(filters)


@pytest.mark.parametrize(
    "spoil", [float, lambda value: value[None], lambda value: value * float("nan")]
)
def test_what_is_no_objective_is_refused(spoil):
    def objective(bands, y):
        return spoil(bands[0].detach().sum())

    with pytest.raises(ValueError, match="objective must return a finite tensor without axes"):
        learn_filters([recordings()], [None], "db2", 2, objective)


def test_wavelets_that_are_not_orthogonal_are_refused():
    with pytest.raises(ValueError, match="wavelet must be orthogonal"):
        learn_filters([recordings()], [None], "bior2.2", 2, "l1")


def test_gradient_mode_is_not_needed_and_not_changed(short_search):
    with torch.no_grad():
        _, curve = learn_filters([recordings()], [None], "db2", 2, "l1")
        assert not torch.is_grad_enabled()
    assert curve[-1] < curve[0]
