import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, PCA, Fourier
from sklearn_dbt.nn.dropout import (
    Coefficients,
    InverseEigenvalue,
    PopulationEnergy,
    SampleEnergy,
    TransformDropout,
)
from sklearn_dbt.nn.dropout._coefficients import log_energy


def standardized(values):
    values = np.asarray(values, dtype=float)
    return (values - values.mean(-1, keepdims=True)) / values.std(-1, keepdims=True)


def importance(energy):
    low, high = energy.min(-1, keepdims=True), energy.max(-1, keepdims=True)
    return (energy - low) / (high - low)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 40), st.floats(1e-8, 1e8))
def test_energies_enter_as_the_formulas_say(seed, n, unit):
    g = torch.Generator().manual_seed(seed)
    energy = unit * torch.randn(3, n, generator=g, dtype=torch.float64).exp()
    variance = unit * torch.rand(n, generator=g, dtype=torch.float64)
    known = Coefficients(DCT(n), 1.0, log_energy(energy[0]), log_energy(energy), variance)
    e, v = energy.numpy(), variance.numpy()
    expected = {
        "log": -np.log(e + 1e-6 * e.mean(-1, keepdims=True)),
        "raw": -e,
        "eigenvalue": -v * e,
        "importance": 1 - importance(e),
    }
    for transform, values in expected.items():
        for make, wanted in ((PopulationEnergy, values[0]), (SampleEnergy, values)):
            raw = make(transform, standardize=False)(known).numpy()
            np.testing.assert_allclose(raw, wanted, rtol=1e-9, atol=1e-12 * np.abs(wanted).max())
            if transform == "log" or np.ptp(wanted / np.abs(wanted).mean()) > 0.2:
                np.testing.assert_allclose(
                    make(transform)(known).numpy(), standardized(wanted), atol=3e-3, rtol=3e-3
                )
    floored = np.maximum(v, 1e-3 * v.max())
    for transform, wanted in (("log", np.log(v.max() / floored)), ("raw", 1 / floored)):
        raw = InverseEigenvalue(transform, epsilon=1e-3, standardize=False)(known)
        np.testing.assert_allclose(raw.numpy(), wanted, rtol=1e-9, atol=1e-12)


def test_positive_weights_drop_what_is_weak():
    energy = torch.linspace(5, -5, 9)  # falls with frequency
    known = Coefficients(Fourier(16), 16.0, energy, energy, energy.exp())
    for descriptor in (
        *(PopulationEnergy(t) for t in ("log", "raw", "eigenvalue", "importance")),
        *(SampleEnergy(t) for t in ("log", "raw", "eigenvalue", "importance")),
        InverseEigenvalue(),
        InverseEigenvalue("raw"),
    ):
        phi = descriptor(known)
        assert (phi.diff() >= 0).all()
        assert phi[0] < 0 < phi[-1]


def test_silence_and_equal_energies_have_no_preference():
    for energy in (torch.zeros(2, 5), torch.full((2, 5), 3.0), torch.full((2, 5), 1e-12)):
        known = Coefficients(DCT(5), 1.0, log_energy(energy[0]), log_energy(energy), energy[0])
        for transform in ("log", "raw", "eigenvalue", "importance"):
            assert SampleEnergy(transform)(known).abs().max() < 1e-3
        assert InverseEigenvalue()(known).abs().max() < 1e-3
        assert InverseEigenvalue("raw")(known).abs().max() < 1e-3
        assert torch.isfinite(InverseEigenvalue("raw", standardize=False)(known)).all()


def test_the_variances_of_a_layer_are_the_eigenvalues_of_its_components():
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 5)
    layer = TransformDropout(4, "pca", p=0.3, seed=0)
    layer.observe(x)
    snapshot = layer.snapshot()
    known = Coefficients(PCA(4), variance=snapshot.variance)
    covariance = np.cov(x.numpy().T.astype(float), bias=True)
    eigenvalues = np.linalg.eigvalsh(covariance)[::-1]
    inverse = InverseEigenvalue("raw", standardize=False)(known)
    np.testing.assert_allclose(inverse.numpy(), 1 / eigenvalues, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: PopulationEnergy("squared"), "PopulationEnergy: transform must be one of 'log'"),
        (lambda: SampleEnergy("squared"), "SampleEnergy: transform must be one of 'log'"),
        (lambda: InverseEigenvalue("importance"), "transform must be one of 'log', 'raw'"),
        (lambda: InverseEigenvalue(epsilon=0.0), r"epsilon must be in \(0, 1\), got 0.0"),
        (lambda: InverseEigenvalue(epsilon=1.0), r"epsilon must be in \(0, 1\), got 1.0"),
        (lambda: PopulationEnergy()(Coefficients(DCT(2))), "log-energies of the population"),
        (lambda: SampleEnergy()(Coefficients(DCT(2))), "log-energies of the sample"),
        (lambda: InverseEigenvalue()(Coefficients(DCT(2))), "variances"),
    ],
)
def test_wrong_arguments_raise(make, match):
    with pytest.raises(ValueError, match=match):
        make()
