"""Transforms side by side: all of them, or a learnt choice among them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from ._base import Basis, Layout
from ._members import check_bases, check_moments

__all__ = ["Choice", "Stack"]


class _Parallel(Basis):
    """Coefficients of several bases, weighted, one after the other.

    With weights that sum to 1, signals are the weighted mean of the members' syntheses.
    """

    bases: list[Basis]
    _layout_weight: Tensor

    def __init__(self, bases: Sequence[Basis]) -> None:
        where = type(self).__name__
        bases = check_bases(where, "bases", bases)
        lengths = [basis.n_features for basis in bases]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"{where}: bases must be for signals of one length, got n_features {lengths}."
            )
        super().__init__(
            lengths[0],
            _concatenated([basis.layout for basis in bases]),
            is_complex=any(basis.is_complex for basis in bases),
            is_orthogonal=len(bases) == 1 and bases[0].is_orthogonal,
            is_invertible=all(basis.is_invertible for basis in bases),
            takes_complex=all(basis.takes_complex for basis in bases),
        )
        self.bases = nn.ModuleList(bases)  # type: ignore[assignment]
        self.needs_covariance = any(basis.needs_covariance for basis in bases)
        self.is_linear = all(basis.is_linear for basis in bases)
        ends = torch.tensor([basis.n_coefficients for basis in bases]).cumsum(0).tolist()
        self.parts = tuple(map(slice, [0, *ends[:-1]], ends))

    @property
    def frame_bounds(self) -> tuple[float, float] | None:
        r"""Bounds of :math:`\sum_k w_k |c_k|^2 / \|x\|^2`, (1, 1) for orthogonal members.

        None where those of a member are not known.
        """
        bounds = [
            (1.0, 1.0) if basis.is_orthogonal else getattr(basis, "frame_bounds", None)
            for basis in self.bases
        ]
        known = [pair for pair in bounds if pair is not None]
        if len(known) < len(bounds):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    @abstractmethod
    def _log_weights(self) -> Tensor:
        """Logarithms of the members' weights, in float64."""

    def _analysis(self, x: Tensor) -> Tensor:
        roots = (self._log_weights() / 2).exp().to(x.real.dtype)
        parts = [root * basis.analysis(x) for root, basis in zip(roots, self.bases, strict=True)]
        return torch.cat(parts, dim=-1)  # complex if one of them is

    def _synthesis(self, c: Tensor) -> Tensor:
        log_weights = self._log_weights().to(c.real.dtype)
        x = c.real.new_zeros(())
        for log_weight, basis, part in zip(log_weights, self.bases, self.parts, strict=True):
            own = c[..., part] if basis.is_complex else c[..., part].real
            # sqrt(w) on the linear part and w on what an affine member adds: w = 0 is no trouble.
            offset = basis.synthesis(own.new_zeros(basis.n_coefficients))
            signal = basis.synthesis(own) - offset
            signal = (log_weight / 2).exp() * signal + log_weight.exp() * offset
            x = x + (signal if self.takes_complex else signal.real)
        return x

    @torch.no_grad()
    def update_from_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Adapt the members that adapt.

        Parameters
        ----------
        mean : Tensor of shape (n_features,)
            Mean of the signals.
        covariance : Tensor of shape (n_features, n_features)
            Their covariance.

        Raises
        ------
        ValueError
            If a shape is wrong or a value is not finite; nothing is changed then.
        """
        if self.needs_covariance:
            where = f"{type(self).__name__}.update_from_moments"
            check_moments(where, self.n_features, mean, covariance)
            for basis in self.bases:
                basis.update_from_moments(mean, covariance)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return "[" + ", ".join(map(repr, self.bases)) + "]"


class Stack(_Parallel):
    r"""Several transforms at once, one after the other.

    .. math::

        c = \frac{1}{\sqrt M} \bigl[ T_1(x); \dots; T_M(x) \bigr], \qquad
        x = \frac1M \sum_i T_i^{-1}(\sqrt M \, c_i) .

    It keeps the energy if every member is orthogonal (Parseval's identity with the layout's
    weights), but has more coefficients than the signals have samples. Synthesis is the mean of the
    members' syntheses: it inverts analysis, and for orthogonal members it is the pseudo-inverse.

    Parameters
    ----------
    bases : sequence of Basis
        Members, for signals of one length. If one has complex coefficients, all have here.

    Attributes
    ----------
    bases : torch.nn.ModuleList of Basis
        The members.
    parts : tuple of slice
        Where each member's coefficients are.
    needs_covariance : bool
        Whether a member adapts; `update_from_moments` reaches all of them.
    frame_bounds : (float, float) or None
        Bounds of the energy's gain as far as the members' are known; (1, 1) for orthogonal ones.

    Raises
    ------
    ValueError
        If there is no basis, or lengths differ.
    TypeError
        If one is not a `Basis`.

    See Also
    --------
    Choice : The same with learnt weights.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT, Fourier, Stack
    >>> basis = Stack([Fourier(8), DCT(8)])
    >>> basis.parts
    (slice(0, 5, None), slice(5, 13, None))
    >>> x = torch.tensor([1.0, 4.0, 2.0, 0.0, 1.0, 3.0, 3.0, 5.0])
    >>> c = basis.analysis(x)
    >>> torch.allclose(basis.synthesis(c), x, atol=1e-6)
    True
    >>> torch.allclose((basis.layout.weight * c.abs() ** 2).sum(), (x**2).sum())
    True
    """

    def _log_weights(self) -> Tensor:
        m = len(self.bases)
        device = self._layout_weight.device
        return torch.full((m,), -math.log(m), dtype=torch.float64, device=device)


class Choice(_Parallel):
    r"""A learnt choice among transforms: a stack with weights that sum to 1.

    .. math::

        c = \bigl[ \sqrt{w_1} \, T_1(x); \dots; \sqrt{w_M} \, T_M(x) \bigr], \qquad
        x = \sum_i w_i \, T_i^{-1}(c_i / \sqrt{w_i}), \qquad
        w = \operatorname{softmax}(\ell) .

    The logits :math:`\ell` are a parameter of the module. Whatever they are, synthesis inverts
    analysis, and the energy is kept if every member is orthogonal. A member whose weight goes to 0
    goes out of use.

    Parameters
    ----------
    bases : sequence of Basis
        Members, for signals of one length. If one has complex coefficients, all have here.

    Attributes
    ----------
    bases : torch.nn.ModuleList of Basis
        The members.
    logits : torch.nn.Parameter of shape (n_bases,)
        Logits :math:`\ell`, 0 to begin with.
    parts : tuple of slice
        Where each member's coefficients are.
    needs_covariance : bool
        Whether a member adapts; `update_from_moments` reaches all of them.
    frame_bounds : (float, float) or None
        Bounds of the energy's gain as far as the members' are known; (1, 1) for orthogonal ones.

    Raises
    ------
    ValueError
        If there is no basis, or lengths differ.
    TypeError
        If one is not a `Basis`.

    See Also
    --------
    select_basis : The one with the least loss, instead of a mixture.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT, Choice, Identity
    >>> basis = Choice([Identity(8), DCT(8)])
    >>> optimizer = torch.optim.SGD(basis.parameters(), lr=1.0)
    >>> wave = torch.cos(torch.pi / 8 * 3 * (torch.arange(8) + 0.5))
    >>> for _ in range(20):  # sparse coefficients are wanted
    ...     optimizer.zero_grad()
    ...     basis.analysis(wave).abs().sum().backward()
    ...     optimizer.step()
    >>> basis.weights.round(decimals=2)
    tensor([0., 1.])
    >>> basis.selected
    DCT(8)
    """

    def __init__(self, bases: Sequence[Basis]) -> None:
        super().__init__(bases)
        self.logits = nn.Parameter(torch.zeros(len(self.bases)))

    @property
    def weights(self) -> Tensor:
        """Weights of the members, shape (n_bases,)."""
        return torch.softmax(self.logits.detach(), 0)

    @property
    def selected(self) -> Basis:
        """The member with the largest weight, the first of several."""
        return self.bases[int(self.logits.argmax())]

    def _log_weights(self) -> Tensor:
        return torch.log_softmax(self.logits.double(), 0)


def _concatenated(layouts: list[Layout]) -> Layout:
    joined = {
        field.name: torch.cat([getattr(layout, field.name) for layout in layouts])
        for field in fields(Layout)
        if field.name != "index"
    }
    return Layout.make(len(joined["weight"]), **joined)
