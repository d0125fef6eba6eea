"""Recordings whose sources and nonlinear mixture are known, by the protocols of the literature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.random import Generator, RandomState
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import ortho_group

# Matrices that are drawn to learn what condition numbers are usual.
N_DRAWS = 10_000
# Share of them that are conditioned well enough to mix by.
WELL_CONDITIONED = 0.25


class NonlinearMixture(NamedTuple):
    """What :func:`make_nonlinear_mixture` returns.

    Parameters
    ----------
    X : ndarray of shape (n_recordings, n_sources, n_times)
        Recordings.
    sources : ndarray of shape (n_recordings, n_sources, n_times)
        What was mixed.
    segments : ndarray of int64, shape (n_recordings, n_times)
        Segment, or hidden state, of each time point.

    Examples
    --------
    >>> from sklearn_dbt.datasets import make_nonlinear_mixture
    >>> X, sources, segments = make_nonlinear_mixture("pcl", n_times=100, random_state=0)
    >>> X.shape == sources.shape
    True
    """

    X: NDArray[np.float64]
    sources: NDArray[np.float64]
    segments: NDArray[np.int64]


@dataclass(frozen=True)
class Sizes:
    """Numbers a protocol is run with."""

    n_sources: int
    n_layers: int
    n_segments: int
    n_times: int


@dataclass(frozen=True)
class Protocol:
    """Published sizes, how sources are drawn and how they are mixed.

    ``draw(sizes, n_recordings, rng)`` returns sources ``(n_recordings, n_sources, n_times)`` and
    segments, ``mix(sources, n_layers, rng)`` the recordings.
    """

    sizes: Sizes
    draw: Callable[[Sizes, int, Generator], tuple[np.ndarray, np.ndarray]]
    mix: Callable[[np.ndarray, int, Generator], np.ndarray]


def make_nonlinear_mixture(
    protocol: str = "icebeem",
    *,
    n_recordings: int = 1,
    n_sources: int | None = None,
    n_layers: int | None = None,
    n_segments: int | None = None,
    n_times: int | None = None,
    random_state: int | RandomState | None = None,
) -> NonlinearMixture:
    r"""Make recordings of independent sources behind a nonlinear mixture.

    .. math:: x(t) = f(s(t)), \qquad f = A_L \circ g \circ A_{L-1} \circ \dots \circ g \circ A_1

    with invertible matrices :math:`A_l` and an invertible function :math:`g` of each channel. Five
    protocols of the literature, with their sizes:

    =========== ============================================= ========================= == ==
    protocol    sources                                       mixture                    n  L
    =========== ============================================= ========================= == ==
    "tcl2016"   Laplace of variance 1 times U(0, 1), in 256   leaky 0.2, uniform        20  5
                segments of 512                               matrices
    "icebeem"   Gaussian of variance 1 times U(0.01, 3), in   leaky 0.2, rotations;      5  4
                20 segments of 2000                           no :math:`A_1`
    "ivae"      Gaussian of variance 1 times U(0.5, 3), in 40 tanh(x) + 0.1 x, one       5  3
                segments of 1000                              uniform matrix L times
    "pcl"       autoregressive, coefficient 0.7, Laplace      leaky 0.2, uniform         5  3
                innovations; 65536 time points                matrices
    "hmm"       Gaussian, mean and variance by a hidden state leaky 0.1, uniform         5  4
                that stays with probability 0.99 and goes on  matrices
                in a ring of 11; 100000 time points
    =========== ============================================= ========================= == ==

    They come, in this order, from [1]_, [2]_, [3]_, [4]_ and [5]_. "Leaky 0.2" has slope 0.2 below
    zero; uniform matrices have entries of U(-1, 1), columns of norm one and a condition number in
    the lowest quarter of such matrices. Note that "icebeem" with two layers is a linear mixture of
    distorted sources, which linear ICA undoes.

    Parameters
    ----------
    protocol : {"tcl2016", "icebeem", "ivae", "pcl", "hmm"}, default="icebeem"
        What is drawn.
    n_recordings : int, default=1
        Recordings of the *same* mixture, strengths and states' distributions, each of new sources:
        fit on the first and score on the second.
    n_sources : int, default=None
        Number :math:`n` of sources and of channels; None is the protocol's.
    n_layers : int, default=None
        Number :math:`L` of layers; None is the protocol's. One is linear ("icebeem": no mixture).
    n_segments : int, default=None
        Segments of a recording, or hidden states; None is the protocol's.
    n_times : int, default=None
        Time points of a segment ("pcl", "hmm": of a recording); None is the protocol's.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    NonlinearMixture
        ``X``, ``sources`` and ``segments``.

    Raises
    ------
    TypeError, ValueError
        For an unknown protocol, and sizes that are no positive integers.

    See Also
    --------
    sklearn_dbt.metrics.mean_correlation_coefficient : Scores what was recovered.

    References
    ----------
    .. [1] A. Hyvärinen, H. Morioka, "Unsupervised feature extraction by time-contrastive learning
       and nonlinear ICA", NeurIPS 2016.
    .. [2] I. Khemakhem, R. Monti, D. Kingma, A. Hyvärinen, "ICE-BeeM: identifiable conditional
       energy-based deep models based on nonlinear ICA", NeurIPS 2020.
    .. [3] I. Khemakhem, D. Kingma, R. Monti, A. Hyvärinen, "Variational autoencoders and nonlinear
       ICA: a unifying framework", AISTATS 2020.
    .. [4] A. Hyvärinen, H. Morioka, "Nonlinear ICA of temporally dependent stationary sources",
       AISTATS 2017.
    .. [5] H. Hälvä, A. Hyvärinen, "Hidden Markov nonlinear ICA: unsupervised learning from
       nonstationary time series", UAI 2020.

    Examples
    --------
    >>> from sklearn_dbt.datasets import make_nonlinear_mixture
    >>> X, sources, segments = make_nonlinear_mixture(
    ...     "icebeem", n_recordings=2, n_times=50, random_state=0
    ... )
    >>> X.shape, segments[0, ::50].tolist()[-1]
    ((2, 5, 1000), 19)
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol must be one of {list(PROTOCOLS)}, got {protocol!r}.")
    made = PROTOCOLS[protocol]
    given = {
        "n_sources": n_sources,
        "n_layers": n_layers,
        "n_segments": n_segments,
        "n_times": n_times,
    }
    checked = {name: _count(value, name) for name, value in given.items() if value is not None}
    sizes = Sizes(**{**vars(made.sizes), **checked})
    n_recordings = _count(n_recordings, "n_recordings")
    rng = _generator(random_state)
    sources, segments = made.draw(sizes, n_recordings, rng)
    return NonlinearMixture(made.mix(sources, sizes.n_layers, rng), sources, segments)


def _count(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}.")
    return int(value)


def _generator(random_state) -> Generator:
    if isinstance(random_state, RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)


# --- sources -------------------------------------------------------------------------------------


def modulated(
    noise: Callable[[Generator, tuple[int, ...]], np.ndarray], low: float, high: float
) -> Callable[[Sizes, int, Generator], tuple[np.ndarray, np.ndarray]]:
    """Return a drawer of unit noise times a strength, uniform for each source and segment."""

    def draw(sizes: Sizes, n_recordings: int, rng: Generator):
        strengths = rng.uniform(low, high, (sizes.n_sources, sizes.n_segments))
        shape = (n_recordings, sizes.n_sources, sizes.n_segments * sizes.n_times)
        segments = np.repeat(np.arange(sizes.n_segments), sizes.n_times)
        return strengths[:, segments] * noise(rng, shape), np.tile(segments, (n_recordings, 1))

    return draw


def _laplace(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.laplace(scale=np.sqrt(0.5), size=shape)


def _gaussian(rng: Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def _autoregressive(sizes: Sizes, n_recordings: int, rng: Generator, coefficient=0.7, burn_in=100):
    """Draw sources whose next value is 0.7 of the last one and a Laplace innovation."""
    shape = (n_recordings, sizes.n_sources, burn_in + sizes.n_times)
    sources = lfilter([1.0], [1.0, -coefficient], _laplace(rng, shape))[..., burn_in:]
    return sources, np.zeros((n_recordings, sizes.n_times), dtype=np.int64)


def _hidden_states(sizes: Sizes, n_recordings: int, rng: Generator, stay=0.99, radius=2.0):
    """Draw Gaussian sources whose means, on a sphere, and deviations go with a ring of states."""
    means = rng.standard_normal((sizes.n_segments, sizes.n_sources))
    means *= radius / np.linalg.norm(means, axis=1, keepdims=True)
    deviations = rng.uniform(0.1, 0.5, means.shape)
    moves = rng.uniform(size=(n_recordings, sizes.n_times)) >= stay
    first = rng.integers(sizes.n_segments, size=(n_recordings, 1))
    states = (first + np.cumsum(moves, axis=1)) % sizes.n_segments
    noise = rng.standard_normal((*states.shape, sizes.n_sources))
    return (means[states] + deviations[states] * noise).swapaxes(1, 2), states


# --- mixtures ------------------------------------------------------------------------------------


def leaky(slope: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that multiplies what is negative by `slope`."""
    return lambda x: np.where(x > 0, x, slope * x)


def _uniform_layers(slope: float):
    def mix(sources: np.ndarray, n_layers: int, rng: Generator) -> np.ndarray:
        matrices = well_conditioned(sources.shape[1], n_layers, rng)
        mixed = matrices[0].T @ sources
        for matrix in matrices[1:]:
            mixed = matrix.T @ leaky(slope)(mixed)
        return mixed

    return mix


def _rotations(sources: np.ndarray, n_layers: int, rng: Generator) -> np.ndarray:
    n, mixed = sources.shape[1], sources
    for _ in range(n_layers - 1):
        rotation = ortho_group.rvs(n, random_state=rng) if n > 1 else np.ones((1, 1))
        mixed = rotation.T @ leaky(0.2)(mixed)
    return mixed


def _one_matrix(sources: np.ndarray, n_layers: int, rng: Generator) -> np.ndarray:
    (matrix,) = well_conditioned(sources.shape[1], 1, rng)
    mixed = matrix.T @ sources
    for _ in range(n_layers - 1):
        mixed = matrix.T @ (np.tanh(mixed) + 0.1 * mixed)
    return mixed


def well_conditioned(n: int, n_matrices: int, rng: Generator) -> np.ndarray:
    """Draw matrices with columns of norm one whose condition numbers are in the lowest quarter.

    Parameters
    ----------
    n : int
        Rows and columns.
    n_matrices : int
        How many.
    rng : Generator
        Draws.

    Returns
    -------
    ndarray of shape (n_matrices, n, n)
    """
    drawn = rng.uniform(-1, 1, (max(N_DRAWS, 8 * n_matrices), n, n))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    conditions = np.linalg.cond(drawn)
    good = conditions <= np.quantile(conditions, WELL_CONDITIONED)
    return drawn[good][:n_matrices]


PROTOCOLS = {
    "tcl2016": Protocol(Sizes(20, 5, 256, 512), modulated(_laplace, 0, 1), _uniform_layers(0.2)),
    "icebeem": Protocol(Sizes(5, 4, 20, 2000), modulated(_gaussian, 0.01, 3), _rotations),
    "ivae": Protocol(Sizes(5, 3, 40, 1000), modulated(_gaussian, 0.5, 3), _one_matrix),
    "pcl": Protocol(Sizes(5, 3, 1, 65_536), _autoregressive, _uniform_layers(0.2)),
    "hmm": Protocol(Sizes(5, 4, 11, 100_000), _hidden_states, _uniform_layers(0.1)),
}
