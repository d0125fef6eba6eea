"""A policy bound to a layout: which parameter belongs to which coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..basis import Layout
from ._coefficients import given_scale
from ._policies import Policy, Start

__all__ = ["BoundPolicy"]


class BoundPolicy(nn.Module):
    r"""A policy for the coefficients of one basis.

    It knows how :math:`\omega` is laid out: the weights of each descriptor in turn (one, one for
    each scale in increasing order, or one for each coefficient), and last the bias or biases.

    Parameters
    ----------
    policy : Policy
        The form.
    layout : Layout
        What the coefficients are.

    Attributes
    ----------
    n_parameters : int
        Length of :math:`\omega`.
    index : Tensor of int64 of shape (n_descriptors + 1, n_coefficients)
        Where in :math:`\omega` each coefficient's weights and bias are.
    """

    index: Tensor

    def __init__(self, policy: Policy, layout: Layout) -> None:
        super().__init__()
        self.policy = policy
        sharings = [*(d.sharing for d in policy.descriptors), policy.bias_sharing]
        groups = [_groups(layout, sharing) for sharing in sharings]
        self._sizes = [int(group.max()) + 1 for group in groups]
        offsets = torch.tensor([0, *self._sizes]).cumsum(0)[:-1].tolist()
        index = torch.stack([g + offset for g, offset in zip(groups, offsets, strict=True)])
        self.n_parameters = sum(self._sizes)
        self.register_buffer("index", index, persistent=False)
        assert policy.weights is not None
        starts = [
            _filled(f"weights[{i}]", start, size)
            for i, (start, size) in enumerate(zip(policy.weights, self._sizes, strict=False))
        ]
        self._weights = torch.cat([*starts, torch.zeros(0, dtype=torch.float64)])
        self._bias = None if policy.bias is None else _filled("bias", policy.bias, self._sizes[-1])

    def rates(self, omega: Tensor, phi: Sequence[Tensor], p_min: float, p_max: float) -> Tensor:
        """Rates before locks and snapping.

        Parameters
        ----------
        omega : Tensor of shape (n_parameters,)
            Weights and, last, the bias.
        phi : sequence of Tensor of shape (..., n_coefficients)
            Each descriptor's numbers; they broadcast.
        p_min, p_max : float
            Bounds of the rates.

        Returns
        -------
        Tensor of shape (..., n_coefficients)
            Rates in the precision of `omega`.
        """
        *weights, total = omega[self.index].unbind(0)
        for descriptor, weight, numbers in zip(self.policy.descriptors, weights, phi, strict=True):
            numbers = numbers.to(omega.dtype)
            if descriptor.standardize:
                numbers = numbers.clamp(-self.policy.phi_max, self.policy.phi_max)
            total = total + weight * numbers
        if self.policy.link == "linear":
            return total.clamp(p_min, p_max)
        return p_min + (p_max - p_min) * torch.sigmoid(total)

    def jacobian(self, rates: Tensor, phi: Sequence[Tensor], p_min: float, p_max: float) -> Tensor:
        """Derivatives of rates in the parameters.

        Parameters
        ----------
        rates : Tensor of shape (..., n_coefficients)
            What `rates` returned.
        phi : sequence of Tensor of shape (..., n_coefficients)
            What it was given.
        p_min, p_max : float
            Likewise.

        Returns
        -------
        Tensor of shape (..., n_coefficients, n_parameters)
            Derivatives in the precision of `rates`.
        """
        if self.policy.link == "linear":
            slope = ((rates > p_min) & (rates < p_max)).to(rates.dtype)
        else:
            slope = (rates - p_min) * (p_max - rates) / (p_max - p_min)
        out = slope.new_zeros(*slope.shape, self.n_parameters)
        for j, index in enumerate(self.index):
            factor = slope
            if j < len(phi):
                numbers = phi[j].to(slope.dtype)
                if self.policy.descriptors[j].standardize:
                    numbers = numbers.clamp(-self.policy.phi_max, self.policy.phi_max)
                factor = slope * numbers
            out.scatter_(-1, index.expand(slope.shape)[..., None], factor[..., None])
        return out

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds of weights and bias.

        Returns
        -------
        lower, upper : Tensor of shape (n_parameters,)
            Bounds.
        """
        upper = torch.full((self.n_parameters,), self.policy.weight_max)
        upper[-self._sizes[-1] :] = self.policy.bias_max
        return -upper, upper

    def bias_direction(self) -> Tensor:
        """Direction along which every free rate grows alike: one for each bias.

        Returns
        -------
        Tensor of shape (n_parameters,)
            Zeros and, last, ones.
        """
        direction = torch.zeros(self.n_parameters)
        direction[-self._sizes[-1] :] = 1
        return direction

    def initial(
        self, p: float, phi: Sequence[Tensor], p_min: float, p_max: float, free: Tensor
    ) -> Tensor:
        """Parameters to start with.

        Parameters
        ----------
        p : float
            Mean rate wanted, where the policy leaves the bias open.
        phi : sequence of Tensor of shape (..., n_coefficients)
            Descriptors, for those that data decide their expected spread.
        p_min, p_max : float
            Bounds of the rates.
        free : Tensor of bool of shape (n_coefficients,)
            Coefficients that the mean is over.

        Returns
        -------
        Tensor of shape (n_parameters,)
            The weights and the bias, found by bisection, at most `bias_max` in size.
        """
        if self._bias is not None:
            return torch.cat([self._weights, self._bias]).to(torch.get_default_dtype())
        low, high = -self.policy.bias_max, self.policy.bias_max
        for _ in range(60):
            bias = (low + high) / 2
            omega = torch.cat([self._weights, _filled("bias", bias, self._sizes[-1])])
            mean = float(self.rates(omega, phi, p_min, p_max)[..., free].mean())
            low, high = (bias, high) if mean < p else (low, bias)
        return omega.to(torch.get_default_dtype())


def _groups(layout: Layout, sharing: str) -> Tensor:
    """Number of the weight that each coefficient has."""
    if sharing == "coefficient":
        return layout.index
    if sharing == "scale":
        return given_scale(layout, "sharing='scale'").unique(return_inverse=True)[1]
    return torch.zeros_like(layout.index)


def _filled(name: str, start: Start, size: int) -> Tensor:
    values = torch.tensor(start, dtype=torch.float64).flatten()
    if len(values) not in (1, size):
        raise ValueError(
            f"Policy: {name} must be one number or {size}, one for each group that shares it; "
            f"got {len(values)}."
        )
    return values.expand(size)
