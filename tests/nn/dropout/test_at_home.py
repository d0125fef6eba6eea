"""The layer in other people's networks, loops and tools."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from sklearn_dbt.nn.basis import DCT
from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout
from sklearn_dbt.nn.trust_region import TrustRegionController

BASES = ["fourier", "dct", "dwt", "pca"]
POLICIES = ["energy", "sample_energy", "uniform"]
BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]
# What torch itself says while it imports inductor, and while it compiles an FFT.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated"),
    pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex"),
]


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def seeded(module, seed=0, scale=0.5):
    """Weights that do not depend on torch's global generator."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(scale * torch.randn(p.shape, generator=g, dtype=torch.float64))
    return module


# Activation checkpointing


class Regions(nn.Module):
    """Layers used several times, within a region and in several, also on the same input."""

    def __init__(self, how, basis, policy):
        super().__init__()
        g = torch.Generator().manual_seed(1)
        self.how = how
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.drop = TransformDropout(8, basis, policy, seed=g)
        self.other = TransformDropout(8, "dct", "sample_energy", seed=g)

    def first(self, x):
        h = self.drop(torch.tanh(self.a(x)))
        return self.drop(torch.tanh(self.b(self.other(h)))) + self.drop(x) * self.drop(x)

    def second(self, x):
        return torch.sin(self.drop(self.a(x)) * self.drop(x))

    def run(self, function, x):
        if self.how is None:
            return function(x)
        return checkpoint(function, x, use_reentrant=self.how)

    def forward(self, x):
        once = self.run(self.first, x) + self.run(self.first, x).square()
        return once + self.run(self.second, self.run(self.first, x))


def trained(net, x, n_steps=3):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    found = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        leaf = x.clone().requires_grad_()
        net(leaf).square().mean().backward()
        optimizer.step()
        found.append(leaf.grad)
    return found + list(net.parameters())


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("policy", POLICIES)
def test_checkpointing_repeats_the_masks(reentrant, observed, basis, policy):
    plain = seeded(Regions(None, basis, policy)).double()
    x = signal(6, 8, dtype=torch.float64)
    if observed:
        plain.drop.observe(x)
    net = copy.deepcopy(plain)
    net.how = reentrant
    torch.testing.assert_close(trained(net, x), trained(plain, x), rtol=1e-6, atol=1e-9)
    # Repetitions draw nothing.
    assert torch.equal(net.drop.get_rng_state(), plain.drop.get_rng_state())


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_in_half_precision_with_segments(reentrant):
    layers = []
    for i in range(4):
        layers += [nn.Linear(8, 8), TransformDropout(8, seed=i), nn.Tanh()]
    plain = seeded(nn.Sequential(*layers))
    segmented = copy.deepcopy(plain)
    x = signal(6, 8)
    gradients = []
    for run in (plain, lambda x: checkpoint_sequential(segmented, 3, x, use_reentrant=reentrant)):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = run(leaf)
        y.float().sum().backward()
        gradients.append(leaf.grad)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_an_ensemble(reentrant):
    members = [TransformDropout(8, basis, seed=0) for basis in ("dct", "fourier")]
    layer = EnsembleDropout(members, seed=0).double()
    copied = copy.deepcopy(layer)
    gradients = []
    for drop in (layer, lambda x: checkpoint(copied, x, use_reentrant=reentrant)):
        x = signal(6, 8, dtype=torch.float64).requires_grad_()
        drop(drop(x).sin()).sin().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_a_controller_moves_rates_of_a_checkpointed_network():
    histories = []
    for how in (None, False):
        net = seeded(Regions(how, "fourier", "energy"))
        x = signal(6, 8)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        controller = TrustRegionController(
            [net.drop, net.other], update_every=1, warmup_steps=2, module=net
        )

        def loss(net=net, x=x):
            return net(x).square().mean()

        for _ in range(5):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            controller.step(loss)
        histories.append(torch.cat([net.drop.get_omega(), net.other.get_omega()]))
        assert len(controller.history["rho"]) >= 2
    torch.testing.assert_close(*histories)


@pytest.mark.parametrize("backend", BACKENDS)
def test_checkpointing_and_compilation(backend):
    torch._dynamo.reset()
    layer = TransformDropout(64, "dct", "uniform", seed=0)
    linear = seeded(nn.Linear(64, 64))

    def region(x):
        return torch.tanh(linear(layer(torch.tanh(linear(x)))))

    def net(x):
        return checkpoint(region, x, use_reentrant=False)

    x = signal(16, 64)
    gradients = []
    state = layer.get_rng_state()
    for run in (
        region,
        torch.compile(net, backend=backend),
        torch.compile(region, backend=backend),
    ):
        layer.set_rng_state(state)
        leaf = x.clone().requires_grad_()
        if len(gradients) == 2:  # a region that holds compiled code
            y = checkpoint(run, leaf, use_reentrant=False)
        else:
            y = run(leaf)
        y.sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradients[2], gradients[0], rtol=1e-4, atol=1e-5)


# Compilation


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_masks_drop_each_coefficient_at_its_rate(backend):
    torch._dynamo.reset()
    layer = TransformDropout(16, "dct", "index", p=0.4, seed=0)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    x = layer.basis.synthesis(torch.ones(20_000, 16))
    for bias in (0.0, 1.0):
        layer.set_omega(torch.tensor([1.0, bias]))
        with torch.compiler.set_stance("default" if bias == 0 else "fail_on_recompile"):
            kept = layer.basis.analysis(compiled(x)) > 0.5
        p = layer.rates.double()
        error = (1 - kept.double().mean(0) - p) / (p * (1 - p) / len(x)).sqrt()
        assert error.abs().max() < 4.5
        centred = (kept.double() - kept.double().mean(0)) / kept.double().std(0)
        together = (centred.T @ centred / len(x) ** 0.5)[tuple(torch.triu_indices(16, 16, 1))]
        assert together.abs().max() < 4.5


def test_compiled_and_eager_masks_are_the_same():
    torch._dynamo.reset()
    layer, x = TransformDropout(16, "dct", "index", seed=0), signal(50, 16)
    state = layer.get_rng_state()
    eager = layer(x)
    layer.set_rng_state(state)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=1e-5)


# Precision and shapes


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_modules_of_any_precision(basis, policy, dtype):
    net = seeded(nn.Sequential(nn.Linear(8, 8), TransformDropout(8, basis, policy, seed=0)))
    reference = copy.deepcopy(net).double()
    net = net.to(dtype)
    x = signal(50, 8, dtype=dtype).requires_grad_()
    y = net(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == net[0].weight.grad.dtype == dtype
    expected = reference(x.detach().double())
    if policy != "sample_energy":  # where a rounded sample has other rates
        torch.testing.assert_close(y.double(), expected, atol=0.15, rtol=0.05)
    assert torch.isfinite(x.grad).all()
    assert net[1].rates.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_left_in_place(basis, dtype):
    net = nn.Sequential(nn.Linear(8, 8), TransformDropout(8, basis, seed=0), nn.Linear(8, 1))
    x = signal(4, 8).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        y = net(x)
        direct = net[1](x)
        assert net[0](x).dtype == dtype
    assert y.dtype == dtype
    assert direct.dtype == torch.float32
    y.float().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert net[0].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "turn",
    [
        lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
        lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),  # channels last
        lambda x: torch.stack([x, x], -1)[..., 0],
        lambda x: x[:1].expand(4, 3, 8),
    ],
)
def test_strides_do_not_matter(basis, policy, turn):
    x = turn(signal(4, 3, 8))
    assert not x.is_contiguous()
    layer = TransformDropout(8, basis, policy, seed=0)
    twin = copy.deepcopy(layer)
    results = []
    for drop, given in ((layer, x), (twin, x.contiguous())):
        leaf = given.detach().requires_grad_()
        y = drop(leaf)
        (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
        results.append((y, gradient))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("policy", ["energy", "uniform"])
@pytest.mark.parametrize("shape", [(0, 8), (0, 3, 8), (3, 0, 8)])
def test_empty_batches(basis, policy, shape):
    layer = TransformDropout(8, basis, policy, seed=0)
    layer.observe(signal(5, 8))
    x = torch.empty(shape, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape


@pytest.mark.parametrize("basis", BASES)
def test_one_feature(basis):
    layer = TransformDropout(1, basis, "uniform", p=0.25, seed=0)
    x = torch.ones(40_000, 1)
    y = layer(x)
    assert sorted(y.unique().tolist()) == pytest.approx([0.0, 4 / 3])
    assert abs(float(y.mean()) - 1) < 4.5 * (1 / 3 / 40_000) ** 0.5


# Tools


def test_functional_transforms():
    layer = TransformDropout(8, "dct", "index", seed=0)
    x = signal(5, 8)
    state = layer.get_rng_state()

    def loss(x):
        layer.set_rng_state(state)
        return layer(x).square().sum()

    leaf = x.clone().requires_grad_()
    value = loss(leaf)
    value.backward()
    gradient, found = torch.func.grad_and_value(loss)(x)
    # Drawn otherwise, but from the same law: compare what the mask has left.
    assert found.shape == value.shape
    c, d = (layer.basis.analysis(t) for t in (x, gradient))
    factor = d / (2 * c) * (1 - layer.rates).square()
    assert ((factor - factor.round()).abs() < 1e-4).all()
    assert set(factor.round().abs().unique().tolist()) == {0.0, 1.0}
    different = torch.vmap(layer, randomness="different")(x[:1].expand(5, 8))
    same = torch.vmap(layer, randomness="same")(x[:1].expand(5, 8))
    assert not torch.equal(different[0], different[1])
    torch.testing.assert_close(same[0], same[1])
    with pytest.raises(RuntimeError, match="randomness"):
        torch.vmap(layer)(x)


def test_double_backward():
    layer, x = TransformDropout(8, seed=0), signal(5, 8, dtype=torch.float64).requires_grad_()
    layer.double().observe(x)
    state = layer.get_rng_state()

    def value(x):
        layer.set_rng_state(state)
        return layer(x).pow(3).sum()

    (first,) = torch.autograd.grad(value(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    step = 1e-6 * signal(5, 8, seed=1, dtype=torch.float64)
    ends = [torch.autograd.grad(value(x + s * step), x)[0].square().sum() for s in (-1, 1)]
    assert float((ends[1] - ends[0]) / 2) == pytest.approx(float((second * step).sum()), rel=1e-6)


def test_lbfgs_calls_its_closure_as_often_as_it_likes():
    net = seeded(
        nn.Sequential(nn.Linear(8, 8), TransformDropout(8, p=0.1, seed=0), nn.Linear(8, 1))
    )
    x, y = signal(64, 8), signal(64, 1, seed=1)
    net[1].observe(net[0](x))
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=5)
    before = {k: v.clone() for k, v in net[1].state_dict().items()}
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        calls.append(float(loss.detach()))
        return loss

    for _ in range(4):
        optimizer.step(closure)
    assert len(calls) > 8
    assert calls[-1] < calls[0]
    assert all(torch.equal(before[k], v) for k, v in net[1].state_dict().items())


def test_replicas_draw_masks_of_their_own():
    layer = TransformDropout(8, seed=0)
    replica = layer._replicate_for_data_parallel()
    copied = copy.deepcopy(layer)
    x = signal(4, 8)
    first, second = layer(x), replica(x)
    assert not torch.equal(first, second)  # one stream for all replicas
    assert torch.equal(copied(x), first)
    assert torch.equal(copied(x), second)


# Networks


class Recurrent(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=batch_first)
        self.drop = TransformDropout(8, "dct", seed=0)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.drop(self.lstm(x)[0]))


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    layer.dropout, layer.dropout1 = TransformDropout(16, seed=1), TransformDropout(8, seed=2)
    layer.dropout2 = TransformDropout(8, "dwt", "sample_energy", seed=3)
    layer.self_attn.dropout = 0.0
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def convolution():
    return nn.Sequential(
        nn.Conv1d(3, 4, 3, padding=1),
        TransformDropout(16, "dwt", p=0.2, seed=0),
        nn.ReLU(),
        nn.Conv1d(4, 4, 3, padding=1),
        TransformDropout(16, "fourier", "sample_energy", p=0.2, seed=1),
        nn.Flatten(),
        nn.Linear(64, 1),
    )


NETWORKS = {
    "convolution": (convolution, (6, 3, 16)),
    "lstm, batch first": (lambda: Recurrent(True), (6, 5, 4)),
    "lstm, time first": (lambda: Recurrent(False), (5, 6, 4)),
    "transformer": (transformer, (6, 5, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_and_evaluate(name):
    make, shape = NETWORKS[name]
    net = seeded(make(), scale=0.2)
    x = signal(*shape)
    target = net.eval()(x).detach() + 1
    assert torch.equal(net(x), net(x))
    net.train()
    assert not torch.equal(net(x), net(x))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        loss = (net(x) - target).square().mean()
        loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
        optimizer.step()
    assert (net.eval()(x) - target).square().mean() < 0.9


@pytest.mark.parametrize("name", ["convolution", "transformer"])
def test_interrupted_training_continues_as_if_uninterrupted(name):
    make, shape = NETWORKS[name]
    net = seeded(make())
    layers = [m for m in net.modules() if isinstance(m, TransformDropout)]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    controller = TrustRegionController(layers, update_every=1, warmup_steps=1, module=net)
    everything = {"net": net, "optimizer": optimizer, "controller": controller}

    def step(net, optimizer, controller, i):
        x = signal(*shape, seed=i)

        def loss():
            return net(x).square().mean()

        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        controller.step(loss)

    for i in range(3):
        step(**everything, i=i)
    saved = pickle.dumps(everything)
    for i in range(3, 6):
        step(**everything, i=i)
    again = pickle.loads(saved)
    for i in range(3, 6):
        step(**again, i=i)
    for a, b in zip(again["net"].state_dict().values(), net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert again["controller"].history == controller.history


def test_a_basis_with_parameters_learns():
    class Turn(DCT):
        """A cosine transform after a learnt gain, which is undone."""

        def __init__(self, n):
            super().__init__(n)
            self.gain = nn.Parameter(torch.full((n,), 0.5))

        def _analysis(self, x):
            return super()._analysis(self.gain.exp() * x)

        def _synthesis(self, c):
            return super()._synthesis(c) / self.gain.exp()

    layer = TransformDropout(8, Turn(8), "uniform", seed=0).double()
    state = layer.get_rng_state()
    x = signal(4, 8, dtype=torch.float64).requires_grad_()

    def run(x, _):
        layer.set_rng_state(state)
        return layer(x)

    assert torch.autograd.gradcheck(run, (x, layer.basis.gain))
