import copy
import pickle
import sys

import pytest
import pywt
import torch

from sklearn_dbt.nn.basis import DWT, _cascade

MODES = pywt.Modes.modes


def signal(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def plain(basis):
    """The same basis without the kernels."""
    basis = copy.deepcopy(basis)
    basis._cascade = None
    return basis


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("wavelet", "n"), [("haar", 10), ("db4", 37), ("bior2.2", 64), ("db20", 9)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_and_matrices_agree(wavelet, n, mode, dtype):
    basis = DWT(n, wavelet, mode=mode, level=2)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    x = signal(2, 3, n, dtype=dtype)
    c = signal(2, 3, basis.n_coefficients, dtype=dtype)
    assert basis._cascade.serves(x)
    other = plain(basis)
    for ours, theirs, value in (
        (basis.analysis, other.analysis, x),
        (basis.synthesis, other.synthesis, c),
    ):
        leaves = [value.clone().requires_grad_() for _ in range(2)]
        results = [f(leaf) for f, leaf in zip((ours, theirs), leaves, strict=True)]
        gradients = [
            torch.autograd.grad(y.square().sum(), leaf)[0]
            for y, leaf in zip(results, leaves, strict=True)
        ]
        torch.testing.assert_close(*results, rtol=tolerance, atol=tolerance * 10)
        torch.testing.assert_close(*gradients, rtol=tolerance, atol=tolerance * 100)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_check_twice(mode):
    basis = DWT(9, "db2", mode=mode, level=2)
    x = signal(2, 9).requires_grad_()
    c = signal(2, basis.n_coefficients).requires_grad_()
    for f, value in ((basis.analysis, x), (basis.synthesis, c)):
        assert torch.autograd.gradcheck(f, value)
        assert torch.autograd.gradgradcheck(lambda v, f=f: f(v).sin(), value)


def test_strides_do_not_matter():
    basis = DWT(16, "db2")
    x = signal(16, 5).T
    torch.testing.assert_close(basis.analysis(x), plain(basis).analysis(x))
    x = signal(1, 16).expand(4, 16)
    torch.testing.assert_close(basis.synthesis(basis.analysis(x)), x)


class Labelled(torch.Tensor):
    pass


def test_whom_the_kernels_serve():
    bank = DWT(16)._cascade
    x = signal(2, 16)
    assert bank.serves(x)
    assert bank.serves(torch.nn.Parameter(x))
    assert not bank.serves(x.half())
    assert not bank.serves(x.to("meta"))
    assert not bank.serves(x.as_subclass(Labelled))
    inside = []
    torch.vmap(lambda row: inside.append(bank.serves(row)) or row)(x)
    assert inside == [False]
    assert DWT(16, level=0)._cascade is None
    basis = DWT(16)
    torch.testing.assert_close(
        torch.vmap(basis.analysis)(x), basis.analysis(x), rtol=1e-12, atol=1e-12
    )


def test_filters_with_an_odd_number_of_taps():
    class Odd:
        dec_len, dec_lo, dec_hi, rec_lo, rec_hi = 3, *([[0.0, 1.0, 2.0]] * 4)

    assert not _cascade.Cascade([8, 5], Odd(), "zero").serves(signal(2, 8))


def test_without_numba(monkeypatch):
    basis, x = DWT(40), signal(3, 40)
    expected = basis.analysis(x)
    monkeypatch.setitem(sys.modules, "sklearn_dbt.nn.basis._cascade_kernels", None)
    monkeypatch.delattr("sklearn_dbt.nn.basis._cascade_kernels", raising=False)
    _cascade.kernels.cache_clear()
    try:
        assert not basis._cascade.serves(x)
        torch.testing.assert_close(basis.analysis(x), expected)
    finally:
        _cascade.kernels.cache_clear()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_copies(clone):
    basis, x = DWT(40), signal(3, 40)
    expected = basis.analysis(x)
    assert torch.equal(clone(basis).analysis(x), expected)
    assert clone(basis.half())._cascade.serves(x)


def test_threads_change_nothing(monkeypatch):
    basis, x = DWT(40), signal(7, 40)
    expected = basis.analysis(x)
    monkeypatch.setattr(_cascade, "_ENOUGH", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(basis.analysis(x), expected)
