"""Soft lagged correlation: how alike two series are at their best lag, with a gradient."""

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment._checks import check_pairs, check_positive


def lagged_correlation(
    x: Tensor, y: Tensor, max_lag: int, beta: float | Tensor = 10.0, *, eps: float = 1e-8
) -> Tensor:
    r"""Return the soft lagged correlation of each pair of series, channel by channel.

    At lag :math:`\ell` the correlation is that of the overlap, with the overlap's own means and
    norms,

    .. math::

        \rho(\ell) = \frac{\sum_t (x_t - \bar x)(y_{t + \ell} - \bar y)}
            {\lVert x - \bar x \rVert \lVert y - \bar y \rVert + \varepsilon},

    and the lags :math:`-L \dots L` are pooled by a softmax of inverse temperature
    :math:`\beta`,

    .. math::

        \tilde\rho = \sum_\ell \mathrm{softmax}_\ell(\beta \rho(\ell)) \, \rho(\ell).

    It goes from the mean over lags (:math:`\beta \to 0`) to the maximum
    (:math:`\beta \to \infty`) and never leaves [-1, 1]. A constant overlap has correlation 0 and
    gradient 0.

    Parameters
    ----------
    x, y : tensors of shape (n_pairs, n_channels, n_times)
        The series, float32 or float64, on one device.
    max_lag : int
        Largest lag :math:`L` in samples, at most half the length: short overlaps correlate by
        chance.
    beta : float or tensor of one element, default=10.0
        Inverse temperature, positive.
    eps : float, default=1e-8
        Added to the product of the norms, in units of the squared amplitude.

    Returns
    -------
    correlation : tensor of shape (n_pairs, n_channels)
        Gradients flow to ``x``, ``y`` and ``beta``.

    Raises
    ------
    TypeError
        If the series are not tensors of one floating dtype, or a number is of the wrong type.
    ValueError
        If shapes or devices do not agree, ``max_lag`` is negative or more than half of the
        length, or ``beta`` or ``eps`` is not positive.

    References
    ----------
    Brockwell, P. J. and Davis, R. A. (1991). Time Series: Theory and Methods, 2nd edition.
    Springer. Chapter 11 (cross-correlation).

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn import lagged_correlation
    >>> t = torch.arange(100) / 10
    >>> x, y = torch.sin(t)[None, None], torch.sin(t - 0.8)[None, None]
    >>> lagged_correlation(x, y, max_lag=0).item() < 0.75
    True
    >>> lagged_correlation(x, y, max_lag=10, beta=1000.0).item() > 0.999  # found at lag 8
    True
    """
    check_pairs(x, y, None, None)
    beta = check_positive(beta, "beta")
    eps = float(check_positive(eps, "eps"))
    n_times = x.shape[2]
    if y.shape[2] != n_times:
        raise ValueError(f"x and y must have equal n_times; got {n_times} and {y.shape[2]}.")
    if isinstance(max_lag, bool) or not hasattr(max_lag, "__index__"):
        raise TypeError(f"max_lag is a number of samples, an int; got {max_lag!r}.")
    if not 0 <= max_lag <= n_times // 2:
        raise ValueError(
            f"max_lag must lie between 0 and half of the {n_times} samples, {n_times // 2}; "
            f"got {max_lag}."
        )
    rho = torch.stack([_correlation(x, y, lag, eps) for lag in range(-max_lag, max_lag + 1)], -1)
    return (torch.softmax(beta.to(rho) * rho, -1) * rho).sum(-1)


def _correlation(x: Tensor, y: Tensor, lag: int, eps: float) -> Tensor:
    n_times = x.shape[2]
    a, b = x[..., max(0, -lag) : n_times - max(0, lag)], y[..., max(0, lag) : n_times + min(0, lag)]
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    # vector_norm has the subgradient 0 at a constant overlap, where a square root would give NaN
    return (a * b).sum(-1) / (_norm(a) * _norm(b) + eps)


def _norm(a: Tensor) -> Tensor:
    return torch.linalg.vector_norm(a, dim=-1)
