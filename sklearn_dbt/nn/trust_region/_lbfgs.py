"""Curvature from a limited memory of steps and changes of the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from ._curvature import Curvature, Place
from ._expansion import Expansion

__all__ = ["LimitedMemoryCurvature", "compact_bfgs"]

Pair = tuple[Tensor, Tensor]


class LimitedMemoryCurvature(Curvature):
    r"""Positive definite curvature from pairs of steps and changes of the gradient (L-BFGS).

    .. math:: s = \omega' - \omega, \qquad y = \nabla J(\omega') - \nabla J(\omega),

    both gradients of one objective: the same batch, uniforms and snapshot. Each trial point gives
    a pair, one of a rejected step too; pairs with :math:`s^\top y \le 0` are skipped. No second
    derivative is needed, one more gradient at each trial point is. It starts from a multiple of
    the metric, :math:`\theta G` with :math:`\theta = y^\top G^{-1} y / s^\top y`, which makes it
    independent of how the parameters are scaled; without pairs it is zero.

    Parameters
    ----------
    memory : int, default=10
        Number of pairs that are kept.

    References
    ----------
    .. [1] R. H. Byrd, J. Nocedal and R. B. Schnabel, "Representations of quasi-Newton matrices and
       their use in limited memory methods", Mathematical Programming 63, 129-156, 1994.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import LimitedMemoryCurvature
    >>> curvature = LimitedMemoryCurvature(memory=2)
    >>> curvature.learn(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 0.0]))
    >>> curvature.learn(torch.tensor([1.0, 0.0]), torch.tensor([-3.0, 0.0]))  # skipped
    >>> curvature.matrix(torch.eye(2))
    tensor([[3., 0.],
            [0., 3.]])
    """

    learns_from_trials = True

    def __init__(self, memory: int = 10) -> None:
        self.memory = memory
        self.state: tuple[Pair, ...] = ()

    def expand(self, place: Place) -> tuple[Expansion, Tensor]:
        """Value, gradient and curvature.

        Parameters
        ----------
        place : Place
            Objective, point, and metric there.

        Returns
        -------
        expansion : Expansion
            With value, loss and gradient.
        curvature : Tensor of shape (n_parameters, n_parameters)
            Symmetric.
        """
        here = Expansion(place.objective, place.omega, second_order=False)
        return here, self.matrix(place.metric)

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Take in a pair, unless it says that the curvature is not positive.

        Parameters
        ----------
        step : Tensor of shape (n_parameters,)
            From the point of the model to a trial point.
        change : Tensor of shape (n_parameters,)
            Gradient there minus gradient here, of the same objective.
        """
        along, size = float(step @ change), float(step.norm() * change.norm())
        if not 1e-8 * size < along < torch.inf:  # nan neither
            return
        # Pairs of another set of layers have another length: they are of no use any more.
        kept = [pair for pair in self.state if pair[0].shape == step.shape]
        self.state = (*kept, (step.clone(), change.clone()))[-self.memory :]

    def matrix(self, metric: Tensor) -> Tensor:
        """The curvature in a metric.

        Parameters
        ----------
        metric : Tensor of shape (n_parameters, n_parameters)
            Positive definite.

        Returns
        -------
        Tensor of shape (n_parameters, n_parameters)
            Positive definite, or zero without pairs.
        """
        pairs = [pair for pair in self.state if len(pair[0]) == len(metric)]
        while pairs:
            steps, changes = (torch.stack(side, dim=-1) for side in zip(*pairs, strict=True))
            s, y = pairs[-1]
            theta = y @ torch.linalg.solve(metric, y) / (s @ y)
            found = compact_bfgs(theta * metric, steps, changes)
            if bool(torch.isfinite(found).all()) and not torch.linalg.cholesky_ex(found).info:
                return found
            pairs = pairs[1:]  # nearly parallel steps: rounding has eaten the curvature
        return torch.zeros_like(metric)


def compact_bfgs(initial: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    r"""The BFGS matrix of several pairs at once.

    .. math::

        B = B_0 - \begin{bmatrix} B_0 S & Y \end{bmatrix}
            \begin{bmatrix} S^\top B_0 S & L \\ L^\top & -D \end{bmatrix}^{-1}
            \begin{bmatrix} S^\top B_0 \\ Y^\top \end{bmatrix},

    with :math:`L` the strictly lower triangle of :math:`S^\top Y` and :math:`D` its diagonal.

    Parameters
    ----------
    initial : Tensor of shape (n, n)
        Positive definite :math:`B_0`.
    steps, changes : Tensor of shape (n, m)
        Pairs as columns, the oldest first, with :math:`s^\top y > 0`.

    Returns
    -------
    Tensor of shape (n, n)
        Positive definite.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.trust_region import compact_bfgs
    >>> s, y = torch.tensor([[1.0], [0.0]]), torch.tensor([[5.0], [1.0]])
    >>> compact_bfgs(torch.eye(2), s, y) @ s  # the secant equation
    tensor([[5.],
            [1.]])
    """
    projected = initial @ steps
    inner = steps.T @ changes
    lower = torch.tril(inner, diagonal=-1)
    middle = torch.cat(
        [
            torch.cat([steps.T @ projected, lower], dim=1),
            torch.cat([lower.T, -torch.diag(inner.diagonal())], dim=1),
        ]
    )
    sides = torch.cat([projected, changes], dim=1)
    solved, info = torch.linalg.solve_ex(middle, sides.T)
    if info:
        return torch.full_like(initial, torch.nan)
    found = initial - sides @ solved
    return (found + found.T) / 2
