import copy
import gc
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_dbt.nn.basis import DCT, PCA, make_basis
from sklearn_dbt.nn.dropout import (
    Coefficients,
    MaskingThreshold,
    Policy,
    PopulationEnergy,
    TransformDropout,
)
from sklearn_dbt.nn.dropout import _masking_threshold as module
from sklearn_dbt.nn.dropout._coefficients import log_energy
from sklearn_dbt.nn.dropout._masking_threshold import _spread, _Spreading, bark


def energies(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double().exp()


def test_masking_is_the_sum_of_spread_energies(frames):
    energy = energies(2, 9) * 1e6
    known = Coefficients(frames([0.01, 0.02, 0.05], 3), 8000.0, None, log_energy(energy))
    f = 8000 * known.layout.frequency.numpy().astype(float)
    z = 13 * np.arctan(0.00076 * f) + 3.5 * np.arctan((f / 7500) ** 2)
    np.testing.assert_allclose(bark(torch.from_numpy(f)).numpy(), z)
    masked = np.zeros((2, 9))
    for k, m in np.ndindex(9, 9):
        if k // 3 == m // 3:  # the same frame
            d = z[k] - z[m] + 0.474
            spread = 15.81 + 7.5 * d - 17.5 * np.sqrt(1 + d**2)
            masked[:, k] += energy[:, m].numpy() * 10 ** (spread / 10)
    threshold = 10 * np.log10(masked) - 6
    level = 10 * np.log10(energy.numpy())
    absolute = MaskingThreshold("sample", 6.0, relative=False, standardize=False)(known)
    np.testing.assert_allclose(absolute.numpy(), threshold, atol=1e-3)
    relative = MaskingThreshold("sample", 6.0, standardize=False)(known)
    np.testing.assert_allclose(relative.numpy(), threshold - level, atol=1e-3)
    loud = MaskingThreshold("sample")(known)
    quiet = Coefficients(known.basis, 8000.0, None, log_energy(1e-18 * energy).float())
    torch.testing.assert_close(MaskingThreshold("sample")(quiet).double(), loud, atol=1e-3, rtol=0)


def test_masking_drops_what_hides_beside_the_strong():
    energy = torch.full((64,), 1.0)
    energy[20] = 1e5
    known = Coefficients(DCT(64), 8000.0, log_energy(energy))
    phi = MaskingThreshold()(known)
    assert phi.argmax() == 21  # masking reaches further up than down
    assert phi[20] == phi.min()
    assert phi[19] < phi[21]


# The spreading that is kept


def whole(frequency, position, rate, level):
    """Thresholds with the matrix over all coefficients, offset 0, relative."""
    spread = _spread(bark(frequency * rate).to(level)) * (position == position[:, None])
    masked = (level.exp() @ spread.T).log()
    return 10 / math.log(10) * (masked - level)


def found(basis, level, rate=8000.0):
    known = Coefficients(basis, rate, None, level)
    return MaskingThreshold("sample", 0.0, standardize=False)(known)


def expected(basis, level, rate=8000.0):
    return whole(basis.layout.frequency, basis.layout.position.nan_to_num(), rate, level)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 6))
def test_blocks_are_the_matrix_over_all_coefficients(seed, n, n_times):
    g = torch.Generator().manual_seed(seed)
    position = torch.randint(n_times, (n,), generator=g).double()
    z = 24 * torch.rand(n, generator=g, dtype=torch.float64)
    energy = torch.rand(2, 3, n, generator=g, dtype=torch.float64)
    spreading = _Spreading.make(z, position)
    matrix = _spread(z) * (position == position[:, None])
    torch.testing.assert_close(spreading(energy), energy @ matrix.T, rtol=1e-12, atol=1e-300)
    n_held = sum(block.numel() for _, block in spreading.blocks)
    assert n_held == int((position == position[:, None]).sum())  # and no zeros


@pytest.mark.parametrize(("name", "n"), [("stft", 64), ("dct", 20), ("dwt", 32), ("swt", 16)])
def test_what_is_kept_follows_layout_rate_and_precision(name, n):
    basis = make_basis(name, n)
    k = basis.n_coefficients
    level = energies(3, k).log()
    for rate in (8000.0, 16000.0, 8000.0):
        for given_level in (level, level.float(), level[0]):
            tight = 1e-10 if given_level.dtype == torch.float64 else 1e-4
            torch.testing.assert_close(
                found(basis, given_level, rate),
                expected(basis, given_level, rate),
                rtol=tight,
                atol=tight,
            )
    before = found(basis, level)
    basis._layout_frequency.mul_(0.5)  # in place
    basis._layout_position.zero_()
    after = found(basis, level)
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, expected(basis, level))
    basis.double()  # other tensors
    basis._layout_frequency *= 2
    torch.testing.assert_close(found(basis, level), expected(basis, level))
    with pytest.raises(ValueError, match="no frequency"):
        found(PCA(4), torch.zeros(4))


def test_it_is_made_once(monkeypatch):
    made = []
    make = module._make
    monkeypatch.setattr(module, "_make", lambda *args: made.append(args) or make(*args))
    layer = TransformDropout(64, "stft", Policy([MaskingThreshold("sample")]), sampling_rate=8000.0)
    x = torch.ones(2, 64).cumsum(-1).sin()
    made.clear()
    for _ in range(3):
        layer(x)
    assert len(made) <= 1
    layer.double()
    for _ in range(3):
        layer(x.double())
    assert len(made) <= 2
    copied = copy.deepcopy(layer)
    copied(x.double())
    copied(x.double())
    assert len(made) <= 3


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_do_not_hold_it_and_compute_the_same(clone):
    policy = Policy([PopulationEnergy(), MaskingThreshold("sample")])
    layer = TransformDropout(64, "stft", policy, sampling_rate=8000.0, seed=0)
    x = torch.ones(2, 64).cumsum(-1).sin()
    fresh = len(pickle.dumps(layer))
    layer(x)
    copied = clone(layer)
    assert len(pickle.dumps(layer)) == fresh
    assert torch.equal(copied(x), layer(x))
    assert module._made[copied.basis] is not module._made[layer.basis]
    assert layer.policy.descriptors[1] == MaskingThreshold("sample")


def test_it_dies_with_its_basis():
    gc.collect()
    before = len(module._made)
    bases = [DCT(5 + i) for i in range(10)]
    for basis in bases:
        found(basis, torch.zeros(basis.n_coefficients))
    assert len(module._made) == before + 10
    del bases, basis
    gc.collect()
    assert len(module._made) == before


def test_rates_of_many_kinds_do_not_pile_up():
    basis = DCT(6)
    for rate in range(1000, 1010):
        found(basis, torch.zeros(6), float(rate))
        found(basis, torch.zeros(6).double(), float(rate))
    assert len(module._made[basis]) == 2  # the last one of each precision


def test_gradients_after_inference_and_under_functional_transforms():
    basis = DCT(9)
    level = energies(4, 9).log()
    with torch.inference_mode():
        first = found(basis, level)
    leaf = level.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: found(basis, v), leaf)
    (gradient,) = torch.autograd.grad(found(basis, leaf).sum(), leaf)
    other = DCT(9)  # whose spreading is first needed within a transform
    for b in (basis, other):
        functional = torch.func.grad(lambda v, b=b: found(b, v).sum())(level)
        torch.testing.assert_close(functional, gradient)
        torch.testing.assert_close(torch.vmap(lambda v, b=b: found(b, v))(level), first.clone())
        torch.testing.assert_close(found(b, level), first.clone())
    another = DCT(9)  # and is not kept: it would be no tensor of its own
    torch.func.functionalize(lambda v: found(another, v))(level)
    assert another not in module._made
    torch.testing.assert_close(found(another, level), first.clone())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: MaskingThreshold("both"), "source must be one of"),
        (lambda: MaskingThreshold(offset=math.inf), "offset must be finite"),
        (lambda: MaskingThreshold()(Coefficients(DCT(3))), "needs sampling_rate"),
    ],
)
def test_wrong_arguments_raise(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_an_offset_that_is_no_number_raises():
    with pytest.raises(
        TypeError, match=r"MaskingThreshold: offset must be a number \(dB\), got 'a'"
    ):
        MaskingThreshold(offset="a")
