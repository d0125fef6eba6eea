"""The networks against loops, and the logit against an exact log-ratio."""

import pytest
import torch
from scipy.stats import norm
from torch.nn import functional

from sklearn_dbt.nn.encoders import ComponentwiseNetworks, PermutationContrastiveNetwork


def seeded(make, seed=0, dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make().to(dtype)


def points(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def network(**options):
    return seeded(lambda: PermutationContrastiveNetwork(4, 3, hidden_layer_sizes=(6,), **options))


def test_each_component_has_its_own_network():
    nets, y = seeded(lambda: ComponentwiseNetworks(3, 2, 5)), points(7, 3, 2)
    for i in range(3):
        hidden = functional.leaky_relu(y[:, i] @ nets.weight[i] + nets.bias[i], 0.1)
        torch.testing.assert_close(nets(y)[:, i], (hidden @ nets.output[i])[:, 0])


def test_the_logit_is_a_sum_over_components():
    net, pairs = network(), points(7, 2, 4)
    now, before = net.features(pairs[:, 0]), net.features(pairs[:, 1])
    expected = net.scores(torch.stack([now, before], dim=-1)).sum(dim=1) + net.bias
    torch.testing.assert_close(net(pairs), expected)
    many = pairs[:6].unflatten(0, (3, 2))
    torch.testing.assert_close(net(many), expected[:6].reshape(3, 2))


def test_components_do_not_interact():
    """The mixed derivative with respect to two components vanishes."""
    nets, y = seeded(lambda: ComponentwiseNetworks(3, 2, 5)), points(1, 3, 2)
    jacobian = torch.autograd.functional.jacobian(nets, y)[0, :, 0]
    for i in range(3):
        for j in range(3):
            assert (jacobian[i, j].abs().max() > 0) == (i == j)


def test_it_can_be_an_exact_log_ratio():
    """Two hidden units make |s(t) - a s(t-1)|: the conditional of a Laplace autoregression."""
    net = seeded(lambda: PermutationContrastiveNetwork(2, 2, hidden_layer_sizes=(), n_units=2))
    a = 0.7
    with torch.no_grad():
        net.sources.start(torch.eye(2))
        net.sources.projection.weight.zero_()
        net.scores.weight.copy_(torch.tensor([[1.0, -1.0], [-a, a]]).expand(2, 2, 2))
        net.scores.bias.zero_()
        # leaky(z) + leaky(-z) = 0.9 |z|
        net.scores.output.fill_(-1 / 0.9)
    pairs = points(9, 2, 2)
    expected = -(pairs[:, 0] - a * pairs[:, 1]).abs().sum(dim=1)
    torch.testing.assert_close(net(pairs).detach(), expected)


def test_training_approaches_the_exact_loss():
    """One source, Gaussian autoregression: the best loss is known by its density."""
    generator = torch.Generator().manual_seed(0)
    a, n = 0.8, 4000
    before = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    spread = (1 - a**2) ** 0.5
    now = a * before + spread * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    other = before[torch.randperm(n, generator=generator)]
    pairs = torch.stack([torch.stack([now, before], 1), torch.stack([now, other], 1)], 1)
    targets = torch.tensor([1.0, 0.0], dtype=torch.float64).expand(n, 2)
    ratio = norm.logpdf(pairs[..., 0, 0], a * pairs[..., 1, 0], spread) - norm.logpdf(now)
    best = functional.binary_cross_entropy_with_logits(torch.as_tensor(ratio), targets)
    net = seeded(lambda: PermutationContrastiveNetwork(1, 1, hidden_layer_sizes=(4,)))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(net(pairs), targets)
        loss.backward()
        optimizer.step()
    assert best - 0.01 < float(loss.detach()) < best + 0.02


def test_gradients():
    net, pairs = network(), points(5, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(net, (pairs,))


@pytest.mark.parametrize(
    ("options", "message"),
    [((0, 2), "n_components"), ((3, 0), "n_inputs"), ((3, 2, 0), "n_units")],
)
def test_sizes_are_checked(options, message):
    with pytest.raises(ValueError, match=f"{message} must be at least 1, got 0"):
        ComponentwiseNetworks(*options)
