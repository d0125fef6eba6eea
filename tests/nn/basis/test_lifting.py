"""The lifting basis against PyWavelets; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import pywt
import torch

from sklearn_dbt.nn.basis import LiftingDWT

WAVELETS = ["haar", "db2", "bior2.2", "bior4.4"]


@pytest.mark.parametrize("n", [2, 4, 6, 32, 50])
@pytest.mark.parametrize(
    # PyWavelets has bior4.4 in ten digits.
    ("wavelet", "tolerance"),
    [("haar", 1e-13), ("bior2.2", 1e-13), ("bior4.4", 2e-10)],
)
def test_one_level_is_pywavelets(wavelet, tolerance, n):
    x = np.random.default_rng(n).normal(size=n)
    c = LiftingDWT(n, wavelet, 1, "periodic").analysis(torch.from_numpy(x))
    expected = np.concatenate(pywt.dwt(x, wavelet, "periodization"))
    np.testing.assert_allclose(c, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("wavelet", ["haar", "bior2.2", "bior4.4"])
def test_many_levels_are_pywavelets(wavelet):
    x = np.random.default_rng(0).normal(size=(3, 64))
    basis = LiftingDWT(64, wavelet, 2, "periodic")
    expected = pywt.wavedec(x, wavelet, "periodization", 2)
    c = basis.analysis(torch.from_numpy(x))
    for band, other in zip(basis.bands.values(), expected, strict=True):
        np.testing.assert_allclose(c[:, band], other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [4, 6, 32])
def test_db2_is_pywavelets_one_sample_ahead(n):
    x = np.random.default_rng(n).normal(size=n)
    c = LiftingDWT(n, "db2", 1, "periodic").analysis(torch.from_numpy(x))
    approximation, detail = pywt.dwt(np.roll(x, -1), "db2", "periodization")
    expected = np.concatenate([approximation, np.roll(detail, 1)])
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [6, 7, 12, 13])
@pytest.mark.parametrize("wavelet", ["bior2.2", "bior4.4"])
def test_symmetric_mode_is_the_filter_on_the_mirrored_signal(wavelet, n):
    x = np.random.default_rng(n).normal(size=n)
    around = np.pad(x, 16, mode="reflect")  # mirrored at the first and the last sample
    around = np.append(around, np.zeros(n % 2))
    approximation, detail = pywt.dwt(around, wavelet, "periodization")
    expected = [approximation[8 : 8 + (n + 1) // 2], detail[8 : 8 + n // 2]]
    c = LiftingDWT(n, wavelet, 1).analysis(torch.from_numpy(x))
    np.testing.assert_allclose(c, np.concatenate(expected), rtol=0, atol=2e-10)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("mode", ["symmetric", "periodic"])
@pytest.mark.parametrize("n", [2, 3, 5, 9, 33, 100])
def test_as_many_coefficients_as_samples_and_an_exact_inverse(wavelet, mode, n):
    basis = LiftingDWT(n, wavelet, (n - 1).bit_length(), mode)
    assert basis.n_coefficients == n
    assert sum(band.stop - band.start for band in basis.bands.values()) == n
    eye = torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(basis.synthesis(basis.analysis(eye)), eye, rtol=0, atol=1e-11)
    torch.testing.assert_close(basis.analysis(basis.synthesis(eye)), eye, rtol=0, atol=1e-11)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("mode", ["symmetric", "periodic"])
@pytest.mark.parametrize(("n", "level"), [(1, 0), (2, 1), (7, 1), (16, 2), (80, 3), (81, 1)])
def test_orthogonal_says_whether_the_matrix_is(wavelet, mode, n, level):
    basis = LiftingDWT(n, wavelet, level, mode)
    eye = torch.eye(n, dtype=torch.float64)
    matrix = basis.analysis(eye)
    assert basis.is_orthogonal == torch.allclose(matrix @ matrix.T, eye, rtol=0, atol=1e-9)


@pytest.mark.parametrize("wavelet", ["bior2.2", "bior4.4"])
def test_straight_lines_have_no_details(wavelet):
    basis = LiftingDWT(40, wavelet, 1)
    details = basis.analysis(torch.arange(40, dtype=torch.float64))[basis.bands["d1"]]
    assert details[2:-3].abs().max() < 1e-11


def test_bands_and_layout():
    basis = LiftingDWT(7, "haar", 2)
    assert basis.bands == {"a2": slice(0, 2), "d2": slice(2, 4), "d1": slice(4, 7)}
    assert basis.layout.scale.tolist() == [2, 2, 2, 2, 1, 1, 1]
    assert basis.layout.position.tolist() == [0, 4, 2, 6, 1, 3, 5]
    assert basis.layout.frequency[::2].tolist() == pytest.approx([1 / 16, 3 / 16, 3 / 8, 3 / 8])


def test_repr():
    expected = "LiftingDWT(64, wavelet='bior2.2', level=3, mode='symmetric')"
    assert repr(LiftingDWT(64, "bior2.2")) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wavelet": "db4"}, "one of 'haar', 'db2', 'bior2.2', 'bior4.4'; got 'db4'"),
        ({"mode": "zero"}, "mode must be one of 'symmetric', 'periodic'; got 'zero'"),
        ({"level": 4}, r"level must be between 0 and 3 for .* 8 .*got 4"),
    ],
)
def test_wrong_choices_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        LiftingDWT(8, **arguments)
