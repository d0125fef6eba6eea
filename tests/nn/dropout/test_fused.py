import pytest
import torch

from sklearn_dbt.nn.basis import DCT, DWT, Fourier
from sklearn_dbt.nn.basis._base import Basis, Layout
from sklearn_dbt.nn.dropout import _fused
from sklearn_dbt.nn.dropout._fused import drop, like, scale_, uniforms, words

CPU = torch.device("cpu")
BASES = [None, Fourier(6), Fourier(7), DCT(6), DWT(8, "db2")]


def signal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def shape_and_rates(basis):
    n = 6 if basis is None else basis.n_features
    rates = torch.linspace(0, 0.8, n if basis is None else basis.n_coefficients)
    return (3, n), rates


def test_words_are_splitmix64():
    # The published first outputs for the seed 1234567; the hash of place 0 comes before them.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    low, high = words(1234567, (8,)).unflatten(0, (2, 4)).tolist()
    assert [a + (b << 32) for a, b in zip(low[1:], high[1:], strict=True)] == published


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_drop_is_the_formula_and_so_are_its_derivatives(basis):
    shape, rates = shape_and_rates(basis)
    x = signal(*shape).requires_grad_()
    y = drop(x, rates, 3, basis)
    c = x.detach() if basis is None else basis.analysis(x.detach())
    keep = words(3, c.shape) >= (rates.double() * 2**32).long()
    c = c * (keep / (1 - rates.double()))
    torch.testing.assert_close(y, c if basis is None else basis.synthesis(c), rtol=1e-6, atol=1e-6)
    assert torch.autograd.gradcheck(lambda x: drop(x, rates, 3, basis), x)
    assert torch.autograd.gradgradcheck(lambda x: drop(x, rates, 3, basis).sin(), x)


def test_rates_may_follow_from_the_coefficients():
    x = signal(3, 6).requires_grad_()
    seen = []

    def rates(c):
        seen.append(c.shape)
        return 0.5 * torch.sigmoid(c.abs())

    y = drop(x, rates, 3, Fourier(6))
    fixed = rates(Fourier(6).analysis(x.detach()))
    assert torch.equal(y, drop(x, fixed, 3, Fourier(6)))
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(gradient, drop(torch.ones_like(y), fixed, 3, Fourier(6)))
    assert seen == [(3, 4), (3, 4)]  # the way back takes them as they were


def test_rates_may_move_between_forth_and_back():
    x, rates = signal(3, 6).requires_grad_(), torch.full((4,), 0.3)
    y = drop(x, rates, 3, Fourier(6))
    expected = drop(torch.ones_like(y), rates, 3, Fourier(6))
    rates.fill_(0.9)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, expected)


def test_nothing_of_the_inputs_size_is_kept():
    kept = []
    x = signal(50, 64).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, id):
        drop(x, torch.full((33,), 0.3), 3, Fourier(64))
    assert kept == [33]


@pytest.mark.parametrize("basis", BASES, ids=str)
def test_without_numba_the_masks_are_the_same(basis, monkeypatch):
    shape, rates = shape_and_rates(basis)
    x = signal(*shape)
    y, u = drop(x, rates, 3, basis), uniforms(3, (4, 5), CPU)
    monkeypatch.setitem(__import__("sys").modules, "sklearn_dbt.nn.dropout._kernels", None)
    monkeypatch.delattr("sklearn_dbt.nn.dropout._kernels", raising=False)
    _fused.compiled.cache_clear()
    try:
        assert _fused.compiled() is None
        torch.testing.assert_close(drop(x, rates, 3, basis), y, rtol=1e-6, atol=1e-6)
        assert torch.equal(uniforms(3, (4, 5), CPU), u)
        assert uniforms(3, (0, 5), CPU).shape == (0, 5)
    finally:
        _fused.compiled.cache_clear()


class Itself(Basis):
    """Coefficients that are the input's own memory."""

    def __init__(self, n):
        super().__init__(n, Layout.make(n), is_orthogonal=True)

    def _analysis(self, x):
        return x

    _synthesis = _analysis


@pytest.mark.parametrize("grad", [False, True])
def test_the_input_is_not_overwritten(grad):
    x = signal(4, 6).requires_grad_(grad)
    before = x.detach().clone()
    y = drop(x, torch.full((6,), 0.5), 3, Itself(6))
    assert torch.equal(x, before)
    assert not torch.equal(y, before)
    z = drop(x.T, torch.full((4,), 0.5), 3)
    assert torch.equal(x, before)
    assert torch.equal(z, drop(x.T.contiguous(), torch.full((4,), 0.5), 3))


def test_coefficients_of_rate_zero_are_untouched():
    c = signal(1000, 8, dtype=torch.float32)
    rates = torch.tensor([0.0, 0.5] * 4)
    scaled = c.clone()
    scale_(scaled, rates, 3)
    assert torch.equal(scaled[:, ::2], c[:, ::2])
    assert ((scaled[:, 1::2] == 0).double().mean() - 0.5).abs() < 0.04
    empty = torch.empty(0, 8)
    scale_(empty, rates, 3)
    assert empty.shape == (0, 8)


def test_elsewhere_uniforms_are_torchs():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        pytest.skip("no other device")
    u = uniforms(3, (1000, 100), device)
    assert torch.equal(u, uniforms(3, (1000, 100), device))
    assert (u.mean() - 0.5).abs() < 0.01
    c = torch.ones(1000, 100, device=device)
    scale_(c, torch.full((100,), 0.5, device=device), 3)
    assert torch.equal(c, 2.0 * (u >= 0.5))


@pytest.mark.parametrize(
    ("dtype", "to"),
    [
        (torch.float32, torch.float32),
        (torch.float32, torch.float16),
        (torch.complex64, torch.float32),
        (torch.complex64, torch.complex64),
    ],
)
def test_outputs_have_the_inputs_dtype(dtype, to):
    y = torch.ones(2, dtype=dtype) * (1 + 1j if dtype.is_complex else 1)
    result = like(y, torch.ones(1, dtype=to))
    assert result.dtype == to
    assert torch.equal(result.real.float(), torch.ones(2))
