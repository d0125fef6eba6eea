"""The logit against exact log-ratios of Gaussian and Laplace sources, and its start."""

import numpy as np
import pytest
import torch
from scipy.stats import laplace, norm

from sklearn_dbt.nn.encoders import GeneralizedContrastiveNetwork


def network(*sizes, seed=0, dtype=torch.float64, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GeneralizedContrastiveNetwork(*sizes, **options).to(dtype)


def linear(unmixing, weight, bias):
    """A network whose sources are linear, and without the term that does not depend on u."""
    net = network(*unmixing.T.shape, len(bias), hidden_layer_sizes=())
    with torch.no_grad():
        net.sources.start(torch.from_numpy(unmixing))
        net.sources.projection.weight.zero_()
        net.weight.copy_(torch.from_numpy(weight))
        net.bias.copy_(torch.from_numpy(bias))
        net.marginal[2].weight.zero_()
        net.marginal[2].bias.zero_()
    return net


@pytest.mark.parametrize("family", ["gaussian", "laplace"])
def test_differences_are_exact_log_ratios(family):
    rng = np.random.default_rng(0)
    mean, scale = rng.normal(size=(5, 3)), rng.uniform(0.3, 2, (5, 3))
    if family == "gaussian":
        weight = np.hstack([mean / scale**2, 0 * mean, -0.5 / scale**2])
        bias = -(np.log(scale) + 0.5 * mean**2 / scale**2).sum(axis=1)
        density = norm(mean, scale)
    else:
        weight = np.hstack([0 * mean, -1 / scale, 0 * mean])
        bias = -np.log(scale).sum(axis=1)
        density = laplace(0, scale)
    mixing, s = rng.normal(size=(3, 3)), rng.normal(size=(20, 3))
    net = linear(np.linalg.inv(mixing), weight, bias)
    u = torch.arange(5).expand(20, 5)
    logits = net(torch.from_numpy(s @ mixing.T), u).detach().numpy()
    exact = density.logpdf(s[:, None]).sum(axis=2)
    np.testing.assert_allclose(logits - logits[:, :1], exact - exact[:, :1], atol=1e-9)


def test_candidates_are_judged_one_by_one():
    net = network(4, 3, 6)
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = torch.arange(18).reshape(9, 2) % 6
    both = net(x, u)
    for j in range(2):
        torch.testing.assert_close(net(x, u[:, j : j + 1])[:, 0], both[:, j])


def test_it_starts_from_laplace_sources():
    rng = np.random.default_rng(0)
    segments = torch.arange(4).repeat_interleave(500)
    scale = rng.uniform(0.3, 2, (4, 2))
    x = torch.from_numpy(scale[segments] * rng.laplace(size=(2000, 2)))
    net = network(2, 2, 9, hidden_layer_sizes=())
    net.start(torch.eye(2), x, segments)
    assert net.weight.shape == (4, 6)
    differences = (net.weight - net.weight[:1])[:, 2:4].detach().numpy()
    np.testing.assert_allclose(differences, 1 / scale[:1] - 1 / scale, rtol=0.2, atol=0.2)
    assert (net.weight[:, [0, 1, 4, 5]] == 0).all()


def test_gradients():
    net, u = network(3, 2, 4, hidden_layer_sizes=(5,)), torch.tensor([[0, 1], [3, 2]])
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: net(x, u), (x.requires_grad_(),))


def test_segments_are_checked():
    with pytest.raises(ValueError, match="n_segments must be at least 2, got 1"):
        GeneralizedContrastiveNetwork(3, 3, 1)
