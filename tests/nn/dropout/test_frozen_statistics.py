import copy
import io

import pytest
import torch
from torch import nn

from sklearn_dbt.nn.basis import DCT
from sklearn_dbt.nn.dropout import TransformDropout
from sklearn_dbt.nn.dropout._frozen_statistics import FrozenStatistics

BASES = ["fourier", "dct", "dwt", "pca"]
POLICIES = ["energy", "sample_energy", "frequency", "index", "uniform"]
PAIRS = [(b, p) for b in BASES for p in POLICIES if (b, p) != ("pca", "frequency")]


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_unobserved_layers_measure_the_batch_by_itself():
    layer = TransformDropout(16, "dct", "energy", seed=0)
    x = layer.basis.synthesis(torch.linspace(3, 0.1, 16) * signal(50, 16))
    assert not layer.observed
    before = layer._rates_for(layer.basis.analysis(x))
    layer.observe(x)
    assert layer.observed
    torch.testing.assert_close(layer.rates, before)  # the first observation does not move them
    layer.observe(10 * signal(50, 16))
    torch.testing.assert_close(layer.rates, before)  # nor do the next, until they are adopted
    layer.adopt_snapshot(layer.candidate_snapshot())
    assert (layer.rates - before).abs().max() > 1e-3


@pytest.mark.parametrize(("basis", "policy"), PAIRS)
def test_state_dict_restores_the_rates(basis, policy):
    layer = TransformDropout(8, basis, policy, seed=0)
    layer.observe(signal(20, 8) * torch.arange(8))
    layer.set_omega(layer.omega + 0.5)
    buffer = io.BytesIO()
    torch.save(layer.state_dict(), buffer)
    buffer.seek(0)
    other = TransformDropout(8, basis, policy, seed=1)
    other.load_state_dict(torch.load(buffer))
    assert other.observed
    assert torch.equal(other.rates, layer.rates)
    x = signal(4, 8)
    other.set_rng_state(layer.get_rng_state())
    assert torch.equal(layer(x), other(x))
    for net in (layer, other):
        net.observe(x)
    assert torch.equal(layer.candidate_snapshot().log_energy, other.candidate_snapshot().log_energy)


def test_a_rejected_snapshot_is_restored_bit_by_bit():
    for basis in BASES:
        layer = TransformDropout(8, basis, seed=0)
        layer.observe(signal(30, 8))
        before, state = layer.snapshot(), copy.deepcopy(layer.state_dict())
        rates = layer.rates
        for k in range(20):
            layer.observe(3 * signal(30, 8, seed=k + 1))
        middle = layer.blend_snapshots(before, layer.candidate_snapshot(), 0.5)
        statistics = copy.deepcopy(layer.statistics.state_dict())
        layer.adopt_snapshot(middle)
        assert not torch.equal(layer.rates, rates)
        layer.adopt_snapshot(before)
        assert torch.equal(layer.rates, rates)
        after = layer.state_dict()
        assert all(
            torch.equal(after[k], v) for k, v in state.items() if not k.startswith("statistics")
        )
        assert all(torch.equal(layer.statistics.state_dict()[k], v) for k, v in statistics.items())


def test_half_precision_modules_keep_their_rates_in_float32():
    net = nn.Sequential(nn.Linear(8, 8), TransformDropout(8, "dwt", "sample_energy", seed=0))
    net[1].observe(signal(20, 8))
    rates = net[1].rates
    net.to(torch.bfloat16)
    assert net[0].weight.dtype == torch.bfloat16
    assert all(b.dtype != torch.bfloat16 for b in net[1].buffers())
    assert torch.equal(net[1].rates, rates)
    y = net(signal(4, 8).bfloat16())
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    net.double()
    assert net[1].rates.dtype == torch.float64
    assert net(signal(4, 8).double()).dtype == torch.float64


class Counting(FrozenStatistics):
    """Counts how often what follows from the statistics is brought up to date."""

    n_refreshed = 0

    def _refresh_rates(self):
        self.n_refreshed += 1


def test_what_follows_is_brought_up_to_date_on_adoption_and_on_loading_only():
    held = Counting(DCT(4), 0.9)
    held.observe(signal(20, 4))
    assert held.n_refreshed == 1  # the first batch is adopted
    held.observe(signal(20, 4, seed=1))
    held.snapshot(), held.candidate_snapshot()
    assert held.n_refreshed == 1
    held.adopt_snapshot(held.candidate_snapshot())
    assert held.n_refreshed == 2
    other = Counting(DCT(4), 0.9)
    other.load_state_dict(held.state_dict())
    assert other.observed
    assert other.n_refreshed == 1
    assert torch.equal(other.snapshot().log_energy, held.snapshot().log_energy)
    with pytest.raises(NotImplementedError):
        FrozenStatistics(DCT(4), 0.9).observe(signal(20, 4))
