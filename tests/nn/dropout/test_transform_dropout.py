import copy
import pickle

import pytest
import torch
from torch import nn

from sklearn_dbt.nn.basis import DCT, Basis, Layout, SpatialDFT
from sklearn_dbt.nn.dropout import (
    Band,
    Policy,
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


class LowPass(Basis):
    """The first half of a cosine transform: not all signals are in its span."""

    def __init__(self, n):
        super().__init__(n, Layout.make(n // 2), is_invertible=False)
        self.whole = DCT(n)

    def _analysis(self, x):
        return self.whole.analysis(x)[..., : self.n_features // 2]

    def _synthesis(self, c):
        return self.whole.synthesis(torch.nn.functional.pad(c, (0, c.shape[-1])))


def test_what_a_basis_does_not_span_passes():
    layer = TransformDropout(8, LowPass(8), "uniform", p=0.5, seed=0)
    x, n = signal(8, dtype=torch.float64), 20_000
    y = layer(x.expand(n, 8))
    error = (y.mean(0) - x) / (y.std(0) / n**0.5)
    assert error.abs().max() < 4.5
    c, d = DCT(8).analysis(x), DCT(8).analysis(y)
    torch.testing.assert_close(d[:, 4:], c[4:].expand(n, 4))
    assert (d[:, :4].abs() < 1e-9).double().mean() == pytest.approx(0.5, abs=0.02)


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
@pytest.mark.parametrize("n", [1, 7])
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


# Precision


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


def test_an_array_s_complex_snapshots_are_dropped_and_observed():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(512, 4, generator=generator, dtype=torch.complex64)
    layer = TransformDropout(4, SpatialDFT(4), "sample_energy", p=0.5, seed=1)
    y = layer(x)
    assert y.dtype == torch.complex64
    kept = layer.basis.analysis(y).abs() > 1e-5
    assert 0.3 < kept.float().mean() < 0.7
    assert layer.observe(x)
    expected = layer.basis.analysis(x).abs().square().mean(0)
    torch.testing.assert_close(layer.snapshot().log_energy.exp(), expected, rtol=1e-4, atol=1e-4)


def test_real_input_stays_real_where_the_basis_takes_complex_signals():
    x = torch.randn(20000, 3, generator=torch.Generator().manual_seed(0))
    layer = TransformDropout(3, SpatialDFT(3), "uniform", p=0.5, seed=1)
    y = layer(x)
    assert y.dtype == torch.float32
    error = ((y - x) * x).mean(0)  # 0 in expectation
    assert error.abs().max() < 0.05
