"""Learnt matrices; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, LearnedBasis


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def moved(basis, scale=1.0):
    with torch.no_grad():
        basis.weight += scale * numbers(*basis.weight.shape, seed=1)
    return basis


@pytest.mark.parametrize("kind", ["orthogonal", "free"])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_start(kind, n):
    eye = torch.eye(n, dtype=torch.float64)
    x = numbers(3, n)
    torch.testing.assert_close(LearnedBasis(n, kind, "identity").matrix.detach(), eye)
    expected = scipy.fft.dct(x.numpy(), norm="ortho")
    np.testing.assert_allclose(LearnedBasis(n, kind).analysis(x).detach(), expected, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(scale=st.sampled_from([1e-8, 1.0, 30.0, 1e3]), n=st.integers(1, 12))
def test_orthogonal_wherever_the_weight_goes(scale, n):
    matrix = moved(LearnedBasis(n), scale).matrix.detach()
    eye = torch.eye(n, dtype=torch.float64)
    torch.testing.assert_close(matrix @ matrix.T, eye, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthogonal_after_200_steps(dtype):
    basis, x = LearnedBasis(12).to(dtype), numbers(5, 12)
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.05)
    for step in range(200):
        basis.weight.grad = numbers(12, 12, seed=step).to(dtype)
        optimizer.step()
    c = basis.analysis(x)
    torch.testing.assert_close(basis.synthesis(c).detach(), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(c.square().sum(-1).detach(), x.square().sum(-1))


def test_cayley_against_the_matrix_of_its_eigenvalues():
    # A skew matrix has eigenvalues iω; its Cayley transform has (1 - iω) / (1 + iω).
    basis = moved(LearnedBasis(5, start="identity"))
    weight = basis.weight.detach().numpy()
    values, vectors = np.linalg.eig((weight - weight.T) / 2)
    expected = vectors @ np.diag((1 - values) / (1 + values)) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(basis.matrix.detach(), expected.real, atol=1e-12)


def test_frobenius_norm_of_an_orthogonal_matrix_is_constant():
    basis = moved(LearnedBasis(6))
    norm = basis.matrix.square().sum()
    (gradient,) = torch.autograd.grad(norm, basis.weight)
    assert norm.item() == pytest.approx(6)
    assert gradient.abs().max() < 1e-12
    assert basis.penalty().item() == 0


def test_free_inverse():
    basis, x = moved(LearnedBasis(6, "free")), numbers(3, 6)
    c = basis.analysis(x).detach().numpy()
    np.testing.assert_allclose(c, x.numpy() @ basis.weight.detach().numpy().T)
    expected = c @ np.linalg.inv(basis.weight.detach().numpy()).T
    np.testing.assert_allclose(basis.synthesis(torch.from_numpy(c)).detach(), expected)


def test_penalty_is_that_of_the_singular_values():
    basis = moved(LearnedBasis(6, "free"))
    singular = torch.linalg.svdvals(basis.weight.detach())
    expected = (singular - 1 / singular).square().sum()
    torch.testing.assert_close(basis.penalty().detach(), expected)
    assert torch.autograd.gradcheck(lambda w: _penalty(basis, w), basis.weight)


def _penalty(basis, weight):
    class Penalty(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.basis = basis

        def forward(self):
            return self.basis.penalty()

    return torch.func.functional_call(Penalty(), {"basis.weight": weight}, ())


def test_penalty_leads_back_to_an_orthogonal_matrix():
    basis = moved(LearnedBasis(5, "free"), 0.2)
    optimizer = torch.optim.LBFGS(
        basis.parameters(),
        max_iter=200,
        tolerance_grad=1e-10,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        penalty = basis.penalty()
        penalty.backward()
        return penalty

    optimizer.step(closure)
    assert 0 <= basis.penalty().item() + 1e-12 < 1e-10
    eye = torch.eye(5, dtype=torch.float64)
    torch.testing.assert_close(basis.matrix @ basis.matrix.T, eye, rtol=0, atol=1e-5)


def test_singular_matrix_is_told():
    basis = LearnedBasis(2, "free")
    torch.nn.init.zeros_(basis.weight)
    with pytest.raises(RuntimeError, match="singular"):
        basis.penalty()


def test_learns_the_components_of_the_data():
    # Most energy in one coefficient: the first row turns to the leading eigenvector.
    x = numbers(200, 4) @ torch.diag(torch.tensor([1.0, 2.0, 5.0, 0.5], dtype=torch.float64))
    basis = LearnedBasis(4)
    optimizer = torch.optim.Adam(basis.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (-basis.analysis(x)[:, 0].square().mean()).backward()
        optimizer.step()
    _, _, vectors = torch.linalg.svd(x)
    # Without the mean removed, as the objective has it.
    assert abs(basis.matrix[0] @ vectors[0]).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "unitary"}, r"kind must be one of \('orthogonal', 'free'\), got 'unitary'"),
        ({"start": "fft"}, r"start must be one of \('dct', 'identity'\), got 'fft'"),
        ({"kind": None}, "kind must be one of .*, got None"),
    ],
)
def test_wrong_choices_are_told(options, message):
    with pytest.raises(ValueError, match=message):
        LearnedBasis(4, **options)


def test_start_is_that_of_the_dct_basis():
    eye = torch.eye(9, dtype=torch.float64)
    torch.testing.assert_close(LearnedBasis(9).matrix.detach().T, DCT(9).analysis(eye))
