"""The orthonormal discrete Hartley transform."""

from __future__ import annotations

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features

__all__ = ["Hartley"]


class Hartley(Basis):
    r"""Orthonormal discrete Hartley transform: the Fourier transform in real numbers.

    .. math::

        c_k = \frac{1}{\sqrt n} \sum_{t=0}^{n-1} x_t
              \Bigl( \cos\frac{2 \pi k t}{n} + \sin\frac{2 \pi k t}{n} \Bigr),
        \qquad k = 0, \dots, n - 1 .

    It is :math:`\operatorname{Re} X_k - \operatorname{Im} X_k` of the unitary Fourier transform,
    symmetric, and its own inverse. Coefficients :math:`k` and :math:`n - k` share a frequency and
    differ in phase: dropping one of them changes the phase of a wave, where dropping a complex
    Fourier coefficient takes the wave away.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals in samples, at least 1.

    See Also
    --------
    Fourier : One complex coefficient for each pair of these.

    References
    ----------
    .. [1] R. N. Bracewell, "Discrete Hartley transform", Journal of the Optical Society of America
       73(12), 1832-1835, 1983.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Hartley
    >>> basis = Hartley(4)
    >>> c = basis.analysis(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    >>> c
    tensor([ 5., -2., -1.,  0.])
    >>> torch.equal(basis.analysis(c), basis.synthesis(c))
    True
    >>> basis.layout.frequency.tolist()
    [0.0, 0.25, 0.5, 0.25]
    """

    def __init__(self, n_features: int) -> None:
        n = check_n_features(n_features)
        k = torch.arange(n, dtype=torch.float64)
        layout = Layout.make(n, frequency=torch.minimum(k, n - k) / n)
        super().__init__(n, layout, is_orthogonal=True)

    def _analysis(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x, norm="ortho")
        # Bin n - k is the conjugate of bin k.
        mirrored = (spectrum.real + spectrum.imag)[..., 1 : (self.n_features + 1) // 2].flip(-1)
        return torch.cat([spectrum.real - spectrum.imag, mirrored], dim=-1)

    def _synthesis(self, c: Tensor) -> Tensor:
        return self._analysis(c)
