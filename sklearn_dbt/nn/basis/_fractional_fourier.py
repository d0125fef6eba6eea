"""The discrete fractional Fourier transform."""

from __future__ import annotations

import math
import numbers

import numpy as np
import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features

__all__ = ["FractionalFourier"]


class FractionalFourier(Basis):
    r"""Discrete fractional Fourier transform, a power of the unitary Fourier matrix.

    .. math::

        c = F^a x, \qquad
        F^a = \sum_k e^{-i \pi a k / 2} \, u_k u_k^\top ,

    with the discrete Hermite-Gauss functions :math:`u_k`: the real orthonormal eigenvectors that
    the Fourier matrix shares with :math:`S`,
    :math:`(S u)[t] = u[t - 1] + u[t + 1] + 2 \cos(2 \pi t / n) \, u[t]`, in the order of their
    sign changes. Order 0 is the identity, order 1 the unitary Fourier transform, order 2 turns
    time round, and orders add: :math:`F^a F^b = F^{a + b}`. In between, a chirp of the right slope
    is concentrated. Real signals of :math:`n` samples have :math:`n` complex coefficients;
    synthesis is the real part of :math:`F^{-a} c`.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1. Takes :math:`n^2` numbers.
    order : float, default=0.5
        Order :math:`a`, of period 4.
    learn_order : bool, default=False
        Whether the order is a parameter, learnt by gradients, and not a fixed number.

    Attributes
    ----------
    order : Tensor
        The order, a number.

    Raises
    ------
    ValueError
        If `order` is not finite.
    TypeError
        If `order` is no number.

    See Also
    --------
    Fourier : Order 1, without the redundant half.

    Notes
    -----
    Time starts at sample 0, as in `Fourier`. A coefficient has neither a frequency nor a position
    of its own, and the layout gives none.

    References
    ----------
    .. [1] C. Candan, M. A. Kutay and H. M. Ozaktas, "The discrete fractional Fourier transform",
       IEEE Transactions on Signal Processing 48(5), 1329-1337, 2000.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import FractionalFourier
    >>> x = torch.randn(8, generator=torch.Generator().manual_seed(0))
    >>> c = FractionalFourier(8, order=1.0).analysis(x)
    >>> torch.allclose(c, torch.fft.fft(x, norm="ortho"), atol=1e-5)
    True
    >>> basis = FractionalFourier(8, order=0.3, learn_order=True)
    >>> (basis.analysis(x).abs() ** 4).sum().backward()
    >>> bool(basis.order.grad.abs() > 0)
    True
    """

    order: Tensor
    _modes: Tensor
    _degree: Tensor

    def __init__(self, n_features: int, order: float = 0.5, learn_order: bool = False) -> None:
        n = check_n_features(n_features)
        if isinstance(order, bool) or not isinstance(order, numbers.Real):
            raise TypeError(f"order must be a number, got {type(order).__name__}.")
        if not math.isfinite(order):
            raise ValueError(f"order must be finite, got {order}.")
        super().__init__(n, Layout.make(n), is_complex=True, is_orthogonal=True)
        if learn_order:
            self.order = nn.Parameter(torch.tensor(float(order)))
        else:
            value = torch.tensor(float(order), dtype=torch.float64)
            self.register_buffer("order", value, persistent=False)
        modes, degree = _hermite_gauss(n)
        self.register_buffer("_modes", torch.from_numpy(modes), persistent=False)
        self.register_buffer("_degree", torch.from_numpy(degree), persistent=False)

    def _analysis(self, x: Tensor) -> Tensor:
        modes = self._modes.to(x.dtype)
        return _product((x @ modes) * self._turn(x.dtype), modes.T)

    def _synthesis(self, c: Tensor) -> Tensor:
        modes = self._modes.to(c.real.dtype)
        return (_product(c, modes) * self._turn(modes.dtype).conj()).real @ modes.T

    def _turn(self, dtype: torch.dtype) -> Tensor:
        # Reduced to one turn in double precision: there are up to n of them.
        angle = -0.5 * math.pi * torch.remainder(self.order.double() * self._degree, 4.0).to(dtype)
        return torch.complex(angle.cos(), angle.sin())

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        learnt = ", learn_order=True" if isinstance(self.order, nn.Parameter) else ""
        return f"{self.n_features}, order={self.order.item():.4g}{learnt}"


def _product(z: Tensor, matrix: Tensor) -> Tensor:
    """Real or complex rows times a real matrix."""
    return torch.complex(z.real @ matrix, z.imag @ matrix) if z.is_complex() else z @ matrix


def _hermite_gauss(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Discrete Hermite-Gauss functions as columns, and how often each changes its sign."""
    t = np.arange(n)
    commuting = np.diag(2 * np.cos(2 * np.pi * t / n))
    commuting[t, (t + 1) % n] += 1
    commuting[t, (t - 1) % n] += 1
    # Even and odd vectors apart: within each the eigenvalues are distinct.
    half = n // 2 + 1
    even, odd = np.zeros((n, half)), np.zeros((n, n - half))
    for columns, sign in ((even, 1.0), (odd, -1.0)):
        first = 0 if sign > 0 else 1
        k = np.arange(columns.shape[1])
        columns[k + first, k] += 0.5
        columns[-(k + first) % n, k] += 0.5 * sign
        columns /= np.linalg.norm(columns, axis=0)
    # The k-th even one has 2k sign changes, the k-th odd one 2k + 1.
    modes = [p @ np.linalg.eigh(p.T @ commuting @ p)[1][:, ::-1] for p in (even, odd)]
    degrees = [2 * np.arange(half), 2 * np.arange(n - half) + 1]
    return np.concatenate(modes, axis=1), np.concatenate(degrees).astype(float)
