"""The objective's derivatives: its gradient, and products with its Hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["derivatives"]

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]


class Expansion:
    r"""Value and gradient of an objective at a point, and products with its Hessian there.

    Where an operation of the objective has no second derivative (fused recurrent kernels),
    products are differences of gradients. Only `omega` is differentiated: no other tensor's
    ``grad`` is touched.

    Parameters
    ----------
    objective : callable
        Takes a vector of shape (n_parameters,), returns the scalars (objective, loss).
    omega : Tensor of shape (n_parameters,)
        Where to differentiate.
    second_order : bool
        Whether `products` will be asked for.
    small : bool
        Whether several products at once fit into memory.
    watch : callable
        Called after the objective, returns tensors it has met on its way; `slopes` are the
        derivatives in these.
    """

    def __init__(
        self,
        objective: Objective,
        omega: Tensor,
        *,
        second_order: bool = True,
        small: bool = False,
        watch: Callable[[], Sequence[Tensor]] = tuple,
    ) -> None:
        self._objective = objective
        self._omega = omega.detach().requires_grad_()
        self._graph: Tensor | None = None
        self._small = small
        self.slopes: list[Tensor] = []
        with torch.enable_grad():
            value, loss = objective(self._omega)
            watched = [t for t in watch() if t.requires_grad]
            self.value, self.loss = value.detach(), loss.detach()
            if not (value.requires_grad and torch.isfinite(value)):
                self.gradient = torch.zeros_like(self._omega).detach()
                return
            gradient, *slopes = torch.autograd.grad(
                value, [self._omega, *watched], create_graph=second_order, materialize_grads=True
            )
        self.slopes = [slope.detach() for slope in slopes]
        self.gradient = gradient.detach()
        if second_order:
            self._graph = gradient

    def products(self, directions: Tensor) -> Tensor:
        """Hessian times each column of a matrix (n_parameters, n_directions)."""
        if self._graph is None:
            return torch.zeros_like(directions)
        ways = (self._together, self._one_by_one) if self._small else (self._one_by_one,)
        for way in ways:
            try:
                return way(directions)
            except RuntimeError:  # "derivative for ... is not implemented", or the graph is cut
                continue
        return torch.stack([self._difference(v) for v in directions.T], dim=-1)

    def _together(self, directions: Tensor) -> Tensor:
        """All products in one pass, each operation on all of them: where calls are what costs."""
        assert self._graph is not None
        return torch.autograd.grad(
            self._graph, self._omega, directions.T, retain_graph=True, is_grads_batched=True
        )[0].T

    def _one_by_one(self, directions: Tensor) -> Tensor:
        return torch.stack([self._product(v) for v in directions.T], dim=-1)

    def _product(self, v: Tensor) -> Tensor:
        """Hessian-vector product by differentiating the gradient once more."""
        assert self._graph is not None
        return torch.autograd.grad(self._graph, self._omega, v, retain_graph=True)[0].detach()

    def _difference(self, v: Tensor) -> Tensor:
        """Hessian-vector product as a difference of gradients."""
        omega = self._omega.detach()
        step = 1e-2 * (1 + float(omega.abs().max())) / max(float(v.norm()), 1e-30)
        there = Expansion(self._objective, omega + step * v, second_order=False)
        return (there.gradient - self.gradient) / step


def derivatives(
    objective: Objective,
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
    here = Expansion(objective, omega)
    curvature = diagonal(here, axes, exact_limit, n_probes, generator)
    return here.value, here.loss, here.gradient, curvature


def diagonal(
    here: Expansion,
    axes: Tensor,
    exact_limit: int,
    n_probes: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Curvatures along axes, or Hutchinson's estimates of them; see `derivatives`."""
    signs = _signs(axes.shape[1], exact_limit, n_probes, generator).to(axes)
    return (signs * (axes.T @ here.products(axes @ signs))).sum(1)


def _signs(n: int, exact_limit: int, n_probes: int, generator: torch.Generator | None) -> Tensor:
    """Columns with sum z zᵀ = I, or expected to be: unit vectors, or scaled random signs."""
    if n <= exact_limit:
        return torch.eye(n, dtype=torch.float64)
    signs = torch.randint(0, 2, (n_probes, n), generator=generator, dtype=torch.float64) * 2 - 1
    return signs.T / n_probes**0.5
