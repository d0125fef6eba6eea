"""A basis whose matrix is learnt by gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features
from ._dct import DCT

__all__ = ["LearnedBasis"]

_KINDS, _STARTS = ("orthogonal", "free"), ("dct", "identity")


class LearnedBasis(Basis):
    r"""Learnt matrix: orthogonal by parametrisation, or free with a penalty.

    .. math:: c = B x, \qquad x = B^{-1} c .

    ``"orthogonal"`` is the Cayley transform of a free matrix :math:`W`,

    .. math:: B = (I + S)^{-1} (I - S) \, B_0, \qquad S = \tfrac12 (W - W^\top),

    orthogonal to rounding for every :math:`W`, and :math:`B_0` to start with, at :math:`W = 0`.
    ``"free"`` is any matrix, to be kept away from singular ones by adding a multiple of

    .. math:: \| B \|_F^2 + \| B^{-1} \|_F^2 - 2 n
              = \sum_i \Bigl( \sigma_i - \frac{1}{\sigma_i} \Bigr)^2

    to the loss (`penalty`): it is zero if and only if :math:`B` is orthogonal, and infinite where
    it is singular. :math:`\| B \|_F^2` alone would not do: for an orthogonal :math:`B` it is the
    constant :math:`n` and says nothing, and for a free one it is least at :math:`B = 0`.

    Parameters
    ----------
    n_features : int
        Length :math:`n` of the signals, at least 1.
    kind : {"orthogonal", "free"}, default="orthogonal"
        What the matrix may become.
    start : {"dct", "identity"}, default="dct"
        The matrix to start with: that of `DCT`, or the identity.

    Attributes
    ----------
    weight : torch.nn.Parameter of shape (n_features, n_features)
        :math:`W`, or :math:`B` where it is free; float64 unless the module is converted.
    matrix : Tensor of shape (n_features, n_features)
        The matrix :math:`B`; its rows are what signals are compared with.

    Notes
    -----
    Each call solves a system of `n_features` equations, about :math:`n^3` operations. Up to the
    signs of its rows, every orthogonal matrix is of the Cayley form. Coefficients have no
    frequency: which one they would have changes in training.

    References
    ----------
    .. [1] M. Lezcano-Casado and D. Martínez-Rubio, "Cheap orthogonal constraints in neural
       networks: a simple parametrization of the orthogonal and unitary group", International
       Conference on Machine Learning, 2019.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import LearnedBasis
    >>> basis = LearnedBasis(4)
    >>> x = torch.tensor([1.0, 2.0, 3.0, 5.0])
    >>> optimizer = torch.optim.SGD(basis.parameters(), lr=0.01)
    >>> basis.analysis(x)[1:].abs().sum().backward()
    >>> optimizer.step()
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-5)
    True
    >>> torch.allclose(basis.matrix @ basis.matrix.T, torch.eye(4, dtype=torch.float64))
    True
    """

    _start: Tensor

    def __init__(self, n_features: int, kind: str = "orthogonal", start: str = "dct") -> None:
        n = check_n_features(n_features)
        for name, value, allowed in (("kind", kind, _KINDS), ("start", start, _STARTS)):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}.")
        super().__init__(n, Layout.make(n), is_orthogonal=kind == "orthogonal")
        self.kind, self.start = kind, start
        # float64 whatever the signals are, as in PCA: a rounded matrix is not orthogonal.
        eye = torch.eye(n, dtype=torch.float64)
        first = DCT(n).analysis(eye).T.contiguous() if start == "dct" else eye
        self.register_buffer("_start", first, persistent=False)
        self.weight = nn.Parameter(first.clone() if kind == "free" else torch.zeros_like(first))

    @property
    def matrix(self) -> Tensor:
        """The matrix in double precision."""
        weight = self.weight.double()
        if self.kind == "free":
            return weight
        skew = (weight - weight.T) / 2
        eye = torch.eye(self.n_features, dtype=skew.dtype, device=skew.device)
        return torch.linalg.solve(eye + skew, eye - skew) @ self._orthogonal_start()

    def penalty(self) -> Tensor:
        r"""What the matrix lacks of an orthogonal one, to be added to a loss.

        Returns
        -------
        Tensor of shape ()
            :math:`\| B \|_F^2 + \| B^{-1} \|_F^2 - 2 n`; zero, without a gradient, where the
            matrix is orthogonal by its parametrisation.

        Raises
        ------
        RuntimeError
            If the matrix is singular.
        """
        if self.kind == "orthogonal":
            return self.weight.new_zeros(())
        matrix = self.matrix
        squares = matrix.square().sum() + torch.linalg.inv(matrix).square().sum()
        return squares - 2 * self.n_features

    def _orthogonal_start(self) -> Tensor:
        # A module that was converted to float32 has rounded it; one Newton step undoes that.
        first = self._start.double()
        return 1.5 * first - 0.5 * first @ first.T @ first

    def _analysis(self, x: Tensor) -> Tensor:
        return x @ self.matrix.to(x.dtype).T

    def _synthesis(self, c: Tensor) -> Tensor:
        if self.kind == "orthogonal":
            return c @ self.matrix.to(c.dtype)
        flat = c.reshape(-1, self.n_features).double()
        return torch.linalg.solve(self.matrix, flat.T).T.to(c.dtype).reshape(c.shape)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}, kind={self.kind!r}, start={self.start!r}"
