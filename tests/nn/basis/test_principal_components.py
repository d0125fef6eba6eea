"""The gradient of an eigenbasis: exact where it means something, bounded elsewhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import principal_components


def rotation(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))[0]


def with_eigenvalues(*values, seed=0):
    """A symmetric matrix with these eigenvalues, equal ones equal to rounding."""
    q = rotation(len(values), seed)
    return q @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ q.T


def weights(*shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def projector(covariance, group):
    _, components = principal_components(covariance)
    return components[group].mT @ components[group]


def reconstruction(covariance, k):
    """Best approximation of rank k, from the projector."""
    p = projector(covariance, slice(0, k))
    return p @ covariance @ p


@pytest.mark.parametrize("n", [1, 2, 7])
def test_decomposition(n):
    matrix = weights(n, n) + weights(n, n).T
    values, components = principal_components(matrix)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix.numpy())[::-1], atol=1e-12)
    torch.testing.assert_close(components.T @ torch.diag(values) @ components, matrix)
    torch.testing.assert_close(components @ components.T, torch.eye(n, dtype=torch.float64))
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()


def test_batches_and_precision():
    matrices = weights(2, 3, 4, 4)
    values, components = principal_components(matrices)
    assert values.shape == (2, 3, 4)
    one_values, one_components = principal_components(matrices[1, 2])
    torch.testing.assert_close(values[1, 2], one_values)
    torch.testing.assert_close(components[1, 2], one_components)
    assert principal_components(matrices.float())[1].dtype == torch.float32


def test_distinct_eigenvalues_have_the_gradient_of_eigh():
    matrix = with_eigenvalues(5.0, 3.0, 2.0, -1.0).requires_grad_()
    w = weights(4, 4)

    def ours(matrix):
        values, components = principal_components(matrix)
        return (w[0] * values).sum() + (w * components.square()).sum()

    def theirs(matrix):
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        return (w[0] * values.flip(0)).sum() + (w * vectors.flip(1).T.square()).sum()

    (actual,), (expected,) = (torch.autograd.grad(f(matrix), matrix) for f in (ours, theirs))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradcheck(principal_components, matrix)
    assert torch.autograd.gradgradcheck(principal_components, matrix)


@pytest.mark.parametrize(
    ("eigenvalues", "group"),
    [
        ((3.0, 3.0, 1.0, 1.0), [0, 1]),
        ((4.0, 2.0, 2.0, 2.0, 0.0), [1, 2, 3]),
        ((1.0, 0.0, 0.0), [0]),
    ],
)
def test_projector_on_equal_eigenvalues_has_the_exact_gradient(eigenvalues, group):
    matrix = with_eigenvalues(*eigenvalues).requires_grad_()
    w = weights(len(eigenvalues), len(eigenvalues))
    f = lambda matrix: (w * projector(matrix, group)).sum()  # noqa: E731
    assert torch.autograd.gradcheck(f, matrix)


def test_projector_against_the_resolvent():
    # P = (2πi)⁻¹ ∮ (z - Σ)⁻¹ dz knows of no eigenvector: an oracle for value and gradient.
    matrix = with_eigenvalues(3.0, 3.0, 3.0, 1.0, 1.0, 0.5).requires_grad_()
    w = weights(6, 6)
    angle = 2 * math.pi * (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    circle = torch.polar(torch.ones_like(angle), angle)
    eye = torch.eye(6, dtype=torch.complex128)
    resolvents = torch.linalg.inv((3 + circle)[:, None, None] * eye - matrix)
    expected = (circle[:, None, None] * resolvents).mean(0).real
    actual = projector(matrix, slice(0, 3))
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad((w * (p + p.mT)).sum(), matrix)[0] for p in (actual, expected)]
    symmetric = [(g + g.mT) / 2 for g in gradients]
    torch.testing.assert_close(*symmetric, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("k", [2, 5])
def test_rank_k_reconstruction_that_splits_no_group_has_the_exact_gradient(k):
    matrix = with_eigenvalues(3.0, 3.0, 1.0, 1.0, 1.0).requires_grad_()
    w = weights(5, 5)
    f = lambda matrix: (w * reconstruction(matrix, k)).sum()  # noqa: E731
    assert torch.autograd.gradcheck(f, matrix)
    if k == 5:  # nothing is left out: the identity
        (gradient,) = torch.autograd.grad(f(matrix), matrix)
        torch.testing.assert_close(gradient, w, rtol=1e-7, atol=1e-7)


def test_sums_over_a_group_of_equal_eigenvalues_have_the_exact_gradient():
    matrix = with_eigenvalues(3.0, 3.0, 1.0, 1.0, 1.0).requires_grad_()
    x = weights(4, 5)

    def f(matrix):  # a rank-2 approximation of data, and how much of the variance it keeps
        values, components = principal_components(matrix)
        low = x @ components[:2].mT @ components[:2]
        return low.square().sum() + (values[:2].sum() / values.sum()).log()

    assert torch.autograd.gradcheck(f, matrix)


def test_trace_and_scalar_matrix():
    matrix = (2 * torch.eye(4, dtype=torch.float64)).requires_grad_()
    values, components = principal_components(matrix)
    (gradient,) = torch.autograd.grad(values.sum() + components.T.mm(components).sum(), matrix)
    torch.testing.assert_close(gradient, torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bounded_where_eigh_is_not(dtype):
    matrix = torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=dtype)).requires_grad_()
    w = weights(3, 3).to(dtype)
    _, vectors = torch.linalg.eigh(matrix)
    (broken,) = torch.autograd.grad((w * vectors).sum().sin(), matrix)
    assert not broken.isfinite().all()
    _, components = principal_components(matrix)
    (gradient,) = torch.autograd.grad((w * components).sum(), matrix)
    assert gradient.isfinite().all()
    assert gradient.norm() <= w.norm()  # the gap that counts is 1


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0.0, 1e-15, 1e-9, 2e-8, 1e-6, 0.3]), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-6, 1.0, 1e8]),
)
def test_gradient_is_bounded(gaps, seed, scale):
    values = scale * (1 + torch.tensor([0.0, *gaps], dtype=torch.float64).cumsum(0))
    matrix = with_eigenvalues(*values.tolist(), seed=seed).requires_grad_()
    tolerance = 1e-8
    found, components = principal_components(matrix, tolerance=tolerance)
    w, v = weights(len(values)), weights(len(values), len(values))
    (gradient,) = torch.autograd.grad((w * found).sum() + (v * components).sum(), matrix)
    assert gradient.norm() <= w.norm() + v.norm() / (tolerance * found.detach().abs().max())


def test_zero_covariance():
    matrix = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    values, components = principal_components(matrix)
    (gradient,) = torch.autograd.grad((weights(3, 3) * components).sum() + values.sum(), matrix)
    torch.testing.assert_close(gradient, torch.eye(3, dtype=torch.float64))


def test_tolerance_says_what_counts_as_equal():
    matrix = with_eigenvalues(1.0, 0.9).requires_grad_()
    gradients = [
        torch.autograd.grad(principal_components(matrix, tolerance=t)[1][0, 0], matrix)[0]
        for t in (0.0, 0.2)
    ]
    assert gradients[0].any()
    assert not gradients[1].any()


@pytest.mark.parametrize(
    ("covariance", "error", "message"),
    [
        (np.eye(2), TypeError, "must be a torch.Tensor, got ndarray"),
        (torch.eye(2).half(), TypeError, "float32 or float64, got torch.float16"),
        (torch.eye(2).long(), TypeError, "float32 or float64, got torch.int64"),
        (torch.zeros(2, 3), ValueError, r"\(..., n, n\), n >= 1, got \(2, 3\)"),
        (torch.zeros(3), ValueError, r"got \(3,\)"),
        (torch.zeros(2, 0, 0), ValueError, r"got \(2, 0, 0\)"),
    ],
)
def test_wrong_covariance_is_told(covariance, error, message):
    with pytest.raises(error, match=message):
        principal_components(covariance)


@pytest.mark.parametrize("tolerance", [-1e-3, 1.0, math.nan])
def test_wrong_tolerance_is_told(tolerance):
    with pytest.raises(ValueError, match=r"tolerance must be in \[0, 1\) or None, got"):
        principal_components(torch.eye(2), tolerance=tolerance)
