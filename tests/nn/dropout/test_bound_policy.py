import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, DWT
from sklearn_dbt.nn.dropout import Policy, PopulationEnergy, SquaredIndex
from sklearn_dbt.nn.dropout._bound_policy import BoundPolicy

seeds = st.integers(0, 2**31)
sharings = st.sampled_from(["all", "scale", "coefficient"])


def bound(policy, k=8):
    return BoundPolicy(policy, DCT(k).layout)


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(0, 3), st.integers(1, 20))
def test_rates_are_the_formula(seed, n_descriptors, k):
    g = torch.Generator().manual_seed(seed)
    policy = bound(Policy([SquaredIndex()] * n_descriptors, phi_max=1.5), k)
    omega = 2 * torch.randn(n_descriptors + 1, generator=g, dtype=torch.float64)
    phi = 2 * torch.randn(n_descriptors, k, generator=g, dtype=torch.float64)
    z = np.clip(phi.numpy(), -1.5, 1.5).T @ omega[:-1].numpy() + omega[-1].item()
    expected = 0.1 + 0.8 / (1 + np.exp(-z))
    np.testing.assert_allclose(policy.rates(omega, phi, 0.1, 0.9).numpy(), expected, rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(seeds, sharings, sharings, st.booleans(), st.sampled_from(["sigmoid", "linear"]))
def test_shared_weights_are_the_formula(seed, sharing, bias_sharing, standardize, link):
    g = torch.Generator().manual_seed(seed)
    layout = DWT(16, "haar", level=3).layout
    form = Policy(
        [SquaredIndex(sharing=sharing, standardize=standardize), PopulationEnergy()],
        bias_sharing=bias_sharing,
        link=link,
    )
    policy = BoundPolicy(form, layout)
    sizes = {"all": 1, "scale": 3, "coefficient": 16}
    n = [sizes[sharing], 1, sizes[bias_sharing]]
    assert policy.n_parameters == sum(n)
    omega = torch.randn(sum(n), generator=g, dtype=torch.float64)
    one = 4 * torch.randn(16, generator=g, dtype=torch.float64)
    two = torch.randn(5, 16, generator=g, dtype=torch.float64)  # of each sample
    rates = policy.rates(omega, [one, two], 0.05, 0.9).numpy()
    w, v, bias = (part.numpy() for part in omega.split(n))
    for b, k in np.ndindex(5, 16):
        place = {"all": 0, "scale": int(layout.scale[k]) - 1, "coefficient": k}
        phi = float(one[k].clamp(-3, 3)) if standardize else float(one[k])
        z = w[place[sharing]] * phi + v[0] * float(two[b, k].clamp(-3, 3))
        z += bias[place[bias_sharing]]
        expected = np.clip(z, 0.05, 0.9) if link == "linear" else 0.05 + 0.85 / (1 + np.exp(-z))
        assert rates[b, k] == pytest.approx(expected, rel=1e-12)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(0, 3), st.integers(1, 20))
def test_rates_move_no_more_than_the_bound_says(seed, n_descriptors, k):
    # ‖Δp‖ ≤ ¼ √K (φ_max ‖s_w‖₁ + |s_γ|), however large the descriptors
    g = torch.Generator().manual_seed(seed)
    policy = bound(Policy([SquaredIndex()] * n_descriptors), k)
    omega, step = 3 * torch.randn(2, n_descriptors + 1, generator=g, dtype=torch.float64)
    phi = 10 * torch.randn(n_descriptors, k, generator=g, dtype=torch.float64)
    moved = policy.rates(omega + step, phi, 0.0, 0.95) - policy.rates(omega, phi, 0.0, 0.95)
    bound_ = 0.25 * k**0.5 * (policy.policy.phi_max * step[:-1].abs().sum() + step[-1].abs())
    assert moved.norm() <= bound_


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(0, 3), st.floats(0.01, 0.9), sharings)
def test_initial_parameters_have_the_mean_rate(seed, n_descriptors, p, sharing):
    g = torch.Generator().manual_seed(seed)
    form = Policy([SquaredIndex()] * n_descriptors, bias_sharing=sharing)
    policy = BoundPolicy(form, DWT(32, "haar").layout)
    phi = torch.randn(n_descriptors, 32, generator=g, dtype=torch.float64)
    free = torch.arange(32) > 3
    omega = policy.initial(p, phi, 0.0, 0.95, free)
    mean = policy.rates(omega, phi, 0.0, 0.95)[free].mean().item()
    assert mean == pytest.approx(p, abs=1e-5)
    assert omega[:n_descriptors].tolist() == list(form.weights)


def test_initial_parameters_at_the_ends_are_bounded():
    policy = bound(Policy(), 1)
    for p in (0.1, 0.9):
        omega = policy.initial(p, [], 0.1, 0.9, torch.tensor([True]))
        assert torch.isfinite(omega).all()
        assert policy.rates(omega, [], 0.1, 0.9).item() == pytest.approx(p, abs=1e-4)


def test_a_given_bias_is_where_it_starts():
    form = Policy([SquaredIndex(sharing="coefficient")], [[1, 2, 3]], bias=-0.5)
    omega = bound(form, 3).initial(0.9, [torch.zeros(3)], 0.0, 0.95, torch.ones(3).bool())
    assert omega.tolist() == [1, 2, 3, -0.5]
    free = bound(Policy(bias=[0, 1, 2], bias_sharing="coefficient"), 3)
    assert free.initial(0.9, [], 0.0, 0.95, torch.ones(3).bool()).tolist() == [0, 1, 2]


def test_bounds_and_directions():
    form = Policy([PopulationEnergy(), SquaredIndex()], [1, -2], weight_max=4, bias_max=9)
    policy = bound(form)
    lower, upper = policy.bounds()
    assert upper.tolist() == [4, 4, 9]
    assert lower.tolist() == [-4, -4, -9]
    assert policy.bias_direction().tolist() == [0, 0, 1]
    assert policy.n_parameters == 3
    free = bound(Policy([SquaredIndex()], bias_sharing="coefficient"), 3)
    assert free.bias_direction().tolist() == [0, 1, 1, 1]
    assert free.bounds()[1].tolist() == [8, 12, 12, 12]


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        (Policy([SquaredIndex()], [[1, 2]]), r"weights\[0\] must be one number or 1.*got 2"),
        (Policy(bias=[1, 2], bias_sharing="coefficient"), "bias must be one number or 8"),
        (Policy(bias_sharing="scale"), "sharing='scale': the coefficients of this basis have no"),
    ],
)
def test_what_does_not_fit_the_layout_raises(policy, match):
    with pytest.raises(ValueError, match=match):
        bound(policy)
