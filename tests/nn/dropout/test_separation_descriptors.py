import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, DWT, PCA, Fourier
from sklearn_dbt.nn.dropout import (
    AboveThreshold,
    Coefficients,
    Harmonicity,
    Interference,
    Policy,
    SignalToNoise,
    Steering,
    TransformDropout,
)
from sklearn_dbt.nn.dropout._coefficients import log_energy


def energies(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double().exp()


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.floats(-90, 90), st.floats(0.1, 1.0))
def test_steering_is_the_transform_of_the_steering_vector(frames, n, angle, spacing):
    array = frames(np.fft.fftfreq(n), 1)
    steering = np.exp(2j * np.pi * spacing * np.sin(np.radians(angle)) * np.arange(n))
    expected = np.abs(np.fft.fft(steering)) / n
    response = Steering(angle, spacing, standardize=False)(Coefficients(array))
    np.testing.assert_allclose(-response.numpy(), expected, atol=1e-5)


def test_steering_of_a_real_transform_stands_for_both_signs():
    known = Coefficients(Fourier(8))
    phi = Steering(-30.0)(known)
    torch.testing.assert_close(phi, Steering(30.0)(known))
    assert phi.argmin() == 2
    with pytest.raises(ValueError, match="Steering: the coefficients of this basis have no freq"):
        Steering(0.0)(Coefficients(PCA(4)))


def test_signal_to_noise_with_a_given_floor():
    energy, noise = energies(3, 6), energies(6, seed=1)
    known = Coefficients(DCT(6), None, log_energy(energy[0]), log_energy(energy))
    for given_noise in (noise, noise.numpy(), noise.tolist()):
        ratio = SignalToNoise(given_noise, transform="raw", standardize=False)(known)
        torch.testing.assert_close(ratio, -energy / noise)
        log = SignalToNoise(given_noise, standardize=False)(known)
        torch.testing.assert_close(log, -(energy / noise).log(), atol=1e-4, rtol=0)
    one = SignalToNoise(2.0, "population", "raw", standardize=False)(known)
    torch.testing.assert_close(one, -energy[0] / 2)
    phi = SignalToNoise(2.0, transform="raw")(known)
    torch.testing.assert_close(phi.std(-1, correction=0), torch.ones(3).double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("statistic", "f"), [("median", np.median), ("minimum", np.min)])
def test_signal_to_noise_estimates_the_floor(statistic, f, frames):
    energy = energies(2, 12)
    options = {"transform": "raw", "standardize": False}
    for basis in (DCT(12), PCA(12)):  # frequencies of their own, and none: over all coefficients
        known = Coefficients(basis, None, None, log_energy(energy))
        floor = f(energy.numpy(), axis=-1, keepdims=True)
        ratio = SignalToNoise(statistic, **options)(known).numpy()
        tolerance = {"rtol": 0.05} if statistic == "median" else {"rtol": 1e-4}
        np.testing.assert_allclose(ratio, -energy.numpy() / floor, **tolerance)
    known = Coefficients(frames([0.1, 0.2, 0.3, 0.4], 3), None, None, log_energy(energy))
    grid = energy.numpy().reshape(2, 3, 4)
    expected = -(grid / f(grid, axis=1, keepdims=True)).reshape(2, 12)
    ratio = SignalToNoise(statistic, **options)(known).numpy()
    np.testing.assert_allclose(ratio, expected, rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.floats(50, 200), st.integers(1, 6), st.floats(1, 40))
def test_harmonicity_is_the_nearness_to_a_harmonic(f0, n_harmonics, width):
    known = Coefficients(Fourier(100), 1000.0)
    f = np.arange(51) * 10.0
    nearness = np.exp(-((f[:, None] - f0 * np.arange(1, n_harmonics + 1)) ** 2) / (2 * width**2))
    score = Harmonicity(f0, n_harmonics, width, standardize=False)(known)
    np.testing.assert_allclose(-score.numpy(), nearness.max(1), atol=1e-4)


def test_above_threshold_is_the_two_valued_policy():
    basis = DWT(16, "haar", level=3)
    policy = Policy(
        [AboveThreshold(1.5, scales=[2, 3], standardize=False)], weights=[2.0], bias=0.0
    )
    layer = TransformDropout(16, basis, policy, p_max=0.99, p_zero=0.0, seed=0)
    x = 2 * torch.randn(5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = basis.analysis(x)
    inside = (c.abs() > 1.5) & (basis.layout.scale >= 2)
    expected = 0.99 / (1 + torch.where(inside, math.e**2, math.e**-2).double())
    torch.testing.assert_close(layer._rates_for(c).double(), expected, atol=1e-6, rtol=0)
    assert 10 < inside.sum() < 40
    everywhere = AboveThreshold(1.5, standardize=False)(
        Coefficients(DCT(16), None, None, log_energy(c.square()))
    )
    assert torch.equal(everywhere < 0, c.abs() > 1.5)


def test_interference_is_what_is_given():
    level = energies(6)
    known = Coefficients(DCT(6))
    for given_level in (level, level.numpy(), level.tolist()):
        phi = Interference(given_level, standardize=False)(known)
        torch.testing.assert_close(phi.double(), level, atol=1e-5, rtol=1e-5)
    assert Interference(level)(known).argmax() == level.argmax()
    assert hash(Interference(level)) == hash(Interference(level.tolist()))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Steering(91.0), "angle must be from -90 to 90 degrees, got 91.0"),
        (lambda: Steering(math.nan), "angle"),
        (lambda: Steering(0.0, 0.0), "spacing must be positive"),
        (lambda: SignalToNoise("mean"), "noise must be one of 'median', 'minimum'"),
        (lambda: SignalToNoise(0.0), "noise must be positive and finite"),
        (lambda: SignalToNoise(1.0, "both"), "source must be one of"),
        (lambda: SignalToNoise(1.0, transform="dB"), "transform must be one of"),
        (
            lambda: SignalToNoise([1.0, 2.0])(Coefficients(DCT(3), sample=torch.zeros(3))),
            "noise must have one entry for each of the 3 coefficients, got 2",
        ),
        (lambda: Harmonicity(0.0), r"f0 must be positive and finite \(Hz\), got 0.0"),
        (lambda: Harmonicity(1.0, 0), "n_harmonics must hold integers of at least 1"),
        (lambda: Harmonicity(1.0, width=-1.0), "width must be positive"),
        (lambda: Harmonicity(1.0)(Coefficients(DCT(3))), "needs sampling_rate"),
        (lambda: Interference([1.0, math.nan]), "level must be finite"),
        (lambda: Interference([1.0, 2.0])(Coefficients(DCT(3))), "level must have one entry"),
        (lambda: AboveThreshold(-1.0), "threshold must be finite and at least 0"),
        (lambda: AboveThreshold(1.0, []), "AboveThreshold: scales must hold integers"),
        (
            lambda: AboveThreshold(1.0, [4])(Coefficients(DWT(4, "haar"), sample=torch.zeros(4))),
            r"AboveThreshold: the basis has the scales \[1, 2\], got \[4\]",
        ),
    ],
)
def test_wrong_values_raise(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_wrong_types_raise():
    with pytest.raises(TypeError, match="Interference: level must be numbers"):
        Interference(["much"])
