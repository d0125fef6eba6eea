"""Each peer's formula against a plain rewriting of its paper's, one model at a time."""

import math
import warnings

import numpy as np
import pytest
import pywt
import torch

from benchmarks._study_peers import (
    PEERS,
    ConcreteDropout,
    DropBlock,
    ScheduledDropout,
    Stage,
    WaveletBandDropout,
    WeightDecay,
    constant,
    curriculum,
    detail_bands,
    early,
    grid,
    linear_decay,
)


def make_stage(n_models, n_times=24, n_channels=2, regression=False):
    X = torch.randn(10, n_channels, n_times, generator=torch.Generator().manual_seed(9))
    scale = 1 + torch.arange(n_models * n_channels).view(n_models, n_channels, 1) / 10
    generators = [torch.Generator().manual_seed(i) for i in range(n_models)]
    return Stage(X, scale, 10, 8, regression, generators)


def uniforms(seed, shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def standardised(stage, rows):
    return stage.X[rows] / stage.scale[:, None]


def test_grid_is_the_product():
    assert grid(a=(1, 2), b=("x",)) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]


def test_every_grid_can_be_made_and_leaves_shapes_alone():
    for name, peer in PEERS.items():
        stage = make_stage(len(peer.grid))
        method = peer.make(peer.grid, stage)
        rows = torch.arange(5).expand(len(peer.grid), 5)
        x, h = standardised(stage, rows), torch.ones(len(peer.grid), 5, 8)
        for time in (0.0, 0.9):
            assert method.on_input(x, rows, time).shape == x.shape, name
            assert method.on_hidden(h, time).shape == h.shape, name


def test_schedules():
    p, one = torch.tensor([0.4]), torch.tensor([0.5])
    times = (0.0, 0.25, 0.5, 1.0)
    assert [constant(p, t, one).item() for t in times] == pytest.approx([0.4] * 4)
    assert [linear_decay(p, t, one).item() for t in times] == pytest.approx([0.4, 0.3, 0.2, 0])
    assert [early(p, t, one).item() for t in times] == pytest.approx([0.4, 0.4, 0, 0])
    # The paper's retained share, (1 - θ) exp(-γ t) + θ with θ = 1 - p.
    kept = [0.4 * math.exp(-10 * t) + 0.6 for t in times]
    drop = [1 - curriculum(p, t, torch.tensor([10.0])).item() for t in times]
    assert drop == pytest.approx(kept)


def test_dropout_multiplies_where_it_sits_and_nowhere_else():
    settings = [{"p": 0.3, "on": "input"}, {"p": 0.6, "on": "hidden"}, {"p": 0.5, "on": "input"}]
    stage = make_stage(3)
    method = ScheduledDropout(settings, stage)
    x = torch.rand(3, 5, 2, 24)
    out = method.on_input(x, None, 0.0)
    for i, p in ((0, 0.3), (2, 0.5)):
        kept = uniforms(i, (5, 2, 24)) >= p
        torch.testing.assert_close(out[i], torch.where(kept, x[i] / (1 - p), 0.0))
    assert torch.equal(out[1], x[1])
    h = torch.rand(3, 5, 8)
    out = method.on_hidden(h, 0.0)
    kept = uniforms(1, (5, 8)) >= 0.6
    torch.testing.assert_close(out[1], torch.where(kept, h[1] / 0.4, 0.0))
    assert torch.equal(out[[0, 2]], h[[0, 2]])


def test_early_dropout_ends():
    method = ScheduledDropout([{"p": 0.5, "on": "input", "until": 0.2}], make_stage(1), early,
                              "until")  # fmt: skip
    x = torch.ones(1, 50, 2, 24)
    assert not torch.equal(method.on_input(x, None, 0.19), x)
    assert torch.equal(method.on_input(x, None, 0.2), x)


@pytest.mark.parametrize("name", ["dropout", "DropBlock", "wavelet bands"])
def test_dropout_keeps_the_mean(name):
    setting = next(s for s in PEERS[name].grid if s["p"] == 0.3)
    stage = make_stage(1)
    rows = torch.arange(10).repeat(1, 1500)
    x = standardised(stage, rows)
    out = PEERS[name].make([setting], stage).on_input(x, rows, 0.0)
    means = [a[0].view(1500, 10, 2, 24).mean(0) for a in (out, x)]
    # DropBlock drops edges less often than the middle, and corrects for the mean of both.
    tolerance = 0.6 if name == "DropBlock" else 0.12
    assert (means[0] - means[1]).abs().max() < tolerance
    assert (out - x).abs().max() > 0.1


def test_concrete_mask_is_the_relaxed_bernoulli():
    method = ConcreteDropout([{"factor": 1.0, "length": 1.0, "on": "both"}] * 2, make_stage(2))
    with torch.no_grad():
        method.logits[0].copy_(torch.tensor([-1.0, 0.7]))
    x = torch.rand(2, 5, 2, 24)
    out = method.on_input(x, None, 0.0)
    for i, logit in enumerate((-1.0, 0.7)):
        p, u = 1 / (1 + math.exp(-logit)), uniforms(i, (5, 2, 24)).double()
        log_odds = math.log(p) - math.log(1 - p) + u.log() - (1 - u).log()
        expected = x[i] * (1 - torch.sigmoid(log_odds / 0.1)) / (1 - p)
        torch.testing.assert_close(out[i].double(), expected, atol=1e-4, rtol=1e-4)
    out.sum().backward()
    assert method.logits[0].grad.abs().min() > 0


@pytest.mark.parametrize("regression", [False, True])
def test_concrete_penalty_is_the_papers(regression):
    settings = [
        {"factor": 0.1, "length": 0.5, "on": "both"},
        {"factor": 1.0, "length": 2.0, "on": "hidden"},
    ]
    method = ConcreteDropout(settings, make_stage(2, regression=regression))
    weights = [torch.rand(2, 48, 8), torch.rand(2, 8, 3)]
    expected, p, n = 0.0, 0.1, 10
    for i, setting in enumerate(settings):
        for weight in weights if setting["on"] == "both" else weights[1:]:
            ridge = setting["length"] ** 2 * (weight[i] ** 2).sum().item() / (2 * n * (1 - p))
            negative_entropy = p * math.log(p) + (1 - p) * math.log(1 - p)
            width = weight.shape[1]
            expected += ridge + setting["factor"] * width * negative_entropy / n
    expected *= 2 if regression else 1
    assert method.penalty(weights).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_drop_block_drops_whole_blocks(size):
    n_times, p = 24, 0.3
    x = torch.rand(2, 5, 2, n_times) + 0.1
    settings = [{"p": p, "block": size}, {"p": p, "block": 5}]
    out = DropBlock(settings, make_stage(2)).on_input(x, None, 0.0)
    gamma = p / size * n_times / (n_times - size + 1)
    begun = uniforms(0, (5, 2, n_times)) < gamma
    kept = torch.ones(5, 2, n_times)
    for b, c, t in torch.nonzero(begun[..., : n_times - size + 1]).tolist():
        kept[b, c, t : t + size] = 0
    expected = x[0] * kept * kept.numel() / kept.sum()
    torch.testing.assert_close(out[0], expected)
    assert 0 < kept.sum() < kept.numel()


def test_drop_block_drops_about_its_share():
    method = DropBlock([{"p": 0.1, "block": 3}], make_stage(1, n_times=200))
    out = method.on_input(torch.ones(1, 300, 2, 200), None, 0.0)
    assert abs((out == 0).double().mean() - 0.1) < 0.01


@pytest.mark.parametrize("n_times", [10, 24, 25])
@pytest.mark.parametrize("wavelet", ["haar", "db4"])
def test_detail_bands_are_what_pywavelets_calls_details(wavelet, n_times):
    X = torch.randn(3, 2, n_times, dtype=torch.float64)
    level = max(1, min(3, pywt.dwt_max_level(n_times, wavelet)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # db4 is long for 10 samples
        coefficients = pywt.wavedec(X.numpy(), wavelet, level=level)
    smooth = [coefficients[0], *(np.zeros_like(c) for c in coefficients[1:])]
    approximation = pywt.waverec(smooth, wavelet)[..., :n_times]
    bands = detail_bands(X, wavelet)
    assert len(bands) == level
    np.testing.assert_allclose(X.numpy() - sum(bands).numpy(), approximation, atol=1e-10)


def test_wavelet_dropout_drops_bands_and_keeps_the_approximation():
    settings = [{"p": 0.4, "wavelet": "haar"}, {"p": 0.2, "wavelet": "db4"}]
    stage = make_stage(2)
    rows = torch.tensor([[0, 3, 4], [7, 7, 1]])
    x = standardised(stage, rows)
    out = WaveletBandDropout(settings, stage).on_input(x, rows, 0.0)
    for i, setting in enumerate(settings):
        bands = detail_bands(x[i], setting["wavelet"])
        kept = uniforms(i, (len(bands), 3, 2, 1)) >= setting["p"]
        expected = x[i] - sum(bands)
        for j, band in enumerate(bands):
            expected = expected + kept[j] * band / (1 - setting["p"])
        torch.testing.assert_close(out[i], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["l2", "decoupled"])
def test_weight_decay_is_that_of_torch(kind):
    optimizer = torch.optim.Adam if kind == "l2" else torch.optim.AdamW
    settings = [{"kind": kind, "strength": s} for s in (0.1, 2.0)]
    method = WeightDecay(settings, make_stage(2))
    target = torch.rand(2, 4, 3)
    stacked = torch.ones(2, 4, 3, requires_grad=True)
    adam = torch.optim.Adam([stacked], lr=0.01)
    alone = [torch.ones(4, 3, requires_grad=True) for _ in settings]
    others = [
        optimizer([w], lr=0.01, weight_decay=s["strength"])
        for w, s in zip(alone, settings, strict=True)
    ]
    for _ in range(20):
        adam.zero_grad()
        (stacked - target).square().sum().backward()
        method.before_step([stacked], 0.01)
        adam.step()
        for i, other in enumerate(others):
            other.zero_grad()
            (alone[i] - target[i]).square().sum().backward()
            other.step()
    torch.testing.assert_close(stacked.detach(), torch.stack(alone).detach())
