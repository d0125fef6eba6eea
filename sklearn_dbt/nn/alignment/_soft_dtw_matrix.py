"""Soft-DTW of every series with every other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sklearn_dbt.nn.alignment._checks import check_band, check_positive, check_sets
from sklearn_dbt.nn.alignment._metric import check_metric
from sklearn_dbt.nn.alignment._soft_dtw import pair_values

_TILE = 2**21  # numbers in the series of the pairs that are computed at once


def soft_dtw_matrix(
    x: Tensor,
    y: Tensor | None = None,
    gamma: float | Tensor = 1.0,
    *,
    band: int | None = None,
    lengths_x: Tensor | Sequence[int] | None = None,
    lengths_y: Tensor | Sequence[int] | None = None,
    divergence: bool = False,
    metric: str = "sqeuclidean",
) -> Tensor:
    r"""Return the soft-DTW values, or divergences, of all pairs of two sets of series.

    .. math:: K_{ab} = \mathrm{sdtw}_\gamma(x_a, y_b)

    Values and divergences are those of :func:`soft_dtw`. Within one set each pair is computed
    once. Pairs are taken in tiles, so that memory beyond a few times the result's is bounded; for
    gradients, which flow to ``x``, ``y`` and ``gamma``, the tiles are computed again on the way
    back.

    Parameters
    ----------
    x : tensor of shape (n_series_x, n_channels, n_times_x)
        The series, float32 or float64.
    y : tensor of shape (n_series_y, n_channels, n_times_y), default=None
        The others, of the same dtype on the same device. None takes ``x``.
    gamma : float or tensor of one element, default=1.0
        Smoothing, positive, in units of the cost.
    band : int, default=None
        Sakoe-Chiba radius in samples, as in :func:`soft_dtw`.
    lengths_x, lengths_y : sequence or tensor of int, default=None
        Number of samples of each series; what follows them is padding. None takes all samples.
    divergence : bool, default=False
        Whether to subtract half the value of each of both series with itself.
    metric : {"sqeuclidean", "cosine"}, default="sqeuclidean"
        The cost of matching two samples, as in :func:`soft_dtw`.

    Returns
    -------
    values : tensor of shape (n_series_x, n_series_y)
        Exactly symmetric without ``y``; then the diagonal of a divergence is 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`soft_dtw`; also if ``lengths_y`` is given without ``y``.

    References
    ----------
    Cuturi, M. and Blondel, M. (2017). Soft-DTW: a differentiable loss function for time-series.
    International Conference on Machine Learning.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn import soft_dtw_matrix
    >>> x = torch.tensor([[[0.0, 1.0, 2.0, 2.0]], [[0.0, 0.0, 1.0, 2.0]], [[2.0, 1.0, 0.0, 0.0]]])
    >>> soft_dtw_matrix(x, gamma=0.01).round().abs()  # the first two are warped copies
    tensor([[ 0.,  0., 12.],
            [ 0.,  0., 10.],
            [12., 10.,  0.]])
    """
    is_one_set = y is None
    lengths_x, lengths_y = check_sets(x, y, lengths_x, lengths_y)
    y = x if y is None else y
    gamma = check_positive(gamma, "gamma")
    band = check_band(band, *torch.cartesian_prod(lengths_x.unique(), lengths_y.unique()).unbind(1))
    check_metric(metric)
    shape = (len(x), len(y))
    if is_one_set:
        rows, columns = torch.triu_indices(*shape, device=x.device)
    else:
        rows, columns = torch.ones(shape, device=x.device).nonzero().T
    sides = (x, y, lengths_x, lengths_y)
    values = _values(*sides, rows, columns, gamma, band, metric)
    matrix = values.new_zeros(shape).index_put((rows, columns), values)
    if is_one_set:
        matrix = matrix + matrix.triu(1).T
    if divergence:
        own = [matrix.diagonal()] * 2 if is_one_set else _own(*sides, gamma, band, metric)
        matrix = matrix - (own[0][:, None] + own[1]) / 2
    return matrix


def _own(
    x: Tensor,
    y: Tensor,
    lengths_x: Tensor,
    lengths_y: Tensor,
    gamma: Tensor,
    band: int | None,
    metric: str,
) -> list[Tensor]:
    """The value of each series with itself, of both sets."""
    found = []
    for series, lengths in ((x, lengths_x), (y, lengths_y)):
        every = torch.arange(len(series), device=series.device)
        sides = (series, series, lengths, lengths)
        found.append(_values(*sides, every, every, gamma, band, metric))
    return found


def _values(
    x: Tensor,
    y: Tensor,
    lengths_x: Tensor,
    lengths_y: Tensor,
    rows: Tensor,
    columns: Tensor,
    gamma: Tensor,
    band: int | None,
    metric: str,
) -> Tensor:
    """Values of the pairs (rows, columns), tile after tile."""
    size = max(1, _TILE // (x.shape[1:].numel() + y.shape[1:].numel()))
    differentiated = torch.is_grad_enabled() and any(t.requires_grad for t in (x, y, gamma))

    def tile(a: Tensor, b: Tensor, x: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        return pair_values(x[a], y[b], gamma, lengths_x[a], lengths_y[b], band, metric)

    tiles = []
    for a, b in zip(rows.split(size), columns.split(size), strict=True):
        if differentiated:
            tiles.append(checkpoint(tile, a, b, x, y, gamma, use_reentrant=False))
        else:
            tiles.append(tile(a, b, x, y, gamma))
    return torch.cat(tiles)
