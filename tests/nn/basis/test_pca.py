"""The principal components; what every basis does is in test_properties.py."""

import numpy as np
import pytest
import sklearn.decomposition
import torch

from sklearn_dbt.nn.basis import PCA


@pytest.fixture
def x():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    return torch.randn(40, 5, generator=generator, dtype=torch.float64) @ mixing + 2.0


def assert_orthogonal(basis):
    eye = torch.eye(basis.n_features, dtype=torch.float64)
    torch.testing.assert_close(basis.components @ basis.components.T, eye)


def test_scikit_learn(x):
    basis, reference = PCA(5).fit(x), sklearn.decomposition.PCA(svd_solver="full").fit(x.numpy())
    np.testing.assert_allclose(basis.mean, reference.mean_, rtol=1e-10)
    np.testing.assert_allclose(basis.eigenvalues, reference.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(basis.components, reference.components_, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(basis.analysis(x), reference.transform(x.numpy()), atol=1e-9)


def test_identity_before_any_data(x):
    basis = PCA(5)
    assert torch.equal(basis.analysis(x), x)
    assert torch.equal(basis.synthesis(x), x)
    assert basis.eigenvalues.tolist() == [1.0] * 5


def test_leading_axes_are_samples(x):
    flat, folded = PCA(5).fit(x), PCA(5).fit(x.reshape(4, 10, 5))
    assert torch.equal(flat.components, folded.components)


def test_coefficients_are_uncorrelated_with_decreasing_variance(x):
    basis = PCA(5).fit(x)
    covariance = torch.cov(basis.analysis(x).T)
    torch.testing.assert_close(covariance, torch.diag(basis.eigenvalues), atol=1e-10, rtol=1e-10)
    assert (basis.eigenvalues.diff() < 0).all()


def test_moments_give_the_same_basis_as_the_samples(x):
    fitted, updated = PCA(5).fit(x), PCA(5)
    updated.update_from_moments(x.mean(0), torch.cov(x.T))
    torch.testing.assert_close(updated.components, fitted.components)
    torch.testing.assert_close(updated.eigenvalues, fitted.eigenvalues)


def test_largest_entry_of_each_component_is_positive(x):
    components = PCA(5).fit(x).components
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()


def test_update_changes_the_buffers_in_place(x):
    basis = PCA(5)
    pointers = [buffer.data_ptr() for buffer in basis.buffers()]
    basis.fit(x)
    assert pointers == [buffer.data_ptr() for buffer in basis.buffers()]
    assert not any(buffer.requires_grad for buffer in basis.buffers())


def test_gradient_does_not_reach_into_the_basis(x):
    basis = PCA(5).fit(x.clone().requires_grad_())
    assert not basis.components.requires_grad


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e-300])
def test_equal_eigenvalues_are_no_trouble(scale):
    basis = PCA(4)
    basis.update_from_moments(torch.zeros(4), scale * torch.eye(4, dtype=torch.float64))
    assert_orthogonal(basis)
    assert torch.equal(basis.components, torch.eye(4, dtype=torch.float64))
    assert basis.eigenvalues.tolist() == pytest.approx([scale] * 4, rel=1e-12, abs=0)


def test_fewer_samples_than_features(x):
    basis = PCA(5).fit(x[:3])
    assert_orthogonal(basis)
    torch.testing.assert_close(basis.eigenvalues[2:], torch.zeros(3, dtype=torch.float64))
    assert (basis.eigenvalues >= 0).all()


def test_one_sample_is_its_own_mean(x):
    basis = PCA(5).fit(x[0])
    assert torch.equal(basis.mean, x[0])
    assert not basis.analysis(x[0]).any()
    assert_orthogonal(basis)


def test_asymmetry_from_rounding_does_not_matter(x):
    covariance, basis, rounded = torch.cov(x.T), PCA(5), PCA(5)
    basis.update_from_moments(x.mean(0), covariance)
    skew = torch.triu(torch.full((5, 5), 1e-3, dtype=torch.float64), 1)
    rounded.update_from_moments(x.mean(0), covariance + skew - skew.T)
    torch.testing.assert_close(rounded.components, basis.components)


def test_module_in_float32_is_fitted_and_used_in_float32(x):
    basis = PCA(5).float().fit(x)
    assert basis.components.dtype == torch.float32
    expected = PCA(5).fit(x).analysis(x).float()
    torch.testing.assert_close(basis.analysis(x.float()), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (torch.zeros(4), torch.eye(5), r"mean must have shape \(5,\), got \(4,\)"),
        (torch.zeros(5), torch.eye(4), r"covariance must have shape \(5, 5\), got \(4, 4\)"),
        (torch.full((5,), torch.nan), torch.eye(5), "mean has values that are not finite"),
        (torch.zeros(5), torch.eye(5) * torch.inf, "covariance has values that are not finite"),
    ],
)
def test_wrong_moments_change_nothing(x, mean, covariance, message):
    basis = PCA(5).fit(x)
    before = [buffer.clone() for buffer in basis.buffers()]
    with pytest.raises(ValueError, match=message):
        basis.update_from_moments(mean, covariance)
    for old, new in zip(before, basis.buffers(), strict=True):
        torch.testing.assert_close(old, new, equal_nan=True, rtol=0, atol=0)


def test_wrong_samples_are_told(x):
    with pytest.raises(ValueError, match=r"fit: the last axis of x must have length 5"):
        PCA(5).fit(x[:, :4])
    with pytest.raises(ValueError, match=r"at least 1 sample, got \(0, 5\)"):
        PCA(5).fit(x[:0])
    with pytest.raises(ValueError, match="mean has values that are not finite"):
        PCA(5).fit(x * torch.inf)
