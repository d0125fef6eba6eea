"""Independent components; what every basis does is in test_properties.py."""

import math
import warnings

import numpy as np
import pytest
import sklearn.decomposition
import torch

from sklearn_dbt.nn.basis import ICA


def laplace(n_samples, n, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.laplace(size=(n_samples, n)))


def mixing(n, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, n)) + np.eye(n))


@pytest.fixture
def x():
    return laplace(3000, 4) @ mixing(4).T + 2.0


def test_scikit_learn_up_to_order_and_signs(x):
    basis = ICA(4, tol=1e-12).fit(x)
    reference = sklearn.decomposition.FastICA(
        whiten="unit-variance", fun="logcosh", tol=1e-12, max_iter=500, random_state=3
    ).fit(x.numpy())
    np.testing.assert_allclose(basis.mean, reference.mean_, rtol=1e-12)
    # Rows of one unmixing in terms of the other's: a permutation with signs.
    product = np.abs(basis.unmixing.numpy() @ reference.mixing_)
    np.testing.assert_allclose(np.sort(product.ravel())[-4:], 1, atol=1e-5)
    np.testing.assert_allclose(np.sort(product.ravel())[:-4], 0, atol=1e-5)


def test_laplace_sources_are_recovered():
    sources = laplace(20000, 3)
    a = mixing(3)
    basis = ICA(3).fit(sources @ a.T)
    gain = (basis.unmixing @ a).abs()
    gain = gain / gain.amax(1, keepdim=True)
    assert sorted(gain.argmax(1).tolist()) == [0, 1, 2]
    assert gain.sort(1).values[:, :-1].max() < 0.05
    torch.testing.assert_close(basis.mixing @ basis.unmixing, torch.eye(3, dtype=torch.float64))


def test_white_ordered_and_with_fixed_signs(x):
    basis = ICA(4).fit(x)
    c = basis.analysis(x)
    covariance = torch.cov(c.T, correction=0)
    torch.testing.assert_close(covariance, torch.eye(4, dtype=torch.float64), atol=1e-9, rtol=0)
    assert (basis.negentropy.diff() < 0).all()
    largest = basis.mixing.gather(0, basis.mixing.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()
    # The definition, with scipy's normal quadrature in place of ours.
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    gaussian = weights @ np.log(np.cosh(nodes)) / weights.sum()
    expected = (np.log(np.cosh(c.numpy())).mean(0) - gaussian) ** 2
    np.testing.assert_allclose(basis.negentropy, expected, rtol=1e-3)


def test_most_non_gaussian_component_comes_first():
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(5000, 1, generator=generator, dtype=torch.float64)
    sources = torch.cat([normal, laplace(5000, 1).pow(3)], dim=1)
    basis = ICA(2).fit(sources)
    assert basis.unmixing[0].abs().argmax() == 1


def test_repeats_and_the_seed_does_not_matter_where_it_converges(x):
    first, again, other = ICA(4).fit(x), ICA(4).fit(x), ICA(4, seed=7, tol=1e-12).fit(x)
    assert torch.equal(first.unmixing, again.unmixing)
    torch.testing.assert_close(first.unmixing, other.unmixing, atol=1e-4, rtol=1e-4)
    assert 0 < first.n_iter < 200


def test_identity_before_fit(x):
    basis = ICA(4)
    assert torch.equal(basis.analysis(x), x)
    assert torch.equal(basis.synthesis(x), x)


def test_global_generator_is_left_alone(x):
    before = torch.get_rng_state()
    ICA(4).fit(x)
    assert torch.equal(before, torch.get_rng_state())


def test_leading_axes_are_samples_and_buffers_stay(x):
    basis = ICA(4)
    pointers = [buffer.data_ptr() for buffer in basis.buffers()]
    basis.fit(x.reshape(3, 1000, 4))
    assert pointers == [buffer.data_ptr() for buffer in basis.buffers()]
    assert torch.equal(basis.unmixing, ICA(4).fit(x).unmixing)


def test_directions_without_variance_still_invert(x):
    flat = torch.cat([x, x[:, :2] @ mixing(2), torch.full((len(x), 1), 3.0).double()], dim=1)
    basis = ICA(7).fit(flat)
    assert basis.negentropy[4:].tolist() == [0, 0, 0]
    anything = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(basis.synthesis(basis.analysis(anything)), anything)
    assert basis.analysis(flat)[:, 4:].abs().max() < 1e-6
    assert basis.analysis(flat)[:, :4].std(0).tolist() == pytest.approx([1] * 4, abs=1e-3)


def test_constant_signals_leave_the_identity_of_the_deviations():
    basis = ICA(3).fit(torch.ones(5, 3))
    assert basis.mean.tolist() == [1, 1, 1]
    torch.testing.assert_close(basis.unmixing, torch.eye(3, dtype=torch.float64))


def test_no_convergence_is_told(x):
    with pytest.warns(RuntimeWarning, match="did not converge in max_iter=1 iterations"):
        basis = ICA(4, max_iter=1).fit(x)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ICA(4).fit(x)


def test_wrong_samples_change_nothing(x):
    basis = ICA(4).fit(x)
    before = basis.unmixing.clone()
    wrong = [
        (x[:1], r"at least 2 samples, got \(1, 4\)"),
        (x[:, :3], "last axis of x must have length 4"),
        (x * math.inf, "not finite"),
    ]
    for samples, message in wrong:
        with pytest.raises(ValueError, match=message):
            basis.fit(samples)
    assert torch.equal(before, basis.unmixing)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_iter": 0}, ValueError, "max_iter must be .* at least 1, got 0"),
        ({"max_iter": 2.0}, TypeError, "max_iter must be .* got a float"),
        ({"tol": 0.0}, ValueError, "tol must be positive, got 0.0"),
        ({"tol": math.nan}, ValueError, "tol must be positive, got nan"),
    ],
)
def test_wrong_options_are_told(options, error, message):
    with pytest.raises(error, match=message):
        ICA(4, **options)
