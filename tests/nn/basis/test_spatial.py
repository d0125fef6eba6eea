"""The spatial DFT and steering vectors; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import SpatialDFT, steering_response, steering_vector


def snapshots(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.complex128)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 33])
def test_numpy_on_complex_snapshots(n):
    x, basis = snapshots(3, 2, n), SpatialDFT(n)
    c = basis.analysis(x)
    np.testing.assert_allclose(c, np.fft.fft(x.numpy(), norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(basis.layout.frequency, np.fft.fftfreq(n), rtol=1e-6)
    torch.testing.assert_close(basis.synthesis(c), x)
    torch.testing.assert_close(c.abs().square().sum(-1), x.abs().square().sum(-1))


def test_real_signals_are_taken_and_come_back_complex():
    x, basis = torch.tensor([1.0, 2.0, 4.0]), SpatialDFT(3)
    assert torch.equal(basis.analysis(x), basis.analysis(x.to(torch.complex64)))
    y = basis.synthesis(basis.analysis(x))
    assert y.dtype == torch.complex64
    torch.testing.assert_close(y, x.to(torch.complex64))
    assert basis.synthesis(basis.analysis(x[None][:0])).dtype == torch.complex64


def test_gradient_through_complex_snapshots():
    mask = torch.tensor([1.0, 0.0, 0.3, 2.0], dtype=torch.float64)
    basis, x = SpatialDFT(4), snapshots(2, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: basis.synthesis(mask * basis.analysis(x)), x)


@given(
    n=st.integers(1, 40),
    angle=st.floats(-90, 90),
    spacing=st.floats(0.05, 2.0),
)
@settings(deadline=None, max_examples=50)
def test_response_is_the_dirichlet_kernel_of_unit_energy(n, angle, spacing):
    response = steering_response(n, angle, spacing).double().numpy()
    u = np.fft.fftfreq(n) - spacing * math.sin(math.radians(angle))
    u -= np.round(u)
    near = np.abs(u) < 1e-9
    denominator = np.where(near, 1.0, n * np.sin(np.pi * u))
    kernel = np.where(near, 1.0, np.abs(np.sin(np.pi * n * u) / denominator))
    np.testing.assert_allclose(response, kernel, atol=2e-6)
    np.testing.assert_allclose(np.sum(response**2), 1, rtol=1e-5)


@pytest.mark.parametrize("angle", [-50.0, 0.0, 12.0, 90.0])
def test_response_is_the_analysis_of_the_steering_vector(angle):
    source = steering_vector(9, angle, 0.4) / 3
    expected = SpatialDFT(9).analysis(source).abs()
    torch.testing.assert_close(steering_response(9, angle, 0.4), expected, atol=1e-6, rtol=1e-5)


def test_the_strongest_coefficient_looks_at_the_source():
    for angle in (-60, -25, 5, 40):
        strongest = steering_response(64, angle).argmax()
        frequency = SpatialDFT(64).layout.frequency[strongest].item()
        assert abs(frequency - 0.5 * math.sin(math.radians(angle))) <= 0.5 / 64 + 1e-6


def test_steering_vector_advances_by_the_path_difference():
    vector = steering_vector(5, 90.0, 0.25)
    expected = torch.tensor([1, 1j, -1, -1j, 1], dtype=torch.complex64)
    torch.testing.assert_close(vector, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("function", [steering_vector, steering_response])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 91.0), "angle must lie from -90 to 90 degrees, got 91.0"),
        ((4, math.nan), "angle must .* got nan"),
        ((4, 0.0, 0.0), "spacing must .* got 0.0"),
        ((4, 0.0, math.inf), "spacing must .* got inf"),
        ((0, 0.0), "n_sensors must .* got 0"),
    ],
)
def test_parameters_are_checked(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_number_of_sensors_is_checked():
    with pytest.raises(TypeError, match="n_sensors must be an integer of at least 1, got a float"):
        SpatialDFT(4.0)
