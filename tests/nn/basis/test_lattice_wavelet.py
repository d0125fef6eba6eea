"""Learnt orthogonal wavelets; what every basis does is in test_properties.py."""

import math

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DWT, LatticeWavelet

DAUBECHIES = [f"db{k}" for k in range(1, 9)]
SYMLETS = [f"sym{k}" for k in range(2, 21)]
COIFLETS = [f"coif{k}" for k in range(1, 9)]


def signals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def orthonormality_error(filters):
    """Largest deviation of the inner products of all double shifts from 0 and 1."""
    taps = filters.shape[1]
    error = 0.0
    for i, a in enumerate(filters):
        for j, b in enumerate(filters):
            products = np.correlate(a, b, "full")[(taps - 1) % 2 :: 2].copy()
            products[(taps - 1) // 2] -= i == j
            error = max(error, np.abs(products).max())
    return error


@pytest.mark.parametrize("name", ["haar", *DAUBECHIES, *SYMLETS, *COIFLETS])
def test_angles_of_pywavelets_are_recovered(name):
    wavelet = pywt.Wavelet(name)
    basis = LatticeWavelet.from_wavelet(64, name)
    assert len(basis.angles) == wavelet.dec_len // 2
    assert basis.angles.sum().item() == pytest.approx(math.pi / 4, abs=1e-12)
    tolerance = 1e-14 if name in ("haar", *DAUBECHIES) else 2e-11
    expected = np.array([wavelet.dec_lo, wavelet.dec_hi])
    np.testing.assert_allclose(basis.filters.detach(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "angles"), [("db1", [math.pi / 4]), ("db2", [-math.pi / 3, 7 * math.pi / 12])]
)
def test_textbook_angles(name, angles):
    recovered = LatticeWavelet.from_wavelet(8, name).angles.tolist()
    assert recovered == pytest.approx(angles, abs=1e-14)
    filters = LatticeWavelet(8, angles).filters.detach()
    np.testing.assert_allclose(filters[0], pywt.Wavelet(name).dec_lo, atol=1e-12)


@pytest.mark.parametrize("name", ["haar", "db4", "sym5", "coif2"])
@pytest.mark.parametrize("n", [1, 2, 7, 33, 96])
def test_pywavelets(name, n):
    basis, x = LatticeWavelet.from_wavelet(n, name, 1 if n > 1 else 0), signals(3, n)
    deep = LatticeWavelet.from_wavelet(n, name, (n - 1).bit_length())
    for lattice in (basis, deep):
        fixed = DWT(n, name, lattice.level)
        c = lattice.analysis(x).detach()
        torch.testing.assert_close(c, fixed.analysis(x), rtol=1e-10, atol=1e-10)
        c = signals(3, lattice.n_coefficients, seed=1)
        torch.testing.assert_close(
            lattice.synthesis(c).detach(), fixed.synthesis(c), rtol=1e-10, atol=1e-10
        )
        assert lattice.bands == fixed.bands
        assert lattice.is_orthogonal == fixed.is_orthogonal
        torch.testing.assert_close(lattice.layout.position, fixed.layout.position)
    if n > 1:
        approximation, detail = pywt.dwt(x.numpy(), name, "periodization")
        expected = np.concatenate([approximation, detail], axis=-1)
        np.testing.assert_allclose(basis.analysis(x).detach(), expected, atol=1e-10)


def test_default_is_db4():
    assert torch.equal(LatticeWavelet(20).angles, LatticeWavelet.from_wavelet(20, "db4").angles)
    assert LatticeWavelet(20).level == DWT(20).level


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_any_angles_give_a_paraunitary_filter_with_a_zero_at_nyquist(angles):
    basis = LatticeWavelet(16, angles)
    filters = basis.filters.detach().numpy()
    assert filters.shape == (2, 2 * len(angles))
    assert orthonormality_error(filters) < 1e-13
    nyquist = (-1.0) ** np.arange(filters.shape[1])
    assert abs(filters[0] @ nyquist) < 1e-12
    assert abs(filters[1].sum()) < 1e-12
    assert filters[0].sum() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_after_200_random_steps_it_still_reconstructs(dtype):
    basis, x = LatticeWavelet(64, level=3).to(dtype), signals(5, 64)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.1)
    before = basis.angles.detach()
    for _ in range(200):
        basis.free_angles.grad = torch.randn(4, generator=generator, dtype=dtype)
        optimizer.step()
    assert (basis.angles - before).abs().max() > 0.3
    c = basis.analysis(x)
    torch.testing.assert_close(basis.synthesis(c).detach(), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(c.detach().square().sum(-1), x.square().sum(-1), rtol=1e-13, atol=0)
    assert basis.angles.sum().item() == pytest.approx(math.pi / 4, abs=1e-12)


@pytest.mark.parametrize("n", [5, 12])
def test_gradient_to_the_angles(n):
    basis, x = LatticeWavelet(n, [0.3, -0.8, 1.0], 2), signals(2, n)
    mask = signals(basis.n_coefficients, seed=1)

    def coefficients_and_back(free):
        given = {"free_angles": free}
        c = torch.func.functional_call(basis, given, (x,))
        given = {"basis.free_angles": free}
        return c, torch.func.functional_call(
            _Synthesis(basis), {"basis.free_angles": free}, (mask,)
        )

    free = basis.free_angles.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(coefficients_and_back, free)
    assert torch.autograd.gradgradcheck(coefficients_and_back, free)
    # The common shift is no direction at all: weight decay cannot move the sum.
    (gradient,) = torch.autograd.grad(coefficients_and_back(free)[0].sin().sum(), free)
    assert gradient.any()
    assert gradient.sum().abs() < 1e-12


class _Synthesis(torch.nn.Module):
    def __init__(self, basis):
        super().__init__()
        self.basis = basis

    def forward(self, c):
        return self.basis.synthesis(c)


def test_training_finds_a_sparser_wavelet():
    # Haar's filters, spread over six taps, see every slope; wavelets with more moments do not.
    t = torch.linspace(0, 1, 64, dtype=torch.float64)
    x = torch.stack([t**2, (t - 0.3).clamp_min(0) ** 2, torch.sin(3 * t)])
    basis = LatticeWavelet(64, [math.pi / 4, math.pi / 2, -math.pi / 2], 1)
    detail = basis.bands["d1"]
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.02)
    energies = []
    for _ in range(300):
        optimizer.zero_grad()
        energy = basis.analysis(x)[:, detail][:, 2:-2].square().sum()
        energy.backward()
        optimizer.step()
        energies.append(energy.item())
    assert energies[-1] < 0.005 * energies[0]


def test_parameters_of_two_precisions_train_together():
    basis, head = LatticeWavelet(16), torch.nn.Linear(16, 1)
    parameters = [*basis.parameters(), *head.parameters()]
    assert {p.dtype for p in parameters} == {torch.float32, torch.float64}
    optimizer = torch.optim.AdamW(parameters)
    before = basis.angles.detach()
    head(basis.analysis(signals(8, 16).float())).square().mean().backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    assert not torch.equal(before, basis.angles.detach())


@pytest.mark.parametrize("wavelet", ["bior2.2", "rbio3.1", "dmey"])
def test_wavelets_that_are_not_orthogonal_are_refused(wavelet):
    with pytest.raises(ValueError, match=f"wavelet must be orthogonal, got '{wavelet}'"):
        LatticeWavelet.from_wavelet(16, wavelet)


def test_wavelets_too_long_for_their_angles_are_refused():
    with pytest.raises(ValueError, match=r"'db30' \(60 taps\) give its filters with an error of"):
        LatticeWavelet.from_wavelet(16, "db30")


def test_unknown_wavelet_is_told():
    with pytest.raises(ValueError, match=r"name of an orthogonal wavelet, got 'db'.*haar"):
        LatticeWavelet.from_wavelet(16, "db")


@pytest.mark.parametrize("angles", [[], [math.nan], [[0.1, 0.2]], [math.inf, 0.0], 0.5])
def test_wrong_angles_are_told(angles):
    with pytest.raises(ValueError, match="at least one finite number of radians in a row, got"):
        LatticeWavelet(16, angles)


def test_wrong_level_is_told():
    with pytest.raises(ValueError, match="level must be between 0 and 4"):
        LatticeWavelet(16, level=5)
