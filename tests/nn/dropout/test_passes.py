import pytest
import torch
from torch.utils.checkpoint import checkpoint

from sklearn_dbt.nn.dropout import _passes
from sklearn_dbt.nn.dropout._passes import Passes


def signal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Numbered(torch.nn.Module):
    """Multiplies by the number of the call, which a repeated call must find again."""

    def __init__(self):
        super().__init__()
        self.passes, self.n_calls, self.seen = Passes(), 0, []

    def forward(self, x):
        draw = self.passes.repeated(x)
        self.seen.append(draw)
        if draw is None:
            self.n_calls += 1
            draw = self.n_calls
            self.passes.keep(x, draw)
        return (draw * x).sin()


@pytest.mark.parametrize("reentrant", [True, False])
def test_equal_inputs_in_two_regions_are_told_apart_by_their_place(reentrant):
    layer = Numbered()
    x = signal(4, 5).requires_grad_()

    def region(x):
        return layer(x) * layer(x) * layer(2 * x)

    y = sum(checkpoint(region, x, use_reentrant=reentrant) for _ in range(3))
    y.sum().backward()
    expected = x.detach().clone().requires_grad_()
    sum(
        (a * expected).sin() * ((a + 1) * expected).sin() * ((a + 2) * 2 * expected).sin()
        for a in (1, 4, 7)
    ).sum().backward()
    torch.testing.assert_close(x.grad, expected.grad)
    assert layer.seen == [None] * 9 + [7, 8, 9, 4, 5, 6, 1, 2, 3]


@pytest.mark.parametrize("reentrant", [True, False])
def test_regions_with_no_node_between_them_are_told_apart(reentrant):
    layer, x = Numbered(), signal(4, 5).requires_grad_()
    outputs = [checkpoint(layer, x, use_reentrant=reentrant) for _ in range(3)]
    torch.autograd.backward(outputs, [torch.ones(4, 5)] * 3)
    expected = sum(a * (a * x.detach()).cos() for a in (1, 2, 3))
    torch.testing.assert_close(x.grad, expected)
    assert sorted(layer.seen[3:]) == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
@pytest.mark.parametrize("reentrant", [True, False])
def test_regions_within_regions(reentrant):
    layer = Numbered()
    x = signal(4, 5).requires_grad_()

    def inner(x):
        return layer(layer(x))

    def outer(x):
        return layer(checkpoint(inner, layer(x), use_reentrant=reentrant))

    checkpoint(outer, x, use_reentrant=reentrant).sum().backward()
    expected = x.detach().clone().requires_grad_()
    y = expected
    for a in (1, 2, 3, 4):
        y = (a * y).sin()
    y.sum().backward()
    torch.testing.assert_close(x.grad, expected.grad)
    assert layer.n_calls == 4


@pytest.mark.parametrize("reentrant", [True, False])
def test_the_same_batch_again_and_again(reentrant):
    layer = Numbered()
    x = signal(4, 5).requires_grad_()
    for step in (1, 2, 3):
        checkpoint(layer, x, use_reentrant=reentrant).sum().backward()
        expected = step * (step * x.detach()).cos()
        torch.testing.assert_close(x.grad, expected)
        x.grad = None


def test_a_second_way_back_repeats_the_repetition():
    layer = Numbered()
    x = signal(4, 5).requires_grad_()
    y = checkpoint(lambda x: layer(x) * layer(x), x, use_reentrant=False).sum()
    y.backward(retain_graph=True)
    first, x.grad = x.grad, None
    y.backward()
    assert torch.equal(x.grad, first)


def test_outside_of_regions_nothing_is_kept():
    layer = Numbered()
    layer(signal(4, 5).requires_grad_()).sum().backward()
    assert not layer.passes._kept
    with torch.no_grad():
        layer(signal(4, 5))
    assert len(layer.passes._kept) == 1
    assert layer.passes.repeated(signal(4, 5)) is None  # not while gradients are computed


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(_passes, "_N_KEPT", 3)
    passes = Passes()
    with torch.no_grad():
        for i in range(5):
            passes.keep(signal(4, 1000, seed=i), i)
    assert [p.draw for p in passes._kept] == [2, 3, 4]
    assert all(p.values.numel() <= 70 for p in passes._kept)


class InBackward(torch.autograd.Function):
    """Calls a function while gradients are computed."""

    @staticmethod
    def forward(ctx, x, call):
        ctx.call = call
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        ctx.call()
        return g, None


def repeated(passes, x):
    found = []
    leaf = torch.zeros((), requires_grad=True)
    InBackward.apply(leaf, lambda: found.append(passes.repeated(x))).backward()
    return found[0]


def test_inputs_are_recognised():
    passes = Passes()
    x = signal(40, 50)
    sparse = torch.zeros(40, 50)
    sparse[3, 4] = 1.0
    with torch.no_grad():
        passes.keep(x, "x")
        passes.keep(x.T, "transposed")
        passes.keep(0 * x, "zero")
        passes.keep(sparse, "sparse")
        passes.keep(x.half(), "half")
        passes.keep(torch.empty(0, 50), "empty")
        passes.keep(torch.complex(x, x[:, :1].expand(40, 50)), "complex")
    assert repeated(passes, x.clone()) == "x"
    assert repeated(passes, x.T.contiguous()) == "transposed"
    assert repeated(passes, 0 * x) == "zero"
    assert repeated(passes, sparse) == "sparse"
    assert repeated(passes, x.half()) == "half"
    assert repeated(passes, 0 * x.half()) is None
    assert repeated(passes, torch.empty(0, 50)) == "empty"
    assert repeated(passes, torch.complex(x, x[:, :1].expand(40, 50))) == "complex"
    assert repeated(passes, x * (1 + 1e-5)) == "x"  # rounding, where code is compiled
    assert repeated(passes, 1.1 * x) is None
    assert repeated(passes, signal(40, 50, seed=9)) is None
    assert repeated(passes, x[:20]) is None
    assert repeated(passes, x * torch.nan) is None
    assert repeated(Passes(), x) is None
