"""The layer under its controllers: what must be true of every run."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_dbt.nn.dropout import Policy, TransformDropout
from sklearn_dbt.nn.trust_region import (
    CURVATURES,
    STEPS,
    DecayController,
    TrustRegionController,
)

N_ROWS, N_TIMES = 64, 16
RUNS = [
    ("fourier", "energy"),
    ("dct", "sample_energy"),
    ("dwt", "frequency"),
    ("pca", "energy"),
    ("pca", "sample_energy"),
    ("dct", "uniform"),
]


def data():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(N_ROWS, 3, N_TIMES, generator=g)
    return x, (x[:, 0].sum(-1, keepdim=True) > 0).float()


def network(basis="fourier", policy="energy", **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"p": 0.4, "seed": 1, **kwargs}
        return nn.Sequential(
            TransformDropout(N_TIMES, basis, policy, **options),
            nn.Conv1d(3, 4, 3, padding=1),
            nn.Tanh(),
            TransformDropout(N_TIMES, basis, policy, **{**options, "seed": 2}),
            nn.Flatten(),
            nn.Linear(4 * N_TIMES, 1),
        )


def dropouts(net):
    return [m for m in net.modules() if isinstance(m, TransformDropout)]


class Training:
    """Batches in order, one optimizer, one controller: a training that can be cut anywhere."""

    def __init__(self, net, controller):
        self.net, self.controller = net, controller
        self.optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        self.n_steps = 0

    def run(self, n, before=None, after=None):
        x, y = data()
        for _ in range(n):
            rows = slice(32 * (self.n_steps % 2), 32 * (self.n_steps % 2) + 32)
            loss = lambda rows=rows: nn.functional.binary_cross_entropy_with_logits(  # noqa: E731
                self.net(x[rows]), y[rows]
            )
            self.optimizer.zero_grad()
            loss().backward()
            self.optimizer.step()
            if before is not None:
                before()
            self.controller.step(loss)
            if after is not None:
                after()
            self.n_steps += 1


OFTEN = {"update_every": 3, "warmup_steps": 4}


# An implementation of the rates of its own, in numpy and float64


def numpy_rates(layer, omega, x, snapshot):
    """Rates of shape (n_samples or 1, n_rates) from the formula."""

    def standardized(v):
        v = v - v.mean(-1, keepdims=True)
        return v / np.sqrt((v**2).mean(-1, keepdims=True) + 1e-6)

    *weights, bias = omega.double().numpy()
    k = layer.basis.n_coefficients
    phi = []
    for descriptor in layer.policy.descriptors:
        name = type(descriptor).__name__
        if name == "PopulationEnergy":
            value = -standardized(snapshot.log_energy.double().numpy())
        elif name == "SampleEnergy":
            basis = layer.basis if snapshot.basis is None else snapshot.basis
            energy = basis.analysis(x.double()).abs().numpy() ** 2
            floor = 1e-6 * energy.mean(-1, keepdims=True) + np.finfo(float).tiny
            value = -standardized(np.log(energy + floor)).reshape(len(x), -1, k)
        else:
            frequency = layer.basis.layout.frequency.numpy().astype(float)
            value = standardized(np.log1p(frequency * layer.n_features))
        phi.append(np.clip(value, -3, 3))
    z = bias + sum((w * f for w, f in zip(weights, phi, strict=True)), np.zeros(k))
    rates = layer.p_min + (layer.p_max - layer.p_min) / (1 + np.exp(-z))
    rates = np.where(layer.locked.numpy(), 0, rates)
    rates = np.where(rates < layer.p_zero, 0, rates)
    return rates.reshape(len(x), -1) if layer.policy.per_sample else rates[None]


class Replay:
    """Keeps probe and both states of each update and computes the distances anew."""

    def __init__(self, net, controller):
        self.layers, self.controller = dropouts(net), controller
        self.distances = []

    def before(self):
        self.n_updates = self.controller.n_updates
        self.inputs = [layer._captured.clone() for layer in self.layers]
        self.state = [(layer.get_omega(), layer.snapshot()) for layer in self.layers]
        self.rates = [layer.rates for layer in self.layers]

    def after(self):
        if self.controller.n_updates == self.n_updates:
            for layer, rates in zip(self.layers, self.rates, strict=True):
                # Between updates, rates stand still (the first observation starts the statistics).
                assert (
                    not layer.observed
                    or self.controller.n_steps == 1
                    or torch.equal(layer.rates, rates)
                )
            return
        square = 0.0
        for layer, x, old in zip(self.layers, self.inputs, self.state, strict=True):
            a = numpy_rates(layer, old[0], x, old[1])
            b = numpy_rates(layer, layer.get_omega(), x, layer.snapshot())
            square += ((a - b) ** 2).sum(-1).mean()
        self.distances.append(square**0.5)


@pytest.mark.parametrize(
    ("kind", "basis", "policy"),
    [(TrustRegionController, *run) for run in RUNS] + [(DecayController, *r) for r in RUNS[3:]],
)
def test_every_move_obeys_its_radius(kind, basis, policy):
    net = network(basis, policy)
    controller = kind(dropouts(net), **OFTEN)
    replay, training = Replay(net, controller), Training(net, controller)
    training.run(25, replay.before, replay.after)
    history = controller.history
    assert controller.n_updates == 7
    np.testing.assert_allclose(replay.distances, history["step_norm"], rtol=0, atol=1e-6)
    for distance, radius, accepted in zip(
        replay.distances, history["radius"], history["accepted"], strict=True
    ):
        assert distance <= radius + 1e-6
        assert accepted or distance == 0
    assert sum(d**2 for d in replay.distances) <= sum(r**2 for r in history["radius"])
    assert max(replay.distances) > 0.01  # and it does move
    assert history["mean_rate"][-1] < history["mean_rate"][0]


def test_two_sources_with_a_controller_each_obey_their_own_radii():
    """Separate sums of squared moves are bounded by separate sums of squared radii."""
    net = network("dct", "sample_energy")
    starts = [0.005, 0.03]
    controllers = [
        TrustRegionController([layer], radius=radius, radius_max=radius, **OFTEN)
        for layer, radius in zip(dropouts(net), starts, strict=True)
    ]
    replays = [
        Replay(nn.Sequential(layer), controller)
        for layer, controller in zip(dropouts(net), controllers, strict=True)
    ]

    class Both:
        """The controllers' steps in turn."""

        def step(self, loss):
            for controller, replay in zip(controllers, replays, strict=True):
                replay.before()
                controller.step(loss)
                replay.after()

    Training(net, Both()).run(25)
    for controller, replay, start in zip(controllers, replays, starts, strict=True):
        history = controller.history
        assert controller.n_updates == len(replay.distances) == 7
        np.testing.assert_allclose(replay.distances, history["step_norm"], rtol=0, atol=1e-6)
        for distance, radius, n in zip(
            replay.distances, history["radius"], history["n_rates"], strict=True
        ):
            assert distance <= radius + 1e-6
            assert radius <= start * n**0.5 * (1 + 1e-12)
        assert sum(d**2 for d in replay.distances) <= sum(r**2 for r in history["radius"])
        assert max(replay.distances) > 0.5 * min(history["radius"])
    slow, fast = (sum(replay.distances) for replay in replays)
    assert slow < 0.5 * fast  # each its own


@pytest.mark.parametrize("step", sorted(STEPS))
@pytest.mark.parametrize("curvature", sorted(CURVATURES))
def test_every_move_obeys_its_radius_whatever_the_model_and_the_step(curvature, step):
    runs = RUNS[:5]
    basis, policy = runs[(sorted(CURVATURES).index(curvature) + sorted(STEPS).index(step)) % 5]
    net = network(basis, policy)
    controller = TrustRegionController(
        dropouts(net), curvature=curvature, step=step, max_inner=2, rho_stop=1.0, **OFTEN
    )
    replay, training = Replay(net, controller), Training(net, controller)
    training.run(19, replay.before, replay.after)
    history = controller.history
    assert controller.n_updates == 5
    np.testing.assert_allclose(replay.distances, history["step_norm"], rtol=0, atol=1e-6)
    for distance, radius, accepted, n in zip(
        replay.distances, history["radius"], history["accepted"], history["n_rates"], strict=True
    ):
        assert distance <= radius + 1e-6
        assert radius <= controller.rule.maximum * n**0.5 * (1 + 1e-12)
        assert accepted or distance == 0
    # The stability metric: no move is longer than what it was allowed.
    ratios = [d / r for d, r in zip(replay.distances, history["radius"], strict=True)]
    assert sum(ratio <= 1 + 1e-6 for ratio in ratios) / len(ratios) == 1
    assert sum(d**2 for d in replay.distances) <= sum(r**2 for r in history["radius"])
    assert max(replay.distances) > 0.01


def test_without_sample_energies_the_distance_is_the_change_of_the_rates_in_force():
    net = network()
    controller = TrustRegionController(dropouts(net), **OFTEN)
    seen = []

    def before():
        seen.append(torch.cat([layer.rates for layer in dropouts(net)]).double())

    def after():
        change = torch.cat([layer.rates for layer in dropouts(net)]).double() - seen[-1]
        if controller.n_updates and controller.history["step"][-1] == controller.n_steps:
            moved = controller.history["step_norm"][-1]
            assert float(change.norm()) == pytest.approx(moved, abs=1e-5)

    Training(net, controller).run(30, before, after)
    assert controller.n_updates == 8


def test_locks_hold_through_a_whole_training():
    net = network(locks=[(0, 2)], sampling_rate=16.0, p=0.6)
    controller = TrustRegionController(dropouts(net), **OFTEN)
    Training(net, controller).run(25)
    for layer in dropouts(net):
        assert layer.locked.tolist()[:4] == [True, True, True, False]
        assert not layer.rates[layer.locked].any()
        assert layer.rates[~layer.locked].all()


def test_overshoot_is_rejected_and_rates_stay_bitwise():
    net = network()
    layers = dropouts(net)
    controller = TrustRegionController(layers, update_every=1, warmup_steps=3, max_retries=0)
    training = Training(net, controller)
    training.run(3)
    x, _ = data()
    start = []

    def wall():
        out = net(x[:32])
        if not start:
            start.append(out.detach())
        # Flat and without curvature where the model is made, a wall one step on.
        beyond = ((out - start[0]).abs() - 1e-6).clamp_min(0)
        return 1e6 * beyond.square().sum()

    net(x[:32])
    state = [copy.deepcopy(layer.state_dict()) for layer in layers]
    rates = [layer.rates for layer in layers]
    for layer in layers:  # statistics that would like to move the rates as well
        for _ in range(5):
            layer.observe(x * torch.arange(N_TIMES))
    statistics = [copy.deepcopy(layer.statistics.state_dict()) for layer in layers]
    net(x[:32])
    radius = controller.radius
    controller.step(wall)
    assert controller.history["accepted"] == [False]
    assert controller.history["rho"][0] < 0
    assert controller.history["step_norm"] == [0.0]
    assert controller.radius == radius / 2
    for layer, saved, before, gathered in zip(layers, state, rates, statistics, strict=True):
        assert torch.equal(layer.rates, before)
        after = layer.state_dict()
        for name, value in saved.items():
            if not name.startswith("statistics"):
                assert torch.equal(after[name], value)
        assert not torch.equal(layer.statistics.second, gathered["second"])  # still observing


@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
@pytest.mark.parametrize("kind", [TrustRegionController, DecayController])
def test_what_is_not_finite_is_survived(kind, policy):
    net = network("dct", policy)
    controller = kind(dropouts(net), update_every=1, warmup_steps=0)
    x, _ = data()
    loss = lambda: net(x).square().mean()  # noqa: E731
    net(x * torch.nan)  # before there are any statistics
    assert not controller.step(loss)
    net(x)
    assert controller.step(lambda: net(x).mean() * torch.nan)
    net(x * torch.nan)
    assert not controller.step(loss)
    net(x)
    assert controller.step(loss)
    assert controller.n_steps == 4
    if kind is TrustRegionController:
        assert controller.history["accepted"] == [False, True]
    assert controller.history["step_norm"][1] > 0
    assert all(torch.isfinite(b).all() for b in net.state_dict().values())


@pytest.mark.parametrize(("basis", "policy"), RUNS)
def test_ratio_tends_to_one_for_short_steps(basis, policy):
    # Only if gradient and values come from one function, the way of one layer's rates through
    # the next layer's sample energies included.
    def worst(radius):
        net = network(basis, policy).double()
        controller = TrustRegionController(
            dropouts(net),
            radius=radius,
            radius_min=1e-9,
            radius_max=radius,
            update_every=1,
            warmup_steps=0,
        )
        x, y = data()
        loss = lambda: (net(x.double()) - y).square().mean()  # noqa: E731
        for _ in range(4):
            net(x.double())
            controller.step(loss)
        return max(abs(rho - 1) for rho in controller.history["rho"])

    errors = [worst(radius) for radius in (1e-5, 1e-6)]
    assert errors[1] < 5e-3
    assert errors[1] < 0.2 * errors[0]


def test_weights_their_gradients_and_the_global_generator_are_left_alone():
    net = network()
    controller = TrustRegionController(dropouts(net), update_every=1, warmup_steps=0)
    x, y = data()
    (net(x) - y).square().mean().backward()
    weights = [p.detach().clone() for p in net.parameters()]
    gradients = [p.grad.clone() for p in net.parameters()]
    storages = [p.grad for p in net.parameters()]
    state = torch.get_rng_state()
    controller.step(lambda: (net(x) - y).square().mean())
    for p, weight, gradient, storage in zip(
        net.parameters(), weights, gradients, storages, strict=True
    ):
        assert torch.equal(p, weight)
        assert p.grad is storage
        assert torch.equal(p.grad, gradient)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_update_draws_uniforms_once_from_each_layer():
    net = network()
    layers = dropouts(net)
    controller = TrustRegionController(layers, update_every=1, warmup_steps=0, max_retries=5)
    x, y = data()
    net(x)
    expected = []
    for layer in layers:
        twin = copy.deepcopy(layer)
        twin._source.draw((N_ROWS, 3 if layer is layers[0] else 4, N_TIMES // 2 + 1), x.device)
        expected.append(twin.get_rng_state())
    controller.step(lambda: (net(x) - y).square().mean())
    for layer, state in zip(layers, expected, strict=True):
        assert torch.equal(layer.get_rng_state(), state)


@pytest.mark.parametrize(
    ("kind", "how", "basis", "policy"),
    [
        (TrustRegionController, "pickle", "fourier", "energy"),
        (TrustRegionController, "state_dict", "pca", "sample_energy"),
        (DecayController, "pickle", "pca", "sample_energy"),
        (DecayController, "state_dict", "fourier", "energy"),
    ],
)
def test_interrupted_training_continues_as_if_uninterrupted(kind, how, basis, policy):
    def make():
        net = network(basis, policy)
        return Training(net, kind(dropouts(net), **OFTEN))

    whole = make()
    whole.run(17)
    half = make()
    half.run(9)
    if how == "pickle":
        other = pickle.loads(pickle.dumps(half))
    else:
        other = make()
        other.net.load_state_dict(half.net.state_dict())
        other.optimizer.load_state_dict(half.optimizer.state_dict())
        other.controller.load_state_dict(half.controller.state_dict())
        other.n_steps = half.n_steps
    other.run(8)
    np.testing.assert_equal(other.controller.history, whole.controller.history)
    for a, b in zip(other.net.state_dict().values(), whole.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_compiled_networks_are_updated_eagerly():
    torch._dynamo.reset()
    net = network("dct", "energy")
    controller = TrustRegionController(dropouts(net), **OFTEN)
    compiled = torch.compile(net, backend="aot_eager")
    training = Training(compiled, controller)
    training.optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    training.run(5)
    with torch.compiler.set_stance("fail_on_recompile"):
        training.run(8)
    assert controller.n_updates == 3
    assert all(controller.history["accepted"])
    assert controller.history["step_norm"][0] > 0


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop_in = TransformDropout(N_TIMES, "dwt", seed=0)
        self.lstm = nn.LSTM(3, 8, batch_first=True)
        self.drop = TransformDropout(8, "dct", "sample_energy", seed=1)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        hidden, _ = self.lstm(self.drop_in(x).transpose(1, 2))
        return self.head(self.drop(hidden)[:, -1])


def test_a_recurrent_network_is_controlled():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Recurrent()
    controller = TrustRegionController(dropouts(net), **OFTEN)
    Training(net, controller).run(20)
    assert controller.n_updates == 5
    assert all(np.isfinite(controller.history["rho"]))
    assert sum(controller.history["accepted"]) >= 4


def test_rates_recover_from_zero_where_dropping_pays():
    layer = TransformDropout(8, "dct", "uniform", p=0.0, seed=0)
    assert not layer.rates.any()
    controller = TrustRegionController(
        [layer], penalty=0.0, radius=0.05, update_every=1, warmup_steps=0
    )
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(40):
        layer(x)
        controller.step(lambda: -(layer(x) - x).square().mean())  # the more noise, the better
    assert layer.rates.min() > 0.05


def test_convex_loss_drives_rates_to_zero():
    # Squared error of a fixed linear map is convex in the masked coefficients: E[J] grows with p.
    layer = TransformDropout(8, "dct", "uniform", p=0.3, seed=0)
    controller = TrustRegionController([layer], update_every=1, warmup_steps=0)
    x = torch.randn(256, 8, generator=torch.Generator().manual_seed(0))
    means = []
    for _ in range(40):
        layer(x)
        controller.step(lambda: (layer(x) - x).square().mean())
        means.append(controller.history["mean_rate"][-1])
    assert means[-1] == 0
    assert all(b <= a for a, b in itertools.pairwise(means))


def test_decay_reaches_its_target_with_real_layers():
    net = network("dct", "energy")
    controller = DecayController(dropouts(net), target=0.1, decay=0.5, max_change=0.1, **OFTEN)
    Training(net, controller).run(40)
    assert controller.history["mean_rate"][-1] == pytest.approx(0.1, abs=2e-3)
    rates = torch.cat([layer.rates for layer in dropouts(net)])
    assert rates.mean() == pytest.approx(0.1, abs=2e-3)


@pytest.mark.parametrize("bias", [-7.0, -12.0])
def test_rates_that_are_zero_come_back_one_by_one_where_it_pays(bias):
    # The sigmoid is flat there; the step is measured in the rates, so that it does not matter.
    start = torch.full((8,), 0.0)
    start[:4] = bias
    layer = TransformDropout(8, "dct", Policy(bias=start, bias_sharing="coefficient"), seed=0)
    assert (layer.rates == 0).tolist() == [True] * 4 + [False] * 4
    controller = TrustRegionController([layer], update_every=1, warmup_steps=0, radius_max=0.1)
    x = torch.ones(256, 8)
    wanted = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # dropping these pays

    def loss():
        noise = layer.basis.analysis(layer(layer.basis.synthesis(x)) - layer.basis.synthesis(x))
        return (noise.square().mean(0) * (0.5 - wanted)).sum()

    for _ in range(60):
        loss()
        controller.step(loss)
    rates = layer.rates
    assert (rates[:2] > 0.01).all()
    assert (rates[2:4] == 0).all()
    assert (rates[4:] < 0.45).all()
    assert all(
        d <= r + 1e-6
        for d, r in zip(controller.history["step_norm"], controller.history["radius"], strict=True)
    )
