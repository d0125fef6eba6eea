"""Networks side by side train as each would alone, and the one that is kept stays as it was."""

import copy

import pytest
import torch
from torch import nn

from sklearn_dbt.nn.encoders import Restarts, TimeContrastiveNetwork


def networks(n=3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [TimeContrastiveNetwork(4, 3, 5, hidden_layer_sizes=(6,)) for _ in range(n)]


def points(n=20):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator), torch.randint(5, (n,), generator=generator)


def test_outputs_stand_side_by_side():
    members, (x, _) = networks(), points()
    output = Restarts(members)(x)
    assert output.shape == (20, 3, 5)
    for i, member in enumerate(members):
        torch.testing.assert_close(output[:, i], member(x), rtol=0, atol=0)


def test_each_trains_as_if_it_were_alone():
    members, (x, y) = networks(), points()
    alone, restarts = copy.deepcopy(members[1]), Restarts(members)
    together = torch.optim.Adam(restarts.parameters(), lr=0.01)
    single = torch.optim.Adam(alone.parameters(), lr=0.01)
    for _ in range(10):
        for optimizer in (together, single):
            optimizer.zero_grad()
        output = restarts(x)
        sum(nn.functional.cross_entropy(output[:, i], y) for i in range(3)).backward()
        nn.functional.cross_entropy(alone(x), y).backward()
        together.step()
        single.step()
    torch.testing.assert_close(restarts.networks[1](x), alone(x))


def test_one_is_kept():
    members, (x, _) = networks(), points()
    restarts = Restarts(members)
    restarts.keep(2)
    assert len(restarts.networks) == 1
    torch.testing.assert_close(restarts(x)[:, 0], members[2](x), rtol=0, atol=0)
    assert len(list(restarts.parameters())) == len(list(members[2].parameters()))


@pytest.mark.parametrize("index", [-1, 3])
def test_it_must_exist(index):
    with pytest.raises(IndexError, match=rf"index must be in 0\.\.2, got {index}"):
        Restarts(networks()).keep(index)


def test_none_is_too_few():
    with pytest.raises(ValueError, match="at least one network, got none"):
        Restarts([])
