"""The quadratic model of the objective and the derivatives it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["QuadraticModel", "derivatives", "principal_axes"]


@dataclass(frozen=True)
class QuadraticModel:
    r"""Quadratic model of an objective around the current parameters.

    .. math:: q(s) = J + g^\top s + \tfrac12 s^\top H s, \qquad \|s\|_G^2 = s^\top G s .

    Parameters
    ----------
    value : float
        The objective :math:`J` at :math:`s = 0`.
    gradient : Tensor of shape (n_parameters,)
        Its gradient :math:`g`.
    curvature : Tensor of shape (n_parameters,) or (n_parameters, n_parameters)
        :math:`H`, or its diagonal.
    metric : Tensor of shape (n_parameters, n_parameters)
        Positive definite :math:`G`, in which a step is measured.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import QuadraticModel
    >>> model = QuadraticModel(1.0, torch.tensor([2.0]), torch.tensor([4.0]), torch.eye(1))
    >>> model(torch.tensor([-0.5])), model.reduction(torch.tensor([-0.5]))
    (0.5, 0.5)
    """

    value: float
    gradient: Tensor
    curvature: Tensor
    metric: Tensor

    def __call__(self, step: Tensor) -> float:
        """Model value :math:`q(s)`."""
        return self.value - self.reduction(step)

    def reduction(self, step: Tensor) -> float:
        """Predicted reduction :math:`q(0) - q(s)`, without cancellation against the value."""
        return -float(self.gradient @ step + 0.5 * step @ self.times(step))

    def times(self, step: Tensor) -> Tensor:
        """Product :math:`H s`."""
        return self.curvature * step if self.curvature.ndim == 1 else self.curvature @ step

    def matrix(self) -> Tensor:
        """:math:`H` as a matrix."""
        return torch.diag(self.curvature) if self.curvature.ndim == 1 else self.curvature

    def norm(self, step: Tensor) -> float:
        r"""Length :math:`\|s\|_G`."""
        return float(step @ self.metric @ step) ** 0.5


def principal_axes(metric: Tensor) -> Tensor:
    r"""Directions :math:`V` that are orthonormal in a metric, :math:`V^\top G V = I`.

    Parameters
    ----------
    metric : Tensor of shape (n_parameters, n_parameters)
        Positive definite :math:`G`.

    Returns
    -------
    Tensor of shape (n_parameters, n_parameters)
        The directions as columns: eigenvectors over the roots of the eigenvalues.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import principal_axes
    >>> principal_axes(torch.diag(torch.tensor([4.0, 16.0]))).abs()
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    eigenvalues, vectors = torch.linalg.eigh(metric)
    return vectors / eigenvalues.sqrt()


def derivatives(
    objective: Callable[[Tensor], tuple[Tensor, Tensor]],
    omega: Tensor,
    axes: Tensor | None = None,
    *,
    exact_limit: int = 16,
    n_probes: int = 8,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Objective, loss, gradient, and the curvature along a set of axes.

    The curvatures :math:`h_i = v_i^\top (\nabla^2 J) v_i`, the diagonal of the Hessian in the
    coordinates of the axes :math:`V`, are exact, one Hessian-vector product each, up to
    `exact_limit` of them; beyond they are Hutchinson's estimates
    :math:`\frac1m \sum_j z_j \odot V^\top (\nabla^2 J) V z_j` with random signs :math:`z_j`.
    Where an operation of the loss has no second derivative (fused recurrent kernels), products are
    differences of gradients. Only `omega` is differentiated: no other tensor's ``grad`` is touched.

    Parameters
    ----------
    objective : callable
        Takes a vector of shape (n_parameters,), returns the scalars (objective, loss).
    omega : Tensor of shape (n_parameters,)
        Where to differentiate.
    axes : Tensor of shape (n_parameters, n_axes), default=None
        Axes as columns; None is the parameters' own.
    exact_limit : int, default=16
        Largest number of axes for which the curvatures are exact.
    n_probes : int, default=8
        Number :math:`m` of Hutchinson's random vectors.
    generator : torch.Generator, default=None
        Source of the random signs; needed beyond `exact_limit`.

    Returns
    -------
    value, loss : Tensor
        Scalars.
    gradient : Tensor of shape (n_parameters,)
        In the dtype of `omega`; zero where the value is not finite or does not depend on it.
    curvature : Tensor of shape (n_axes,)
        Likewise.

    References
    ----------
    .. [1] M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for
       Laplacian smoothing splines", Communications in Statistics - Simulation and Computation
       19(2), 433-450, 1990.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import derivatives
    >>> cubic = lambda w: ((w ** 3).sum(), (w ** 3).sum())
    >>> _, _, gradient, curvature = derivatives(cubic, torch.tensor([1.0, 2.0]))
    >>> gradient.tolist(), curvature.tolist()
    ([3.0, 12.0], [6.0, 12.0])
    """
    axes = torch.eye(len(omega)).to(omega) if axes is None else axes
    omega = omega.detach().requires_grad_()
    with torch.enable_grad():
        value, loss = objective(omega)
        if not (value.requires_grad and torch.isfinite(value)):
            zeros = torch.zeros_like(omega).detach()
            return value.detach(), loss.detach(), zeros, axes.new_zeros(axes.shape[1])
        (gradient,) = torch.autograd.grad(value, omega, create_graph=True, materialize_grads=True)
        signs = _signs(axes.shape[1], exact_limit, n_probes, generator).to(omega)
        try:
            curvature = _diagonal(_products(omega, gradient), axes, signs)
        except RuntimeError:  # "derivative for ... is not implemented", or the graph is cut
            product = _differences(objective, omega.detach(), gradient.detach())
            curvature = _diagonal(product, axes, signs)
    return value.detach(), loss.detach(), gradient.detach(), curvature.detach()


def _products(omega: Tensor, gradient: Tensor) -> Callable[[Tensor], Tensor]:
    """Hessian-vector products by differentiating the gradient once more."""
    return lambda v: torch.autograd.grad(gradient, omega, v, retain_graph=True)[0]


def _differences(
    objective: Callable[[Tensor], tuple[Tensor, Tensor]], omega: Tensor, gradient: Tensor
) -> Callable[[Tensor], Tensor]:
    """Hessian-vector products as differences of gradients."""

    def product(v: Tensor) -> Tensor:
        step = 1e-2 * (1 + float(omega.abs().max())) / max(float(v.norm()), 1e-30)
        moved = (omega + step * v).requires_grad_()
        (there,) = torch.autograd.grad(objective(moved)[0], moved, materialize_grads=True)
        return (there - gradient) / step

    return product


def _signs(n: int, exact_limit: int, n_probes: int, generator: torch.Generator | None) -> Tensor:
    """Vectors with sum z zᵀ = I, or expected to be: unit vectors, or scaled random signs."""
    if n <= exact_limit:
        return torch.eye(n, dtype=torch.float64)
    signs = torch.randint(0, 2, (n_probes, n), generator=generator, dtype=torch.float64) * 2 - 1
    return signs / n_probes**0.5


def _diagonal(product: Callable[[Tensor], Tensor], axes: Tensor, signs: Tensor) -> Tensor:
    return torch.stack([z * (axes.T @ product(axes @ z)) for z in signs]).sum(0)
