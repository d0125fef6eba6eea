"""Each kernel against matrices that PyWavelets makes, and its adjoint against its transpose."""

import numpy as np
import pytest
import pywt

from sklearn_dbt.nn.basis import _cascade_kernels as kernels
from sklearn_dbt.nn.basis._cascade import Cascade

WAVELETS = ["haar", "db3", "db4", "bior3.1", "coif5", "dmey"]


def cascade(n, wavelet, mode, level):
    lengths = [n]
    for _ in range(level):
        lengths.append(pywt.dwt_coeff_len(lengths[-1], pywt.Wavelet(wavelet).dec_len, mode))
    return Cascade(lengths, pywt.Wavelet(wavelet), mode), lengths


def run(bank, name, x, n_out):
    out = np.full((len(x), n_out), np.nan)
    getattr(kernels, name)(x, *bank._plan(name, x.dtype), out, 0, len(x))
    return out


@pytest.mark.parametrize("mode", pywt.Modes.modes)
@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize(("n", "level"), [(2, 1), (3, 2), (17, 3), (40, 1), (64, 5)])
def test_kernels_are_pywavelets_and_its_transpose(wavelet, mode, n, level):
    bank, lengths = cascade(n, wavelet, mode, level)
    if min(lengths[:-1]) < 2:
        pytest.skip("a level of one sample")
    unit = np.eye(n)
    bands = unit
    details = []
    for _ in range(level):
        bands, detail = pywt.dwt(bands, wavelet, mode)
        details.insert(0, detail)
    forth = np.concatenate([bands, *details], axis=1)
    k = forth.shape[1]
    np.testing.assert_allclose(run(bank, "analysis", unit, k), forth, atol=1e-10)
    np.testing.assert_allclose(run(bank, "analysis_adjoint", np.eye(k), n), forth.T, atol=1e-10)
    parts = np.split(np.eye(k), np.cumsum([lengths[-1], *lengths[:0:-1]])[:-1], axis=1)
    back = parts[0]
    for detail, length in zip(parts[1:], lengths[-2::-1], strict=True):
        back = pywt.idwt(back, detail, wavelet, mode)[:, :length]
    np.testing.assert_allclose(run(bank, "synthesis", np.eye(k), n), back, atol=1e-10)
    np.testing.assert_allclose(run(bank, "synthesis_adjoint", unit, k), back.T, atol=1e-10)


@pytest.mark.parametrize("name", ["analysis", "analysis_adjoint", "synthesis", "synthesis_adjoint"])
@pytest.mark.parametrize("mode", ["periodization", "smooth"])
def test_rows_do_not_see_each_other(name, mode):
    bank, lengths = cascade(33, "db4", mode, 3)
    k = sum(lengths[1:]) + lengths[-1]
    n_in, n_out = (33, k) if name in ("analysis", "synthesis_adjoint") else (k, 33)
    x = np.random.default_rng(0).normal(size=(5, n_in))
    expected = run(bank, name, x, n_out)
    x[1] = np.nan
    x[3] = np.inf
    found = run(bank, name, x, n_out)
    np.testing.assert_array_equal(found[::2], expected[::2])
    assert not np.isfinite(found[1::2]).all()
