import copy
import pickle

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from sklearn_dbt.nn.basis import PCA, Identity, Layout, make_basis
from sklearn_dbt.nn.dropout import TransformDropout, _fused
from sklearn_dbt.nn.dropout._mask_sharing import octaves, share_masks
from sklearn_dbt.nn.trust_region import TrustRegionController

BASES = [("fourier", 16), ("dct", 16), ("dwt", 16), ("stft", 32), ("hartley", 9)]


def signal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def shared(basis, n, policy="uniform", p=0.5, **options):
    return TransformDropout(n, basis, policy, p=p, mask_sharing="octave", seed=0, **options)


# Octaves


@given(n=st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_octaves_of_fourier_hold_their_edges(n):
    group = octaves(make_basis("fourier", n).layout).numpy()
    k = np.arange(n // 2 + 1)  # at k / n cycles per sample
    for j in range(9):
        inside = (2 ** (j + 2) * k > n) & (2 ** (j + 1) * k <= n)
        assert len(set(group[inside])) <= 1
        assert not set(group[inside]) & set(group[~inside])
    assert np.flatnonzero(group == group[0]).tolist() == [0]  # the mean is alone


@pytest.mark.parametrize(("wavelet", "n"), [("haar", 24), ("db2", 64), ("sym4", 150)])
def test_octaves_of_wavelets_are_their_scales(wavelet, n):
    basis = make_basis("dwt", n, wavelet=wavelet)
    group, scale = octaves(basis.layout), basis.layout.scale
    details = basis.layout.frequency > basis.layout.frequency.min()
    assert torch.equal(
        group[details][:, None] == group[details], scale[details][:, None] == scale[details]
    )
    assert not set(group[details].tolist()) & set(group[~details].tolist())
    assert len(group.unique()) == 1 + len(scale.unique()) <= 1 + pywt.dwt_max_level(n, wavelet)


def test_what_has_no_frequency_is_on_its_own():
    assert sorted(octaves(PCA(5).layout).tolist()) == [0, 1, 2, 3, 4]
    assert share_masks("octave", PCA(5).layout) is None
    assert share_masks("octave", Identity(5).layout) is None
    assert share_masks("none", make_basis("fourier", 8).layout) is None


def test_above_the_nyquist_frequency_nothing_is_shared_with_what_has_none():
    frequency = torch.tensor([0.1, 0.8, torch.nan, torch.nan, 0.0, 3.0, 0.9])
    group = octaves(Layout.make(7, frequency=frequency)).tolist()
    assert group[1] == group[6]
    assert len(set(group)) == 6
    assert octaves(Layout.make(4, frequency=frequency[:4])).tolist() == [0, 1, 2, 3]


def test_unknown_sharing():
    with pytest.raises(ValueError, match="mask_sharing must be one of 'none', 'octave'; got 'all'"):
        TransformDropout(8, mask_sharing="all")


# Masks


def mask_of(layer, x):
    """What each coefficient was multiplied by, for an orthogonal basis."""
    return layer.basis.analysis(layer(x)) / layer.basis.analysis(x)


@pytest.mark.parametrize(("basis", "n"), [("fourier", 16), ("dct", 16), ("dwt", 16)])
def test_an_octave_is_kept_or_dropped_whole_and_octaves_apart(basis, n):
    layer = shared(basis, n)
    x = signal(2000, n, dtype=torch.float64)
    factors = mask_of(layer, x).real
    group = octaves(layer.basis.layout)
    for g in group.unique():
        members = factors[:, group == g]
        torch.testing.assert_close(members, members[:, :1].expand_as(members), rtol=1e-6, atol=1e-6)
    first = torch.stack([factors[:, group == g][:, 0] for g in group.unique()])
    off_diagonal = torch.corrcoef(first).fill_diagonal_(0).abs()
    assert off_diagonal.max() < 5 / 2000**0.5
    assert abs(float((first > 1).double().mean()) - 0.5) < 5 * 0.5 / first.numel() ** 0.5


def test_rates_that_differ_within_an_octave_are_each_met():
    """One uniform, compared with each rate: what has the higher rate goes first."""
    layer = shared("fourier", 16, "frequency")
    kept = mask_of(layer, signal(20_000, 16, dtype=torch.float64)).real > 0.5
    rates = layer.rates
    assert len(rates.unique()) == len(rates)
    error = (kept.double().mean(0) - (1 - rates)).abs()
    assert bool((error < 5 * (rates * (1 - rates) / 20_000).sqrt() + 1e-3).all())
    top = octaves(layer.basis.layout) == octaves(layer.basis.layout).max()
    order = rates[top].argsort(descending=True)
    assert bool((kept[:, top][:, order].diff(dim=1).int() >= 0).all())


@pytest.mark.parametrize(("basis", "n"), BASES)
def test_the_expected_output_is_the_input(basis, n):
    layer = shared(basis, n, p=0.4)
    x = signal(1, n, dtype=torch.float64)
    y = layer(x.expand(20_000, n))
    error = (y.mean(0) - x[0]).abs()
    assert bool((error < 5 * y.std(0) / 20_000**0.5).all())


@pytest.mark.parametrize(("basis", "n"), BASES)
def test_the_gradient_belongs_to_the_mask(basis, n):
    x = signal(3, n, dtype=torch.float64).requires_grad_()
    layer = shared(basis, n).double()
    state = layer.get_rng_state()

    def again(x):
        layer.set_rng_state(state)
        return layer(x)

    assert torch.autograd.gradcheck(again, x)
    assert torch.autograd.gradgradcheck(lambda x: again(x).sin(), x)


def test_without_numba_the_masks_are_the_same(monkeypatch):
    x = signal(4, 16)
    outputs = [shared("fourier", 16)(x)]
    monkeypatch.setattr(_fused, "compiled", lambda: None)
    outputs.append(shared("fourier", 16)(x))
    assert torch.equal(*outputs)


def test_relaxed_masks_share_their_uniforms_and_tend_to_hard_ones():
    layer = shared("dwt", 16)
    x, uniforms = signal(3, 16), []
    with layer.relaxed(layer.get_omega(), uniforms, 1e-3):
        y = layer(x)
    group = octaves(layer.basis.layout)
    assert uniforms[0].shape == (3, 16)
    for g in group.unique():
        assert len(uniforms[0][:, group == g].unique()) == 3
    factors = (uniforms[0] >= layer.rates) / (1 - layer.rates)
    hard = layer.basis.synthesis(layer.basis.analysis(x) * factors)
    torch.testing.assert_close(y, hard, rtol=1e-3, atol=1e-3)


# In what layers live in


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_repeats_the_masks(reentrant):
    layer = shared("dwt", 16)
    copied = copy.deepcopy(layer)
    gradients = []
    for drop in (layer, lambda x: checkpoint(copied, x, use_reentrant=reentrant)):
        x = signal(6, 16).requires_grad_()
        drop(drop(x).sin()).sin().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_compiled_and_mapped_masks_are_shared():
    torch._dynamo.reset()
    layer = shared("dct", 16).double()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = signal(500, 16, dtype=torch.float64)
    group = octaves(layer.basis.layout)
    for y in (compiled(x), torch.vmap(layer, randomness="different")(x)):
        factors = layer.basis.analysis(y) / layer.basis.analysis(x)
        assert abs(float((factors > 0.5).double().mean()) - 0.5) < 0.05
        for g in group.unique():
            members = factors[:, group == g]
            torch.testing.assert_close(
                members, members[:, :1].expand_as(members), rtol=1e-6, atol=1e-6
            )


def test_pickling_and_state_keep_it():
    layer, x = shared("fourier", 16), signal(4, 16)
    copied = pickle.loads(pickle.dumps(layer))
    assert copied.mask_sharing == "octave"
    assert torch.equal(copied(x), layer(x))
    assert "_group" not in layer.state_dict()


def test_a_controller_moves_shared_rates_within_its_radius():
    x = signal(64, 32)
    layer, linear = shared("fourier", 32, "frequency"), torch.nn.Linear(32, 1)
    controller = TrustRegionController([layer], update_every=1, warmup_steps=1)
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.01)

    def loss():
        return (linear(layer(x)) - x[:, :1]).square().mean()

    before = layer.rates
    for _ in range(10):
        optimizer.zero_grad()
        layer.capture(True)
        loss().backward()
        optimizer.step()
        controller.step(loss)
    history = controller.history
    assert sum(history["accepted"]) > 2
    assert all(np.array(history["step_norm"]) <= np.array(history["radius"]) * (1 + 1e-6))
    assert not torch.equal(layer.rates, before)
