import copy
import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.dropout import concrete_mask, hard_mask
from sklearn_dbt.nn.dropout._masks import UniformSource

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hard_masks_drop_at_the_rate(dtype):
    n = 2_000_000
    u = UniformSource(0).draw((n,), CPU)
    for p in (0.0, 0.001, 0.1, 0.5, 0.95):
        dropped = 1 - hard_mask(torch.tensor(p, dtype=dtype), u).double().mean().item()
        assert abs(dropped - p) <= 4.5 * (p * (1 - p) / n) ** 0.5
    assert u.dtype == torch.float32


@settings(deadline=None, max_examples=50)
@given(st.floats(1e-4, 0.99), st.floats(0, 0.9999))
def test_concrete_mask_tends_to_the_hard_one(p, u):
    p, u = torch.tensor(p, dtype=torch.float64), torch.tensor(u, dtype=torch.float64)
    if abs(p - u) < 1e-3:
        return
    hard = hard_mask(p, u).double()
    assert (concrete_mask(p, u, 1e-4) - hard).abs() < 1e-3


def test_concrete_mask_is_the_formula_and_its_gradient_checks():
    g = torch.Generator().manual_seed(0)
    p = (0.05 + 0.9 * torch.rand(6, generator=g, dtype=torch.float64)).requires_grad_()
    u = torch.rand(6, generator=g, dtype=torch.float64)
    expected = torch.sigmoid(((1 - p).log() - p.log() + u.log() - (1 - u).log()) / 0.5)
    torch.testing.assert_close(concrete_mask(p, u, 0.5), expected)
    assert torch.autograd.gradcheck(lambda p: concrete_mask(p, u, 0.5), p)
    assert torch.autograd.gradgradcheck(lambda p: concrete_mask(p, u, 0.5), p)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_concrete_mask_has_no_nan_at_the_ends(dtype):
    p = torch.tensor([0.0, 1e-38, 1e-6, 0.95, 0.0], dtype=dtype, requires_grad=True)
    for u in (0.0, 2.0**-24, 0.5, 1 - 2.0**-24):
        mask = concrete_mask(p, torch.full((5,), u), 0.1)
        (first,) = torch.autograd.grad(mask.sum(), p, create_graph=True)
        assert torch.isfinite(mask).all()
        assert torch.isfinite(first).all()
        assert mask[0] == mask[4] == 1
        assert first[0] == 0


def test_concrete_gradient_tends_to_the_exact_one():
    # E[L] over the four masks of two coefficients, for a loss that is not multilinear in them.
    c = torch.tensor([1.0, -0.7], dtype=torch.float64)

    def loss(scaled):
        return (scaled.sum(-1) - 0.5).square() + (scaled * torch.tensor([0.3, 1.0])).sum(-1).exp()

    p = torch.tensor([0.3, 0.6], dtype=torch.float64, requires_grad=True)
    exact = 0
    for bits in itertools.product([0.0, 1.0], repeat=2):
        m = torch.tensor(bits, dtype=torch.float64)
        weight = torch.where(m > 0, 1 - p, p).prod()
        exact = exact + weight * loss(c * m / (1 - p))
    (exact,) = torch.autograd.grad(exact, p)
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000  # midpoints of a fine grid
    grid = torch.cartesian_prod(u, u)
    errors = []
    for temperature in (1.0, 0.5, 0.2, 0.05, 0.01):
        relaxed = loss(c * concrete_mask(p, grid, temperature) / (1 - p)).mean()
        (gradient,) = torch.autograd.grad(relaxed, p)
        errors.append(float((gradient - exact).norm() / exact.norm()))
    assert all(b < 0.7 * a for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.015
    assert errors[1] > 0.2  # at a usual temperature it is biased, and that is known


def test_source_is_reproducible_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    a, b, c = UniformSource(3), UniformSource(3), UniformSource(4)
    ua, ub, uc = (s.draw((5,), CPU) for s in (a, b, c))
    assert torch.equal(ua, ub)
    assert not torch.equal(ua, uc)
    assert not torch.equal(a.draw((5,), CPU), ua)
    unseeded = [UniformSource(None).draw((5,), CPU) for _ in range(2)]
    assert not torch.equal(*unseeded)
    assert torch.equal(before, torch.get_rng_state())


def test_source_from_a_generator():
    g = torch.Generator().manual_seed(0)
    first, second = UniformSource(g).draw((4,), CPU), UniformSource(g).draw((4,), CPU)
    assert not torch.equal(first, second)  # layers that share a generator do not share masks
    again = UniformSource(torch.Generator().manual_seed(0)).draw((4,), CPU)
    assert torch.equal(first, again)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_go_on_where_the_original_was(clone):
    source = UniformSource(1)
    source.draw((7,), CPU)
    copied = clone(source)
    assert copied.key != source.key
    assert torch.equal(copied.draw((9,), CPU), source.draw((9,), CPU))
    state = source.get_state()
    expected = source.draw((3,), CPU)
    source.set_state(state)
    assert torch.equal(source.draw((3,), CPU), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no other device")
def test_a_source_that_drew_for_a_device_loads_where_there_is_none():
    source, twin = UniformSource(1), UniformSource(1)
    source.draw((4,), torch.device("cuda"))
    twin.draw((4,), CPU)
    assert torch.equal(source.get_state(), twin.get_state())
    assert torch.equal(pickle.loads(pickle.dumps(source)).draw((4,), CPU), twin.draw((4,), CPU))


def test_a_state_may_be_taken_and_set_anywhere():
    source = UniformSource(0)
    states, seeds = [], []
    for _ in range(150):  # more than are drawn at once
        states.append(source.get_state())
        seeds.append(source.seed())
    other = UniformSource(1)
    for i in (149, 0, 1, 63, 64, 65, 127, 128):
        other.set_state(states[i])
        assert torch.equal(other.get_state(), states[i])
        assert [other.seed() for _ in range(150 - i)] == seeds[i:]
    with pytest.raises(RuntimeError):
        other.set_state(states[0][:-1])


def test_seeds_are_of_63_bits_and_all_different():
    source = UniformSource(0)
    seeds = {source.seed() for _ in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


@pytest.mark.parametrize("seed", [1.5, "0", True])
def test_wrong_seeds_raise(seed):
    with pytest.raises(TypeError, match=r"seed must be an int, a torch.Generator or None"):
        UniformSource(seed)
