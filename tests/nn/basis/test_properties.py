"""What is true of every basis. A new one joins by one line of ``CASES``; see `Case`."""

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import pywt
import scipy.fft
import scipy.signal
import sklearn.decomposition
import torch

from sklearn_dbt.nn.basis import (
    CWT,
    DCT,
    DWT,
    ICA,
    PCA,
    STFT,
    Basis,
    CanonicalPolyadic,
    Choice,
    Composition,
    Dictionary,
    Fourier,
    FractionalFourier,
    Gabor,
    GraphFourier,
    Hartley,
    Identity,
    LatticeWavelet,
    LearnedBasis,
    LiftingDWT,
    Mel,
    RangeDoppler,
    Separable,
    SpatialDFT,
    Stack,
    StationaryWavelet,
    TensorTrain,
    Tucker,
    WaveletPacket,
)
from sklearn_dbt.nn.dropout import TransformDropout, concrete_mask


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


def short_time(x: np.ndarray, basis: Basis, window: np.ndarray) -> np.ndarray:
    """Windowed, circular frames times the matrix of waves: frequencies by frames."""
    period, lead = basis.n_frames * basis.hop, len(window) // 2
    x = np.concatenate([x, np.zeros((*x.shape[:-1], period - x.shape[-1]))], axis=-1)
    m = np.arange(len(window)) - lead
    frames = x[..., (m + basis.hop * np.arange(basis.n_frames)[:, None]) % period] * window
    waves = np.exp(-2j * np.pi * np.outer(np.arange(basis.n_fft // 2 + 1), m) / basis.n_fft)
    return np.einsum("km,...jm->...kj", waves, frames) / np.sqrt(basis.n_fft)


def tight(window: np.ndarray, hop: int) -> np.ndarray:
    return window / np.sqrt([sum(window[m % hop :: hop] ** 2) for m in range(len(window))])


def stft(x: np.ndarray, basis: Basis) -> np.ndarray:
    window = scipy.signal.get_window("hann", basis.window_length)
    c = short_time(x, basis, tight(window, basis.hop))
    return c.reshape(*x.shape[:-1], -1)


def gabor(x: np.ndarray, basis: Basis) -> np.ndarray:
    m = np.arange(basis.n_fft) - basis.n_fft // 2
    window = np.exp(-(m**2) / (2 * basis.width**2))
    scale = np.sqrt(sum(window**2) / basis.hop)
    window = tight(window, basis.hop) if basis.tight else window / scale
    return short_time(x, basis, window).reshape(*x.shape[:-1], -1)


def dct(x: np.ndarray) -> np.ndarray:
    return scipy.fft.dct(x, norm="ortho")


def grid(n: int) -> tuple[int, int]:
    """The sides of the squarest grid of n places."""
    side = max(m for m in range(1, int(n**0.5) + 1) if n % m == 0)
    return side, n // side


def on_grid(transform: Callable[[np.ndarray], np.ndarray]):
    """Reference that is a transform of the last two axes of a grid."""

    def reference(x: np.ndarray, basis: Basis) -> np.ndarray:
        return transform(x.reshape(*x.shape[:-1], *basis.shape)).reshape(*x.shape[:-1], -1)

    return reference


def least_squares(x: np.ndarray, basis: Basis) -> np.ndarray:
    """Coefficients with which synthesis comes closest to the signals."""
    atoms = basis.synthesis(torch.eye(basis.n_coefficients, dtype=torch.float64))
    return x @ np.linalg.pinv(atoms.numpy())


def fit_samples(basis: Basis) -> Basis:
    return basis.fit(pca_data(basis.n_features)[:50])


def swt(x: np.ndarray, basis: Basis) -> np.ndarray:
    """Filters spread out and rolled round, one tap at a time."""
    filters, bands = pywt.Wavelet(basis.wavelet), [x]
    for j in range(basis.level):
        smooth = bands[0]
        bands[:1] = [
            sum(
                f[m] / np.sqrt(2) * np.roll(smooth, 2**j * (m - len(f) // 2), axis=-1)
                for m in range(len(f))
            )
            for f in (filters.dec_lo, filters.dec_hi)
        ]
    return np.concatenate(bands, axis=-1)


def packets(x: np.ndarray, basis: Basis) -> np.ndarray:
    if not basis.level:
        return x
    with warnings.catch_warnings():  # PyWavelets warns of boundary effects
        warnings.simplefilter("ignore")
        tree = pywt.WaveletPacket(x, basis.wavelet, basis.mode, basis.level, axis=-1)
        return np.concatenate([node.data for node in tree.get_level(basis.level, "freq")], axis=-1)


def lattice_wavedec(x: np.ndarray, basis: LatticeWavelet) -> np.ndarray:
    return wavedec(x, DWT(basis.n_features, "db4", basis.level))


def perturbed(basis: LearnedBasis) -> LearnedBasis:
    """A free matrix that is no longer orthogonal."""
    n = basis.n_features
    generator = torch.Generator().manual_seed(n)
    with torch.no_grad():
        basis.weight += torch.randn(n, n, generator=generator, dtype=torch.float64) / (3 * n**0.5)
    return basis


def unmixed(basis: ICA) -> ICA:
    """Fitted to mixed Laplace sources, far enough."""
    rng, n = np.random.default_rng(basis.n_features), basis.n_features
    x = rng.laplace(size=(4 * n + 20, n)) @ (np.eye(n) + rng.normal(size=(n, n)) / (3 * n**0.5))
    with warnings.catch_warnings():  # not converged
        warnings.simplefilter("ignore")
        return basis.fit(torch.from_numpy(1 + 2 * x))


def signed_dct(x: np.ndarray, basis: GraphFourier) -> np.ndarray:
    cosines = scipy.fft.dct(np.eye(basis.n_features), norm="ortho")
    return dct(x) * np.sign((cosines.T * basis.components.numpy()).sum(1))


@dataclass(frozen=True)
class Case:
    """A basis, and what is said of it.

    ``reference`` computes the coefficients another way, from the signals and the basis. ``fit``
    adapts a basis that learns from data. ``least`` is the least length that the basis takes,
    ``lengths`` are the lengths to use where not every one will do (its features are a grid, say).
    ``inverts`` says that synthesis must invert analysis; where it is False, `is_invertible` must
    be honest. ``linear=False`` is for an analysis that is not even affine: then the checks that
    need a matrix are left out. ``signed=True`` is for a full spectrum, with negative frequencies.
    The tolerances are for float64, relative and absolute.
    """

    name: str
    make: Callable[[int], Basis]
    reference: Callable[[np.ndarray, Basis], np.ndarray] | None = None
    fit: Callable[[Basis], Basis] = lambda basis: basis
    least: int = 1
    lengths: tuple[int, ...] = ()
    inverts: bool = True
    learns: bool = False
    linear: bool = True
    signed: bool = False
    tolerance: float = 1e-10
    reference_tolerance: float = 1e-10

    def at(self, wanted: tuple[int, ...]) -> list[int]:
        """The wanted lengths that it takes, or the nearest of its own."""
        if not self.lengths:
            return [n for n in wanted if n >= self.least]
        return sorted({min(self.lengths, key=lambda m: abs(m - n)) for n in wanted})


GRIDS = (1, 6, 12, 64, 600)
LENGTHS = (1, 2, 3, 8, 13, 64, 601)
# Where each call takes the cube of the length, or more.
MATRICES = (1, 2, 3, 5, 8, 13, 64)
CASES = [
    Case("fourier", Fourier, lambda x, _: np.fft.rfft(x, norm="ortho")),
    Case("dct", DCT, lambda x, _: scipy.fft.dct(x, norm="ortho")),
    Case("dwt", DWT, wavedec),
    Case("dwt-haar", lambda n: DWT(n, "haar"), wavedec),
    Case("dwt-bior-symmetric", lambda n: DWT(n, "bior2.4", mode="symmetric"), wavedec),
    Case("dwt-sym5-antireflect", lambda n: DWT(n, "sym5", int(n > 1), "antireflect"), wavedec),
    Case("dwt-coif2-zero", lambda n: DWT(n, "coif2", mode="zero"), wavedec),
    Case(
        "pca",
        PCA,
        sklearn_pca,
        fit=lambda basis: basis.fit(pca_data(basis.n_features)),
        reference_tolerance=1e-9,
    ),
    Case("hartley", Hartley, lambda x, _: (np.fft.fft(x, norm="ortho") * (1 + 1j)).real),
    Case("stft", STFT, stft),
    Case("gabor", Gabor, gabor),
    Case("gabor-dual", lambda n: Gabor(n, 0.8, 2, tight=False), gabor),
    Case("mel", lambda n: Mel(n, 100.0), inverts=False),
    Case("swt", StationaryWavelet, swt),
    Case("swt-bior", lambda n: StationaryWavelet(n, "bior2.4"), swt),
    Case("packet", WaveletPacket, packets),
    Case("packet-symmetric", lambda n: WaveletPacket(n, "bior2.2", mode="symmetric"), packets),
    Case("lifting", LiftingDWT),
    Case("lifting-periodic", lambda n: LiftingDWT(n, "db2", mode="periodic")),
    Case("cwt", CWT),
    Case("cwt-mexican-hat", lambda n: CWT(n, "mexican_hat", 2)),
    Case("cwt-no-low-pass", lambda n: CWT(n, lowpass=False), inverts=False),
    Case("frft", FractionalFourier),
    Case("frft-1", lambda n: FractionalFourier(n, 1.0), lambda x, _: np.fft.fft(x, norm="ortho")),
    Case("frft-learnt", lambda n: FractionalFourier(n, 0.3, learn_order=True), learns=True),
    Case("identity", Identity, lambda x, _: x),
    Case(
        "composition",
        lambda n: Composition(DCT(n), DWT(n, "haar")),
        lambda x, basis: wavedec(dct(x), basis.second),
    ),
    Case("composition-of-parts", lambda n: Composition(Fourier(n), DCT(n // 2 + 1))),
    Case("composition-adapting", lambda n: Composition(DCT(n), PCA(n))),
    Case(
        "stack",
        lambda n: Stack([Fourier(n), DCT(n)]),
        lambda x, _: np.concatenate([np.fft.rfft(x, norm="ortho"), dct(x)], -1) / 2**0.5,
    ),
    Case(
        "stack-adapting", lambda n: Stack([PCA(n), DWT(n, "bior2.4"), SpatialDFT(n)]), signed=True
    ),
    Case(
        "choice",
        lambda n: Choice([DWT(n, "bior2.4"), Identity(n)]),
        lambda x, basis: np.concatenate([wavedec(x, basis.bases[0]), x], -1) / 2**0.5,
        learns=True,
    ),
    Case("spatial-dft", SpatialDFT, lambda x, _: np.fft.fft(x, norm="ortho"), signed=True),
    Case(
        "separable",
        lambda n: Separable([DCT(m) for m in grid(n)]),
        on_grid(lambda x: scipy.fft.dctn(x, axes=(-2, -1), norm="ortho")),
        lengths=GRIDS,
    ),
    Case(
        "separable-half-spectrum",
        lambda n: Separable([SpatialDFT(grid(n)[0]), Fourier(grid(n)[1])]),
        on_grid(lambda x: np.fft.rfft2(x, norm="ortho")),
        lengths=GRIDS,
    ),
    Case(
        "separable-adapting",
        lambda n: Separable([SpatialDFT(grid(n)[0]), PCA(grid(n)[1])]),
        signed=True,
        lengths=GRIDS,
    ),
    Case(
        "range-doppler",
        lambda n: RangeDoppler(*grid(n)),
        on_grid(lambda x: np.fft.fft(x, axis=-2, norm="ortho")),
        signed=True,
        lengths=GRIDS,
    ),
    Case(
        "tucker",
        lambda n: Tucker(grid(n), grid(n)),
        least_squares,
        fit=fit_samples,
        lengths=GRIDS,
    ),
    Case(
        "tucker-truncated",
        lambda n: Tucker(grid(n), (grid(n)[0], grid(n)[1] // 2)),
        least_squares,
        fit=fit_samples,
        lengths=GRIDS[1:],
        inverts=False,
    ),
    Case(
        "tensor-train",
        lambda n: TensorTrain(grid(n), (grid(n)[0], n)),
        least_squares,
        fit=fit_samples,
        lengths=GRIDS,
    ),
    Case(
        "tensor-train-truncated",
        lambda n: TensorTrain(grid(n), (1, (grid(n)[1] + 1) // 2)),
        least_squares,
        fit=fit_samples,
        lengths=GRIDS[1:],
        inverts=False,
    ),
    Case(
        "canonical-polyadic",
        lambda n: CanonicalPolyadic(grid(n), 1 + n // 8),
        least_squares,
        fit=lambda basis: basis.fit(pca_data(basis.n_features)[:20], n_iter_max=5),
        lengths=GRIDS[1:-1],
        inverts=False,
        tolerance=1e-8,
        reference_tolerance=1e-7,
    ),
    # A signal of one sample leaves nothing to learn: no level, no angle, no edge.
    Case("lattice", LatticeWavelet, lattice_wavedec, learns=True, lengths=LENGTHS[1:]),
    Case("learned", LearnedBasis, lambda x, _: dct(x), learns=True, lengths=MATRICES[1:]),
    Case(
        "learned-free",
        lambda n: LearnedBasis(n, "free"),
        fit=perturbed,
        learns=True,
        lengths=MATRICES[1:],
    ),
    Case("ica", lambda n: ICA(n, max_iter=5), fit=unmixed, lengths=MATRICES),
    Case("dictionary", Dictionary, inverts=False, learns=True, linear=False, lengths=MATRICES),
    Case("graph", GraphFourier, signed_dct),
    Case(
        "graph-learnt",
        lambda n: GraphFourier(n, laplacian="normalized", learnable=True),
        learns=True,
        lengths=(3, *MATRICES[3:]),
    ),
]
SHORT = (1, 2, 5, 8)


def each(*lengths: int, slow: tuple[int, ...] = (), only: Callable[[Case], bool] = lambda _: True):
    """Parametrize a test by the cases at some lengths, fast ones and slow ones."""
    return pytest.mark.parametrize(
        ("case", "n"),
        [
            pytest.param(case, n, id=f"{case.name}-{n}", marks=marks)
            for wanted, marks in ((lengths, ()), (slow, pytest.mark.slow))
            for case in filter(only, CASES)
            for n in case.at(wanted)
        ],
    )


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def make(case: Case, n: int) -> Basis:
    return case.fit(case.make(n))


def signals(generator: torch.Generator, *shape: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=dtype)


def linear_analysis(basis: Basis, x: torch.Tensor) -> torch.Tensor:
    """The linear part of an analysis that may be affine."""
    return basis.analysis(x) - basis.analysis(torch.zeros_like(x))


def linear_synthesis(basis: Basis, c: torch.Tensor) -> torch.Tensor:
    """The linear part of a synthesis that may be affine."""
    return basis.synthesis(c) - basis.synthesis(torch.zeros_like(c))


def coefficients(generator: torch.Generator, basis: Basis, *shape: int) -> torch.Tensor:
    """Any coefficients, those of no signal among them."""
    c = signals(generator, *shape, basis.n_coefficients)
    if not basis.is_complex:
        return c
    return torch.complex(c, signals(generator, *shape, basis.n_coefficients))


def frame_bounds(basis: Basis) -> tuple[float, float] | None:
    return (1.0, 1.0) if basis.is_orthogonal else getattr(basis, "frame_bounds", None)


def move(basis: Basis, generator: torch.Generator) -> Basis:
    """Somewhere else in the space of its parameters, in float64."""
    basis = basis.double()
    with torch.no_grad():
        for parameter in basis.parameters():
            parameter += 0.3 * signals(generator, *parameter.shape)
    return basis


class Masked(torch.nn.Module):
    """Analysis, a fixed mask, synthesis."""

    def __init__(self, basis: Basis, mask: torch.Tensor) -> None:
        super().__init__()
        self.basis, self.mask = basis, mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.basis.synthesis(self.mask * self.basis.analysis(x))


def assert_close(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@each(*LENGTHS)
def test_synthesis_inverts_analysis(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    back = basis.synthesis(basis.analysis(x))
    if case.inverts:
        assert basis.is_invertible
        assert_close(back, x.to(back.dtype), case.tolerance)
    assert basis.is_invertible == torch.allclose(back.real, x, case.tolerance, case.tolerance)


@each(*LENGTHS)
def test_dropout_layer_takes_away_what_is_dropped_and_passes_the_rest(case, n, generator):
    x = signals(generator, 4, n)
    layer = TransformDropout(n, make(case, n), "uniform", p=0.5)
    c = layer.basis.analysis(x)
    uniforms = torch.rand(c.shape, generator=generator).double()
    omega = layer.omega.double()  # in single precision formulas of the mask would round apart
    with layer.relaxed(omega, [uniforms], temperature=0.5):
        y = layer(x)
    p = (layer.p_max * torch.sigmoid(omega)).expand(c.shape)
    scale = concrete_mask(p, uniforms, 0.5) / (1 - p)
    # The same for all: y = S(sc) and y = x - S(c) + S(sc) differ only where S(c) is not x.
    assert_close(y - x, linear_synthesis(layer.basis, c * (scale - 1)).real, case.tolerance)
    assert_close(TransformDropout(n, make(case, n), "uniform", p=0.0)(x), x, case.tolerance)


@each(*LENGTHS)
def test_synthesis_is_linear(case, n, generator):
    basis = make(case, n)
    a, b = coefficients(generator, basis, 3), coefficients(generator, basis, 3)
    both = linear_synthesis(basis, a) - 2 * linear_synthesis(basis, b)
    assert_close(linear_synthesis(basis, a - 2 * b), both, case.tolerance)


@each(*LENGTHS, only=lambda case: case.reference is not None)
def test_agrees_with_the_reference(case, n, generator):
    basis, x = make(case, n), signals(generator, 2, 3, n)
    expected = torch.from_numpy(case.reference(x.numpy(), basis))
    assert_close(basis.analysis(x), expected, case.reference_tolerance)


@each(*LENGTHS, only=lambda case: case.linear)
def test_energy_is_kept_where_orthogonal(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    weight = basis.layout.weight
    energy = (weight * linear_analysis(basis, x).abs() ** 2).sum(-1)
    kept = torch.allclose(energy, (x**2).sum(-1), rtol=case.tolerance)
    # A redundant transform may keep the energy too; it is no orthogonal basis.
    assert basis.is_orthogonal == (kept and weight.sum() == n)
    if (bounds := frame_bounds(basis)) is not None:
        assert kept == (bounds == (1.0, 1.0))


@each(*SHORT, 13, only=lambda case: case.linear)
def test_frame_bounds_are_the_extreme_gains(case, n):
    basis = make(case, n)
    matrix = linear_analysis(basis, torch.eye(n, dtype=torch.float64))
    matrix = matrix * basis.layout.weight.double().sqrt()
    if basis.is_complex:  # as a matrix of real numbers: signals are real
        matrix = torch.cat([matrix.real, matrix.imag], dim=-1)
    gains = torch.linalg.svdvals(matrix).square()
    least = gains.min().item() if len(gains) == n else 0.0
    if (bounds := frame_bounds(basis)) is not None:
        low, high = bounds
        slack = case.tolerance * high
        assert 0 <= low <= least + slack
        assert gains.max() <= high + slack
    if basis.is_invertible:
        assert least > 0


@each(*SHORT, only=lambda case: case.linear)
def test_autograd_is_the_adjoint(case, n, generator):
    basis = make(case, n)
    matrix = linear_analysis(basis, torch.eye(n, dtype=torch.float64)).T
    c = coefficients(generator, basis)
    x = signals(generator, n).requires_grad_()
    inner = torch.sum((linear_analysis(basis, x) * c.conj()).real)
    (adjoint,) = torch.autograd.grad(inner, x)
    assert_close(adjoint, (matrix.conj().T @ c).real)
    assert_close(inner.detach(), x.detach() @ adjoint)


@each(*SHORT, only=lambda case: case.linear)
def test_weighted_adjoint_is_the_inverse_where_energy_is_kept(case, n, generator):
    basis = make(case, n)
    if frame_bounds(basis) != (1.0, 1.0):
        pytest.skip("does not keep the energy at this length")
    x = signals(generator, n).requires_grad_()
    c = linear_analysis(basis, signals(generator, n))
    target = basis.layout.weight * c
    inner = torch.sum((linear_analysis(basis, x) * target.conj()).real)
    (adjoint,) = torch.autograd.grad(inner, x)
    back = linear_synthesis(basis, c)
    assert_close(adjoint.to(back.dtype), back)


@each(*SHORT)
def test_gradcheck(case, n, generator):
    basis, x = make(case, n), signals(generator, 2, n).requires_grad_()
    assert torch.autograd.gradcheck(basis.analysis, x)
    mask = torch.rand(basis.n_coefficients, generator=generator, dtype=torch.float64)
    masked = lambda x: basis.synthesis(mask * basis.analysis(x))  # noqa: E731
    assert torch.autograd.gradcheck(masked, x)
    assert torch.autograd.gradgradcheck(lambda x: masked(x).sin(), x)


@each(*SHORT, only=lambda case: case.learns)
def test_gradcheck_in_the_parameters(case, n, generator):
    basis, x = move(make(case, n), generator), signals(generator, 2, n)
    mask = torch.rand(basis.n_coefficients, generator=generator, dtype=torch.float64)
    names, values = zip(*basis.named_parameters(), strict=True)

    def masked(*values):
        masked_basis = Masked(basis, mask)
        given = {f"basis.{name}": value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(masked_basis, given, (x,))

    values = tuple(value.detach().clone().requires_grad_() for value in values)
    assert torch.autograd.gradcheck(masked, values)
    gradients = torch.autograd.grad(masked(*values).sin().sum(), values)
    assert n == 1 or any(gradient.any() for gradient in gradients)


@each(*LENGTHS, only=lambda case: case.learns)
def test_promises_hold_wherever_the_parameters_go(case, n, generator):
    basis, x = move(make(case, n), generator), signals(generator, 4, n)
    c = basis.analysis(x)
    if basis.is_invertible:
        assert_close(basis.synthesis(c), x, case.tolerance)
    if case.linear and frame_bounds(basis) == (1.0, 1.0):
        energy = (basis.layout.weight * linear_analysis(basis, x).abs() ** 2).sum(-1)
        assert_close(energy, (x**2).sum(-1), case.tolerance)


@each(*LENGTHS)
def test_leading_axes_are_a_batch(case, n, generator):
    basis, x = make(case, n), signals(generator, 2, 3, n)
    c = basis.analysis(x)
    assert c.shape == (2, 3, basis.n_coefficients)
    assert_close(basis.analysis(x[1, 2]), c[1, 2], case.tolerance)
    assert_close(basis.analysis(x.transpose(0, 1)), c.transpose(0, 1), case.tolerance)
    assert basis.analysis(x[:0]).shape == (0, 3, basis.n_coefficients)
    assert basis.synthesis(c[:0]).shape == (0, 3, n)
    y = basis.synthesis(c)
    assert y.shape == x.shape
    if basis.is_invertible:
        assert_close(y, x.to(y.dtype), case.tolerance)
    assert_close(basis.synthesis(c.transpose(0, 1)), y.transpose(0, 1), case.tolerance)
    assert_close(basis.synthesis(c[1, 2]), y[1, 2], case.tolerance)


@each(*LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_is_kept(case, n, dtype, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    c = basis.analysis(x.to(dtype))
    assert c.real.dtype == dtype
    assert c.is_complex() == basis.is_complex
    assert basis.synthesis(c).real.dtype == dtype
    assert basis.synthesis(c).is_complex() == basis.takes_complex
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    assert_close(c.to(basis.analysis(x).dtype), basis.analysis(x), tolerance)


@each(12)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(case, n, dtype, generator):
    basis, x = make(case, n), signals(generator, 4, n).to(dtype)
    assert torch.equal(basis.analysis(x), basis.analysis(x.float()))
    assert basis.synthesis(basis.analysis(x)).real.dtype == torch.float32


@each(12, 601)
def test_autocast_does_not_round(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n, dtype=torch.float32)
    expected = basis.analysis(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        c = basis.analysis(x)
        y = basis.synthesis(c)
    assert torch.equal(c, expected)
    assert torch.equal(y, basis.synthesis(expected))


@each(9, 601)
def test_state_dict_pickle_and_deepcopy(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    fresh = case.make(n)
    fresh.load_state_dict(basis.state_dict())
    for twin in (fresh, copy.deepcopy(basis), pickle.loads(pickle.dumps(basis))):
        assert torch.equal(twin.analysis(x), basis.analysis(x))
        assert torch.equal(twin.synthesis(twin.analysis(x)), basis.synthesis(basis.analysis(x)))
        assert torch.equal(twin.layout.weight, basis.layout.weight)


@each(8, 601)
def test_converted_module_still_computes(case, n, generator):
    x = signals(generator, 4, n)
    expected = make(case, n).analysis(x)
    for dtype in (torch.float32, torch.float64):
        basis = make(case, n).to(dtype)
        assert_close(basis.analysis(x), expected, 1e-4)
        assert basis.analysis(x).dtype == expected.dtype
        assert basis.layout.scale.dtype == torch.int64


@each(300)
def test_buffers_and_parameters_move_with_the_module(case, n):
    basis = make(case, n).to("meta")
    assert all(buffer.is_meta for buffer in basis.buffers())
    assert all(parameter.is_meta for parameter in basis.parameters())
    assert all(value.is_meta for value in vars(basis.layout).values())
    assert basis.analysis(torch.empty(2, n, device="meta")).shape == (2, basis.n_coefficients)
    assert bool(list(basis.parameters())) == case.learns


# Compiling takes seconds: one case for each way of computing is fast, the others wait for `slow`.
COMPILED = {"fourier", "dwt", "pca", "stft", "swt", "frft", "lattice", "stack"}


def compile_now(case: Case) -> bool:
    return case.name in COMPILED


@each(13, only=compile_now)
def test_compiled_equals_eager(case, n, generator):
    check_compiled(case, n, generator)


@each(slow=(13, 301))
@pytest.mark.slow
def test_every_case_compiled_equals_eager(case, n, generator):
    check_compiled(case, n, generator)


def check_compiled(case, n, generator):
    basis = make(case, n)
    scale = signals(generator, basis.n_coefficients, dtype=torch.float32)

    def masked(x):
        return basis.synthesis(scale * basis.analysis(x))

    torch._dynamo.reset()
    compiled = torch.compile(masked, backend="aot_eager", fullgraph=True)
    x = signals(generator, 3, n, dtype=torch.float32).requires_grad_()
    expected, actual = masked(x), compiled(x)
    assert_close(actual, expected, 1e-5)
    gradients = [torch.autograd.grad((y * y.conj()).real.sum(), x)[0] for y in (expected, actual)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4 * gradients[0].abs().max().item())


@each(*LENGTHS)
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
    lowest = -0.5 if case.signed else 0.0
    assert ((frequency >= lowest) & (frequency <= 0.5)).all()
    position = layout.position[~layout.position.isnan()]
    assert ((position >= 0) & (position <= n)).all()
    assert (layout.scale >= 0).all()
    assert set(layout.weight.tolist()) <= {1.0, 2.0}


@each(8)
def test_repr_names_the_basis(case, n):
    basis = case.make(n)
    assert repr(basis).startswith(type(basis).__name__)
    assert case.lengths or str(n) in repr(basis)


@each(6)
def test_moments_change_only_what_needs_them(case, n, generator):
    basis, x = make(case, n), signals(generator, 4, n)
    before, buffers = basis.analysis(x), list(basis.buffers())
    mixing = signals(generator, n, n)
    basis.update_from_moments(torch.ones(n, dtype=torch.float64), mixing @ mixing.T)
    assert torch.equal(before, basis.analysis(x)) != basis.needs_covariance
    assert all(old is new for old, new in zip(buffers, basis.buffers(), strict=True))


@each(6)
def test_wrong_length_is_told(case, n):
    basis = case.make(n)
    k = basis.n_coefficients
    dtype = torch.complex64 if basis.is_complex else torch.float32
    for wrong in (torch.zeros(2, n + 1), torch.zeros(n, 1), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=rf"analysis: the last axis of x must have length {n}"):
            basis.analysis(wrong)
    with pytest.raises(ValueError, match=rf"synthesis: the last axis of c must have length {k}"):
        basis.synthesis(torch.zeros(2, k + 1, dtype=dtype))


@each(6)
def test_wrong_kind_of_input_is_told(case, n):
    basis = case.make(n)
    k = basis.n_coefficients
    with pytest.raises(TypeError, match=r"x must be a torch.Tensor, got ndarray"):
        basis.analysis(np.zeros(n))
    kind = "real or complex" if basis.takes_complex else "real"
    for dtype in (torch.int64,) if basis.takes_complex else (torch.int64, torch.complex64):
        with pytest.raises(TypeError, match=rf"x must be a {kind} floating.*got {dtype}"):
            basis.analysis(torch.zeros(n, dtype=dtype))
    with pytest.raises(TypeError, match=r"c must be a real .*floating.*got torch.int64"):
        basis.synthesis(torch.zeros(k, dtype=torch.int64))
    if not basis.is_complex:
        with pytest.raises(TypeError, match=r"c must be a real floating.*got torch.complex64"):
            basis.synthesis(torch.zeros(k, dtype=torch.complex64))


@each(6, only=lambda case: not case.lengths)
def test_wrong_number_of_features_is_told(case, n):
    with pytest.raises(TypeError, match="got a float"):
        case.make(float(n))
    with pytest.raises(ValueError, match="got 0"):
        case.make(0)
    for short in range(1, case.least):
        with pytest.raises(ValueError, match=rf"at least {case.least}.*got {short}"):
            case.make(short)
