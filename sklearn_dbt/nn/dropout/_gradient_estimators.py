"""Estimators of how an expected loss depends on the rates, beside the concrete relaxation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._masks import hard_mask

__all__ = ["arm_gradient", "straight_through_mask"]


def straight_through_mask(p: Tensor, uniforms: Tensor) -> Tensor:
    r"""Hard mask whose derivative is that of its expectation, :math:`\partial m / \partial p = -1`.

    The gradient of :math:`\mathrm E[L]` that comes out is exact where the loss is multilinear in
    the mask (linear in each entry); otherwise it is biased, however many masks are averaged.

    Parameters
    ----------
    p : Tensor of shape (..., n_coefficients)
        Rates in [0, 1).
    uniforms : Tensor of shape (..., n_coefficients)
        Uniform on [0, 1).

    Returns
    -------
    Tensor
        Zeros and ones, in the precision of the rates.

    See Also
    --------
    concrete_mask : Relaxed mask; its bias vanishes with the temperature.
    arm_gradient : Gradient without bias.

    References
    ----------
    .. [1] Y. Bengio, N. Léonard and A. Courville, "Estimating or Propagating Gradients Through
       Stochastic Neurons for Conditional Computation", arXiv 1308.3432, 2013.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.dropout import straight_through_mask
    >>> p = torch.tensor([0.5, 0.5], requires_grad=True)
    >>> mask = straight_through_mask(p, torch.tensor([0.2, 0.8]))
    >>> (torch.tensor([2.0, 3.0]) * mask).sum().backward()
    >>> mask.tolist(), p.grad.tolist()
    ([0.0, 1.0], [-2.0, -3.0])
    """
    return hard_mask(p, uniforms).to(p.dtype) - (p - p.detach())


def arm_gradient(
    loss: Callable[[Tensor, Tensor], Tensor],
    p: Tensor,
    *,
    n_samples: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Unbiased estimate of :math:`\nabla_p \, \mathrm E_m[L(m, p)]` (augment-REINFORCE-merge).

    With the keeping probabilities as :math:`1 - p = \sigma(\phi)` and uniforms :math:`u`,

    .. math::

        \nabla_\phi \, \mathrm E[L] = \mathrm E_u \Bigl[ \bigl( L([u > p]) - L([u < 1 - p]) \bigr)
        \bigl( u - \tfrac12 \bigr) \Bigr], \qquad
        \frac{\mathrm d \phi}{\mathrm d p} = \frac{-1}{p (1 - p)} .

    To this comes the mean of :math:`\partial L / \partial p` at fixed masks, since dropout also
    divides by :math:`1 - p`. The loss is called twice and needs no derivative in the masks.

    Parameters
    ----------
    loss : callable
        Takes masks of zeros and ones of shape (n_samples, n_coefficients) and the rates, returns
        a loss for each mask, shape (n_samples,).
    p : Tensor of shape (n_coefficients,)
        Rates in [0, 1); for those that are 0 only the second part counts, since nothing is drawn.
    n_samples : int, default=1
        Number of masks that are averaged, at least 1.
    generator : torch.Generator, default=None
        Source of the uniforms, on the device of `p`; None is torch's global one.

    Returns
    -------
    Tensor of shape (n_coefficients,)
        The estimate.

    Raises
    ------
    ValueError
        If `p` is not a vector of rates, `n_samples` is less than 1, or the losses have another
        shape.

    See Also
    --------
    concrete_mask : Relaxed mask; less variance, some bias.
    straight_through_mask : Hard mask with a surrogate derivative.

    References
    ----------
    .. [1] M. Yin and M. Zhou, "ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary
       Networks", ICLR 2019.

    Examples
    --------
    The expectation of :math:`(m / (1 - p))^2` is :math:`1 / (1 - p)`, its derivative at 0.5 is 4:

    >>> import torch
    >>> from sklearn_dbt.nn.dropout import arm_gradient
    >>> def loss(mask, p):
    ...     return (mask / (1 - p)).square().sum(-1)
    >>> g = torch.Generator().manual_seed(0)
    >>> gradient = arm_gradient(loss, torch.tensor([0.5]), n_samples=10_000, generator=g)
    >>> gradient.round(decimals=1)
    tensor([4.])
    """
    if p.ndim != 1 or not ((p >= 0) & (p < 1)).all():
        raise ValueError(
            f"arm_gradient: p must be a vector of rates in [0, 1), got shape {tuple(p.shape)}"
            f"{'' if p.numel() == 0 else f' from {float(p.min())} to {float(p.max())}'}."
        )
    if n_samples < 1:
        raise ValueError(f"arm_gradient: n_samples must be at least 1, got {n_samples}.")
    p = p.detach().requires_grad_()
    u = torch.rand(n_samples, len(p), generator=generator, device=p.device, dtype=p.dtype)
    first, second = (u >= p).to(p.dtype), (u < 1 - p).to(p.dtype)
    with torch.enable_grad():
        losses = [loss(mask, p) for mask in (first, second)]
        for value in losses:
            if value.shape != (n_samples,):
                raise ValueError(
                    f"arm_gradient: loss must return a tensor of shape ({n_samples},), "
                    f"got {tuple(value.shape)}."
                )
        direct = _gradient(torch.cat(losses).mean(), p)
    rates = p.detach()
    difference = (losses[0] - losses[1]).detach()[:, None]
    merged = (difference * (u - 0.5)).mean(0)  # the gradient in φ
    drawn = rates > 0
    slope = torch.where(drawn, -1 / (torch.where(drawn, rates, 0.5) * (1 - rates)), 0.0)
    return direct + slope * merged


def _gradient(value: Tensor, p: Tensor) -> Tensor:
    """Derivative, zero where the value does not depend on the rates directly."""
    if not value.requires_grad:
        return torch.zeros_like(p)
    return torch.autograd.grad(value, p, materialize_grads=True)[0]
