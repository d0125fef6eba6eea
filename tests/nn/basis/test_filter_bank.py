"""One level of the filter bank against PyWavelets' `dwt` and `idwt`."""

import numpy as np
import pytest
import pywt
import torch

from sklearn_dbt.nn.basis._filter_bank import (
    Level,
    coefficient_length,
    decompose,
    filter_properties,
    recompose,
)

MODES = pywt.Modes.modes
WAVELETS = pywt.wavelist(kind="discrete")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["haar", "db2", "db3", "bior3.1", "sym8", "coif9", "dmey"])
@pytest.mark.parametrize("n", [2, 3, 16, 33, 100])
def test_one_level_is_pywavelets(wavelet, mode, n):
    rng, level = np.random.default_rng(n), Level(n, pywt.Wavelet(wavelet), mode)
    x = rng.normal(size=(2, n))
    bands = level.analysis(torch.from_numpy(x))
    for band, expected in zip(bands, pywt.dwt(x, wavelet, mode), strict=True):
        np.testing.assert_allclose(band, expected, rtol=1e-10, atol=1e-10)
    # Not only on the range of the analysis:
    bands = rng.normal(size=(2, 2, level.n_coefficients))
    y = level.synthesis(*torch.from_numpy(bands))
    np.testing.assert_allclose(y, pywt.idwt(*bands, wavelet, mode)[:, :n], atol=1e-10)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("taps", [2, 8, 62])
@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_coefficient_length_is_pywavelets(n, taps, mode):
    assert coefficient_length(n, taps, mode) == pywt.dwt_coeff_len(n, taps, mode)


def test_recompose_inverts_decompose():
    wavelet = pywt.Wavelet("db2")
    levels = [Level(17, wavelet, "symmetric"), Level(10, wavelet, "symmetric")]
    x = torch.randn(3, 17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bands = decompose(x, levels)
    assert [band.shape[1] for band in bands] == [6, 6, 10]
    torch.testing.assert_close(recompose(bands, levels), x)


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_filter_properties(wavelet):
    exact, orthogonal = filter_properties(pywt.Wavelet(wavelet))
    assert exact == (wavelet != "dmey")
    # The first biorthogonal wavelet is Haar's; the truncated Meyer filter is only nearly so.
    is_haar = wavelet in ("bior1.1", "rbio1.1")
    expected = is_haar or (pywt.Wavelet(wavelet).orthogonal and wavelet != "dmey")
    assert orthogonal == expected
