import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, PCA, Choice
from sklearn_dbt.nn.dropout import (
    Band,
    Coefficients,
    Policy,
    PopulationEnergy,
    SampleEnergy,
    SquaredIndex,
    TransformDropout,
    make_policy,
)

BASES = ["fourier", "dct", "dwt", "pca"]
POLICIES = ["energy", "sample_energy", "frequency", "index", "uniform"]
PAIRS = [(b, p) for b in BASES for p in POLICIES if (b, p) != ("pca", "frequency")]


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


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


@pytest.mark.parametrize("policy", ["energy", "sample_energy", "free", "frequency", "uniform"])
@pytest.mark.parametrize("link", ["sigmoid", "linear"])
def test_jacobian_is_the_derivative_of_the_smooth_rates(policy, link):
    form = replace(make_policy(policy), link=link)
    layer = TransformDropout(9, "fourier", form, p=0.4, locks=[(1.0, 1.0)], sampling_rate=9.0)
    x = torch.randn(7, 2, 9, generator=torch.Generator().manual_seed(0))
    layer.observe(x)
    probe, nu = layer.make_probe(x), layer.snapshot()
    omega = 0.3 * layer.get_omega().double() + 0.1  # some rates of the linear link at a bound

    def smooth(w):
        return torch.atleast_2d(layer.rates_at(w, probe, nu, smooth=True))

    expected = torch.autograd.functional.jacobian(smooth, omega)
    torch.testing.assert_close(layer.jacobian_at(omega, probe, nu), expected)


def test_kept_descriptors_follow_changes_in_place():
    layer = TransformDropout(8, "dct", "energy")
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    layer.observe(x)
    before = layer._smooth_rates(layer.omega, x, layer._in_force())
    layer._log_energy.copy_(layer._log_energy.flip(0))  # as a broadcast of buffers does
    after = layer._smooth_rates(layer.omega, x, layer._in_force())
    torch.testing.assert_close(after, before.flip(0))
    assert copy.deepcopy(layer)._kept is None


def test_what_an_optimizer_learns_in_a_basis_is_not_the_controllers():
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    layer = TransformDropout(8, Choice([PCA(8), DCT(8)]), "sample_energy", seed=0)
    layer.observe(x)
    assert not layer.make_probe(x).requires_grad
    assert not TransformDropout(8, "learned", "sample_energy").make_probe(x).requires_grad
    old = layer.snapshot()
    with torch.no_grad():
        layer.basis.logits.add_(torch.tensor([1.0, -1.0]))
    learnt = layer.basis.logits.detach().clone()
    layer.observe(3 * x)
    layer.adopt_snapshot(layer.candidate_snapshot())
    layer.adopt_snapshot(old)
    assert torch.equal(layer.basis.logits, learnt)


@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
def test_inference_mode_gives_the_same_output_and_leaves_later_gradients_alone(policy):
    x = signal(4, 8)
    layer, twin = (TransformDropout(8, policy=policy, seed=0) for _ in range(2))
    for observed in (False, True):
        with torch.inference_mode():
            # Frozen in the mode as well: they have no version that tells of changes.
            frozen = layer.snapshot()
            rates = layer.rates_at(layer.omega, layer.make_probe(x), frozen)
            y = layer(x.clone())
        assert torch.equal(y, twin(x))
        torch.testing.assert_close(
            rates.clone(), twin.rates_at(twin.omega, twin.make_probe(x), twin.snapshot())
        )
        omega = layer.get_omega().requires_grad_()
        with layer.relaxed(omega, [], 0.5), twin.relaxed(omega, [], 0.5):
            for net in (layer, twin):
                (gradient,) = torch.autograd.grad(net(x).square().sum(), omega)
                assert gradient.isfinite().all()
        if not observed:
            with torch.inference_mode():
                layer.observe(x)
            twin.observe(x)


def test_descriptors_made_in_inference_mode_are_not_kept():
    layer = TransformDropout(8, "dct", "energy", seed=0)
    layer.observe(signal(16, 8))
    layer._kept = None
    with torch.inference_mode():
        layer._smooth_rates(layer.omega, layer._log_energy, layer._in_force())
    assert layer._kept is None
    layer._smooth_rates(layer.omega, layer._log_energy, layer._in_force())
    assert layer._kept is not None
