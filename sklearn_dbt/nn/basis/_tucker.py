"""Tucker decomposition: one orthonormal factor along each axis of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ._base import Basis, Layout
from ._members import along_axis
from ._tensors import (
    check_rank,
    check_shape,
    fix_signs,
    numpy_tensorly,
    orthonormal_columns,
    stacked_samples,
)

__all__ = ["Tucker"]


class Tucker(Basis):
    r"""Core of the Tucker decomposition of tensors, with one orthonormal factor for each axis.

    The last axis of the signals is a tensor of shape :math:`n_1 \times \dots \times n_d`, flattened
    in row-major order. Factors :math:`U_i \in \mathbb R^{n_i \times r_i}` with orthonormal columns
    are common to all samples; the coefficients are each sample's core,

    .. math::

        \mathcal C = \mathcal X \times_1 U_1^\top \times_2 \dots \times_d U_d^\top, \qquad
        \hat{\mathcal X} = \mathcal C \times_1 U_1 \times_2 \dots \times_d U_d ,

    so that synthesis after analysis is the orthogonal projection on what the factors span. Before
    `fit` the factors are the first columns of the identity.

    Parameters
    ----------
    shape : sequence of int
        Shape :math:`(n_1, \dots, n_d)` of a sample; :math:`n = n_1 \cdots n_d` features.
    ranks : sequence of int
        Ranks :math:`r_i`, from 1 to :math:`n_i`; there are :math:`r_1 \cdots r_d` coefficients.

    Attributes
    ----------
    shape, ranks : tuple of int
        As given.
    factors : list of Tensor of shape (n_i, r_i)
        Factors :math:`U_i`, float64 unless the module is converted.

    Raises
    ------
    ValueError
        If a size or a rank is out of its range, or there is not one rank for each axis.
    TypeError
        If one is not an integer.

    See Also
    --------
    CanonicalPolyadic : A sum of rank-one tensors.
    TensorTrain : A chain of cores.
    Separable : Fixed bases along the axes.

    References
    ----------
    .. [1] L. De Lathauwer, B. De Moor and J. Vandewalle, "On the best rank-1 and rank-(R1, R2, ...,
       RN) approximation of higher-order tensors", SIAM Journal on Matrix Analysis and Applications
       21(4), 1324-1342, 2000.
    .. [2] J. Kossaifi, Y. Panagakis, A. Anandkumar and M. Pantic, "TensorLy: Tensor Learning in
       Python", Journal of Machine Learning Research 20(26), 1-6, 2019.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import Tucker
    >>> rows, columns = torch.tensor([1.0, 2.0]), torch.tensor([2.0, -1.0, 2.0])
    >>> x = torch.outer(rows, columns).flatten()  # a matrix of rank 1
    >>> basis = Tucker((2, 3), ranks=(1, 1)).fit(x[None])
    >>> basis.analysis(x).round(decimals=4)
    tensor([6.7082])
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-6)
    True
    """

    def __init__(self, shape: Sequence[int], ranks: Sequence[int]) -> None:
        self_shape = check_shape(shape)
        self_ranks = _check_ranks(ranks, self_shape)
        is_full = self_ranks == self_shape
        super().__init__(
            math.prod(self_shape),
            Layout.make(math.prod(self_ranks)),
            is_orthogonal=is_full,
            is_invertible=is_full,
        )
        self.shape, self.ranks = self_shape, self_ranks
        for i, (n, r) in enumerate(zip(self.shape, self.ranks, strict=True)):
            self.register_buffer(f"_factor_{i}", torch.eye(n, r, dtype=torch.float64))

    @property
    def factors(self) -> list[Tensor]:
        """The factors, one for each axis."""
        return [getattr(self, f"_factor_{i}") for i in range(len(self.shape))]

    @torch.no_grad()
    def fit(self, x: Tensor, n_iter_max: int = 100, tol: float = 1e-8) -> Tucker:
        """Set the factors by higher-order orthogonal iteration (HOOI) with tensorly.

        The samples make one tensor with an axis more, along which nothing is compressed; the
        factors are started from its higher-order singular value decomposition. Where too few
        samples leave directions open, they are filled orthonormally.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals; all leading axes count as samples. They are not centred.
        n_iter_max : int, default=100
            Most iterations.
        tol : float, default=1e-8
            Change of the relative error of reconstruction at which to stop.

        Returns
        -------
        Tucker
            This basis.

        Raises
        ------
        ValueError
            If `x` has no sample, the wrong length, values that are not finite, or only zeros.
        ImportError
            If tensorly is not installed.
        """
        self._check(x, "fit", "x", self.n_features, takes_complex=False)
        tensor = stacked_samples("Tucker.fit", x, self.shape)
        with numpy_tensorly() as tensorly:
            (_, fitted), _ = tensorly.decomposition.partial_tucker(
                tensor,
                rank=_feasible(self.ranks, tensor.shape[-1]),
                modes=list(range(len(self.shape))),
                n_iter_max=n_iter_max,
                tol=tol,
                random_state=0,
            )
        for factor, new, rank in zip(self.factors, fitted, self.ranks, strict=True):
            columns = orthonormal_columns(torch.from_numpy(new.copy()), rank)
            factor.copy_(fix_signs(columns))
        return self

    def _analysis(self, x: Tensor) -> Tensor:
        grid = x.reshape(*x.shape[:-1], *self.shape)
        for i, factor in enumerate(self.factors):
            along = partial(torch.matmul, other=factor.to(x.dtype))
            grid = along_axis(along, grid, i - len(self.shape))
        return grid.reshape(*x.shape[:-1], self.n_coefficients)

    def _synthesis(self, c: Tensor) -> Tensor:
        grid = c.reshape(*c.shape[:-1], *self.ranks)
        for i, factor in enumerate(self.factors):
            along = partial(torch.matmul, other=factor.to(c.dtype).T)
            grid = along_axis(along, grid, i - len(self.shape))
        return grid.reshape(*c.shape[:-1], self.n_features)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"shape={self.shape}, ranks={self.ranks}"


def _feasible(ranks: tuple[int, ...], n_samples: int) -> list[int]:
    """Ranks none of which exceeds what the other ranks and the samples leave to it."""
    feasible = list(ranks)
    for _ in ranks:  # each pass settles one rank at least
        for i, rank in enumerate(ranks):
            others = math.prod(feasible[:i] + feasible[i + 1 :])
            feasible[i] = min(rank, n_samples * others)
    return feasible


def _check_ranks(ranks: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    ranks = tuple(ranks)
    if len(ranks) != len(shape):
        raise ValueError(
            f"Tucker: ranks must have one entry for each of the {len(shape)} axes, "
            f"got {len(ranks)}."
        )
    return tuple(
        check_rank(r, n, f"ranks[{i}]", f"the size of axis {i}")
        for i, (r, n) in enumerate(zip(ranks, shape, strict=True))
    )
