"""The quadratic model of the objective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["QuadraticModel", "principal_axes"]


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
