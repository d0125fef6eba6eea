import numpy as np
import pytest
import torch
from torch import nn

from sklearn_dbt.nn.dropout import EnsembleDropout, Policy, TransformDropout

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
@pytest.mark.parametrize("learn", [False, True])
def test_rates_are_the_convex_combination(kind, learn):
    layer = ensemble(kind, weights=[3.0, 1.0, 2.0][: len(KINDS[kind])], learn_weights=learn)
    x = signal(6, 2, N) * torch.arange(1, N + 1)
    layer.observe(x)
    a = torch.tensor([3.0, 1.0, 2.0])[: len(KINDS[kind])]
    a = a / a.sum()
    torch.testing.assert_close(layer.weights, a)
    expected = torch.zeros(6, 2, layer.basis.n_coefficients)
    for weight, member in zip(a, layer.members, strict=True):
        rates = member._rates_for(member.basis.analysis(x))
        rates = rates.expand(6, 2, -1).numpy()
        f, g = (b.layout.frequency.numpy() for b in (member.basis, layer.basis))
        if len(f) != len(g):
            knots = np.unique(f)
            mean = np.stack([rates[..., f == knot].mean(-1) for knot in knots], -1)
            rates = np.stack([[np.interp(g, knots, m) for m in row] for row in mean])
        expected += weight * torch.as_tensor(np.asarray(rates, dtype=np.float32))
    got = layer.rates_at(layer.omega, layer.make_probe(x), layer.snapshot())
    shape = expected.shape if layer.per_sample else expected.shape[-1:]
    wanted = expected if layer.per_sample else expected[0, 0]
    torch.testing.assert_close(got.reshape(shape), wanted, atol=1e-5, rtol=0)
    if not layer.per_sample:
        torch.testing.assert_close(layer.rates, got)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: EnsembleDropout([]), ValueError, "at least 1 layer"),
        (lambda: EnsembleDropout([nn.Dropout()]), TypeError, r"members\[0\] must be a Transform"),
        (
            lambda: EnsembleDropout([TransformDropout(8), TransformDropout(9)]),
            ValueError,
            r"members\[1\] is for 9 features, the first for 8",
        ),
        (lambda: EnsembleDropout([TransformDropout(8)] * 2), ValueError, "twice"),
        (
            lambda: EnsembleDropout([TransformDropout(8, "pca"), TransformDropout(8)]),
            ValueError,
            r"members\[1\] has 5 coefficients and the first member 8",
        ),
        (lambda: ensemble(weights=[1.0]), ValueError, r"weights must be 3 positive .* got \[1.0\]"),
        (lambda: ensemble(weights=[1, 1, 0]), ValueError, "weights must be 3 positive"),
        (
            lambda: EnsembleDropout(TransformDropout(8)),
            TypeError,
            "EnsembleDropout: members must be a sequence of TransformDropout, got TransformDropout",
        ),
        (
            lambda: EnsembleDropout(TransformDropout(8) for _ in range(2)),
            TypeError,
            "EnsembleDropout: members must be a sequence of TransformDropout, got generator",
        ),
        (lambda: ensemble(weights=0.5), TypeError, "weights must be 3 positive .* got 0.5"),
        (
            lambda: ensemble(weights=["a", 1, 1]),
            TypeError,
            "weights must be 3 positive .* got .'a'",
        ),
        (lambda: ensemble(mapping="cubic"), ValueError, "mapping must be one of 'linear'"),
        (lambda: ensemble().set_omega(torch.zeros(2)), ValueError, "omega must be finite"),
    ],
)
def test_wrong_arguments_raise(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_rates_are_those_of_a_pass_also_where_members_rates_are_snapped():
    # A member alone would snap its rates to 0; their mean is what is snapped.
    policies = [Policy(bias=-7.2), Policy(bias=0.0), Policy(bias=-7.2)]
    members = [TransformDropout(N, "dct", policy, p_zero=1e-3) for policy in policies]
    assert not members[0].rates.any()
    layer = EnsembleDropout(members, weights=[1.0, 2e-3, 1.0], seed=0)
    used = layer._hard_rates(signal(3, N))
    assert torch.equal(layer.rates, used.expand(N))
    smooth = layer.rates_at(layer.omega, signal(3, N), layer.snapshot(), smooth=True)
    assert (smooth >= 1e-3).all()
    torch.testing.assert_close(layer.rates, smooth)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_modules_keep_weights_and_maps_in_float32(dtype):
    layer = ensemble(weights=[3.0, 1.1, 2.3], learn_weights=True)
    layer.observe(signal(20, N))
    rates, weights, carried = layer.rates, layer.weights, layer._map_1.clone()
    layer.to(dtype)
    assert torch.equal(layer.rates, rates)
    assert torch.equal(layer.weights, weights)
    assert torch.equal(layer._map_1, carried)
    assert layer(signal(3, N).to(dtype)).dtype == dtype
    assert layer.double().rates.dtype == torch.float64


def test_weights_that_are_learnt_start_within_their_bounds():
    layer = ensemble(weights=[1e-3, 1.0, 1.0], learn_weights=True)
    lower, upper = layer.omega_bounds()
    assert bool(((layer.omega >= lower) & (layer.omega <= upper)).all())
    message = r"weights\[0\] is 5e-06 of their sum; where they are learnt, .* 0.000335"
    with pytest.raises(ValueError, match=message):
        ensemble(weights=[1e-5, 1.0, 1.0], learn_weights=True)
    assert float(ensemble(weights=[1e-5, 1.0, 1.0]).weights[0]) == pytest.approx(5e-6, rel=1e-4)
