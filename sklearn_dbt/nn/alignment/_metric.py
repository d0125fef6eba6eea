"""What one sample against another costs: each metric as a squared Euclidean distance."""

import math

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment._diagonals import without_padding

METRICS = ("sqeuclidean", "cosine")


def check_metric(metric: str) -> None:
    """Raise unless the metric is one of ``METRICS``."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}; got {metric!r}.")


def as_sqeuclidean(
    x: Tensor, y: Tensor, lengths_x: Tensor, lengths_y: Tensor, metric: str
) -> tuple[Tensor, Tensor]:
    r"""Return two series whose squared Euclidean cost is the metric's cost of ``x`` and ``y``.

    The cosine cost is that of unit vectors,

    .. math::

        1 - \cos(x_i, y_j) = \tfrac12 \Bigl\lVert
            \frac{x_i}{\lVert x_i \rVert} - \frac{y_j}{\lVert y_j \rVert} \Bigr\rVert^2,

    so all that is left to do is to normalise. A sample of zeros has no direction: its cost is 1
    to every sample, also to another one of zeros, and its gradient is 0. It gets a direction of
    its own, orthogonal to all others: one more channel for ``x`` and another one for ``y``.

    Parameters
    ----------
    x, y : tensors of shape (n_pairs, n_channels, n_times_x) and (n_pairs, n_channels, n_times_y)
        The series; which of them comes first matters where both hold samples of zeros.
    lengths_x, lengths_y : int64 tensors of shape (n_pairs,)
        Number of samples of each series; what follows them is not looked at.
    metric : {"sqeuclidean", "cosine"}
        The cost.

    Returns
    -------
    u, v : tensors of shape (n_pairs, n_channels or more, n_times_x) and (..., n_times_y)
        ``x`` and ``y`` themselves for "sqeuclidean".

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.alignment._metric import as_sqeuclidean
    >>> x, lengths = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]]]), torch.tensor([3])
    >>> u, v = as_sqeuclidean(x, x, lengths, lengths, "cosine")
    >>> (u[0, :, :, None] - v[0, :, None, :]).square().sum(0).round(decimals=3)
    tensor([[0., 1., 1.],
            [1., 0., 1.],
            [1., 1., 1.]])
    """
    if metric == "sqeuclidean":
        return x, y
    (u, no_u), (v, no_v) = _directions(x, lengths_x), _directions(y, lengths_y)
    # A compiled graph has one shape, whatever the data.
    if torch.compiler.is_compiling() or no_u.any() or no_v.any():
        u = torch.cat([u, no_u.to(u) * math.sqrt(0.5), torch.zeros_like(u[:, :1])], 1)
        v = torch.cat([v, torch.zeros_like(v[:, :1]), no_v.to(v) * math.sqrt(0.5)], 1)
    return u, v


def _directions(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample with the norm sqrt(1/2), and which samples have none."""
    x = without_padding(x, lengths)
    largest = x.detach().abs().amax(1, keepdim=True)
    has_none = largest == 0
    # The scale cancels; with it no square overflows or vanishes. Norms of 0 are replaced before the
    # root and the division too: a mask after them alone would have 0 times NaN on the way back.
    x = x / torch.where(has_none, 1, largest)
    norm = torch.where(has_none, 1, x.square().sum(1, keepdim=True)).sqrt()
    padding = torch.arange(x.shape[2], device=x.device) >= lengths[:, None]
    unit = (x / norm).masked_fill(has_none, 0)
    return math.sqrt(0.5) * unit, has_none & ~padding[:, None]
