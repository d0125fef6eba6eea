"""The wavelet basis against PyWavelets; what every basis does is in test_properties.py."""

import math
import warnings

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DWT

MODES = pywt.Modes.modes
WAVELETS = pywt.wavelist(kind="discrete")


def check_against_pywavelets(n, wavelet, level, mode, seed):
    """Analysis, synthesis of any coefficients, and reconstruction."""
    basis, rng = DWT(n, wavelet, level, mode), np.random.default_rng(seed)
    x = rng.normal(size=(2, n))
    c = rng.normal(size=(2, basis.n_coefficients))
    with warnings.catch_warnings():  # PyWavelets warns of boundary effects
        warnings.simplefilter("ignore")
        bands = pywt.wavedec(x, wavelet, mode, basis.level, axis=-1)
    expected = np.concatenate(bands, axis=-1)
    analysed = basis.analysis(torch.from_numpy(x))
    assert [b.stop - b.start for b in basis.bands.values()] == [b.shape[-1] for b in bands]
    # Extrapolating modes grow exponentially where filters are longer than the signal.
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(analysed, expected, rtol=0, atol=1e-10 * scale)
    expected = pywt.waverec([c[:, band] for band in basis.bands.values()], wavelet, mode)[:, :n]
    scale_c = max(1.0, np.abs(expected).max())
    synthesised = basis.synthesis(torch.from_numpy(c))
    np.testing.assert_allclose(synthesised, expected, rtol=0, atol=1e-10 * scale_c)
    if basis.is_invertible:
        np.testing.assert_allclose(basis.synthesis(analysed), x, rtol=0, atol=1e-10 * scale)


@st.composite
def settings_of_a_transform(draw):
    n = draw(st.one_of(st.integers(1, 40), st.integers(250, 600)))
    level = draw(st.none() | st.integers(0, (n - 1).bit_length()))
    return n, draw(st.sampled_from(WAVELETS)), level, draw(st.sampled_from(MODES))


@settings(max_examples=120)
@given(settings_of_a_transform(), st.integers(0, 2**16))
def test_any_transform_is_pywavelets(transform, seed):
    check_against_pywavelets(*transform, seed)


@pytest.mark.parametrize("mode", MODES)
def test_every_wavelet_is_pywavelets(mode):
    for wavelet in WAVELETS[MODES.index(mode) % 3 :: 3]:
        check_against_pywavelets(21, wavelet, None, mode, seed=0)


@pytest.mark.parametrize("level", [None, 1, 3, 10])
@pytest.mark.parametrize("mode", MODES)
def test_long_signals_are_pywavelets(mode, level):
    check_against_pywavelets(1001, "db4", level, mode, seed=0)


def test_long_signals_compile():
    # Long and short levels take different ways.
    basis, x = DWT(600, "db2"), torch.randn(2, 600, generator=torch.Generator().manual_seed(0))
    torch._dynamo.reset()
    compiled = torch.compile(basis.analysis, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), basis.analysis(x))


@pytest.mark.parametrize("wavelet", ["haar", "db4", "bior1.1", "bior2.2", "coif1", "dmey"])
@pytest.mark.parametrize("mode", ["periodization", "periodic", "zero", "symmetric"])
@pytest.mark.parametrize(("n", "level"), [(1, None), (6, 1), (6, 2), (7, 1), (16, 3), (12, 2)])
def test_orthogonal_says_whether_the_matrix_is(wavelet, mode, n, level):
    basis = DWT(n, wavelet, level, mode)
    matrix, eye = basis.analysis(torch.eye(n, dtype=torch.float64)), torch.eye(n).double()
    is_square = matrix.shape == eye.shape
    assert basis.is_orthogonal == (is_square and torch.allclose(matrix @ matrix.T, eye, atol=1e-8))


def test_truncated_meyer_filter_is_not_invertible():
    assert not DWT(64, "dmey").is_invertible
    assert DWT(64, "dmey", level=0).is_invertible
    assert DWT(64, "db4").is_invertible


@pytest.mark.parametrize(
    ("n", "wavelet", "level"),
    [(1, "db4", 0), (2, "db4", 1), (10, "db4", 1), (64, "db4", 3), (64, "haar", 6), (9, "haar", 3)],
)
def test_default_level(n, wavelet, level):
    basis = DWT(n, wavelet)
    assert basis.level == level
    assert basis.layout.scale.max() == level


@pytest.mark.parametrize("mode", MODES)
def test_level_zero_is_the_identity(mode):
    basis = DWT(5, level=0, mode=mode)
    x = torch.arange(5.0)
    assert torch.equal(basis.analysis(x), x)
    assert torch.equal(basis.synthesis(x), x)
    assert basis.bands == {"a0": slice(0, 5)}
    assert basis.is_orthogonal
    assert basis.layout.position.tolist() == x.tolist()


def test_bands_and_scales():
    basis = DWT(16, "haar", 3)
    names = ["a3"] * 2 + ["d3"] * 2 + ["d2"] * 4 + ["d1"] * 8
    assert [name for name, band in basis.bands.items() for _ in range(16)[band]] == names
    assert basis.layout.scale.tolist() == [int(name[1]) for name in names]
    assert basis.layout.frequency.tolist() == [
        {"a3": 1 / 32, "d3": 3 / 32, "d2": 3 / 16, "d1": 3 / 8}[name] for name in names
    ]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["db4", "sym6", "coif2", "bior4.4"])
def test_wave_at_the_centre_of_a_band_is_found_there(wavelet, mode):
    n = 512
    basis = DWT(n, wavelet, 4, mode)
    t, window = torch.arange(n), torch.hann_window(n)
    for name, band in basis.bands.items():
        frequency = basis.layout.frequency[band][0]
        energy = basis.analysis(window * torch.cos(2 * math.pi * frequency * t)) ** 2
        energies = {other: energy[there].sum() for other, there in basis.bands.items()}
        assert max(energies, key=energies.get) == name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wavelet", ["haar", "db4", "db10", "sym6", "bior2.4"])
@pytest.mark.parametrize("n", [200, 201])
def test_position_is_where_an_impulse_is_seen(wavelet, mode, n):
    basis = DWT(n, wavelet, 3, mode)
    energy = basis.analysis(torch.eye(n)[60:140]) ** 2
    for band in basis.bands.values():
        scale, position = basis.layout.scale[band][0], basis.layout.position[band]
        centre = energy[:, band] @ position / energy[:, band].sum(-1)
        assert (centre - torch.arange(60, 140)).abs().max() <= 2.0 ** (scale + 1)
        step = 2 ** scale.item()
        assert position[len(position) // 2 :].diff()[:5].tolist() == pytest.approx([step] * 5)


def test_wavelet_objects():
    haar = pywt.Wavelet("mine", filter_bank=pywt.Wavelet("haar").filter_bank)
    x = torch.randn(12, generator=torch.Generator().manual_seed(0))
    assert DWT(12, haar).wavelet == "mine"
    assert torch.equal(DWT(12, haar).analysis(x), DWT(12, "haar").analysis(x))


def test_repr():
    assert repr(DWT(600, "db2")) == "DWT(600, wavelet='db2', level=7, mode='periodization')"


@pytest.mark.parametrize("wavelet", ["db99", "morl", 4, None])
def test_unknown_wavelet_lists_the_names(wavelet):
    with pytest.raises(ValueError, match=rf"got {wavelet!r}. Names: bior1.1, .*sym20"):
        DWT(8, wavelet)


def test_unknown_mode_lists_the_modes():
    with pytest.raises(ValueError, match=r"one of zero, constant, .*antireflect; got 'wrap'"):
        DWT(8, mode="wrap")


@pytest.mark.parametrize(("n", "level"), [(8, 4), (8, -1), (1, 1), (9, 5)])
def test_level_is_bounded(n, level):
    largest = math.ceil(math.log2(n))
    with pytest.raises(ValueError, match=rf"between 0 and {largest} for .* {n} .*got {level}"):
        DWT(n, level=level)


@pytest.mark.parametrize("level", [1.0, "1", True])
def test_level_is_an_integer(level):
    with pytest.raises(TypeError, match="level must be an integer or None"):
        DWT(8, level=level)
