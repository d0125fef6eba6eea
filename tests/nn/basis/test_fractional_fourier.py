"""The fractional Fourier basis; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import torch
from scipy.special import eval_hermite, factorial

from sklearn_dbt.nn.basis import FractionalFourier

LENGTHS = [1, 2, 3, 4, 5, 8, 13, 64]


def matrix(n, order):
    """F^a: its columns are the coefficients of unit vectors."""
    return FractionalFourier(n, order).analysis(torch.eye(n, dtype=torch.float64)).T


def assert_equal(actual, expected, atol=1e-11):
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=0, atol=atol)


@pytest.mark.parametrize("n", [*LENGTHS, 301])
def test_whole_orders_are_the_powers_of_the_fourier_transform(n):
    eye = np.eye(n)
    fourier = np.fft.fft(eye, norm="ortho")
    for order, expected in enumerate([eye, fourier, fourier @ fourier, fourier.conj()]):
        assert_equal(matrix(n, order), expected.astype(complex))
    assert_equal(matrix(n, 4.3), matrix(n, 0.3))
    assert_equal(matrix(n, -0.7), matrix(n, 0.7).conj())


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize(("a", "b"), [(0.3, 0.7), (0.25, 1.5), (-0.4, 0.4)])
def test_orders_add_and_the_matrix_is_unitary_and_symmetric(n, a, b):
    first, second = matrix(n, a), matrix(n, b)
    assert_equal(second @ first, matrix(n, a + b))
    assert_equal(first @ first.conj().T, torch.eye(n, dtype=torch.complex128))
    assert_equal(first, first.T)


@pytest.mark.parametrize("n", [63, 64])
def test_modes_are_the_hermite_gauss_functions(n):
    basis = FractionalFourier(n)
    t = (np.arange(n) + n // 2) % n - n // 2
    for k in range(4):
        u = np.sqrt(2 * np.pi / n) * t
        hermite = eval_hermite(k, u) * np.exp(-(u**2) / 2)
        hermite *= (2 * np.pi / n) ** 0.25 / math.sqrt(2.0**k * factorial(k)) / math.pi**0.25
        hermite *= (2 * np.pi / n) ** 0.25
        column = basis._modes[:, basis._degree == k].squeeze(-1).numpy()
        assert abs(column @ hermite) / np.linalg.norm(hermite) > 0.999


def test_chirp_is_concentrated_at_its_order():
    n, order = 128, 0.6
    t = (torch.arange(n) + n // 2) % n - n // 2
    # The Fourier transform at order a turns the time-frequency plane by a quarter turn times a.
    rate = -1 / (n * math.tan(math.pi * order / 2))
    x = torch.exp(-((t / 40.0) ** 2)) * torch.cos(math.pi * rate * t**2)
    peak = {
        a: FractionalFourier(n, a).analysis(x.double()).abs().max().item()
        for a in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    }
    assert max(peak, key=peak.get) == order


def test_order_is_learnt():
    x = torch.randn(16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = FractionalFourier(16, 0.55).analysis(x)
    basis = FractionalFourier(16, 0.5, learn_order=True).double()
    assert [name for name, _ in basis.named_parameters()] == ["order"]
    optimizer = torch.optim.LBFGS(basis.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (basis.analysis(x) - target).abs().square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert basis.order.item() == pytest.approx(0.55, abs=1e-5)


def test_gradient_of_the_order_is_that_of_the_matrix():
    n, x = 9, torch.randn(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = FractionalFourier(n, 0.4, learn_order=True).double()
    c = basis.analysis(x)
    (gradient,) = torch.autograd.grad(c.real.sum(), basis.order)
    order, step = basis.order.item(), 1e-6
    ahead, behind = (FractionalFourier(n, order + s).analysis(x) for s in (step, -step))
    expected = ((ahead - behind) / (2 * step)).real.sum()
    assert gradient.item() == pytest.approx(expected.item(), rel=1e-6)


def test_fixed_order_is_no_parameter_and_real_coefficients_will_do():
    basis = FractionalFourier(8, 0.3)
    assert not list(basis.parameters())
    assert not basis.state_dict()
    c = torch.randn(8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(basis.synthesis(c), basis.synthesis(c + 0j))


def test_repr():
    assert repr(FractionalFourier(8)) == "FractionalFourier(8, order=0.5)"
    learnt = FractionalFourier(8, 0.25, learn_order=True)
    assert repr(learnt) == "FractionalFourier(8, order=0.25, learn_order=True)"


@pytest.mark.parametrize("order", [math.nan, math.inf])
def test_order_is_finite(order):
    with pytest.raises(ValueError, match=f"order must be finite, got {order}"):
        FractionalFourier(8, order)


@pytest.mark.parametrize("order", ["half", None, True])
def test_order_is_a_number(order):
    with pytest.raises(TypeError, match=f"order must be a number, got {type(order).__name__}"):
        FractionalFourier(8, order)
