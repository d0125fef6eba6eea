"""The stationary wavelet basis against PyWavelets; what every basis does is in test_properties."""

import math
import warnings

import numpy as np
import pytest
import pywt
import torch

from sklearn_dbt.nn.basis import DWT, StationaryWavelet

WAVELETS = ["haar", "db2", "db4", "db20", "sym5", "coif2", "bior1.3", "bior4.4", "rbio2.2", "dmey"]


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize(("n", "level"), [(16, 1), (16, 4), (48, 3), (96, 5)])
def test_pywavelets(wavelet, n, level):
    rng = np.random.default_rng(n)
    x, c = rng.normal(size=n), rng.normal(size=(level + 1, n))
    basis = StationaryWavelet(n, wavelet, level)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pywt.swt(x, wavelet, level, norm=True, trim_approx=True)
    actual = basis.analysis(torch.from_numpy(x))
    np.testing.assert_allclose(actual, np.concatenate(expected), rtol=0, atol=1e-10)
    back = pywt.iswt(list(c), wavelet, norm=True)
    synthesised = basis.synthesis(torch.from_numpy(c.ravel()))
    np.testing.assert_allclose(synthesised, back, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [7, 30, 101])
def test_any_length_keeps_the_energy_and_shifts(n):
    basis = StationaryWavelet(n, "sym4", 2)
    x = torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    c = basis.analysis(x)
    assert (c**2).sum().item() == pytest.approx((x**2).sum().item(), rel=1e-12)
    shifted = basis.analysis(x.roll(3)).unflatten(-1, (3, n))
    torch.testing.assert_close(shifted, c.unflatten(-1, (3, n)).roll(3, -1))


def test_every_second_sample_is_the_decimated_transform():
    x = torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stationary, decimated = StationaryWavelet(32, "db3", 1), DWT(32, "db3", 1)
    c = stationary.analysis(x).unflatten(-1, (2, 32))[:, ::2] * math.sqrt(2)
    torch.testing.assert_close(c.flatten(), decimated.analysis(x))
    place = stationary.layout.position.unflatten(-1, (2, 32))[:, ::2].flatten()
    torch.testing.assert_close(place, decimated.layout.position)


def test_frame_bounds_and_inverse_are_said():
    assert StationaryWavelet(40, "db4", 3).frame_bounds == (1.0, 1.0)
    low, high = StationaryWavelet(40, "bior2.4", 3).frame_bounds
    assert 0.5 < low < 1 < high < 2
    assert StationaryWavelet(40, "bior2.4").is_invertible
    assert not StationaryWavelet(64, "dmey").is_invertible
    assert StationaryWavelet(5, level=0).is_orthogonal


def test_bands_and_layout():
    basis = StationaryWavelet(8, "haar", 2)
    assert basis.bands == {"a2": slice(0, 8), "d2": slice(8, 16), "d1": slice(16, 24)}
    assert basis.layout.scale[::8].tolist() == [2, 2, 1]
    assert basis.layout.frequency[::8].tolist() == [1 / 16, 3 / 16, 3 / 8]


@pytest.mark.parametrize("wavelet", ["haar", "db4", "bior2.4"])
def test_position_is_where_an_impulse_is_seen(wavelet):
    basis = StationaryWavelet(200, wavelet, 3)
    energy = basis.analysis(torch.eye(200)[100]) ** 2
    for band in basis.bands.values():
        position = basis.layout.position[band]
        centre = energy[band] @ position / energy[band].sum()
        assert abs(centre - 100) < 1


def test_repr():
    assert repr(StationaryWavelet(64, "db2", 2)) == "StationaryWavelet(64, wavelet='db2', level=2)"


def test_wrong_choices_are_told():
    with pytest.raises(ValueError, match=r"got 'db99'. Names: bior1.1"):
        StationaryWavelet(8, "db99")
    with pytest.raises(ValueError, match=r"level must be between 0 and 3 for .* 8 .*got 4"):
        StationaryWavelet(8, level=4)
