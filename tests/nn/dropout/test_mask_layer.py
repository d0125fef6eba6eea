"""What the layers that drop coefficients have in common, tested on each of them."""

import copy
import pickle

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from sklearn_dbt.nn.basis import DCT
from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout
from sklearn_dbt.nn.dropout._mask_layer import MaskLayer
from sklearn_dbt.nn.dropout._mask_sharing import octaves
from sklearn_dbt.nn.trust_region import TrustRegionController

N = 16
BASES = ["fourier", "dct", "dwt", "pca"]


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def transform(basis, policy="energy", **options):
    return TransformDropout(N, basis, policy, seed=0, **options)


def ensemble(basis, policy="energy", **options):
    members = [
        TransformDropout(N, basis, policy, p=0.4, seed=1),
        TransformDropout(N, basis, "sample_energy", p=0.6, seed=2),
    ]
    return EnsembleDropout(members, learn_weights=True, seed=0, **options)


def sampleless(basis, policy="energy", **options):
    """An ensemble whose rates are the same for all samples."""
    members = [TransformDropout(N, basis, kind, p=0.5) for kind in (policy, "uniform")]
    return EnsembleDropout(members, seed=0, **options)


LAYERS = {"transform": transform, "ensemble": ensemble, "sampleless": sampleless}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def rates_of(layer, x):
    found = layer._hard_rates(x)
    found = found if isinstance(found, torch.Tensor) else found(layer.basis.analysis(x))
    return found.expand(*x.shape[:-1], -1)


@each_layer
@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("sharing", ["none", "octave"])
def test_output_is_the_formula_at_the_drawn_mask(make, basis, sharing):
    layer = make(basis, mask_sharing=sharing)
    layer.observe(signal(30, N) * torch.arange(1, N + 1))
    x = signal(5, 3, N, dtype=torch.float64).requires_grad_()
    state = layer.get_rng_state()
    y = layer(x)
    layer.set_rng_state(state)
    c, p = layer.basis.analysis(x), rates_of(layer, x)
    mask = layer._spread(layer._source.draw(layer._drawn_shape(c), c.device)) >= p
    expected = layer.basis.synthesis(c * (mask / (1 - p)).double())
    torch.testing.assert_close(y, expected, atol=1e-6, rtol=0)
    weights = signal(*y.shape, seed=3, dtype=torch.float64)
    gradients = [torch.autograd.grad((t * weights).sum(), x)[0] for t in (y, expected)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=0)


@each_layer
@pytest.mark.parametrize("basis", ["fourier", "dct", "dwt"])
def test_octaves_of_the_first_basis_are_dropped_whole(make, basis):
    layer = make(basis, mask_sharing="octave")
    layer.observe(signal(30, N))
    x = signal(500, N, dtype=torch.float64)
    kept = (layer.basis.analysis(layer(x)) / layer.basis.analysis(x)).abs() > 0.5
    group = octaves(layer.basis.layout)
    p = rates_of(layer, x)
    found = (1 - kept.double()).mean(0)
    assert ((found - p.mean(0)).abs() < 5 * (p.mean(0) * (1 - p.mean(0)) / 500).sqrt()).all()
    for g in group.unique():
        # One uniform for all: who has the higher rate is dropped where the lower one is.
        order = p[:, group == g].argsort(dim=1, descending=True)
        assert (kept[:, group == g].gather(1, order).int().diff(dim=1) >= 0).all()
    with pytest.raises(ValueError, match="mask_sharing must be one of 'none', 'octave'"):
        make(basis, mask_sharing="all")


@each_layer
@pytest.mark.parametrize("sharing", ["none", "octave"])
def test_compiled_and_mapped_masks_keep_at_the_rate(make, sharing):
    torch._dynamo.reset()
    layer = make("dct", mask_sharing=sharing).double()
    layer.observe(signal(30, N) * torch.arange(1, N + 1))
    x = signal(N, dtype=torch.float64).expand(4000, N)
    c, p = layer.basis.analysis(x), rates_of(layer, x)[0]
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    state = layer.get_rng_state()
    eager = layer(x)
    layer.set_rng_state(state)
    found = compiled(x)
    torch.testing.assert_close(found, eager, rtol=1e-6, atol=1e-6)
    for y in (found, torch.vmap(layer, randomness="different")(x)):
        kept = layer.basis.analysis(y) / c > 0.5
        error = (1 - kept.double().mean(0) - p) / (p * (1 - p) / len(x)).sqrt()
        assert error.abs().max() < 5
        first = kept[:, :1] if sharing == "none" else kept[:, octaves(layer.basis.layout) == 0]
        assert 0 < first.double().mean() < 1


@each_layer
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("sharing", ["none", "octave"])
def test_checkpointing_repeats_the_masks(make, reentrant, sharing):
    layer = make("dwt", mask_sharing=sharing)
    copied = copy.deepcopy(layer)
    gradients = []
    for drop in (layer, lambda x: checkpoint(copied, x, use_reentrant=reentrant)):
        x = signal(6, N).requires_grad_()
        drop(drop(x).sin()).sin().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)
    assert torch.equal(copied.get_rng_state(), layer.get_rng_state())


@each_layer
@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
def test_recorded_rates_are_those_of_relaxed_passes_and_can_be_differentiated(make, policy):
    layer = make("dct", policy)
    x = signal(5, 2, N)
    layer.observe(x)
    omega = layer.get_omega().requires_grad_()
    with layer.recording() as recorded, layer.relaxed(omega, [], 0.5):
        loss = layer(x).square().sum() + layer(2 * x).square().sum()
    assert [r.shape for r in recorded] == [(5, 2, N), (5, 2, N)]
    expected = layer.rates_at(omega, layer.make_probe(x).float(), layer.snapshot(), smooth=True)
    expected = expected if expected.ndim == 1 else expected.reshape(5, 2, N)
    torch.testing.assert_close(recorded[0], expected.expand(5, 2, N), rtol=1e-5, atol=1e-6)
    slopes = torch.autograd.grad(loss, recorded, retain_graph=True)
    (total,) = torch.autograd.grad(loss, omega, retain_graph=True)
    through = torch.autograd.grad(recorded, omega, slopes)[0]
    torch.testing.assert_close(through, total)
    layer(x)
    assert len(recorded) == 2
    assert layer._recorded is None


@each_layer
@pytest.mark.parametrize("curvature", ["kronecker", "exact"])
def test_a_controller_lowers_the_loss_with_any_curvature(make, curvature):
    layer = make("dct", mask_sharing="octave")
    controller = TrustRegionController(
        [layer], curvature=curvature, update_every=1, warmup_steps=1, penalty=0.0
    )
    x = signal(32, 2, N) * torch.linspace(2, 0.2, N)

    def loss():
        return (layer(x) - x).square().mean()

    layer.observe(x)
    before = float(layer.rates.mean())
    for _ in range(8):
        loss()
        controller.step(loss)
    assert sum(controller.history["accepted"]) >= 3
    assert max(controller.history["step_norm"]) > 0.005
    assert float(layer.rates.mean()) < before - 0.01  # dropping less is what lowers it


@each_layer
def test_inputs_are_captured_copies_forget_them_and_states_continue(make):
    layer, x = make("fourier", mask_sharing="octave"), signal(4, N)
    layer(x)
    assert layer.take_captured() is None
    layer.capture(True)
    layer(x)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    assert torch.equal(layer.take_captured(), x)
    assert layer.take_captured() is None
    state = layer.get_rng_state()
    y = layer(x)
    for copied in copies:
        assert copied.take_captured() is None
        assert copied.mask_sharing == "octave"
        assert torch.equal(copied(x), y)
    layer.set_rng_state(state)
    assert torch.equal(layer(x), y)
    assert not {"_group", "_ticket"} & set(layer.state_dict())
    layer.capture(False)
    assert layer.take_captured() is None


@each_layer
@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        (torch.ones(2, N + 1), ValueError, r"must have length 16 .* got shape \(2, 17\)"),
        (torch.tensor(1.0), ValueError, r"must have length 16 .* got shape \(\)"),
        (torch.ones(2, N).long(), TypeError, "real floating point tensor, got torch.int64"),
        (torch.ones(2, N).to(torch.complex64), TypeError, "got torch.complex64"),
        ([[1.0] * N], TypeError, "x must be a torch.Tensor, got list"),
    ],
)
def test_wrong_inputs_change_nothing(make, wrong, error, match):
    layer, twin = make("dct"), make("dct")
    layer.capture(True)
    layer(signal(3, N)), twin(signal(3, N))
    captured = layer._captured
    with pytest.raises(error, match=match):
        layer(wrong)
    uniforms = []
    with (
        pytest.raises(error, match=match),
        layer.relaxed(layer.get_omega(), uniforms, 0.5),
    ):
        layer(wrong)
    assert uniforms == []
    assert layer._captured is captured
    assert torch.equal(layer.get_rng_state(), twin.get_rng_state())
    assert torch.equal(layer(signal(3, N)), twin(signal(3, N)))


def test_a_subclass_says_what_the_rates_are():
    layer = MaskLayer()
    layer.basis = DCT(8)
    layer._start_masks("none", 0)
    with pytest.raises(NotImplementedError):
        layer(torch.ones(2, 8))
    with pytest.raises(NotImplementedError), layer.relaxed(torch.zeros(1), [], 0.5):
        layer(torch.ones(2, 8))
    assert layer.eval()(torch.ones(2, 8)).eq(1).all()
