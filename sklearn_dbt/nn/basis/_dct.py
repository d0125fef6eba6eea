"""The orthonormal discrete cosine transform of type II."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features

__all__ = ["DCT"]


class DCT(Basis):
    r"""Orthonormal discrete cosine transform (DCT-II).

    .. math::

        c_k = s_k \sum_{t=0}^{n-1} x_t \cos\!\Bigl(\frac{\pi k (2 t + 1)}{2 n}\Bigr),
        \qquad s_0 = \sqrt{1/n}, \; s_{k>0} = \sqrt{2/n} .

    Computed by one real FFT of length :math:`n` (Makhoul's algorithm): the even samples followed
    by the odd ones in reverse, transformed and turned by :math:`e^{-i \pi k / 2 n}`. The transform
    is an orthogonal matrix, so its inverse (a DCT-III) is also its adjoint.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.

    See Also
    --------
    Fourier : Complex coefficients of the periodic signal.

    References
    ----------
    .. [1] J. Makhoul, "A fast cosine transform in one and two dimensions", IEEE Transactions on
       Acoustics, Speech, and Signal Processing 28(1), 27-34, 1980.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT
    >>> basis = DCT(4)
    >>> c = basis.analysis(torch.ones(4))
    >>> torch.allclose(c, torch.tensor([2.0, 0.0, 0.0, 0.0]), atol=1e-6)
    True
    >>> basis.layout.frequency.tolist()
    [0.0, 0.125, 0.25, 0.375]
    """

    _order: Tensor
    _inverse_order: Tensor
    _turn: Tensor

    def __init__(self, n_features: int) -> None:
        n = check_n_features(n_features)
        k = torch.arange(n, dtype=torch.float64)
        super().__init__(n, Layout.make(n, frequency=k / (2 * n)), is_orthogonal=True)
        order = torch.cat([torch.arange(0, n, 2), torch.arange(1, n, 2).flip(0)])
        self.register_buffer("_order", order, persistent=False)
        self.register_buffer("_inverse_order", order.argsort(), persistent=False)
        # Real and imaginary part in a real buffer: Module.to(dtype) would cut a complex one.
        angle = math.pi * k[: n // 2 + 1] / (2 * n)
        turn = torch.stack([angle.cos(), -angle.sin()], dim=-1)
        turn[1:] *= math.sqrt(2)
        self.register_buffer("_turn", turn, persistent=False)

    def _analysis(self, x: Tensor) -> Tensor:
        w = torch.fft.rfft(x.index_select(-1, self._order), norm="ortho")
        w.mul_(torch.view_as_complex(self._turn.to(x.dtype)))
        # w_k = c_k - i c_{n-k}: half a spectrum holds the whole transform.
        return torch.cat([w.real, -w.imag[..., 1 : (self.n_features + 1) // 2].flip(-1)], dim=-1)

    def _synthesis(self, c: Tensor) -> Tensor:
        x = torch.fft.irfft(self._spectrum(c), n=self.n_features, norm="ortho")
        return x.index_select(-1, self._inverse_order)

    def _spectrum(self, c: Tensor) -> Tensor:
        half = self.n_features // 2
        tail = c[..., self.n_features - half :].flip(-1)
        imaginary = torch.cat([torch.zeros_like(c[..., :1]), tail], dim=-1)
        turn = torch.view_as_complex(self._turn.to(c.dtype))
        w = torch.complex(c[..., : half + 1], imaginary.neg_())
        return w.mul_(turn.conj() / self._gain(c))

    def _gain(self, c: Tensor) -> Tensor:
        # |turn|²: 1 for the mean, 2 for the rest.
        return self._turn.to(c.dtype).square().sum(-1)
