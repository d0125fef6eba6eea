"""Soft lagged correlation: how alike two series are at their best lag, with a gradient."""

from collections.abc import Callable

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment._checks import check_pairs, check_positive

# A lag costs the direct way about a tenth of what all lags together cost by FFT, as both pass over
# the series a few times: from (1, 1, 64) to (8, 4, 4096), float32 and float64, value alone or with
# gradient, the two took equal times at a largest lag between 4 and 7.
_LEAST_LAG_OF_FFT = 6


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

    More than a few lags are computed all at once by the fast Fourier transform, in
    :math:`O(T \log T)` time and :math:`O(T)` memory a series, in double precision where the device
    has it. The overlaps' means and norms are exact either way.

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

    Welford, B. P. (1962). Note on a method for calculating corrected sums of squares and products.
    Technometrics, 4(3), 419-420.

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
    is_direct = max_lag < _LEAST_LAG_OF_FFT or len(x) == 0  # torch cannot transform nothing
    rho = (_direct if is_direct else _by_fft)(x, y, max_lag, eps)
    return (torch.softmax(beta.to(rho) * rho, -1) * rho).sum(-1)


def _direct(x: Tensor, y: Tensor, max_lag: int, eps: float) -> Tensor:
    """Correlations at all lags by their definition, one lag after the other."""
    lags = range(-max_lag, max_lag + 1)
    return torch.stack([_at_lag(x, y, lag, eps) for lag in lags], -1)


def _at_lag(x: Tensor, y: Tensor, lag: int, eps: float) -> Tensor:
    n_times = x.shape[-1]
    a, b = x[..., max(0, -lag) : n_times - max(0, lag)], y[..., max(0, lag) : n_times + min(0, lag)]
    a, b = _centred(a), _centred(b)
    # vector_norm has the subgradient 0 at a constant overlap, where a square root would give NaN
    norm_a, norm_b = (torch.linalg.vector_norm(t, dim=-1) for t in (a, b))
    return _quotient((a * b).sum(-1), norm_a, norm_b, eps)


def _centred(a: Tensor) -> Tensor:
    """Subtract the mean; a constant becomes exactly 0, which rounding of the mean would spoil."""
    a = a - a[..., :1].detach()
    return a - a.mean(-1, keepdim=True)


def _quotient(covariance: Tensor, norm_x: Tensor, norm_y: Tensor, eps: float) -> Tensor:
    rho = covariance / (norm_x * norm_y + eps)
    return rho.masked_fill((norm_x == 0) | (norm_y == 0), 0)


def _by_fft(x: Tensor, y: Tensor, max_lag: int, eps: float) -> Tensor:
    r"""Correlations at all lags at once, from one product of spectra.

    With N samples in the overlap,

    .. math::

        \sum_t (x_t - \bar x)(y_{t + \ell} - \bar y)
            = \sum_t x_t y_{t + \ell} - \frac1N \sum_t x_t \sum_t y_{t + \ell}.

    Transforms round in proportion to the whole series' norms. Where what varies lies outside of an
    overlap, whose own norms are small then, that lag is computed by its definition.
    """
    dtype = x.dtype
    work = torch.float32 if x.device.type == "mps" else torch.float64
    x, y = x.to(work), y.to(work)
    u, v = _centred(x), _centred(y)
    n_overlap = x.shape[-1] - torch.arange(-max_lag, max_lag + 1, device=x.device).abs()
    # where x keeps its start y keeps its end
    sum_u, sum_v = _of_overlaps(_sums, u, max_lag), _of_overlaps(_sums, v, max_lag).flip(-1)
    norm_x, norm_y = _of_overlaps(_norms, x, max_lag), _of_overlaps(_norms, y, max_lag).flip(-1)
    covariance = _products(u, v, max_lag) - sum_u * sum_v / n_overlap
    rho = _quotient(covariance, norm_x, norm_y, eps)
    whole = torch.linalg.vector_norm(u, dim=-1) * torch.linalg.vector_norm(v, dim=-1)
    overlap = norm_x * norm_y
    # what rounding may leave is eps^(2/3), 4e-11 in double precision
    is_rough = (overlap > 0) & (overlap < torch.finfo(work).eps ** (1 / 3) * whole[..., None])
    return _replaced(rho, is_rough, x, y, eps).to(dtype)


def _replaced(rho: Tensor, is_rough: Tensor, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """Put what the definition says in place of the rough ones."""
    k, pair, channel = is_rough.movedim(-1, 0).nonzero().unbind(1)
    max_lag = rho.shape[-1] // 2
    exact = []
    for lag in k.unique().tolist():
        some = is_rough[..., lag]
        exact.append(_at_lag(x[some], y[some], lag - max_lag, eps))
    return rho.index_put((pair, channel, k), torch.cat(exact)) if exact else rho


def _products(u: Tensor, v: Tensor, max_lag: int) -> Tensor:
    """Sum u_t v_(t + lag) over t, for all lags."""
    n = u.shape[-1] + max_lag  # room enough for nothing to wrap around
    step = 1 << max(0, n.bit_length() - 4)
    n = -(-n // step) * step  # a power of two times 8 to 16, which transforms are fast for
    product = torch.fft.irfft(torch.fft.rfft(u, n).conj() * torch.fft.rfft(v, n), n)
    return torch.cat([product[..., n - max_lag :], product[..., : max_lag + 1]], -1)


def _of_overlaps(growing: Callable[[Tensor, int], Tensor], x: Tensor, max_lag: int) -> Tensor:
    """What x keeps is an end of it at negative lags, then a start."""
    starts, ends = growing(x, max_lag), growing(x.flip(-1), max_lag)
    return torch.cat([ends[..., :-1], starts.flip(-1)], -1)


def _sums(x: Tensor, max_lag: int) -> Tensor:
    """Sums of the first T - max_lag, ..., T samples."""
    return x.cumsum(-1)[..., x.shape[-1] - max_lag - 1 :]


def _norms(x: Tensor, max_lag: int) -> Tensor:
    """Norms about their means of the first T - max_lag, ..., T samples.

    Samples join one by one (Welford 1962): what they add to the sum of squares is never negative,
    so nothing cancels, as differences of running sums of squares would.
    """
    n_times = x.shape[-1]
    core, rest = (x - x[..., :1].detach()).split([n_times - max_lag, max_lag], -1)
    mean = core.mean(-1, keepdim=True)
    square, rest = (core - mean).square().sum(-1, keepdim=True), rest - mean
    before = torch.arange(n_times - max_lag, n_times, device=x.device, dtype=x.dtype)
    mean_before = (rest.cumsum(-1) - rest) / before
    added = (rest - mean_before).square() * (before / (before + 1))
    squares = torch.cat([square, square + added.cumsum(-1)], -1)
    # a root's slope at 0 is infinite: there the norm is 0 with gradient 0
    return torch.where(squares > 0, squares, 1).sqrt().masked_fill(squares == 0, 0)
