import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.dropout import POLICIES, Policy, PopulationEnergy, SquaredIndex, make_policy

seeds = st.integers(0, 2**31)


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(0, 3), st.integers(1, 20))
def test_rates_are_the_formula(seed, n_descriptors, k):
    g = torch.Generator().manual_seed(seed)
    policy = Policy([SquaredIndex()] * n_descriptors, phi_max=1.5)
    omega = 2 * torch.randn(n_descriptors + 1, generator=g, dtype=torch.float64)
    phi = 2 * torch.randn(n_descriptors, k, generator=g, dtype=torch.float64)
    z = np.clip(phi.numpy(), -1.5, 1.5).T @ omega[:-1].numpy() + omega[-1].item()
    expected = 0.1 + 0.8 / (1 + np.exp(-z))
    np.testing.assert_allclose(policy.rates(omega, phi, 0.1, 0.9).numpy(), expected, rtol=1e-12)


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(0, 3), st.integers(1, 20))
def test_rates_move_no_more_than_the_bound_says(seed, n_descriptors, k):
    # ‖Δp‖ ≤ ¼ √K (φ_max ‖s_w‖₁ + |s_γ|), however large the descriptors
    g = torch.Generator().manual_seed(seed)
    policy = Policy([SquaredIndex()] * n_descriptors)
    omega, step = 3 * torch.randn(2, n_descriptors + 1, generator=g, dtype=torch.float64)
    phi = 10 * torch.randn(n_descriptors, k, generator=g, dtype=torch.float64)
    moved = policy.rates(omega + step, phi, 0.0, 0.95) - policy.rates(omega, phi, 0.0, 0.95)
    bound = 0.25 * k**0.5 * (policy.phi_max * step[:-1].abs().sum() + step[-1].abs())
    assert moved.norm() <= bound


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(0, 3), st.floats(0.01, 0.9))
def test_initial_parameters_have_the_mean_rate(seed, n_descriptors, p):
    g = torch.Generator().manual_seed(seed)
    policy = Policy([SquaredIndex()] * n_descriptors)
    phi = torch.randn(n_descriptors, 30, generator=g, dtype=torch.float64)
    omega = policy.initial(p, phi, 0.0, 0.95)
    assert policy.rates(omega, phi, 0.0, 0.95).mean().item() == pytest.approx(p, abs=1e-5)
    assert omega[:-1].tolist() == list(policy.weights)


def test_initial_parameters_at_the_ends_are_bounded():
    policy = Policy()
    phi = torch.zeros(0, 1, dtype=torch.float64)
    for p in (0.1, 0.9):
        omega = policy.initial(p, phi, 0.1, 0.9)
        assert torch.isfinite(omega).all()
        assert policy.rates(omega, phi, 0.1, 0.9).item() == pytest.approx(p, abs=1e-4)


def test_bounds_and_sizes():
    policy = Policy([PopulationEnergy(), SquaredIndex()], [1, -2], weight_max=4, bias_max=9)
    lower, upper = policy.bounds()
    assert upper.tolist() == [4, 4, 9]
    assert lower.tolist() == [-4, -4, -9]
    assert policy.n_parameters == 3
    assert policy.weights == (1.0, -2.0)
    assert (policy.per_sample, policy.reads_population) == (False, True)
    assert (POLICIES["sample_energy"].per_sample, Policy().reads_population) == (True, False)


def test_registry():
    assert set(POLICIES) == {"energy", "sample_energy", "frequency", "index", "uniform"}
    for name, policy in POLICIES.items():
        assert make_policy(name) is policy
    own = Policy()
    assert make_policy(own) is own
    with pytest.raises(ValueError, match=r"'energy', 'sample_energy', .* got 'enrgy'"):
        make_policy("enrgy")
    with pytest.raises(TypeError, match=r"'energy', .* got int"):
        make_policy(3)


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"descriptors": [PopulationEnergy]}, TypeError, r"descriptors\[0\]"),
        ({"weights": [1.0]}, ValueError, "0 descriptors, got 1"),
        ({"descriptors": [SquaredIndex()], "weights": [9.0]}, ValueError, "weight_max"),
        ({"descriptors": [SquaredIndex()], "weights": [float("nan")]}, ValueError, "weight_max"),
        ({"phi_max": 0.0}, ValueError, "phi_max"),
        ({"bias_max": float("inf")}, ValueError, "bias_max"),
    ],
)
def test_wrong_arguments_raise(wrong, error, match):
    with pytest.raises(error, match=match):
        Policy(**wrong)
