"""Which pairs single precision is too coarse for."""

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment._diagonals import without_padding

_TOLERANCE = 1e-3  # of gamma: what may be lost of a difference between two paths


def needs_double(
    x: Tensor, y: Tensor, lengths_x: Tensor, lengths_y: Tensor, gamma: float
) -> Tensor:
    r"""Return which pairs have walls too high to tell costs apart behind them.

    A sample of ``x`` that is far from all of ``y`` is a wall that every path has to climb. Behind
    it the costs of two paths differ by as much as before, but are told apart to the last place of
    a sum with the wall in it, while all that matters is their difference in units of gamma. With
    :math:`d` the distance to the box around the other series, the height of all walls is at least

    .. math:: \sum_i d(x_i, \mathrm{box}(y))^2 + \sum_j d(y_j, \mathrm{box}(x))^2,

    found in one look at the samples.

    Parameters
    ----------
    x, y : tensors of shape (n_pairs, n_channels, n_times_x) and (n_pairs, n_channels, n_times_y)
    lengths_x, lengths_y : int64 tensors of shape (n_pairs,)
    gamma : float

    Returns
    -------
    needed : tensor of shape (n_pairs,), bool
        False where a series holds NaN, and if there are no pairs.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.alignment._precision import needs_double
    >>> x, y = torch.tensor([[[0.0, 900.0, 1.0]], [[0.0, 2.0, 1.0]]]), torch.zeros(2, 1, 3)
    >>> needs_double(x, y, torch.tensor([3, 3]), torch.tensor([3, 3]), 1.0)
    tensor([ True, False])
    """
    highest = _TOLERANCE * gamma / torch.finfo(x.dtype).eps
    boxes = _box(x, lengths_x), _box(y, lengths_y)
    needed = _at_most(boxes, x.shape[2], y.shape[2]) > highest
    some = needed.nonzero()[:, 0]  # most pairs have none even if all samples were the farthest
    if len(some):
        box_x, box_y = ([edge[some] for edge in box] for box in boxes)
        height = _outside(x[some], lengths_x[some], *box_y)
        needed[some] = height + _outside(y[some], lengths_y[some], *box_x) > highest
    return needed


def _box(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Least and greatest sample of each channel, shape (n_pairs, n_channels)."""
    is_padding = torch.arange(x.shape[2], device=x.device) >= lengths[:, None]
    if is_padding.any():
        x = torch.where(is_padding[:, None], x[..., :1], x)
    return x.amin(2), x.amax(2)


def _at_most(boxes: tuple[tuple[Tensor, Tensor], ...], n: int, m: int) -> Tensor:
    """What all walls are at most: every sample at the farthest corner of its own box."""
    (low_x, high_x), (low_y, high_y) = boxes
    beyond_y = torch.maximum(high_x - high_y, low_y - low_x).clamp_min(0)
    beyond_x = torch.maximum(high_y - high_x, low_x - low_y).clamp_min(0)
    return n * beyond_y.square().sum(1) + m * beyond_x.square().sum(1)


def _outside(x: Tensor, lengths: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Sum of the squared distances of the samples of x to a box."""
    distance = x - x.clamp(low[:, :, None], high[:, :, None])
    return without_padding(distance, lengths).square().sum((1, 2))
