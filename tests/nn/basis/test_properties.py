"""What is true of every basis. A new one joins by one line of ``CASES``."""

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import pywt
import scipy.fft
import sklearn.decomposition
import torch

from sklearn_dbt.nn.basis import DCT, DWT, PCA, Basis, Fourier


def pca_data(n: int) -> torch.Tensor:
    """Correlated samples with a mean, enough of them for full rank."""
    generator = torch.Generator().manual_seed(n)
    mixing = torch.randn(n, n, generator=generator, dtype=torch.float64)
    return torch.randn(2 * n + 5, n, generator=generator, dtype=torch.float64) @ mixing + 1.0


def sklearn_pca(x: np.ndarray, basis: Basis) -> np.ndarray:
    pca = sklearn.decomposition.PCA(svd_solver="full").fit(pca_data(basis.n_features).numpy())
    return pca.transform(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def wavedec(x: np.ndarray, basis: DWT) -> np.ndarray:
    with warnings.catch_warnings():  # PyWavelets warns of boundary effects
        warnings.simplefilter("ignore")
        bands = pywt.wavedec(x, basis.wavelet, basis.mode, basis.level, axis=-1)
    return np.concatenate(bands, axis=-1)


@dataclass(frozen=True)
class Case:
    """A basis, and the reference its coefficients are compared with."""

    name: str
    make: Callable[[int], Basis]
    reference: Callable[[np.ndarray, Basis], np.ndarray]
    fit: Callable[[Basis], Basis] = lambda basis: basis


CASES = [
    Case("fourier", Fourier, lambda x, _: np.fft.rfft(x, norm="ortho")),
    Case("dct", DCT, lambda x, _: scipy.fft.dct(x, norm="ortho")),
    Case("dwt", DWT, wavedec),
    Case("dwt-haar", lambda n: DWT(n, "haar"), wavedec),
    Case("dwt-bior-symmetric", lambda n: DWT(n, "bior2.4", mode="symmetric"), wavedec),
    Case("dwt-sym5-antireflect", lambda n: DWT(n, "sym5", int(n > 1), "antireflect"), wavedec),
    Case("dwt-coif2-zero", lambda n: DWT(n, "coif2", mode="zero"), wavedec),
    Case("pca", PCA, sklearn_pca, lambda basis: basis.fit(pca_data(basis.n_features))),
]
LENGTHS = (1, 2, 3, 8, 13, 64, 601)
SHORT = (1, 2, 5, 8)

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_length = pytest.mark.parametrize("n", LENGTHS)
each_short = pytest.mark.parametrize("n", SHORT)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def make(case: Case, n: int) -> Basis:
    return case.fit(case.make(n))


def signals(generator: torch.Generator, *shape: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=dtype)


def linear_analysis(basis: Basis, x: torch.Tensor) -> torch.Tensor:
    """The linear part of an analysis that may be affine."""
    return basis.analysis(x) - basis.analysis(torch.zeros_like(x))


def assert_close(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@each
@each_length
def test_synthesis_inverts_analysis(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    assert basis.is_invertible
    assert_close(basis.synthesis(basis.analysis(x)), x)


@each
@each_length
def test_agrees_with_the_reference(case, n, generator):
    basis, x = make(case, n), signals(generator, 2, 3, n)
    expected = torch.from_numpy(case.reference(x.numpy(), basis))
    assert_close(basis.analysis(x), expected, 1e-9 if case.name == "pca" else 1e-10)


@each
@each_length
def test_energy_is_kept_where_orthogonal(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    weight = basis.layout.weight
    energy = (weight * linear_analysis(basis, x).abs() ** 2).sum(-1)
    kept = torch.allclose(energy, (x**2).sum(-1), rtol=1e-10)
    # A redundant transform may keep the energy too; it is no orthogonal basis.
    assert basis.is_orthogonal == (kept and weight.sum() == n)


@each
@each_short
def test_autograd_is_the_adjoint(case, n, generator):
    basis = make(case, n)
    matrix = linear_analysis(basis, torch.eye(n, dtype=torch.float64)).T
    c = signals(generator, basis.n_coefficients).to(matrix.dtype)
    if basis.is_complex:
        c = torch.complex(c.real, signals(generator, basis.n_coefficients))
    x = signals(generator, n).requires_grad_()
    inner = torch.sum((linear_analysis(basis, x) * c.conj()).real)
    (adjoint,) = torch.autograd.grad(inner, x)
    assert_close(adjoint, (matrix.conj().T @ c).real)
    assert_close(inner.detach(), x.detach() @ adjoint)


@each
@each_short
def test_weighted_adjoint_is_the_inverse_where_orthogonal(case, n, generator):
    basis = make(case, n)
    if not basis.is_orthogonal:
        pytest.skip("not orthogonal at this length")
    x = signals(generator, n).requires_grad_()
    c = linear_analysis(basis, signals(generator, n))
    target = basis.layout.weight * c
    inner = torch.sum((linear_analysis(basis, x) * target.conj()).real)
    (adjoint,) = torch.autograd.grad(inner, x)
    assert_close(adjoint, basis.synthesis(c) - basis.synthesis(torch.zeros_like(c)))


@each
@each_short
def test_gradcheck(case, n, generator):
    basis, x = make(case, n), signals(generator, 2, n).requires_grad_()
    assert torch.autograd.gradcheck(basis.analysis, x)
    mask = torch.rand(basis.n_coefficients, generator=generator, dtype=torch.float64)
    masked = lambda x: basis.synthesis(mask * basis.analysis(x))  # noqa: E731
    assert torch.autograd.gradcheck(masked, x)
    assert torch.autograd.gradgradcheck(lambda x: masked(x).sin(), x)


@each
@each_length
def test_leading_axes_are_a_batch(case, n, generator):
    basis, x = make(case, n), signals(generator, 2, 3, n)
    c = basis.analysis(x)
    assert c.shape == (2, 3, basis.n_coefficients)
    assert_close(basis.analysis(x[1, 2]), c[1, 2])
    assert_close(basis.analysis(x.transpose(0, 1)), c.transpose(0, 1))
    assert basis.analysis(x[:0]).shape == (0, 3, basis.n_coefficients)
    assert basis.synthesis(c[:0]).shape == (0, 3, n)
    assert_close(basis.synthesis(c.transpose(0, 1)), x.transpose(0, 1))
    assert_close(basis.synthesis(c[1, 2]), x[1, 2])


@each
@each_length
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(case, n, dtype, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    c = basis.analysis(x.to(dtype))
    assert c.real.dtype == dtype
    assert c.is_complex() == basis.is_complex
    assert basis.synthesis(c).dtype == dtype
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    assert_close(c.to(basis.analysis(x).dtype), basis.analysis(x), tolerance)


@each
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(case, dtype, generator):
    basis, x = make(case, 12), signals(generator, 4, 12).to(dtype)
    assert torch.equal(basis.analysis(x), basis.analysis(x.float()))
    assert basis.synthesis(basis.analysis(x)).dtype == torch.float32


@each
@pytest.mark.parametrize("n", [12, 601])
def test_autocast_does_not_round(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n, dtype=torch.float32)
    expected = basis.analysis(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        c = basis.analysis(x)
        y = basis.synthesis(c)
    assert torch.equal(c, expected)
    assert torch.equal(y, basis.synthesis(expected))


@each
@pytest.mark.parametrize("n", [9, 601])
def test_state_dict_pickle_and_deepcopy(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    fresh = case.make(n)
    fresh.load_state_dict(basis.state_dict())
    for twin in (fresh, copy.deepcopy(basis), pickle.loads(pickle.dumps(basis))):
        assert torch.equal(twin.analysis(x), basis.analysis(x))
        assert torch.equal(twin.synthesis(twin.analysis(x)), basis.synthesis(basis.analysis(x)))
        assert torch.equal(twin.layout.weight, basis.layout.weight)


@each
@pytest.mark.parametrize("n", [8, 601])
def test_converted_module_still_computes(case, n, generator):
    x = signals(generator, 4, n)
    expected = make(case, n).analysis(x)
    for dtype in (torch.float32, torch.float64):
        basis = make(case, n).to(dtype)
        assert_close(basis.analysis(x), expected, 1e-4)
        assert basis.analysis(x).dtype == expected.dtype
        assert basis.layout.scale.dtype == torch.int64


@each
def test_buffers_move_with_the_module(case):
    basis = make(case, 300).to("meta")
    assert all(buffer.is_meta for buffer in basis.buffers())
    assert all(value.is_meta for value in vars(basis.layout).values())
    assert basis.analysis(torch.empty(2, 300, device="meta")).shape == (2, basis.n_coefficients)
    assert not list(basis.parameters())


@each
@pytest.mark.parametrize("n", [13, pytest.param(301, marks=pytest.mark.slow)])
def test_compiled_equals_eager(case, n, generator):
    basis = make(case, n)
    scale = signals(generator, basis.n_coefficients, dtype=torch.float32)

    def masked(x):
        return basis.synthesis(scale * basis.analysis(x))

    torch._dynamo.reset()
    compiled = torch.compile(masked, backend="aot_eager", fullgraph=True)
    x = signals(generator, 3, n, dtype=torch.float32).requires_grad_()
    expected, actual = masked(x), compiled(x)
    assert_close(actual, expected, 1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (expected, actual)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 * gradients[0].abs().max().item())


@each
@each_length
def test_layout_describes_every_coefficient(case, n):
    basis = make(case, n)
    layout, k = basis.layout, basis.n_coefficients
    assert all(value.shape == (k,) for value in vars(layout).values())
    assert basis.n_features == n
    assert layout.index.tolist() == list(range(k))
    assert layout.index.dtype == layout.scale.dtype == torch.int64
    for value in (layout.frequency, layout.position, layout.weight):
        assert value.dtype == torch.get_default_dtype()
    frequency = layout.frequency[~layout.frequency.isnan()]
    assert ((frequency >= 0) & (frequency <= 0.5)).all()
    position = layout.position[~layout.position.isnan()]
    assert ((position >= 0) & (position <= n)).all()
    assert (layout.scale >= 0).all()
    assert set(layout.weight.tolist()) <= {1.0, 2.0}


@each
def test_repr_names_the_basis(case):
    basis = case.make(8)
    assert repr(basis).startswith(type(basis).__name__)
    assert "8" in repr(basis)


@each
def test_moments_change_only_what_needs_them(case, generator):
    basis, x = make(case, 6), signals(generator, 4, 6)
    before, buffers = basis.analysis(x), list(basis.buffers())
    mixing = signals(generator, 6, 6)
    basis.update_from_moments(torch.ones(6, dtype=torch.float64), mixing @ mixing.T)
    assert torch.equal(before, basis.analysis(x)) != basis.needs_covariance
    assert all(old is new for old, new in zip(buffers, basis.buffers(), strict=True))


@each
def test_wrong_length_is_told(case):
    basis = case.make(6)
    k = basis.n_coefficients
    dtype = torch.complex64 if basis.is_complex else torch.float32
    for wrong in (torch.zeros(2, 7), torch.zeros(6, 1), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=r"analysis: the last axis of x must have length 6"):
            basis.analysis(wrong)
    with pytest.raises(ValueError, match=rf"synthesis: the last axis of c must have length {k}"):
        basis.synthesis(torch.zeros(2, k + 1, dtype=dtype))


@each
def test_wrong_kind_of_input_is_told(case):
    basis = case.make(6)
    k = basis.n_coefficients
    with pytest.raises(TypeError, match=r"x must be a torch.Tensor, got ndarray"):
        basis.analysis(np.zeros(6))
    for dtype in (torch.int64, torch.complex64):
        with pytest.raises(TypeError, match=rf"x must be a real floating.*got {dtype}"):
            basis.analysis(torch.zeros(6, dtype=dtype))
    with pytest.raises(TypeError, match=r"c must be a real .*floating.*got torch.int64"):
        basis.synthesis(torch.zeros(k, dtype=torch.int64))
    if not basis.is_complex:
        with pytest.raises(TypeError, match=r"c must be a real floating.*got torch.complex64"):
            basis.synthesis(torch.zeros(k, dtype=torch.complex64))
    with pytest.raises(TypeError, match="got a float"):
        case.make(6.0)
    with pytest.raises(ValueError, match="got 0"):
        case.make(0)
