"""Soft dynamic time warping: value, gradient and expected alignment of batches of pairs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment import _diagonals
from sklearn_dbt.nn.alignment._checks import check_band, check_pairs, check_positive
from sklearn_dbt.nn.alignment._metric import as_sqeuclidean, check_metric


def soft_dtw(
    x: Tensor,
    y: Tensor,
    gamma: float | Tensor = 1.0,
    *,
    band: int | None = None,
    lengths_x: Tensor | Sequence[int] | None = None,
    lengths_y: Tensor | Sequence[int] | None = None,
    divergence: bool = False,
    metric: str = "sqeuclidean",
) -> Tensor:
    r"""Return the soft-DTW value, or its divergence, of each pair of series.

    With the cost :math:`D_{ij} = \lVert x_i - y_j \rVert^2` between samples, or another ``metric``,

    .. math::

        \mathrm{sdtw}_\gamma(x, y) = -\gamma \log \sum_{\pi}
            \exp\Bigl(-\tfrac{1}{\gamma} \sum_{(i, j) \in \pi} D_{ij}\Bigr),

    summed over all alignments :math:`\pi`: paths from (1, 1) to (n, m) by steps (1, 0), (0, 1) and
    (1, 1). As :math:`\gamma \to 0` it becomes the (squared) dynamic time warping cost. It can be
    negative; the divergence

    .. math::

        \mathrm{sdtw}_\gamma(x, y) - \tfrac12 \mathrm{sdtw}_\gamma(x, x)
            - \tfrac12 \mathrm{sdtw}_\gamma(y, y)

    is 0 for equal series. It is returned as it stands here: series of different lengths have a
    positive divergence even where both are the same constant, so whoever compares pairs of
    different lengths should divide by :math:`n + m`.

    Gradients flow to ``x``, ``y`` and ``gamma``. They are exact derivatives of the value, computed
    in closed form: with E the expected alignment, :math:`\partial / \partial D_{ij} = E_{ij}` and
    :math:`\partial / \partial \gamma = (\mathrm{sdtw} - \langle E, D \rangle) / \gamma`, which is
    minus the entropy of the distribution over alignments. The gradient cannot be differentiated
    again.

    Parameters
    ----------
    x, y : tensors of shape (n_pairs, n_channels, n_times_x) and (n_pairs, n_channels, n_times_y)
        The series, float32 or float64, on one device.
    gamma : float or tensor of one element, default=1.0
        Smoothing, positive, in units of the cost: the squared amplitude for "sqeuclidean".
    band : int, default=None
        Sakoe-Chiba radius in samples of the longer series: a path may leave the straight line
        between the corners by that much. For equal lengths this is :math:`|i - j| \le r`, for
        unequal ones :math:`|i (m - 1) - j (n - 1)| \le r (\min(n, m) - 1)`, counted from 0.
        None admits all paths.
    lengths_x, lengths_y : sequence or tensor of n_pairs int, default=None
        Number of samples of each series; what follows them is padding, is not looked at and has a
        gradient of 0. None takes all samples.
    divergence : bool, default=False
        Whether to subtract the value of each series with itself.
    metric : {"sqeuclidean", "cosine"}, default="sqeuclidean"
        The cost of matching two samples. "cosine" is :math:`1 - \cos(x_i, y_j)`, which looks at
        the proportions of the channels and not at the amplitude (of one channel only the sign is
        left). A sample of zeros costs 1 against any sample and has a gradient of 0.

    Returns
    -------
    value : tensor of shape (n_pairs,)
        In the dtype of ``x``; empty for no pairs. NaN where a series holds NaN.

    Raises
    ------
    TypeError
        If the series are not tensors of one floating dtype, or a number is of the wrong type.
    ValueError
        If shapes, devices or lengths do not agree, there are no channels or samples, ``gamma`` is
        not positive, the metric is unknown or the band is too narrow for a path (the message
        names the least radius that works).

    References
    ----------
    Cuturi, M. and Blondel, M. (2017). Soft-DTW: a differentiable loss function for time-series.
    International Conference on Machine Learning.

    Mensch, A. and Blondel, M. (2018). Differentiable dynamic programming for structured prediction
    and attention. International Conference on Machine Learning.

    Blondel, M., Mensch, A. and Vert, J.-P. (2021). Differentiable divergences between time series.
    International Conference on Artificial Intelligence and Statistics.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn import soft_dtw
    >>> x = torch.tensor([[[0.0, 1.0, 2.0, 2.0]]], requires_grad=True)
    >>> y = torch.tensor([[[0.0, 0.0, 1.0, 2.0]]])
    >>> value = soft_dtw(x, y, gamma=0.01)
    >>> bool(value.abs() < 1e-6)  # one is a warped copy of the other
    True
    >>> soft_dtw(x, y, gamma=1.0, divergence=True).backward()
    >>> x.grad.shape
    torch.Size([1, 1, 4])
    """
    lengths_x, lengths_y = check_pairs(x, y, lengths_x, lengths_y)
    gamma = check_positive(gamma, "gamma")
    band = check_band(band, lengths_x, lengths_y)
    check_metric(metric)
    value = pair_values(x, y, gamma, lengths_x, lengths_y, band, metric)
    if divergence:
        own_x = pair_values(x, x, gamma, lengths_x, lengths_x, band, metric)
        own_y = pair_values(y, y, gamma, lengths_y, lengths_y, band, metric)
        value = value - (own_x + own_y) / 2
    return value


def soft_dtw_alignment(
    x: Tensor,
    y: Tensor,
    gamma: float | Tensor = 1.0,
    *,
    band: int | None = None,
    lengths_x: Tensor | Sequence[int] | None = None,
    lengths_y: Tensor | Sequence[int] | None = None,
    metric: str = "sqeuclidean",
) -> Tensor:
    r"""Return the expected alignment matrix of each pair of series.

    Entry (i, j) is the probability that an alignment drawn from the Gibbs distribution

    .. math::

        p(\pi) \propto \exp\Bigl(-\tfrac{1}{\gamma} \sum_{(i, j) \in \pi} D_{ij}\Bigr)

    matches sample i of ``x`` with sample j of ``y``; it is the derivative of
    :func:`soft_dtw` with respect to the cost :math:`D_{ij}`. As ``gamma`` goes to 0 it becomes the
    best path, as it grows the mean of all paths. The result carries no gradient.

    Parameters
    ----------
    x, y : tensors of shape (n_pairs, n_channels, n_times_x) and (n_pairs, n_channels, n_times_y)
        The series, float32 or float64, on one device.
    gamma : float or tensor of one element, default=1.0
        Smoothing, positive, in units of the cost.
    band : int, default=None
        Sakoe-Chiba radius in samples, as in :func:`soft_dtw`.
    lengths_x, lengths_y : sequence or tensor of n_pairs int, default=None
        Number of samples of each series. None takes all samples.
    metric : {"sqeuclidean", "cosine"}, default="sqeuclidean"
        The cost of matching two samples, as in :func:`soft_dtw`.

    Returns
    -------
    alignment : tensor of shape (n_pairs, n_times_x, n_times_y)
        Values in [0, 1]; 0 outside the band and in the padding.

    Raises
    ------
    TypeError, ValueError
        As :func:`soft_dtw`.

    References
    ----------
    Cuturi, M. and Blondel, M. (2017). Soft-DTW: a differentiable loss function for time-series.
    International Conference on Machine Learning.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn import soft_dtw_alignment
    >>> x = torch.tensor([[[0.0, 1.0, 5.0]]])
    >>> y = torch.tensor([[[0.0, 0.0, 1.0, 5.0]]])
    >>> soft_dtw_alignment(x, y, gamma=0.01).round().int()
    tensor([[[1, 1, 0, 0],
             [0, 0, 1, 0],
             [0, 0, 0, 1]]], dtype=torch.int32)
    """
    lengths_x, lengths_y = check_pairs(x, y, lengths_x, lengths_y)
    gamma = check_positive(gamma, "gamma")
    band = check_band(band, lengths_x, lengths_y)
    check_metric(metric)
    with torch.no_grad():
        x, y = as_sqeuclidean(x, y, lengths_x, lengths_y, metric)
        solve = _operator if torch.compiler.is_compiling() else _compute
        return solve(x, y, gamma, lengths_x, lengths_y, band, False, False, True)[-1]


def _compute(
    x: Tensor,
    y: Tensor,
    gamma: Tensor,
    lengths_x: Tensor,
    lengths_y: Tensor,
    band: int | None,
    gradient: bool,
    by_gamma: bool,
    alignment: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return value, gradients by x, y and gamma, and alignment; empty where not asked for.

    Each pair's value is one number, so its whole gradient is found in the forward pass.
    """
    number = float(gamma.detach())
    wanted = {"gradient": gradient, "by_gamma": by_gamma, "alignment": alignment}
    if x.device.type != "cpu":
        return _diagonals.solve(x, y, lengths_x, lengths_y, band, number, **wanted)
    from sklearn_dbt.nn.alignment import _kernels  # numba is imported at the first use

    return _kernels.solve(x, y, lengths_x, lengths_y, band, number, **wanted)


# A registered operator, so that torch.compile takes it as one node and does not look inside.
_operator = torch.library.custom_op("sklearn_dbt::soft_dtw", _compute, mutates_args=())


@_operator.register_fake
def _shapes(x, y, gamma, lengths_x, lengths_y, band, gradient, by_gamma, alignment):  # noqa: ARG001
    n_pairs, _, n = x.shape
    return (
        x.new_empty(n_pairs),
        x.new_empty(x.shape if gradient else (0, 0, 0)),
        y.new_empty(y.shape if gradient else (0, 0, 0)),
        x.new_empty(n_pairs if by_gamma else 0),
        x.new_empty(n_pairs if alignment else 0, n, y.shape[2]),
    )


def _remember(ctx, inputs, output):
    ctx.save_for_backward(*output[1:4], inputs[2])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad_value, *grad_others):
    if any(grad is not None for grad in grad_others):
        raise RuntimeError("soft_dtw can be differentiated once, not twice.")
    if grad_value is None:
        return (None,) * 9
    grad_x, grad_y, grad_gamma, gamma = ctx.saved_tensors
    pairs = grad_value[:, None, None]
    return (
        pairs * grad_x if ctx.needs_input_grad[0] else None,
        pairs * grad_y if ctx.needs_input_grad[1] else None,
        (grad_value * grad_gamma).sum().to(gamma).reshape(gamma.shape)
        if ctx.needs_input_grad[2]
        else None,
        *(None,) * 6,
    )


_operator.register_autograd(_backward, setup_context=_remember)


def pair_values(
    x: Tensor,
    y: Tensor,
    gamma: Tensor,
    lengths_x: Tensor,
    lengths_y: Tensor,
    band: int | None,
    metric: str,
) -> Tensor:
    """Soft-DTW of pairs that have been checked."""
    x, y = as_sqeuclidean(x, y, lengths_x, lengths_y, metric)
    gradient = torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)
    by_gamma = torch.is_grad_enabled() and gamma.requires_grad
    # The first call of an operator imports torch's compiler, which takes a second or two.
    is_plain = not (gradient or by_gamma or torch.compiler.is_compiling())
    solve = _compute if is_plain else _operator
    return solve(x, y, gamma, lengths_x, lengths_y, band, gradient, by_gamma, False)[0]
