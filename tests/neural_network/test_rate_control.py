"""The joint to skorch works in any net, and survives what skorch does to nets."""

import copy

import numpy as np
import torch
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_dbt.neural_network import RateControl
from sklearn_dbt.nn import TransformDropout, TrustRegionController


def trained(epochs=4):
    torch_state = torch.get_rng_state()
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), TransformDropout(16, seed=0), nn.Linear(16, 1))
    torch.set_rng_state(torch_state)
    controller = TrustRegionController([module[1]], update_every=2, warmup_steps=2)
    net = NeuralNetRegressor(
        module,
        max_epochs=epochs,
        batch_size=10,
        train_split=None,
        iterator_train__shuffle=False,
        callbacks=[("rates", RateControl(controller))],
        verbose=0,
    )
    X = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    return net.fit(X, X[:, :1]), X


def test_a_plain_skorch_net_moves_its_rates():
    net, _ = trained()
    controller = dict(net.callbacks)["rates"].controller
    assert controller.n_steps == 16
    assert controller.n_updates == 7
    assert not torch.equal(
        net.module_[1].rates, TransformDropout(16, seed=0).rates
    )  # they have moved


def test_a_copy_moves_its_own_rates_and_not_the_original():
    net, X = trained()
    twin = copy.deepcopy(net)
    before = net.module_[1].omega.clone()
    twin.partial_fit(X, X[:, :1])
    assert torch.equal(net.module_[1].omega, before)
    assert dict(twin.callbacks)["rates"].controller.layers[0] is twin.module_[1]
    assert dict(twin.callbacks)["rates"].controller.n_steps == 32


def test_evaluation_batches_take_no_step():
    net, X = trained(epochs=1)
    net.predict(X)
    control = dict(net.callbacks)["rates"]
    steps = control.controller.n_steps
    control.on_batch_end(net, batch=None, training=False)
    assert control.controller.n_steps == steps
