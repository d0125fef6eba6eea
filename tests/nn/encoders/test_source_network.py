"""The network against its definition, and its linear start."""

import pytest
import torch
from torch.nn import functional

from sklearn_dbt.nn.encoders import SourceNetwork


def network(*sizes, seed=0, dtype=torch.float64, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SourceNetwork(*sizes, **options).to(dtype)


def points(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_definition():
    net, x = network(4, 3, (5, 6)), points(20, 4)
    hidden = functional.leaky_relu(x @ net.hidden[0].weight.T + net.hidden[0].bias, 0.2)
    hidden = functional.leaky_relu(hidden @ net.hidden[2].weight.T + net.hidden[2].bias, 0.2)
    expected = x @ net.linear.weight.T + hidden @ net.projection.weight.T + net.projection.bias
    torch.testing.assert_close(net(x), expected)


def test_sizes():
    assert [m.out_features for m in network(4, 3).hidden[::2]] == [64, 64]
    assert len(network(4, 3, ()).hidden) == 0


def test_what_joins_hidden_layers():
    found = network(4, 3, (5, 6, 7)).inner_weights()
    assert [tuple(matrix.shape) for matrix in found] == [(6, 5), (7, 6)]
    assert network(4, 3, (5,)).inner_weights() == network(4, 3, ()).inner_weights() == []


def test_it_starts_nearly_linear():
    net, x, matrix = network(4, 3), points(20, 4), points(3, 4, seed=2)
    before = net(x) - net.linear(x) - net.projection.bias
    net.start(matrix)
    torch.testing.assert_close(net(x) - x @ matrix.T, 0.01 * before)
    net(x).sum().backward()
    assert net.hidden[0].weight.grad.abs().max() > 0


def test_any_leading_axes():
    net, x = network(4, 3), points(2, 5, 4)
    torch.testing.assert_close(net(x)[1, 2], net(x[1, 2]))


def test_gradients():
    net, x = network(3, 2, (5, 4)), points(6, 3).requires_grad_()
    assert torch.autograd.gradcheck(net, (x,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(dtype):
    assert network(4, 3, dtype=dtype)(points(2, 4, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 3), "n_channels must be at least 1, got 0"),
        ((4, 0), "n_components must be at least 1, got 0"),
        ((4, 3, (8, 0)), r"hidden_layer_sizes\[1\] must be at least 1"),
    ],
)
def test_sizes_are_checked(sizes, message):
    with pytest.raises(ValueError, match=message):
        SourceNetwork(*sizes)
