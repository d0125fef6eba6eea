"""Eigenvectors of a symmetric matrix with a gradient that equal eigenvalues cannot break."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["eigenbasis", "principal_components"]


def principal_components(
    covariance: Tensor, *, tolerance: float | None = None
) -> tuple[Tensor, Tensor]:
    r"""Variances and principal components of a covariance, with a stable gradient.

    .. math::

        \Sigma = V^\top \operatorname{diag}(\lambda) \, V, \qquad
        \frac{\partial L}{\partial \Sigma} = V^\top \Bigl( \operatorname{diag}(g_\lambda)
        + F \circ \tfrac12 (K - K^\top) \Bigr) V, \qquad
        K = V g_V^\top, \quad
        F_{ij} = \frac{1}{\lambda_j - \lambda_i},

    with :math:`F_{ij} = 0` where two eigenvalues count as equal,
    :math:`|\lambda_i - \lambda_j| \le \epsilon \max_k |\lambda_k|`. Inside an eigenspace the
    components are arbitrary, so what means something there is its projector
    :math:`P = \sum_i v_i v_i^\top` and the sum of its eigenvalues: of functions of these,
    :math:`K` is symmetric inside the eigenspace, and leaving the pairs out is exact. (Where each
    component is weighted by its own eigenvalue, write that with projectors: the approximation of
    rank k is :math:`P \Sigma P`.) For any other function the gradient is bounded,

    .. math::

        \Bigl\| \frac{\partial L}{\partial \Sigma} \Bigr\|_F \le \| g_\lambda \|
        + \frac{\| g_V \|_F}{\epsilon \max_k |\lambda_k|} ,

    where `torch.linalg.eigh` divides by zero. Second derivatives are exact where all eigenvalues
    are distinct.

    Parameters
    ----------
    covariance : Tensor of shape (..., n, n)
        Symmetric matrices, not necessarily positive; the symmetric part is used.
    tolerance : float, default=None
        The relative difference :math:`\epsilon`, in [0, 1), up to which eigenvalues count as
        equal. None takes the square root of the precision: 1.5e-8 in float64, 3.5e-4 in float32.

    Returns
    -------
    eigenvalues : Tensor of shape (..., n)
        In decreasing order.
    components : Tensor of shape (..., n, n)
        Rows are the eigenvectors :math:`V`; the largest entry of each, in absolute value, is
        positive.

    Raises
    ------
    TypeError
        If `covariance` is not a tensor of float32 or float64.
    ValueError
        If its last two axes differ or are empty, or if `tolerance` is out of range.

    See Also
    --------
    PCA : The basis, from running moments and without a gradient.

    References
    ----------
    .. [1] J. R. Magnus, "On differentiating eigenvalues and eigenvectors", Econometric Theory
       1(2), 179-191, 1985.

    Examples
    --------
    The projector on the plane of the two equal eigenvalues does not depend on its basis:

    >>> import torch
    >>> from sklearn_dbt.nn.basis import principal_components
    >>> covariance = torch.diag(torch.tensor([2.0, 2.0, 1.0])).requires_grad_()
    >>> eigenvalues, components = principal_components(covariance)
    >>> eigenvalues.tolist()
    [2.0, 2.0, 1.0]
    >>> projector = components[:2].T @ components[:2]
    >>> projector[0, 2].backward()
    >>> covariance.grad
    tensor([[0.0000, 0.0000, 0.5000],
            [0.0000, 0.0000, 0.0000],
            [0.5000, 0.0000, 0.0000]])
    """
    _check(covariance, tolerance)
    if tolerance is None:
        tolerance = math.sqrt(torch.finfo(covariance.dtype).eps)
    return _operator((covariance + covariance.mT) / 2, tolerance)


def eigenbasis(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Decreasing eigenvalues, and eigenvectors as rows whose largest entry is positive."""
    eigenvalues, vectors = torch.linalg.eigh(matrix)
    # Stable, so that equal eigenvalues keep LAPACK's order and a result repeats.
    order = torch.argsort(eigenvalues, dim=-1, descending=True, stable=True)
    components = torch.take_along_dim(vectors.mT, order.unsqueeze(-1), -2)
    largest = components.gather(-1, components.abs().argmax(-1, keepdim=True))
    signs = torch.where(largest < 0, -1.0, 1.0).to(components.dtype)
    return torch.take_along_dim(eigenvalues, order, -1), components * signs


# An operator of its own, and not an autograd function: torch.compile takes it as it is.
@torch.library.custom_op("sklearn_dbt::principal_components", mutates_args=())
def _operator(matrix: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    return eigenbasis(matrix)


@_operator.register_fake
def _shapes(matrix: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    return matrix.new_empty(matrix.shape[:-1]), matrix.new_empty(matrix.shape)


def _remember(ctx: Any, inputs: tuple[Tensor, float], output: tuple[Tensor, Tensor]) -> None:
    ctx.tolerance = inputs[1]
    ctx.save_for_backward(*output)


def _backward(ctx: Any, g_values: Tensor, g_components: Tensor) -> tuple[Tensor, None]:
    values, components = ctx.saved_tensors
    gap = values.unsqueeze(-2) - values.unsqueeze(-1)
    equal = gap.abs() <= ctx.tolerance * values.abs().amax(-1)[..., None, None]
    # The inner `where` keeps 1/0 out of the second derivative too.
    f = torch.where(equal, 0.0, 1 / torch.where(equal, 1.0, gap))
    k = components @ g_components.mT
    inner = torch.diag_embed(g_values) + f * (k - k.mT) / 2
    return components.mT @ inner @ components, None


_operator.register_autograd(_backward, setup_context=_remember)


def _check(covariance: Tensor, tolerance: float | None) -> None:
    if not isinstance(covariance, Tensor):
        kind = type(covariance).__name__
        raise TypeError(f"principal_components: covariance must be a torch.Tensor, got {kind}.")
    if covariance.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"principal_components: covariance must be float32 or float64, got {covariance.dtype}."
        )
    shape = tuple(covariance.shape)
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
        raise ValueError(
            f"principal_components: covariance must have shape (..., n, n), n >= 1, got {shape}."
        )
    if tolerance is not None and not 0 <= tolerance < 1:
        raise ValueError(
            f"principal_components: tolerance must be in [0, 1) or None, got {tolerance}."
        )
