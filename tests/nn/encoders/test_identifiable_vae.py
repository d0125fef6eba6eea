"""The bound against an exact likelihood, the posterior against the product of densities."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import multivariate_normal, norm, ortho_group

from sklearn_dbt.nn.encoders import IdentifiableVAE


def linear_gaussian(n=3, n_segments=4, noise=0.3, seed=0):
    """A network that is an orthogonal mixture with its exact posterior, and what it was made of."""
    rng = np.random.default_rng(seed)
    mixing = ortho_group.rvs(n, random_state=rng)
    mean, variance = rng.normal(size=(n_segments, n)), rng.uniform(0.2, 2, (n_segments, n))
    with torch.random.fork_rng():
        net = IdentifiableVAE(n, n, n_segments, hidden_layer_sizes=()).double()
    with torch.no_grad():
        for part, matrix in [(net.message, mixing.T), (net.encoder, mixing.T)]:
            part.start(torch.from_numpy(matrix))
            part.projection.weight.zero_()
        net.decoder.start(torch.from_numpy(mixing))
        net.decoder.projection.weight.zero_()
        net.prior_mean.copy_(torch.from_numpy(mean))
        net.prior_log_variance.copy_(torch.from_numpy(np.log(variance)))
        net.message_log_variance.fill_(np.log(noise))
        net.noise_log_variance.fill_(np.log(noise))
    x = torch.from_numpy(rng.normal(size=(8, n)))
    return net, x, torch.arange(8) % n_segments, mixing, mean, variance


def expected_terms(net, x, u):
    """Average over the posterior, exact for quadratic functions: noise of +-sqrt(n) an axis."""
    n = net.prior_mean.shape[1]
    axes = torch.cat([torch.eye(n), -torch.eye(n)]).double() * n**0.5
    return torch.stack([net(x, u, a.expand(len(x), n)) for a in axes]).mean(0).detach().numpy()


def test_the_bound_is_the_likelihood_where_the_posterior_is_exact():
    net, x, u, mixing, mean, variance = linear_gaussian()
    bound = -expected_terms(net, x, u)[:, 0]
    for t in range(len(x)):
        covariance = mixing @ np.diag(variance[u[t]]) @ mixing.T + 0.3 * np.eye(3)
        exact = multivariate_normal(mixing @ mean[u[t]], covariance).logpdf(x[t].numpy())
        assert bound[t] == pytest.approx(exact, abs=1e-10)


def test_it_is_a_bound_where_the_posterior_is_wrong():
    net, x, u, *_ = linear_gaussian()
    exact = expected_terms(net, x, u)[:, 0]
    with torch.no_grad():
        net.message_log_variance += 0.7
        net.message.linear.weight *= 0.9
    assert (expected_terms(net, x, u)[:, 0] > exact + 1e-3).all()


def test_posterior_is_the_product_of_prior_and_message():
    net, x, u, mixing, mean, variance = linear_gaussian()
    found, spread = (z.detach().numpy() for z in net.posterior(x, u))
    grid = np.linspace(-12, 12, 20_001)
    message = x.numpy() @ mixing
    for t, i in [(0, 0), (3, 1), (6, 2)]:
        prior = norm(mean[u[t], i], variance[u[t], i] ** 0.5)
        density = prior.pdf(grid) * norm(message[t, i], 0.3**0.5).pdf(grid)
        density /= density.sum()
        assert found[t, i] == pytest.approx(density @ grid, abs=1e-8)
        assert spread[t, i] == pytest.approx(density @ (grid - found[t, i]) ** 2, abs=1e-8)


def test_surprise_is_that_of_the_prior():
    net, x, u, mixing, mean, variance = linear_gaussian()
    densities = norm(mean, variance**0.5).logpdf((x.numpy() @ mixing)[:, None]).sum(axis=2)
    expected = -log_softmax(densities, axis=1)[np.arange(8), u]
    np.testing.assert_allclose(expected_terms(net, x, u)[:, 1], expected, atol=1e-10)


def test_the_encoder_learns_and_nothing_else_learns_from_it():
    net, x, u, *_ = linear_gaussian()
    mean, variance = net.posterior(x, u)
    error = net(x, u, torch.zeros(8, 3).double())[:, 2]
    expected = 0.5 * ((net.features(x) - mean) ** 2 / variance).sum(1)
    torch.testing.assert_close(error, expected)
    error.sum().backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    moved = {name.split(".")[0] for name, g in gradients.items() if (g != 0).any()}
    assert moved == {"encoder"}


def test_a_held_message_learns_from_the_segments_only():
    net, x, u, *_ = linear_gaussian()
    with torch.no_grad():
        # At the exact posterior the bound has no gradient in the message anyway.
        net.message.linear.weight *= 0.5
    noise = torch.zeros(8, 3).double()
    values, gradients = [], []
    for held in (False, True):
        net.holds_message = held
        net.zero_grad()
        terms = net(x, u, noise)
        values.append(terms.detach())
        terms[:, 0].sum().backward()
        gradients.append(net.message.linear.weight.grad)
    torch.testing.assert_close(*values)
    assert gradients[0].abs().max() > 0.1
    assert gradients[1] is None or (gradients[1] == 0).all()
    net.zero_grad()
    net(x, u, noise)[:, 1].sum().backward()
    assert net.message.linear.weight.grad.abs().max() > 0.01


def test_start_and_renewal_take_the_moments_of_segments():
    with torch.random.fork_rng():
        net = IdentifiableVAE(3, 2, 9, hidden_layer_sizes=()).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    segments = torch.arange(4).repeat_interleave(10)
    matrix = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    net.start(matrix, x, segments)
    z = net.message(x).detach().reshape(4, 10, 2)
    torch.testing.assert_close(net.prior_mean.detach(), z.mean(1))
    variance = z.var(1, correction=0)
    torch.testing.assert_close(net.prior_log_variance.detach(), variance.log())
    torch.testing.assert_close(net.decoder.linear.weight.detach(), torch.linalg.pinv(matrix))


def test_gradients():
    net, x, u, *_ = linear_gaussian()
    noise = torch.ones(8, 3).double()
    assert torch.autograd.gradcheck(lambda x: net(x, u, noise)[:, :2], (x.requires_grad_(),))


def test_segments_are_checked():
    with pytest.raises(ValueError, match="n_segments must be at least 2, got 1"):
        IdentifiableVAE(3, 3, 1)


@pytest.mark.parametrize(("n_components", "expected"), [(3, 0.02), (2, 1 / 3), (1, 2 / 3)])
def test_noise_starts_as_what_fewer_sources_leave(n_components, expected):
    vae = IdentifiableVAE(3, n_components, 4)
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))
    vae.start(torch.eye(n_components, 3), x, torch.arange(4).repeat_interleave(100))
    assert float(vae.noise_log_variance.detach().exp()) == pytest.approx(expected)
    residual = (x - vae.decode(vae.message(x))).detach().square().mean()
    assert float(residual) == pytest.approx(expected, abs=0.05)
