"""Tensor train: a chain of cores, one for each axis of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ._base import Basis, Layout
from ._tensors import (
    check_rank,
    check_shape,
    numpy_tensorly,
    orthonormal_columns,
    stacked_samples,
)

__all__ = ["TensorTrain"]


class TensorTrain(Basis):
    r"""Coefficients of tensors at the end of a train of orthonormal cores.

    The last axis of the signals is a tensor of shape :math:`n_1 \times \dots \times n_d`, flattened
    in row-major order. Cores :math:`G_i` of shape :math:`r_{i-1} \times n_i \times r_i`, with
    :math:`r_0 = 1`, are common to all samples, and a sample's last core is its coefficients,

    .. math::

        \hat x_{j_1 \dots j_d} = \sum_{\alpha_1 \dots \alpha_d}
        G_1[1, j_1, \alpha_1] \, G_2[\alpha_1, j_2, \alpha_2] \cdots
        G_d[\alpha_{d-1}, j_d, \alpha_d] \; c_{\alpha_d} .

    The cores are left-orthogonal, so that the basis which they make is orthonormal: analysis goes
    through the same train from the front, and synthesis after it is the orthogonal projection. The
    matrix of :math:`n \times r_d` is never formed. Before `fit` the cores are truncated identities.

    Parameters
    ----------
    shape : sequence of int
        Shape :math:`(n_1, \dots, n_d)` of a sample; :math:`n = n_1 \cdots n_d` features.
    ranks : sequence of int
        Ranks :math:`(r_1, \dots, r_d)`, each from 1 to :math:`r_{i-1} n_i`; there are :math:`r_d`
        coefficients.

    Attributes
    ----------
    shape, ranks : tuple of int
        As given.
    cores : list of Tensor of shape (r_{i-1}, n_i, r_i)
        Cores :math:`G_i`, float64 unless the module is converted.

    Raises
    ------
    ValueError
        If a size or a rank is out of its range, or there is not one rank for each axis.
    TypeError
        If one is not an integer.

    See Also
    --------
    Tucker : One factor along each axis.
    CanonicalPolyadic : A sum of rank-one tensors.

    References
    ----------
    .. [1] I. V. Oseledets, "Tensor-train decomposition", SIAM Journal on Scientific Computing
       33(5), 2295-2317, 2011.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import TensorTrain
    >>> rows, columns = torch.tensor([1.0, 2.0]), torch.tensor([2.0, -1.0, 2.0])
    >>> x = torch.outer(rows, columns).flatten()  # a matrix of rank 1
    >>> basis = TensorTrain((2, 3), ranks=(1, 1)).fit(x[None])
    >>> basis.analysis(x).round(decimals=4)
    tensor([6.7082])
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-6)
    True
    """

    def __init__(self, shape: Sequence[int], ranks: Sequence[int]) -> None:
        self_shape = check_shape(shape)
        self_ranks = _check_ranks(ranks, self_shape)
        n = math.prod(self_shape)
        # Then no earlier rank can be short of what it could be.
        is_full = self_ranks[-1] == n
        super().__init__(
            n, Layout.make(self_ranks[-1]), is_orthogonal=is_full, is_invertible=is_full
        )
        self.shape, self.ranks = self_shape, self_ranks
        for i, size in enumerate(self._core_sizes()):
            core = torch.eye(size[0] * size[1], size[2], dtype=torch.float64).reshape(size)
            self.register_buffer(f"_core_{i}", core)

    @property
    def cores(self) -> list[Tensor]:
        """The cores, one for each axis."""
        return [getattr(self, f"_core_{i}") for i in range(len(self.shape))]

    @torch.no_grad()
    def fit(self, x: Tensor) -> TensorTrain:
        """Set the cores by successive singular value decompositions (TT-SVD) with tensorly.

        The samples make one tensor with an axis more, the last, whose core is the coefficients.
        Where fewer samples than a rank leave directions open, they are filled orthonormally.

        Parameters
        ----------
        x : Tensor of shape (..., n_features)
            Signals; all leading axes count as samples. They are not centred.

        Returns
        -------
        TensorTrain
            This basis.

        Raises
        ------
        ValueError
            If `x` has no sample, the wrong length, values that are not finite, or only zeros.
        ImportError
            If tensorly is not installed.
        """
        self._check(x, "fit", "x", self.n_features, takes_complex=False)
        tensor = stacked_samples("TensorTrain.fit", x, self.shape)
        with numpy_tensorly() as tensorly:
            train = tensorly.decomposition.tensor_train(tensor, rank=[1, *self.ranks, 1])
            fitted = [torch.from_numpy(core.copy()) for core in train.factors[:-1]]
        for core, new in zip(self.cores, fitted, strict=True):
            padded = new.new_zeros(core.shape[0], *new.shape[1:])
            padded[: len(new)] = new
            columns = orthonormal_columns(padded.flatten(0, 1), core.shape[2])
            core.copy_(columns.reshape(core.shape))
        return self

    def _analysis(self, x: Tensor) -> Tensor:
        z = x.reshape(-1, 1, self.n_features)
        for core, (before, n, after) in zip(self.cores, self._core_sizes(), strict=True):
            matrix = core.to(x.dtype).reshape(before * n, after)
            z = torch.einsum("bpq,pr->brq", z.reshape(len(z), before * n, -1), matrix)
        return z.reshape(*x.shape[:-1], self.n_coefficients)

    def _synthesis(self, c: Tensor) -> Tensor:
        z = c.reshape(-1, self.n_coefficients, 1)
        sizes = self._core_sizes()
        for core, (before, n, after) in zip(reversed(self.cores), reversed(sizes), strict=True):
            matrix = core.to(c.dtype).reshape(before * n, after)
            z = torch.einsum("brq,pr->bpq", z, matrix).reshape(len(z), before, -1)
        return z.reshape(*c.shape[:-1], self.n_features)

    def _core_sizes(self) -> list[tuple[int, int, int]]:
        return list(zip((1, *self.ranks[:-1]), self.shape, self.ranks, strict=True))

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"shape={self.shape}, ranks={self.ranks}"


def _check_ranks(ranks: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    ranks = tuple(ranks)
    if len(ranks) != len(shape):
        raise ValueError(
            f"TensorTrain: ranks must have one entry for each of the {len(shape)} axes, "
            f"got {len(ranks)}."
        )
    checked: list[int] = [1]
    for i, (rank, n) in enumerate(zip(ranks, shape, strict=True)):
        why = f"the rank before it times the size of axis {i}"
        checked.append(check_rank(rank, checked[-1] * n, f"ranks[{i}]", why))
    return tuple(checked[1:])
