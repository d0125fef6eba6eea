import gc
import weakref

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout
from sklearn_dbt.nn.dropout._relaxation import Relaxation

N = 12


def signal(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def transform(**options):
    return TransformDropout(N, "dct", "sample_energy", seed=0, **options).double()


def ensemble(**options):
    kinds = [("fourier", "energy"), ("dct", "frequency"), ("dwt", "sample_energy")]
    members = [TransformDropout(N, basis, policy, seed=0) for basis, policy in kinds]
    return EnsembleDropout(members, learn_weights=True, seed=0, **options).double()


LAYERS = {"transform": transform, "ensemble": ensemble}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("sharing", ["none", "octave"])
def test_checkpointed_passes_repeat_their_uniforms_when_the_relaxation_is_over(make, sharing):
    found = []
    for how in (None, False):
        layer, uniforms = make(mask_sharing=sharing), []
        layer.observe(signal(20, N) * torch.arange(1, N + 1))

        def region(x, layer=layer):
            return layer(layer(x).sin())  # two passes

        x, omega = signal(6, 2, N).requires_grad_(), layer.get_omega().requires_grad_()
        with layer.relaxed(omega, uniforms, 0.5):
            h = region(x) if how is None else checkpoint(region, x, use_reentrant=how)
            y = region(h) if how is None else checkpoint(region, h, use_reentrant=how)
        y.square().sum().backward()
        assert len(uniforms) == 4
        found.append([x.grad, omega.grad, layer.get_rng_state()])
        assert all(t.abs().max() > 0 for t in found[-1])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_relaxed_and_hard_passes_are_not_taken_for_each_other(make):
    """A hard region and a relaxed one on the same input, repeated after both."""
    found = []
    for how in (None, False):
        layer, uniforms = make(), []
        x = signal(6, N).requires_grad_()
        run = layer if how is None else lambda x, f=layer: checkpoint(f, x, use_reentrant=False)
        hard = run(x)
        with layer.relaxed(layer.get_omega(), uniforms, 0.5):
            soft = run(x)
        (soft.square().sum() + hard.square().sum()).backward()
        found.append(x.grad)
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_relaxed_output_is_the_formula_at_the_uniforms(make):
    layer, x, uniforms, temperature = make(), signal(4, 3, N), [], 0.3
    layer.observe(signal(20, N))
    omega = layer.get_omega()
    with layer.relaxed(omega, uniforms, temperature), layer.recording() as recorded:
        y = layer(x)
    p = layer.rates_at(omega, layer.make_probe(x), layer.snapshot(), smooth=True)
    p = p.reshape(4, 3, -1)
    torch.testing.assert_close(recorded, [p])
    (u,) = uniforms
    odds = torch.log((1 - p) / p * u / (1 - u)) / temperature
    mask = 1 / (1 + torch.exp(-odds))
    expected = layer.basis.synthesis(layer.basis.analysis(x) * mask / (1 - p))
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_passes_of_another_shape_raise_and_the_relaxation_ends(make):
    layer, uniforms = make(), []
    omega = layer.get_omega()
    with layer.relaxed(omega, uniforms, 0.5):
        layer(signal(3, N))
    before = layer.get_rng_state()
    with (
        pytest.raises(ValueError, match=f"{type(layer).__name__}: passes at fixed uniforms must"),
        layer.relaxed(omega, uniforms, 0.5),
    ):
        layer(signal(2, N))
    assert layer._relaxation is None
    assert torch.equal(layer.get_rng_state(), before)


def test_a_pass_does_not_keep_its_relaxation_but_a_graph_does():
    layer = transform()
    x, omega = signal(3, N), layer.get_omega().requires_grad_()
    with layer.relaxed(omega, [], 0.5):
        alive = weakref.ref(layer._relaxation)
        y = checkpoint(layer, x.requires_grad_(), use_reentrant=False)
    gc.collect()
    assert alive() is not None
    y.sum().backward()
    del y
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_reentrant_checkpoints_are_repeated_within_the_context_only(make):
    found = []
    for how in (None, True):
        layer, uniforms = make(), []
        x, omega = signal(3, N).requires_grad_(), layer.get_omega().requires_grad_()
        with layer.relaxed(omega, uniforms, 0.5):
            y = layer(x) if how is None else checkpoint(layer, x, use_reentrant=how)
            y.square().sum().backward()
        found.append([x.grad, omega.grad])
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
    with layer.relaxed(omega, uniforms, 0.5):
        y = checkpoint(layer, x, use_reentrant=True)
    with pytest.raises(RuntimeError, match=f"{type(layer).__name__}: a reentrant checkpoint"):
        y.sum().backward()


def test_passes_are_counted():
    relaxation = Relaxation(torch.zeros(1), [], 0.5)
    first, second = relaxation.next_pass(), relaxation.next_pass()
    assert (first.number, second.number, relaxation.n_passes) == (0, 1, 2)
    assert first.relaxation() is relaxation
