"""Canonical polyadic decomposition: a sum of rank-one tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._base import Basis, Layout
from ._tensors import check_rank, check_shape, fix_signs, numpy_tensorly, stacked_samples

__all__ = ["CanonicalPolyadic"]


class CanonicalPolyadic(Basis):
    r"""Weights of rank-one tensors that add up to a tensor (CP, CANDECOMP/PARAFAC).

    The last axis of the signals is a tensor of shape :math:`n_1 \times \dots \times n_d`, flattened
    in row-major order. Atoms of rank one and unit norm are common to all samples,

    .. math::

        \hat{\mathcal X} = \sum_{k=1}^{r} c_k \; a_k^{(1)} \circ \dots \circ a_k^{(d)}, \qquad
        c = A^+ x = (A^\top A)^+ A^\top x ,

    where the columns of :math:`A` are the flattened atoms. The coefficients are those of least
    squares, so that synthesis after analysis is the orthogonal projection on what the atoms span,
    although they are not orthogonal to each other. Before `fit` they are the first unit tensors.

    Parameters
    ----------
    shape : sequence of int
        Shape :math:`(n_1, \dots, n_d)` of a sample; :math:`n = n_1 \cdots n_d` features.
    rank : int
        Number :math:`r` of atoms, from 1 to :math:`n`.

    Attributes
    ----------
    shape : tuple of int
        As given.
    rank : int
        As given.
    factors : list of Tensor of shape (n_i, r)
        Columns are the :math:`a_k^{(i)}`, of unit norm; float64 unless the module is converted.

    Raises
    ------
    ValueError
        If a size or the rank is out of its range.
    TypeError
        If one is not an integer.

    See Also
    --------
    Tucker : One orthonormal factor along each axis.
    TensorTrain : A chain of cores.

    Notes
    -----
    `is_invertible` is False for every rank: nothing keeps fitted atoms independent.

    References
    ----------
    .. [1] T. G. Kolda and B. W. Bader, "Tensor Decompositions and Applications", SIAM Review 51(3),
       455-500, 2009.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import CanonicalPolyadic
    >>> rows, columns = torch.tensor([1.0, 2.0]), torch.tensor([2.0, -1.0, 2.0])
    >>> x = torch.outer(rows, columns).flatten()  # a matrix of rank 1
    >>> basis = CanonicalPolyadic((2, 3), rank=1).fit(x[None])
    >>> basis.analysis(x).round(decimals=4)
    tensor([6.7082])
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-6)
    True
    """

    _gram_inverse: Tensor

    def __init__(self, shape: Sequence[int], rank: int) -> None:
        self_shape = check_shape(shape)
        n = math.prod(self_shape)
        r = check_rank(rank, n, "rank", "the number of features")
        super().__init__(n, Layout.make(r), is_invertible=False)
        self.shape, self.rank = self_shape, r
        places = torch.unravel_index(torch.arange(r), self.shape)
        for i, (size, place) in enumerate(zip(self.shape, places, strict=True)):
            units = torch.eye(size, dtype=torch.float64)[:, place]
            self.register_buffer(f"_factor_{i}", units)
        self.register_buffer("_gram_inverse", torch.eye(r, dtype=torch.float64))

    @property
    def factors(self) -> list[Tensor]:
        """The factors, one for each axis."""
        return [getattr(self, f"_factor_{i}") for i in range(len(self.shape))]

    @torch.no_grad()
    def fit(self, x: Tensor, n_iter_max: int = 100, tol: float = 1e-8) -> CanonicalPolyadic:
        """Set the atoms by alternating least squares with tensorly.

        The samples make one tensor with an axis more, whose factor is left out of the atoms. They
        are ordered by decreasing energy.

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
        CanonicalPolyadic
            This basis.

        Raises
        ------
        ValueError
            If `x` has no sample, the wrong length, values that are not finite, or only zeros.
        ImportError
            If tensorly is not installed.
        """
        self._check(x, "fit", "x", self.n_features, takes_complex=False)
        tensor = stacked_samples("CanonicalPolyadic.fit", x, self.shape)
        fitted = _alternating_least_squares(tensor, self.rank, n_iter_max, tol)
        # The weights are 1: an atom's energy is in the norms of its columns.
        energies = math.prod(np.linalg.norm(factor, axis=0) for factor in fitted)
        order = torch.argsort(torch.from_numpy(energies), descending=True, stable=True)
        factors = [torch.from_numpy(factor)[:, order] for factor in fitted[:-1]]
        factors = [_unit_columns(fix_signs(factor)) for factor in factors]
        inverse = _inverse_of_gram(factors)
        for factor, new in zip(self.factors, factors, strict=True):
            factor.copy_(new)
        self._gram_inverse.copy_(inverse)
        return self

    def _analysis(self, x: Tensor) -> Tensor:
        # Products with every atom, one axis after the other.
        first, *others = [factor.to(x.dtype) for factor in self.factors]
        z = torch.einsum("bjq,jr->bqr", x.reshape(-1, self.shape[0], self._rest(0)), first)
        for i, factor in enumerate(others, 1):
            z = z.reshape(len(z), self.shape[i], self._rest(i), self.rank)
            z = torch.einsum("bjqr,jr->bqr", z, factor)
        c = z.reshape(-1, self.rank) @ self._gram_inverse.to(x.dtype)
        return c.reshape(*x.shape[:-1], self.rank)

    def _synthesis(self, c: Tensor) -> Tensor:
        # Grow every atom, one axis after the other, and add them up along the last one.
        *others, last = [factor.to(c.dtype) for factor in self.factors]
        z = c.reshape(-1, 1, self.rank)
        for factor in others:
            z = torch.einsum("bqr,jr->bqjr", z, factor).flatten(1, 2)
        return (z @ last.T).reshape(*c.shape[:-1], self.n_features)

    def _rest(self, axis: int) -> int:
        return math.prod(self.shape[axis + 1 :])

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"shape={self.shape}, rank={self.rank}"


def _alternating_least_squares(
    tensor: np.ndarray, rank: int, n_iter_max: int, tol: float
) -> list[np.ndarray]:
    """Factors along all axes, the samples' last."""
    tensor = tensor / np.linalg.norm(tensor)
    start = _start(tensor, rank)
    # Where the data has a lower rank the normal equations are singular: then a ridge is needed.
    for ridge in (0.0, 1e-12, 1e-8):
        # Of errors that are 0 to rounding the square may be negative.
        with numpy_tensorly() as tensorly, np.errstate(all="ignore"):
            try:
                _, factors = tensorly.decomposition.parafac(
                    tensor,
                    rank=rank,
                    init=tensorly.cp_tensor.CPTensor((None, [f.copy() for f in start])),
                    n_iter_max=n_iter_max,
                    tol=tol,
                    l2_reg=ridge,
                )
            except np.linalg.LinAlgError:
                continue
        if all(np.isfinite(factor).all() for factor in factors):
            return factors
    raise ValueError(
        f"CanonicalPolyadic.fit: least squares broke down at rank={rank}; lower it, the samples "
        "have not that many independent atoms."
    )


def _start(tensor: np.ndarray, rank: int) -> list[np.ndarray]:
    """Leading singular vectors along each axis; numbers of a fixed seed where there are fewer."""
    rng = np.random.RandomState(0)
    factors = []
    for axis, size in enumerate(tensor.shape):
        unfolded = np.moveaxis(tensor, axis, 0).reshape(size, -1)
        vectors = np.linalg.svd(unfolded, full_matrices=False)[0][:, :rank]
        more = rng.random_sample((size, rank - vectors.shape[1]))
        factors.append(np.concatenate([vectors, more], axis=1))
    return factors


def _unit_columns(factor: Tensor) -> Tensor:
    norms = factor.norm(dim=0, keepdim=True)
    return factor / torch.where(norms > 0, norms, 1.0)


def _inverse_of_gram(factors: list[Tensor]) -> Tensor:
    """Pseudo-inverse of the atoms' inner products, which multiply over the axes."""
    gram = torch.stack([factor.T @ factor for factor in factors]).prod(0)
    return torch.linalg.pinv(gram, hermitian=True)
