"""The distance is soft-DTW's, of series as a module encodes them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from sklearn_dbt.nn.alignment import soft_dtw
from sklearn_dbt.pairs._pair_batches import PairDataset
from sklearn_dbt.pairs._pair_data import Pairs
from sklearn_dbt.pairs._pair_loss import PairLoss
from sklearn_dbt.pairs._pair_network import PairNetwork, encoded_channels

RNG = np.random.default_rng(0)
PAIRS = Pairs(
    RNG.normal(size=(5, 2, 8)),
    np.array([8, 6, 8, 5, 7]),
    np.array([[0, 1], [1, 2], [3, 0], [4, 4], [0, 1]]),
)
DATA = PairDataset(PAIRS, np.array([1, 0, 0, 1, 1]), np.ones(5), "cpu")


def make_network(**options):
    options = {
        "divergence": True,
        "learn_gamma": True,
        "learn_channels": True,
        "detach": False,
        **options,
    }
    return PairNetwork(2, 0.7, None, **options).double()


def direct(i, j, gamma=0.7, weights=(1.0, 1.0), divergence=True):
    gain = torch.tensor(weights, dtype=torch.float64).sqrt()[:, None]
    a, b = (gain * torch.tensor(PAIRS.series[k : k + 1, :, : PAIRS.lengths[k]]) for k in (i, j))
    return soft_dtw(a, b, gamma, divergence=divergence).item()


@pytest.mark.parametrize("divergence", [True, False])
def test_distance(divergence):
    network = make_network(divergence=divergence)
    network.total_length.fill_(14.0)
    with torch.no_grad():
        network.xi.copy_(torch.tensor([0.5, -1.0]))
        network.zeta.fill_(0.3)
    found = network.distance(**DATA.pair(slice(None)))
    for value, (i, j) in zip(found.tolist(), PAIRS.ids, strict=True):
        truth = direct(i, j, 0.7 * np.exp(0.3), np.exp([0.5, -1.0]), divergence)
        truth *= 14 / (PAIRS.lengths[i] + PAIRS.lengths[j])
        assert value == pytest.approx(truth, rel=1e-10, abs=1e-12)


def test_logit_and_its_gradient():
    network = make_network()
    network.start_scale.fill_(0.5)
    network.start_threshold.fill_(2.0)
    output = network(**DATA.pair(slice(None)))
    distance = network.distance(**DATA.pair(slice(None)))
    torch.testing.assert_close(output[:, 0], 2.0 - 0.5 * distance)
    torch.testing.assert_close(output[:, 1], distance)
    torch.testing.assert_close(network(distance=distance), output)
    names = [name for name, _ in network.named_parameters()]

    def loss(*parameters):
        values = dict(zip(names, parameters, strict=True))
        result = torch.func.functional_call(network, values, (), DATA.pair(slice(None)))
        return PairLoss(0.5, 0.6, 1.3, 0.8)(result, (DATA.same, DATA.weights))

    assert gradcheck(loss, tuple(network.parameters()))


def test_a_detached_logit_does_not_move_the_distance():
    network = make_network(detach=True)
    network(**DATA.pair(slice(None)))[:, 0].sum().backward()
    assert network.eta.grad != 0
    assert (network.xi.grad == 0).all()
    network(**DATA.pair(slice(None)))[:, 1].sum().backward()
    assert (network.xi.grad != 0).all()


def test_a_line_is_set_whatever_was_learned():
    network = make_network()
    with torch.no_grad():
        network.eta.fill_(0.3)
        network.delta.fill_(-2.0)
    network.set_line(0.25, 1.5)
    assert network.scale.item() == 0.25
    assert network.threshold.item() == 1.5


def downsampling_encoder():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv1d(3, 2, 2, stride=2))


def test_an_encoder_sees_no_padding():
    encoder = downsampling_encoder().double()
    network = make_network(encoder=encoder)
    embedded = network.embed(DATA.series, DATA.lengths)
    for i, length in enumerate(PAIRS.lengths.tolist()):
        alone = encoder(DATA.series[i : i + 1, :, :length])[0]
        assert embedded.lengths[i] == alone.shape[-1] == length // 2
        torch.testing.assert_close(embedded.series[i, :, : length // 2], alone)
        assert (embedded.series[i, :, length // 2 :] == 0).all()
    found = network.distance(**DATA.pair(slice(None)))
    for value, (i, j) in zip(found.tolist(), PAIRS.ids, strict=True):
        a, b = (encoder(DATA.series[k : k + 1, :, : PAIRS.lengths[k]]) for k in (i, j))
        truth = soft_dtw(a, b, 0.7, divergence=True).item() / (a.shape[2] + b.shape[2])
        assert value == pytest.approx(truth, rel=1e-9, abs=1e-12)


def test_an_encoder_gets_the_gradient():
    network = make_network(encoder=downsampling_encoder()).double()
    names = [name for name, _ in network.named_parameters()]

    def distances(*parameters):
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(network, values, (), DATA.pair(slice(None)))

    assert gradcheck(distances, tuple(network.parameters()))


@pytest.mark.parametrize("divergence", [True, False])
def test_the_matrix_holds_the_distances_of_pairs(divergence):
    network = make_network(divergence=divergence, encoder=downsampling_encoder()).double()
    network.total_length.fill_(14.0)
    embedded = network.embed(DATA.series, DATA.lengths)
    every = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    one_by_one = network.between(embedded, every).reshape(5, 5)
    one_set = network.matrix(embedded)
    torch.testing.assert_close(one_set, one_by_one)
    assert (one_set == one_set.T).all()
    assert (one_set.diagonal() == 0).all() == divergence
    few = network.embed(DATA.series[:2], DATA.lengths[:2])
    torch.testing.assert_close(network.matrix(few, embedded), one_by_one[:2])


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (nn.Conv1d(5, 2, 1), "cannot take two recordings, a tensor of shape .2, 2, 8."),
        (nn.Flatten(), r"must map .* a tensor of shape \(2, 2, 8\) gave \(2, 16\)"),
        (nn.LSTM(8, 3, batch_first=True), "gave tuple"),
        (nn.Threshold(1e9, float("nan")), "gives NaN or infinity"),
    ],
)
def test_an_encoder_that_gives_no_series_is_refused(encoder, message):
    with pytest.raises(ValueError, match=f"Face: encoder .*{message}"):
        encoded_channels(encoder, PAIRS.series[0], "Face")


def test_trying_an_encoder_leaves_it_alone():
    encoder = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4))
    assert encoded_channels(encoder, PAIRS.series[0], "Face") == 4
    assert encoder.training
    assert encoder[1].num_batches_tracked == 0
