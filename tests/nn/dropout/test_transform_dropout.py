import copy
import io
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklearn_dbt.nn.basis import DCT, PCA
from sklearn_dbt.nn.dropout import (
    Band,
    Coefficients,
    Policy,
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
    TransformDropout,
)

BASES = ["fourier", "dct", "dwt", "pca"]
POLICIES = ["energy", "sample_energy", "frequency", "index", "uniform"]
PAIRS = [(b, p) for b in BASES for p in POLICIES if (b, p) != ("pca", "frequency")]


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Expectation, locks, evaluation


@pytest.mark.parametrize(("basis", "policy"), PAIRS)
def test_expectation_is_the_input(basis, policy):
    layer = TransformDropout(10, basis, policy, p=0.3, seed=0)
    x = signal(10, dtype=torch.float64)
    n = 20_000
    y = layer(x.expand(n, 10))
    error = (y.mean(0) - x) / (y.std(0) / n**0.5)
    assert error.abs().max() < 4.5
    assert (y.std(0) > 0.1).all()


@pytest.mark.parametrize("basis", BASES)
def test_output_is_the_formula_at_the_drawn_mask(basis):
    layer = TransformDropout(12, basis, "index", p=0.4, seed=1)
    x = signal(5, 3, 12, dtype=torch.float64)
    state = layer.get_rng_state()
    y = layer(x)
    layer.set_rng_state(state)
    c = layer.basis.analysis(x)
    mask = layer._source.draw(c.shape, c.device) >= layer.rates
    expected = layer.basis.synthesis(c * (mask / (1 - layer.rates)).double())
    torch.testing.assert_close(y, expected, atol=1e-6, rtol=0)


def test_locked_coefficients_are_never_dropped():
    layer = TransformDropout(
        20, "fourier", p=0.9, locks=[(8, 12), (0, 0)], sampling_rate=40.0, seed=0
    )
    assert layer.locked.nonzero().flatten().tolist() == [0, 4, 5, 6]
    assert not layer.rates[layer.locked].any()
    x = signal(20, dtype=torch.float64)
    c, d = layer.basis.analysis(x), layer.basis.analysis(layer(x.expand(10_000, 20)))
    torch.testing.assert_close(
        d[:, layer.locked], c[layer.locked].expand(10_000, 4), rtol=0, atol=1e-12
    )
    assert (d[:, ~layer.locked].abs() < 1e-9).double().mean() > 0.8
    for bias in (-12.0, 12.0):  # wherever a controller may take the parameters
        layer.set_omega(torch.tensor([8.0, bias]))
        assert not layer.rates[layer.locked].any()


def test_evaluation_returns_the_input_and_needs_no_statistics():
    layer = TransformDropout(8).eval()
    x = signal(3, 8)
    assert layer(x) is x
    wrong_length = torch.ones(3, 5)
    assert layer(wrong_length) is wrong_length  # nothing is computed


@pytest.mark.parametrize("shape", [(8,), (4, 8), (4, 3, 8), (2, 4, 3, 8)])
@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
def test_any_leading_axes(shape, policy):
    layer = TransformDropout(8, policy=policy, seed=0)
    layer.capture(True)
    y = layer(signal(*shape))
    assert y.shape == shape
    captured = layer.take_captured()
    layer.observe(captured)
    rates = layer.rates_at(layer.omega, layer.make_probe(captured), layer.snapshot())
    n_series = captured[0].numel() // 8 if len(shape) > 1 else 1
    expected = (5,) if policy == "energy" else (shape[0] if len(shape) > 1 else 1, 5 * n_series)
    assert rates.shape == expected


# Rates


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_first_mean_rate(policy, p):
    layer = TransformDropout(400, "dct", policy, p=p, p_zero=0.0, seed=0)
    if policy in ("energy", "sample_energy"):
        # Energies whose logarithms are normally distributed over the coefficients.
        spectrum = (0.5 * signal(400, seed=1)).exp()
        sample = layer.basis.synthesis(spectrum[None])
        layer.observe(sample)
        rates = layer.rates_at(layer.omega, layer.make_probe(sample), layer.snapshot())
        assert float(rates.mean()) == pytest.approx(p, abs=0.03)
    else:
        assert float(layer.rates.mean()) == pytest.approx(p, abs=1e-4)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from(POLICIES), st.booleans())
def test_rates_that_masks_use_are_the_ones_at_the_parameters(seed, policy, observed):
    layer = TransformDropout(9, "dct", policy, seed=0).double()
    x = signal(6, 2, 9, seed=seed, dtype=torch.float64)
    if observed:
        layer.observe(x + 1)
    omega = torch.randn(len(layer.omega), generator=torch.Generator().manual_seed(seed)).double()
    layer.set_omega(omega)
    used = layer._rates_for(layer.basis.analysis(x))
    if observed:
        at = layer.rates_at(omega, layer.make_probe(x), layer.snapshot())
        torch.testing.assert_close(used.reshape(at.shape), at)
    smooth = layer._smooth_rates(
        omega, layer.basis.analysis(x), layer._population(layer.basis.analysis(x))
    )
    assert torch.equal(used > 0, (smooth >= layer.p_zero) & ~layer.locked)
    if policy not in ("sample_energy",) and (observed or policy != "energy"):
        torch.testing.assert_close(used, layer.rates)


def test_weak_coefficients_are_dropped_more():
    layer = TransformDropout(16, "dct", "energy")
    c = torch.linspace(3, 0.1, 16) * signal(500, 16)
    layer.observe(layer.basis.synthesis(c))
    assert (layer.rates[:4].mean() < 0.35) & (layer.rates[-4:].mean() > 0.65)
    assert layer.rates.diff().min() > -0.05


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


def test_rates_that_are_nearly_zero_are_zero_and_come_back():
    layer = TransformDropout(8, "dct", "uniform", p=0.5, p_zero=1e-3)
    layer.set_omega(torch.tensor([-6.8]))
    assert layer.rates.min() > 1e-3
    layer.set_omega(torch.tensor([-7.0]))
    assert not layer.rates.any()
    snapshot, omega = layer.snapshot(), layer.get_omega().requires_grad_()
    smooth = layer.rates_at(omega, torch.zeros(0), snapshot, smooth=True)
    assert (smooth > 0).all()  # what a controller differentiates is still there
    (gradient,) = torch.autograd.grad(smooth.sum(), omega)
    assert gradient > 0
    layer.set_omega(torch.tensor([-6.8]))
    assert layer.rates.min() > 1e-3
    bounded = TransformDropout(8, "dct", "uniform", p=0.5, p_min=1e-4)
    bounded.set_omega(torch.tensor([-12.0]))
    assert bounded.rates.min() >= 1e-4  # p_min is kept, also under p_zero


def test_a_bfloat16_input_is_dropped_at_the_rate():
    layer = TransformDropout(1000, "dct", "uniform", p=0.001, p_zero=0.0, seed=0)
    c = layer.basis.analysis(layer(torch.ones(2000, 1000, dtype=torch.bfloat16)))
    # The constant has one coefficient; count how often it is gone.
    layer = TransformDropout(1, "dct", "uniform", p=0.001, p_zero=0.0, seed=0)
    n = 1_000_000
    dropped = (layer(torch.ones(n, 1, dtype=torch.bfloat16)) == 0).double().mean().item()
    assert abs(dropped - 0.001) < 4.5 * (0.001 / n) ** 0.5
    assert torch.isfinite(c).all()


# Numbers at the edges


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("policy", ["energy", "sample_energy", "index", "uniform"])
@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("p", [0.0, 0.95])
def test_no_nan_at_the_edges(basis, policy, n, p):
    layer = TransformDropout(n, basis, policy, p=p, seed=0)
    for x in (torch.zeros(3, n), torch.ones(1, n), 1e-30 * torch.ones(3, n), signal(3, n)):
        x.requires_grad_()
        y = layer(x)
        y.sum().backward()
        assert torch.isfinite(y).all()
        assert torch.isfinite(x.grad).all()
        layer.observe(x)
        layer.adopt_snapshot(layer.candidate_snapshot())
        assert torch.isfinite(layer.rates).all()
        if p == 0:
            torch.testing.assert_close(layer(x), x, atol=1e-5, rtol=1e-5)
        omega = layer.get_omega().requires_grad_()
        with layer.relaxed(omega, [], 0.5):
            value = layer(x).square().sum()
        (first,) = torch.autograd.grad(value, omega, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), omega)
        assert torch.isfinite(first).all()
        assert torch.isfinite(second).all()


def test_gradient_through_the_layer():
    layer = TransformDropout(6, "fourier", "energy", p=0.5, seed=0).double()
    layer.observe(signal(20, 6, dtype=torch.float64))
    state = layer.get_rng_state()

    def fixed(x):
        layer.set_rng_state(state)
        return layer(x)

    x = signal(2, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(fixed, x)


@pytest.mark.parametrize(("basis", "policy"), PAIRS)
def test_relaxed_pass_is_smooth_in_the_parameters(basis, policy):
    layer = TransformDropout(
        5,
        basis,
        policy,
        seed=0,
        **({} if basis == "pca" else {"locks": [(0, 0.2)]}),
        sampling_rate=1.0,
    ).double()
    layer.observe(signal(30, 5, dtype=torch.float64))
    x = signal(4, 5, seed=1, dtype=torch.float64)
    uniforms = []

    def fixed(omega):
        with layer.relaxed(omega, uniforms, 0.5):
            return layer(x)

    omega = layer.get_omega().requires_grad_()
    assert torch.autograd.gradcheck(fixed, omega)
    assert torch.autograd.gradgradcheck(fixed, omega)
    assert len(uniforms) == 1


def test_relaxed_pass_tends_to_the_hard_one_at_the_same_uniforms():
    layer = TransformDropout(16, "dct", "index", seed=0)
    x, state = signal(8, 16), layer.get_rng_state()
    hard = layer(x)
    layer.set_rng_state(state)
    with layer.relaxed(layer.omega, [], 1e-6):
        torch.testing.assert_close(layer(x), hard, atol=1e-4, rtol=0)


def test_relaxed_passes_repeat_their_uniforms_in_order():
    layer = TransformDropout(8, seed=0)
    x, uniforms = signal(4, 8), []
    with layer.relaxed(layer.omega, uniforms, 0.5):
        first, second = layer(x), layer(x)
    assert len(uniforms) == 2
    assert not torch.equal(first, second)
    state = layer.get_rng_state()
    with layer.relaxed(layer.omega, uniforms, 0.5):
        assert torch.equal(layer(x), first)
        assert torch.equal(layer(x), second)
    assert torch.equal(layer.get_rng_state(), state)
    with (
        pytest.raises(ValueError, match=r"inputs of the same shape, got coefficients \(3, 5\)"),
        layer.relaxed(layer.omega, uniforms, 0.5),
    ):
        layer(x[:3])
    assert layer._relaxation is None


# State


@pytest.mark.parametrize(("basis", "policy"), PAIRS)
def test_forward_changes_no_state(basis, policy):
    layer = TransformDropout(8, basis, policy, seed=0)
    layer.observe(signal(20, 8))
    layer.capture(True)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    rates = layer.rates
    layer(signal(4, 8, seed=1))
    layer(signal(4, 8, seed=2))
    assert all(torch.equal(before[k], v) for k, v in layer.state_dict().items())
    assert torch.equal(rates, layer.rates)


def test_parameters_are_no_parameters():
    layer = TransformDropout(8, policy="sample_energy")
    assert list(layer.parameters()) == []
    assert "omega" in layer.state_dict()
    storage = layer.omega.data_ptr()
    layer.set_omega(torch.tensor([1.0, 2.0, 3.0]))
    assert layer.omega.data_ptr() == storage
    copied = layer.get_omega()
    copied.zero_()
    assert layer.omega.any()


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


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("basis", BASES)
def test_copies_continue_as_the_original(clone, basis):
    layer = TransformDropout(8, basis, seed=0)
    layer.capture(True)
    layer.observe(signal(20, 8))
    layer(signal(4, 8))
    copied = clone(layer)
    assert copied.take_captured() is None  # a batch is not part of a layer
    x = signal(4, 8, seed=2)
    first = copied(x)
    assert torch.equal(first, layer(x))
    assert not torch.equal(copied(x), first)
    assert copied.take_captured() is not None
    copied.set_omega(copied.omega - 1)
    assert not torch.equal(copied.rates, layer.rates)


def test_seeds():
    x = signal(4, 8)
    assert torch.equal(TransformDropout(8, seed=3)(x), TransformDropout(8, seed=3)(x))
    assert not torch.equal(TransformDropout(8, seed=3)(x), TransformDropout(8, seed=4)(x))
    before = torch.get_rng_state()
    TransformDropout(8)(x)
    assert torch.equal(torch.get_rng_state(), before)


def test_capture_keeps_the_last_training_input():
    layer = TransformDropout(8, seed=0)
    layer(signal(2, 8))
    assert layer.take_captured() is None
    layer.capture(True)
    x = signal(3, 8).requires_grad_()
    layer(signal(2, 8))
    layer(x)
    with layer.relaxed(layer.omega, [], 0.5):
        layer(signal(5, 8))
    layer.eval()(signal(7, 8))
    captured = layer.take_captured()
    assert torch.equal(captured, x)
    assert not captured.requires_grad
    assert layer.take_captured() is None
    layer.train()(x)
    layer.capture(False)
    assert layer.take_captured() is None


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


# Precision


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


@pytest.mark.parametrize("basis", BASES)
def test_autocast(basis):
    net = nn.Sequential(nn.Linear(8, 8), TransformDropout(8, basis, seed=0), nn.Linear(8, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(signal(4, 8))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert torch.isfinite(net[0].weight.grad).all()


# Compilation


def fresh(layer):
    torch._dynamo.reset()
    return nn.Sequential(nn.Linear(8, 8), layer, nn.Linear(8, 1))


INDUCTOR = [
    pytest.mark.slow,
    # What torch itself says while it imports inductor, and while it compiles an FFT.
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated"),
    pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex"),
]
BACKENDS = ["aot_eager", pytest.param("inductor", marks=INDUCTOR)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
@pytest.mark.parametrize("basis", ["dct", pytest.param("fourier", marks=pytest.mark.slow)])
def test_compiled_without_breaks_or_recompilation(backend, policy, basis):
    layer = TransformDropout(8, basis, policy, p=0.5, seed=0)
    layer.observe(signal(50, 8))
    layer.capture(True)
    net = fresh(layer)
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    x = signal(4000, 8)
    compiled(x).sum().backward()
    assert layer.take_captured().shape == (4000, 8)
    with torch.compiler.set_stance("fail_on_recompile"):
        outputs = []
        for bias in (-12.0, 0.0, 12.0):
            layer.set_omega(torch.cat([torch.zeros(len(layer.omega) - 1), torch.tensor([bias])]))
            outputs.append(compiled(x))
        assert not torch.equal(compiled(x), outputs[-1])  # fresh masks each time
    # Nothing dropped, half, nearly all: stale rates would show.
    hidden = net[0](x)
    plain = net[2](hidden)
    torch.testing.assert_close(outputs[0], plain, atol=1e-5, rtol=1e-5)
    spread = [(y - plain).std() for y in outputs]
    assert 10 * spread[0] < spread[1] < spread[2]
    assert torch.equal(net.eval()(x), torch.compile(net, backend=backend)(x))


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_calls_draw_masks_of_their_own(backend):
    torch._dynamo.reset()
    layer = TransformDropout(64, "dct", "uniform", seed=0)
    both = torch.compile(lambda x: (layer(x), layer(x)), backend=backend, fullgraph=True)
    first, second = both(signal(4, 64))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_gradient_belongs_to_the_compiled_mask(backend):
    torch._dynamo.reset()
    layer = TransformDropout(16, "dct", "uniform", seed=0)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    x = signal(4, 16).requires_grad_()
    y = compiled(x)
    (gradient,) = torch.autograd.grad((y * x.detach()).sum(), x)
    kept = layer.basis.analysis(y).detach().abs() > 1e-4
    torch.testing.assert_close(
        layer.basis.analysis(gradient),
        2 * kept * layer.basis.analysis(x.detach()),
        atol=1e-4,
        rtol=0,
    )


# As part of networks


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 8, batch_first=True)
        self.drop = TransformDropout(8, "dct", seed=0)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        hidden, _ = self.lstm(x.transpose(1, 2))
        return self.head(self.drop(hidden)[:, -1])


def networks():
    g = torch.Generator().manual_seed(0)
    mlp = nn.Sequential(
        nn.Flatten(), nn.Linear(48, 16), nn.ReLU(), TransformDropout(16, seed=g), nn.Linear(16, 1)
    )
    convolution = nn.Sequential(
        TransformDropout(16, "dwt", seed=g),
        nn.Conv1d(3, 4, 3, padding=1),
        nn.ReLU(),
        TransformDropout(16, "fourier", "sample_energy", seed=g),
        nn.Flatten(),
        nn.Linear(64, 1),
    )
    return {"mlp": mlp, "convolution": convolution, "recurrent": Recurrent()}


@pytest.mark.parametrize("name", ["mlp", "convolution", "recurrent"])
def test_drop_in_for_dropout(name):
    net = networks()[name]
    x, y = signal(32, 3, 16), signal(32, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimizer.step()
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    net.eval()
    assert torch.equal(net(x), net(x))


def test_policies_and_bases_as_objects():
    policy = Policy([PopulationEnergy(), SampleEnergy(), SquaredIndex(), Band(0, 2)], [1, 0, 2, 3])
    basis = PCA(8)
    layers = [TransformDropout(8, DCT(8), policy, sampling_rate=10.0, seed=0) for _ in range(2)]
    assert layers[0].omega[:4].tolist() == [1, 0, 2, 3]
    # φ in the order of the policy's descriptors, whatever their source
    x = signal(5, 8)
    layers[0].observe(x)
    c = layers[0].basis.analysis(x)
    known = Coefficients(layers[0].basis, 10.0, layers[0].snapshot().log_energy, c.square().log())
    z = sum(
        w * d(known).clamp(-3, 3) for w, d in zip(layers[0].omega, policy.descriptors, strict=False)
    )
    expected = 0.95 * torch.sigmoid(z + layers[0].omega[-1])
    torch.testing.assert_close(layers[0]._rates_for(c), expected, atol=2e-3, rtol=0)
    adapting = [TransformDropout(8, basis, seed=0) for _ in range(2)]
    adapting[0].observe(x)
    assert torch.equal(basis.components, torch.eye(8).double())  # no two layers share a basis
    assert torch.equal(adapting[1].basis.components, torch.eye(8).double())
    assert not torch.equal(adapting[0].basis.components, torch.eye(8).double())


# Arguments


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"p": 1.0}, ValueError, "p must be from"),
        ({"p": 0.01, "p_min": 0.1}, ValueError, "p must be from"),
        ({"p": float("nan")}, ValueError, "p must be from"),
        ({"p_max": 1.0}, ValueError, "p_max"),
        ({"p_min": -0.1}, ValueError, "p_min"),
        ({"p_min": 0.95}, ValueError, "p_min"),
        ({"p_zero": 0.95}, ValueError, "p_zero"),
        ({"momentum": 1.0}, ValueError, "momentum"),
        ({"sampling_rate": 0.0}, ValueError, "sampling_rate"),
        ({"locks": [(1, 2)]}, ValueError, r"locks\[0\]: a band in Hz needs sampling_rate"),
        ({"locks": [(2, 1)], "sampling_rate": 9.0}, ValueError, r"locks\[0\]: 0 <= low <= high"),
        ({"locks": [3.0], "sampling_rate": 9.0}, ValueError, r"locks\[0\] must be a pair"),
        ({"locks": [(0, 1), (7, 8)], "sampling_rate": 9.0}, ValueError, r"locks\[1\]: no coeff"),
        (
            {"locks": [(0, 1)], "sampling_rate": 9.0, "basis": "pca"},
            ValueError,
            r"locks\[0\]: the coefficients of this basis have no frequency",
        ),
        ({"basis": "pca", "policy": "frequency"}, ValueError, "have no frequency"),
        ({"basis": "wave"}, ValueError, "basis must be one of"),
        ({"basis": DCT(5)}, ValueError, "5 samples"),
        ({"policy": "wave"}, ValueError, "policy must be one of"),
        ({"policy": Policy([Band(0, 1)])}, ValueError, "needs sampling_rate"),
        ({"seed": 0.5}, TypeError, "seed"),
    ],
)
def test_wrong_arguments_raise(wrong, error, match):
    with pytest.raises(error, match=match):
        TransformDropout(8, **wrong)


def test_wrong_inputs_raise():
    layer = TransformDropout(8, seed=0)
    with pytest.raises(ValueError, match="length 8"):
        layer(torch.zeros(3, 5))
    with pytest.raises(TypeError, match="floating point"):
        layer(torch.zeros(3, 8, dtype=torch.long))
    for wrong in (torch.zeros(3), torch.tensor([1.0, torch.nan])):
        before = layer.get_omega()
        with pytest.raises(ValueError, match="omega must be finite and have shape"):
            layer.set_omega(wrong)
        assert torch.equal(layer.omega, before)
    with pytest.raises(RuntimeError, match="nothing has been observed"):
        layer.candidate_snapshot()


def test_repr_shows_the_rate():
    assert repr(TransformDropout(8, "dct", "uniform", p=0.25)).startswith(
        "TransformDropout(\n  8, mean_rate=0.25"
    )
