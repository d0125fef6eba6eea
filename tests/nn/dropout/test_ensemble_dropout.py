import copy
import pickle

import pytest
import torch

from sklearn_dbt.nn.dropout import EnsembleDropout, TransformDropout
from sklearn_dbt.nn.trust_region import DecayController, RateLayer, TrustRegionController

N = 12
KINDS = {
    "one transform": [("dct", "energy"), ("dct", "index"), ("dct", "uniform")],
    "many": [("fourier", "energy"), ("dct", "frequency"), ("dwt", "sample_energy")],
    "adapting": [("pca", "energy"), ("dct", "sample_energy")],
}


def signal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ensemble(kind="many", **kwargs):
    members = [TransformDropout(N, b, p, p=0.3 + 0.1 * i) for i, (b, p) in enumerate(KINDS[kind])]
    return EnsembleDropout(members, **{"seed": 0, **kwargs})


@pytest.mark.parametrize("kind", KINDS)
def test_expectation_is_the_input_and_evaluation_the_identity(kind):
    layer = ensemble(kind)
    x, n = signal(N).double(), 20_000
    y = layer(x.expand(n, N))
    error = (y.mean(0) - x) / (y.std(0) / n**0.5)
    assert error.abs().max() < 4.5
    assert (y.std(0) > 0.05).all()
    assert layer.eval()(x) is x


def test_what_any_member_locks_is_never_dropped():
    members = [
        TransformDropout(N, "fourier", p=0.9, locks=[(0, 1)], sampling_rate=12.0),
        TransformDropout(N, "fourier", p=0.9, locks=[(5, 5)], sampling_rate=12.0),
        TransformDropout(N, "dct", p=0.9, locks=[(3, 3)], sampling_rate=12.0),
    ]
    layer = EnsembleDropout(members, seed=0)
    assert (layer.rates == 0).nonzero().flatten().tolist() == [0, 1, 3, 5]
    layer.set_omega(torch.full_like(layer.omega, 8.0))
    x = signal(N).double()
    c, d = layer.basis.analysis(x), layer.basis.analysis(layer(x.expand(10_000, N)))
    kept = d[:, [0, 1, 3, 5]]
    torch.testing.assert_close(kept, c[[0, 1, 3, 5]].expand(10_000, 4), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("learn", [False, True])
def test_relaxed_pass_is_smooth_in_all_parameters(kind, learn):
    layer = ensemble(kind, learn_weights=learn).double()
    layer.observe(signal(30, N).double() * torch.arange(1, N + 1))
    x, uniforms = signal(3, N, seed=1).double(), []

    def fixed(omega):
        with layer.relaxed(omega, uniforms, 0.5):
            return layer(x)

    omega = layer.get_omega().requires_grad_()
    assert len(omega) == sum(m.omega.numel() for m in layer.members) + learn * len(layer.members)
    assert torch.autograd.gradcheck(fixed, omega)
    assert torch.autograd.gradgradcheck(fixed, omega)
    assert len(uniforms) == 1
    with (
        pytest.raises(ValueError, match="inputs of the same shape"),
        layer.relaxed(omega, uniforms, 0.5),
    ):
        layer(x[:2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("controller", [TrustRegionController, DecayController])
def test_a_controller_moves_it_within_its_radius(kind, controller):
    layer = ensemble(kind, learn_weights=True)
    assert isinstance(layer, RateLayer)
    moves = controller([layer], update_every=2, warmup_steps=1)
    x = signal(16, 2, N)
    for _ in range(9):
        loss = lambda: (layer(x) - x).square().mean()  # noqa: E731
        loss()
        probe = layer.make_probe(x)
        before = layer.rates_at(layer.omega.double(), probe, layer.snapshot())
        n = moves.n_updates
        moves.step(loss)
        after = layer.rates_at(layer.omega.double(), probe, layer.snapshot())
        distance = (torch.atleast_2d(after) - torch.atleast_2d(before)).square().sum(-1).mean()
        if moves.n_updates > n:
            assert float(distance) ** 0.5 <= moves.history["radius"][-1] + 1e-6
            assert float(distance) ** 0.5 == pytest.approx(moves.history["step_norm"][-1], abs=1e-6)
    assert max(moves.history["step_norm"]) > 0.005
    assert moves.history["mean_rate"][-1] < moves.history["mean_rate"][0]


@pytest.mark.parametrize("curvature", ["diagonal", "exact", "kronecker", "lbfgs"])
@pytest.mark.parametrize("policy", ["energy", "sample_energy"])
def test_an_ensemble_of_one_moves_as_its_member(curvature, policy):
    histories, places = [], []
    for wrap in (lambda member: member, lambda member: EnsembleDropout([member], seed=3)):
        layer = wrap(TransformDropout(N, "dct", policy, seed=3).double())
        controller = TrustRegionController(
            [layer], curvature=curvature, update_every=1, warmup_steps=1
        )
        x = signal(16, 2, N).double() * torch.linspace(2, 0.2, N)

        def loss(layer=layer, x=x):
            return (layer(x) - x).square().mean()

        for _ in range(5):
            loss()
            controller.step(loss)
        histories.append(controller.history)
        places.append(layer.get_omega())
    assert sum(histories[0]["accepted"]) > 1
    for key in ("rho", "step_norm", "mean_rate", "radius"):
        assert histories[1][key] == pytest.approx(histories[0][key], rel=1e-5, abs=1e-9), key
    torch.testing.assert_close(*places, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_states_continue_as_the_original(clone):
    layer = ensemble("adapting", learn_weights=True)
    layer.capture(True)
    layer.observe(signal(20, N))
    x = signal(4, N, seed=1)
    layer(x)
    copied, other = clone(layer), ensemble("adapting", learn_weights=True, seed=5)
    assert copied.take_captured() is None
    layer.set_omega(layer.omega + 0.2)
    assert not torch.equal(copied.rates, layer.rates)
    other.load_state_dict(layer.state_dict())
    other.set_rng_state(layer.get_rng_state())
    assert torch.equal(other(x), layer(x))
    assert torch.equal(layer.take_captured(), x)
