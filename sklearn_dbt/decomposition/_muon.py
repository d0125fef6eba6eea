"""An optimizer for small networks whose matrices are badly conditioned."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

# Coefficients of the quintic and number of its iterations, as in torch.optim.Muon.
QUINTIC = 3.4445, -4.775, 2.0315
N_ITERATIONS = 5
MOMENTUM = 0.95
# Root mean square of an update over the learning rate: about what AdamW has.
RMS_OF_ADAMW = 0.2


class MuonAdamW(torch.optim.AdamW):
    r"""Orthogonalised momentum for some groups of matrices, AdamW for all other parameters.

    .. math::

        m \leftarrow \mu m + (1 - \mu) g, \qquad
        W \leftarrow (1 - \eta \lambda) W
            - 0.2 \, \eta \sqrt{\max(a, b)} \, \operatorname{orth}\bigl( \mu m + (1 - \mu) g \bigr)

    for a matrix of shape (a, b) with gradient :math:`g` [1]_. An update has equal singular values,
    so that directions in which the loss is flat move as far as the steep ones. It is
    ``torch.optim.Muon`` but for its precision (that of the parameters, not bfloat16, which is
    slow on a CPU), for matrices of one shape being orthogonalised at once, and for being one
    optimizer with AdamW.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What it changes; groups with ``"orthogonal": True`` hold matrices.
    **options
        Of :class:`torch.optim.AdamW`.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
       https://kellerjordan.github.io/posts/muon/.
    """

    def __init__(self, params, **options):
        # One kernel a step, which matters where networks are small.
        super().__init__(params, fused=True, **options)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)

    def step(self, closure=None):
        """Make one step.

        Parameters
        ----------
        closure : callable, default=None
            Computes the loss and its gradients.

        Returns
        -------
        Tensor or None
            What the closure returns.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        for group in groups:
            if group["orthogonal"]:
                self._orthogonal_step(group)
        self.param_groups = [group for group in groups if not group["orthogonal"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        return loss

    @torch.no_grad()
    def _orthogonal_step(self, group: dict) -> None:
        by_shape = defaultdict(list)
        for matrix in group["params"]:
            if matrix.grad is not None:
                by_shape[matrix.shape].append(matrix)
        for shape, matrices in by_shape.items():
            ahead = [self._ahead(matrix, matrix.grad) for matrix in matrices]
            updates = orthogonalize(torch.stack(ahead))
            rate = RMS_OF_ADAMW * group["lr"] * max(shape) ** 0.5
            for matrix, update in zip(matrices, updates, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)

    def _ahead(self, matrix: Tensor, gradient: Tensor) -> Tensor:
        """Nesterov's momentum."""
        state = self.state[matrix]
        if not state:
            # AdamW looks for a step in all states when it is loaded.
            state["step"], state["momentum"] = torch.tensor(0.0), torch.zeros_like(matrix)
        state["step"] += 1
        momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        return gradient.lerp(momentum, MOMENTUM)


def orthogonalize(matrices: Tensor) -> Tensor:
    r"""Draw all singular values of matrices towards 1, by a quintic.

    .. math:: X \leftarrow a X + b X X^\top X + c (X X^\top)^2 X

    Parameters
    ----------
    matrices : Tensor of shape (n, n_rows, n_columns)
        Matrices.

    Returns
    -------
    Tensor of shape (n, n_rows, n_columns)
        Singular values are in about [0.7, 1.2], but those below a hundredth of the norm; singular
        vectors are the same. Zero stays zero.
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    a, b, c = QUINTIC
    for _ in range(N_ITERATIONS):
        gram = x @ x.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, gram, x, beta=a)
    return x.mT if is_tall else x
