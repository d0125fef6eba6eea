"""The packet basis against PyWavelets; what every basis does is in test_properties.py."""

import math
import warnings

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import WaveletPacket

MODES = pywt.Modes.modes


def pywt_packets(x, wavelet, mode, level):
    with warnings.catch_warnings():  # PyWavelets warns of boundary effects
        warnings.simplefilter("ignore")
        tree = pywt.WaveletPacket(x, wavelet, mode, level, axis=-1)
        return {node.path: node.data for node in tree.get_level(level, "freq")}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 60),
    st.sampled_from(["haar", "db3", "sym4", "coif1", "bior2.2", "bior4.4"]),
    st.sampled_from(MODES),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_any_transform_is_pywavelets(n, wavelet, mode, level, seed):
    level = min(level, (n - 1).bit_length())
    basis, x = WaveletPacket(n, wavelet, level, mode), np.random.default_rng(seed).normal(size=n)
    expected = pywt_packets(x, wavelet, mode, level)
    assert list(basis.bands) == list(expected)
    c = basis.analysis(torch.from_numpy(x))
    scale = max(1.0, max(np.abs(band).max() for band in expected.values()))
    for name, band in basis.bands.items():
        np.testing.assert_allclose(c[band], expected[name], rtol=0, atol=1e-10 * scale)
    np.testing.assert_allclose(basis.synthesis(c), x, rtol=0, atol=1e-10 * scale)


@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
def test_synthesis_of_any_coefficients_is_pywavelets(mode):
    basis, rng = WaveletPacket(24, "db2", 2, mode), np.random.default_rng(0)
    c = rng.normal(size=basis.n_coefficients)
    tree = pywt.WaveletPacket(None, "db2", mode, 2)
    for name, band in basis.bands.items():
        tree[name] = c[band]
    expected = tree.reconstruct()[:24]
    np.testing.assert_allclose(basis.synthesis(torch.from_numpy(c)), expected, atol=1e-12)


@pytest.mark.parametrize("wavelet", ["haar", "db4", "bior2.2", "dmey"])
@pytest.mark.parametrize("mode", ["periodization", "zero", "symmetric"])
@pytest.mark.parametrize(("n", "level"), [(1, None), (6, 1), (6, 2), (7, 1), (16, 3), (12, 2)])
def test_orthogonal_says_whether_the_matrix_is(wavelet, mode, n, level):
    basis = WaveletPacket(n, wavelet, level, mode)
    matrix, eye = basis.analysis(torch.eye(n, dtype=torch.float64)), torch.eye(n).double()
    is_square = matrix.shape == eye.shape
    assert basis.is_orthogonal == (is_square and torch.allclose(matrix @ matrix.T, eye, atol=1e-8))


def test_wave_at_the_centre_of_a_band_is_found_there():
    n = 512
    basis = WaveletPacket(n, "db10", 3)
    t, window = torch.arange(n), torch.hann_window(n)
    for name, band in basis.bands.items():
        frequency = basis.layout.frequency[band][0]
        energy = basis.analysis(window * torch.cos(2 * math.pi * frequency * t)) ** 2
        energies = {other: energy[there].sum() for other, there in basis.bands.items()}
        assert max(energies, key=energies.get) == name


@pytest.mark.parametrize("mode", ["periodization", "symmetric"])
def test_position_is_where_an_impulse_is_seen(mode):
    basis = WaveletPacket(200, "sym6", 2, mode)
    energy = basis.analysis(torch.eye(200)[80:120]) ** 2
    for band in basis.bands.values():
        position = basis.layout.position[band]
        centre = energy[:, band] @ position / energy[:, band].sum(-1)
        assert (centre - torch.arange(80, 120)).abs().max() <= 8


def test_truncated_meyer_filter_is_not_invertible():
    assert not WaveletPacket(64, "dmey").is_invertible
    assert WaveletPacket(64, "dmey", level=0).is_invertible


def test_repr():
    expected = "WaveletPacket(64, wavelet='db2', level=4, mode='periodization')"
    assert repr(WaveletPacket(64, "db2")) == expected


def test_wrong_choices_are_told():
    with pytest.raises(ValueError, match=r"got 'db99'. Names: bior1.1"):
        WaveletPacket(8, "db99")
    with pytest.raises(ValueError, match=r"antireflect; got 'wrap'"):
        WaveletPacket(8, mode="wrap")
    with pytest.raises(ValueError, match=r"level must be between 0 and 3 for .* 8 .*got 4"):
        WaveletPacket(8, level=4)
