"""The signals themselves as their coefficients."""

from __future__ import annotations

import torch
from torch import Tensor

from ._base import Basis, Layout, check_n_features

__all__ = ["Identity"]


class Identity(Basis):
    """The identity: each coefficient is a sample.

    Dropout in this basis is ordinary dropout; in a `Separable` basis it leaves an axis as it is.

    Parameters
    ----------
    n_features : int
        Length of the signals in samples, at least 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Identity
    >>> basis = Identity(3)
    >>> basis.analysis(torch.tensor([1.0, 5.0, 2.0]))
    tensor([1., 5., 2.])
    >>> basis.layout.position.tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, n_features: int) -> None:
        n = check_n_features(n_features)
        super().__init__(n, Layout.make(n, position=torch.arange(n)), is_orthogonal=True)

    def _analysis(self, x: Tensor) -> Tensor:
        return x.clone()

    def _synthesis(self, c: Tensor) -> Tensor:
        return c.clone()
