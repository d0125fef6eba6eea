import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, DWT, PCA, Fourier
from sklearn_dbt.nn.dropout import (
    Band,
    Coefficients,
    FrequencyDistance,
    Indices,
    Rank,
    Scales,
    SquaredIndex,
    TransformDropout,
)


def standardized(values):
    values = np.asarray(values, dtype=float)
    return (values - values.mean()) / values.std()


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60))
def test_descriptors_are_standardised_formulas(n):
    known = Coefficients(DCT(n), 100.0)
    k = np.arange(n)
    expected = {
        SquaredIndex: (k / n) ** 2,
        Rank: (k + 1) / n,
        lambda **o: FrequencyDistance(1.5, **o): np.log1p(abs(k / 2 - 1.5)),
        lambda **o: Band(0.0, 1.0, **o): -(k / (2 * n) * 100 <= 1 + 1e-9).astype(float),
        lambda **o: Indices([1, 0], **o): -(k < 2).astype(float),
    }
    for make, values in expected.items():
        raw = make(standardize=False)(known).numpy()
        np.testing.assert_allclose(raw, values, rtol=1e-5, atol=1e-6)
        if np.ptp(values) > 1e-2:
            np.testing.assert_allclose(
                make()(known).numpy(), standardized(values), atol=2e-3, rtol=2e-3
            )


def test_positive_weights_drop_what_the_descriptors_call_noise():
    known = Coefficients(Fourier(16), 16.0)
    for descriptor in (FrequencyDistance(), SquaredIndex(), Rank(), Band(0, 4), Indices([0])):
        phi = descriptor(known)
        assert (phi.diff() >= 0).all()
        assert phi[0] < 0 < phi[-1]


def test_frequency_distance_is_the_index_for_fourier_and_centred_on_k0():
    phi = FrequencyDistance(3)(Coefficients(Fourier(12)))
    assert phi.argmin() == 3
    assert phi[2] == pytest.approx(phi[4].item())


def test_bands_include_their_edges_and_name_what_is_there():
    known = Coefficients(Fourier(100), 100.0)
    inside = Band(8.0, 12.0).inside(known, "here")
    assert inside.nonzero().flatten().tolist() == [8, 9, 10, 11, 12]
    with pytest.raises(ValueError, match=r"here: no coefficient lies in the band 60.0 to 70.0 Hz"):
        Band(60.0, 70.0).inside(known, "here")
    with pytest.raises(ValueError, match="Band: a band in Hz needs sampling_rate"):
        Band(1.0, 2.0)(Coefficients(Fourier(100)))


def test_wavelet_bands_have_frequencies_and_scales():
    known = Coefficients(DWT(32, "haar", level=3))
    assert torch.isfinite(FrequencyDistance()(known)).all()
    inside = Scales([1, 3]).inside(known, "here")
    assert torch.equal(inside, known.layout.scale != 2)
    with pytest.raises(ValueError, match=r"here: the basis has the scales \[1, 2, 3\], got \[4\]"):
        Scales([4, 1]).inside(known, "here")
    with pytest.raises(ValueError, match="Scales: the coefficients of this basis have no scale"):
        Scales([1])(Coefficients(DCT(4)))
    with pytest.raises(ValueError, match=r"Indices: indices must be under .* 4, got 4"):
        Indices([0, 4])(Coefficients(DCT(4)))


def test_a_basis_without_frequencies_is_refused():
    for descriptor in (FrequencyDistance(), Band(0, 1)):
        with pytest.raises(ValueError, match="have no frequency"):
            descriptor(Coefficients(PCA(4), 10.0))


def test_every_kind_of_lock_holds_over_many_masks():
    layer = TransformDropout(
        32,
        DWT(32, "haar", level=3),
        "free",
        p=0.9,
        locks=[(0.0, 2.0), Scales([2]), Indices([-0, 31]), Band(1.0, 1.5)],
        sampling_rate=32.0,
        seed=0,
    )
    scale, frequency = layer.basis.layout.scale, 32 * layer.basis.layout.frequency
    locked = (scale == 2) | (frequency <= 2.0)
    locked[[0, 31]] = True
    assert torch.equal(layer.locked, locked)
    layer.set_omega(torch.full_like(layer.omega, 12.0))
    assert not layer.rates[locked].any()
    assert layer.rates[~locked].min() > 0.94
    x = torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = layer.basis.analysis(x)
    d = layer.basis.analysis(layer(x.expand(10_000, 32)))
    kept = c[locked].expand(10_000, int(locked.sum()))
    torch.testing.assert_close(d[:, locked], kept, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match=r"locks\[1\]: the basis has the scales"):
        TransformDropout(8, "dwt", locks=[Indices([0]), Scales([9])])
    with pytest.raises(ValueError, match=r"locks\[0\] must be a pair .* or a set"):
        TransformDropout(8, "dwt", locks=["low"])


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: FrequencyDistance(-1), ValueError, "k0"),
        (lambda: FrequencyDistance(math.nan), ValueError, "k0"),
        (lambda: Band(-1, 2), ValueError, "low"),
        (lambda: Band(3, 2), ValueError, "low <= high"),
        (lambda: Band(0, math.inf), ValueError, "high"),
        (lambda: Scales([]), ValueError, "Scales: scales must hold integers of at least 1"),
        (lambda: Scales([0]), ValueError, "at least 1, got"),
        (lambda: Scales(2), TypeError, "Scales: scales must be a sequence of integers"),
        (lambda: Scales([1.5]), TypeError, "sequence of integers"),
        (lambda: Indices([-1]), ValueError, "Indices: indices must hold integers of at least 0"),
    ],
)
def test_wrong_arguments_raise(make, error, match):
    with pytest.raises(error, match=match):
        make()
