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
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
)
from sklearn_dbt.nn.dropout._descriptors import band_indicator, log_energy, standardize


def standardized(values):
    values = np.asarray(values, dtype=float)
    return (values - values.mean()) / values.std()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 40))
def test_descriptors_are_standardised_formulas(seed, n):
    g = torch.Generator().manual_seed(seed)
    energy = torch.randn(n, generator=g, dtype=torch.float64).exp()
    known = Coefficients(DCT(n), 100.0, log_energy(energy), log_energy(energy[None]))
    k = np.arange(n)
    expected = {
        SquaredIndex(): (k / n) ** 2,
        FrequencyDistance(1.5): np.log1p(abs(k / 2 - 1.5)),
        PopulationEnergy(): -np.log(energy.numpy() + 1e-6 * energy.mean().item()),
        SampleEnergy(): -np.log(energy.numpy() + 1e-6 * energy.mean().item()),
        Band(0.0, 1.0): -(k / (2 * n) * 100 <= 1 + 1e-9).astype(float),
    }
    for descriptor, values in expected.items():
        if np.ptp(values) < 1e-2:
            continue
        np.testing.assert_allclose(
            descriptor(known).numpy().squeeze(), standardized(values), atol=2e-3, rtol=2e-3
        )


def test_positive_weights_drop_what_the_descriptors_call_noise():
    energy = torch.linspace(5, -5, 9)  # falls with frequency
    known = Coefficients(Fourier(16), 16.0, energy, energy)
    for descriptor in (
        PopulationEnergy(),
        SampleEnergy(),
        FrequencyDistance(),
        SquaredIndex(),
        Band(0, 4),
    ):
        phi = descriptor(known)
        assert (phi.diff() >= 0).all()
        assert phi[0] < 0 < phi[-1]


def test_frequency_distance_is_the_index_for_fourier_and_centred_on_k0():
    phi = FrequencyDistance(3)(Coefficients(Fourier(12)))
    assert phi.argmin() == 3
    assert phi[2] == pytest.approx(phi[4].item())


def test_constant_numbers_become_zero():
    for values in (torch.full((5,), 3.7), torch.zeros(1), torch.full((2, 3), -87.3)):
        assert standardize(values).abs().max() < 1e-3
    assert standardize(log_energy(torch.zeros(7))).abs().max() == 0


def test_log_energy_has_a_floor():
    energies = log_energy(torch.tensor([1.0, 0.0, 1e-30]))
    assert torch.isfinite(energies).all()
    assert energies[0] - energies[1] == pytest.approx(math.log(3e6), rel=1e-3)
    # Scale-free: φ does not change with the unit of the signal.
    e = torch.tensor([3.0, 1.0, 0.01, 0.0], dtype=torch.float64)
    torch.testing.assert_close(standardize(log_energy(e)), standardize(log_energy(1e8 * e)))


def test_bands_include_their_edges_and_name_what_is_there():
    layout = Fourier(100).layout
    inside = band_indicator(layout, 8.0, 12.0, 100.0, "here")
    assert inside.nonzero().flatten().tolist() == [8, 9, 10, 11, 12]
    with pytest.raises(ValueError, match=r"here: no coefficient lies in the band 60.0 to 70.0 Hz"):
        band_indicator(layout, 60.0, 70.0, 100.0, "here")
    with pytest.raises(ValueError, match="a band in Hz needs sampling_rate"):
        Band(1.0, 2.0)(Coefficients(Fourier(100)))


def test_wavelet_bands_have_frequencies():
    phi = FrequencyDistance()(Coefficients(DWT(32)))
    assert torch.isfinite(phi).all()


def test_a_basis_without_frequencies_is_refused():
    for descriptor in (FrequencyDistance(), Band(0, 1)):
        with pytest.raises(ValueError, match="have no frequency"):
            descriptor(Coefficients(PCA(4), 10.0))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: FrequencyDistance(-1), "k0"),
        (lambda: FrequencyDistance(math.nan), "k0"),
        (lambda: Band(-1, 2), "low"),
        (lambda: Band(3, 2), "low <= high"),
        (lambda: Band(0, math.inf), "high"),
        (lambda: PopulationEnergy()(Coefficients(DCT(2))), "log-energies"),
        (lambda: SampleEnergy()(Coefficients(DCT(2))), "log-energies"),
    ],
)
def test_wrong_arguments_raise(make, match):
    with pytest.raises(ValueError, match=match):
        make()
