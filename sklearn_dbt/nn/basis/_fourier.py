"""The real discrete Fourier transform."""

from __future__ import annotations

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features

__all__ = ["Fourier"]


class Fourier(Basis):
    r"""Unitary discrete Fourier transform of a real signal, non-negative frequencies only.

    .. math::

        c_k = \frac{1}{\sqrt n} \sum_{t=0}^{n-1} x_t e^{-2 \pi i k t / n},
        \qquad k = 0, \dots, \lfloor n/2 \rfloor .

    The coefficients of the negative frequencies are the conjugates of these, so each inner bin
    has weight 2 in Parseval's identity; the mean, and for even :math:`n` the Nyquist frequency,
    have weight 1.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.

    See Also
    --------
    DCT : Real coefficients, and no jump between the signal's ends.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Fourier
    >>> basis = Fourier(4)
    >>> basis.analysis(torch.tensor([1.0, 0.0, -1.0, 0.0])).real
    tensor([0., 1., 0.])
    >>> basis.synthesis(basis.analysis(torch.tensor([1.0, 2.0, 3.0, 4.0])))
    tensor([1., 2., 3., 4.])
    """

    def __init__(self, n_features: int) -> None:
        n = check_n_features(n_features)
        k = torch.arange(n // 2 + 1)
        weight = torch.where((k == 0) | (2 * k == n), 1.0, 2.0)
        layout = Layout.make(len(k), frequency=k.double() / n, weight=weight)
        super().__init__(n, layout, is_complex=True, is_orthogonal=True)

    def _analysis(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x, norm="ortho")

    def _synthesis(self, c: Tensor) -> Tensor:
        return torch.fft.irfft(c, n=self.n_features, norm="ortho")
