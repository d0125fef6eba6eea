"""The quadratic model of the objective and the derivatives it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["QuadraticModel", "derivatives"]


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

    def norm(self, step: Tensor) -> float:
        r"""Length :math:`\|s\|_G`."""
        return float(step @ self.metric @ step) ** 0.5


def derivatives(
    objective: Callable[[Tensor], tuple[Tensor, Tensor]],
    omega: Tensor,
    *,
    exact_limit: int = 16,
    n_probes: int = 8,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Objective, loss, gradient and diagonal curvature.

    The diagonal is exact, one Hessian-vector product a parameter, up to `exact_limit` parameters;
    beyond it is Hutchinson's estimate :math:`\frac1m \sum_i z_i \odot H z_i` with random signs
    :math:`z_i`. Where an operation of the loss has no second derivative (fused recurrent
    kernels), products are differences of gradients. Only `omega` is differentiated: no other
    tensor's ``grad`` is touched.

    Parameters
    ----------
    objective : callable
        Takes a vector of shape (n_parameters,), returns the scalars (objective, loss).
    omega : Tensor of shape (n_parameters,)
        Where to differentiate.
    exact_limit : int, default=16
        Largest number of parameters for which the diagonal is exact.
    n_probes : int, default=8
        Number :math:`m` of Hutchinson's random vectors.
    generator : torch.Generator, default=None
        Source of the random signs; needed beyond `exact_limit`.

    Returns
    -------
    value, loss : Tensor
        Scalars.
    gradient, curvature : Tensor of shape (n_parameters,)
        In the dtype of `omega`; zeros where the value is not finite or does not depend on it.

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
    omega = omega.detach().requires_grad_()
    with torch.enable_grad():
        value, loss = objective(omega)
        if not (value.requires_grad and torch.isfinite(value)):
            zeros = torch.zeros_like(omega).detach()
            return value.detach(), loss.detach(), zeros, zeros
        gradient = _gradient(value, omega, create_graph=True)
        try:
            curvature = _diagonal(
                lambda z: _gradient(gradient, omega, z), omega, exact_limit, n_probes, generator
            )
        except RuntimeError:  # "derivative for ... is not implemented"
            curvature = _diagonal(
                _differences(objective, omega, gradient.detach()),
                omega,
                exact_limit,
                n_probes,
                generator,
            )
    return value.detach(), loss.detach(), gradient.detach(), curvature.detach()


def _gradient(
    output: Tensor, omega: Tensor, weights: Tensor | None = None, *, create_graph: bool = False
) -> Tensor:
    if not output.requires_grad:  # linear in omega
        return torch.zeros_like(omega)
    (gradient,) = torch.autograd.grad(
        output,
        omega,
        weights,
        retain_graph=True,
        create_graph=create_graph,
        materialize_grads=True,
    )
    return gradient


def _differences(
    objective: Callable[[Tensor], tuple[Tensor, Tensor]], omega: Tensor, gradient: Tensor
) -> Callable[[Tensor], Tensor]:
    """Hessian-vector products as differences of gradients."""
    step = 1e-2 * (1 + float(omega.detach().abs().max()))

    def product(z: Tensor) -> Tensor:
        moved = (omega.detach() + step * z).requires_grad_()
        return (_gradient(objective(moved)[0], moved) - gradient) / step

    return product


def _diagonal(
    product: Callable[[Tensor], Tensor],
    omega: Tensor,
    exact_limit: int,
    n_probes: int,
    generator: torch.Generator | None,
) -> Tensor:
    n = omega.numel()
    if n <= exact_limit:
        unit = torch.eye(n, dtype=omega.dtype, device=omega.device)
        return torch.stack([product(unit[i])[i] for i in range(n)])
    signs = torch.randint(0, 2, (n_probes, n), generator=generator) * 2 - 1
    signs = signs.to(omega)
    return torch.stack([z * product(z) for z in signs]).mean(0)
