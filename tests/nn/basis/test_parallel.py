"""Stacks and choices; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, DWT, PCA, Choice, Fourier, Identity, SpatialDFT, Stack


def signals(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=dtype)


def members(n):
    return [Fourier(n), DCT(n), DWT(n, "bior2.4", mode="symmetric"), Identity(n)]


def choice(bases, logits):
    basis = Choice(bases)
    with torch.no_grad():
        basis.logits.copy_(torch.as_tensor(logits))
    return basis


def test_coefficients_are_those_of_the_members():
    x, basis = signals(3, 9), Stack(members(9))
    c = basis.analysis(x)
    assert c.dtype == torch.complex128
    assert sum(b.n_coefficients for b in basis.bases) == basis.n_coefficients
    for part, member in zip(basis.parts, basis.bases, strict=True):
        torch.testing.assert_close(c[:, part], member.analysis(x).to(c.dtype) / 2)
        for name in ("frequency", "scale", "position", "weight"):
            ours, theirs = (getattr(b.layout, name) for b in (basis, member))
            torch.testing.assert_close(ours[part], theirs, equal_nan=True)


def test_scipy_and_numpy():
    x = signals(3, 8)
    c = Stack([Fourier(8), DCT(8)]).analysis(x) * np.sqrt(2)
    np.testing.assert_allclose(c[:, :5], np.fft.rfft(x.numpy(), norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(c[:, 5:], scipy.fft.dct(x.numpy(), norm="ortho"), atol=1e-12)


@pytest.mark.parametrize("make", [Stack, Choice])
@pytest.mark.parametrize("n", [1, 7, 16])
def test_energy_is_kept_for_orthogonal_members(make, n):
    x, basis = signals(4, n), make([Fourier(n), DCT(n), Identity(n)])
    energy = (basis.layout.weight * basis.analysis(x).abs().square()).sum(-1)
    torch.testing.assert_close(energy, x.square().sum(-1))
    assert not basis.is_orthogonal  # there are more coefficients than samples
    assert basis.frame_bounds == (1.0, 1.0)
    assert make([basis, DCT(n)]).frame_bounds == (1.0, 1.0)


def test_frame_bounds_hold_those_of_the_members():
    class Louder(Identity):
        frame_bounds = (4.0, 9.0)

        def __init__(self, n_features):
            super().__init__(n_features)
            self.is_orthogonal = False

    assert Stack([Louder(4), DCT(4)]).frame_bounds == (1.0, 9.0)
    assert Stack([Louder(4), DWT(4, "bior2.4")]).frame_bounds is None


def test_synthesis_is_the_pseudo_inverse_for_orthogonal_members():
    basis = Stack([DCT(5), Identity(5)])
    eye = torch.eye(5, dtype=torch.float64)
    c = signals(3, 10)  # of no signal
    expected = c @ torch.linalg.pinv(basis.analysis(eye))
    torch.testing.assert_close(basis.synthesis(c), expected)


@given(logits=st.lists(st.floats(-800, 800), min_size=4, max_size=4))
@settings(deadline=None, max_examples=30)
def test_synthesis_inverts_analysis_whatever_the_weights(logits):
    x, basis = signals(2, 9), choice(members(9), logits)
    c = basis.analysis(x)
    assert torch.isfinite(c).all()
    torch.testing.assert_close(basis.synthesis(c), x, rtol=1e-10, atol=1e-10)


def test_weights_scale_the_members():
    x, basis = signals(2, 6), choice([DCT(6), Identity(6)], [np.log(3.0), 0.0])
    c = basis.analysis(x)
    torch.testing.assert_close(basis.weights, torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(c[:, 6:], x / 2, rtol=1e-6, atol=1e-6)
    energies = c[:, :6].square().sum(-1) / x.square().sum(-1)
    torch.testing.assert_close(energies, torch.full_like(energies, 0.75), rtol=1e-6, atol=0)
    assert basis.selected is basis.bases[0]


def test_gradient_in_the_weights():
    basis, x = Choice([DCT(4), Identity(4), DWT(4, "haar")]), signals(2, 4)
    logits = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64, requires_grad=True)
    mask = torch.linspace(0, 1, 12, dtype=torch.float64)

    def masked(logits):
        logged = {"logits": logits}
        c = torch.func.functional_call(basis, logged, (x,))
        with torch.no_grad():
            basis.logits.copy_(logits)
        return mask * c

    assert torch.autograd.gradcheck(masked, logits)
    # A weight that is 0 to rounding has a gradient all the same.
    extreme = choice([DCT(4), Identity(4)], [0.0, -300.0])
    extreme.analysis(x).square().sum().backward()
    assert torch.isfinite(extreme.logits.grad).all()


def test_members_that_are_affine_are_inverted_and_adapt():
    x = signals(40, 5, seed=1) @ signals(5, 5, seed=2) + 3.0
    for basis in (Stack([PCA(5), DCT(5)]), choice([PCA(5), DCT(5)], [1.0, -1.0])):
        assert basis.needs_covariance
        basis.update_from_moments(x.mean(0), torch.cov(x.T))
        pca = PCA(5).fit(x)
        torch.testing.assert_close(basis.bases[0].components, pca.components)
        torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    with pytest.raises(ValueError, match=r"Choice.update_from_moments: covariance must have shape"):
        basis.update_from_moments(torch.zeros(5), torch.eye(4))
    assert not Stack([DCT(5)]).needs_covariance
    Stack([DCT(5)]).update_from_moments(torch.zeros(3), torch.eye(4))  # nobody looks


def test_one_member_alone_is_that_member():
    x, basis = signals(2, 8), Stack([DCT(8)])
    torch.testing.assert_close(basis.analysis(x), DCT(8).analysis(x))
    assert basis.is_orthogonal
    assert Choice([Fourier(8)]).is_orthogonal


def test_complex_signals_where_every_member_takes_them():
    x = signals(2, 4, dtype=torch.complex128)
    basis = Stack([SpatialDFT(4), SpatialDFT(4)])
    assert basis.takes_complex
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    mixed = Stack([SpatialDFT(4), DCT(4)])
    assert not mixed.takes_complex
    y = mixed.synthesis(mixed.analysis(x.real))
    torch.testing.assert_close(y, x.real)


@pytest.mark.parametrize("make", [Stack, Choice])
def test_members_are_checked(make):
    name = make.__name__
    with pytest.raises(ValueError, match=rf"{name}: bases must be .* got n_features \[4, 5\]"):
        make([DCT(4), DCT(5)])
    with pytest.raises(ValueError, match=f"{name}: bases must hold at least 1 basis"):
        make([])


def test_repr():
    assert repr(Stack([DCT(8), Fourier(8)])) == "Stack([DCT(8), Fourier(8)])"
