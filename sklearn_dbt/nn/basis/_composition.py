"""Transforms in sequence."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._base import Basis, Layout
from ._members import check_bases, check_moments, linear_image, on_complex

__all__ = ["Composition"]

# Rows of the identity that are transformed at once, so that memory stays linear in the length.
_ROWS = 256


class Composition(Basis):
    r"""Two transforms in sequence, the second of the first's coefficients.

    .. math:: c = T_2(T_1(x)), \qquad x = T_1^{-1}(T_2^{-1}(c)) .

    Where the first has complex coefficients, the second takes complex signals, or is real and acts
    on both parts. A composition may be a member of another one.

    Parameters
    ----------
    first : Basis
        Transform :math:`T_1` of the signals.
    second : Basis
        Transform :math:`T_2` of the first's coefficients, for signals of that length.

    Attributes
    ----------
    first, second : Basis
        As given.
    needs_covariance : bool
        Whether one of them adapts. `update_from_moments` gives the first the signals' moments, and
        the second those of the first's coefficients.

    Raises
    ------
    ValueError
        If lengths do not fit, or the second cannot act on complex coefficients: because it has
        the half spectrum of real signals, or adapts to moments of real ones.
    TypeError
        If one is not a `Basis`.

    Notes
    -----
    The layout gives each coefficient the mean frequency and position of the first's coefficients
    that make it up, weighted by their energies in it, as far as the first has them and the second
    is fixed, neither adapting nor learnt. There is no scale.

    Examples
    --------
    The cepstrum's idea, a transform of a spectrum; wavelets of a spectrum are bands of it:

    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT, DWT, Composition
    >>> basis = Composition(DCT(8), DWT(8, "haar", level=1))
    >>> basis.layout.frequency.tolist()[:4]
    [0.03125, 0.15625, 0.28125, 0.40625]
    >>> x = torch.tensor([1.0, 4.0, 2.0, 0.0, 1.0, 3.0, 3.0, 5.0])
    >>> torch.allclose(basis.synthesis(basis.analysis(x)), x, atol=1e-6)
    True
    """

    def __init__(self, first: Basis, second: Basis) -> None:
        first, second = check_bases("Composition", "(first, second)", (first, second))
        if second.n_features != first.n_coefficients:
            raise ValueError(
                f"Composition: second must be for signals of {first.n_coefficients} samples, as "
                f"many as first has coefficients, got n_features={second.n_features}."
            )
        if first.is_complex and second.is_complex and not second.takes_complex:
            raise ValueError(
                "Composition: first has complex coefficients and second is a complex transform of "
                "real signals; one that takes complex signals, such as SpatialDFT, is needed."
            )
        if first.is_complex and second.needs_covariance:
            raise ValueError(
                "Composition: first has complex coefficients and second adapts to moments of real "
                "signals; one that is fixed is needed."
            )
        super().__init__(
            first.n_features,
            _layout(first, second),
            is_complex=first.is_complex or second.is_complex,
            # Multiplicities of the first's coefficients would get mixed up.
            is_orthogonal=first.is_orthogonal
            and second.is_orthogonal
            and bool((first.layout.weight == 1).all()),
            is_invertible=first.is_invertible and second.is_invertible,
            takes_complex=first.takes_complex,
        )
        self.first, self.second = first, second
        self.needs_covariance = first.needs_covariance or second.needs_covariance
        self.is_linear = first.is_linear and second.is_linear

    def _analysis(self, x: Tensor) -> Tensor:
        return _act(self.second, self.second.analysis, self.first.analysis(x))

    def _synthesis(self, c: Tensor) -> Tensor:
        c = _act(self.second, self.second.synthesis, c)
        # Of coefficients that no signal has, the part that the first one spans.
        return self.first.synthesis(c if self.first.is_complex else c.real)

    @torch.no_grad()
    def update_from_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Adapt both to the moments of what they see; does nothing where neither adapts.

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
        if not self.needs_covariance:
            return
        check_moments("Composition.update_from_moments", self.n_features, mean, covariance)
        mean, covariance = mean.double(), covariance.double()
        self.first.update_from_moments(mean, covariance)
        if self.second.needs_covariance:
            moments = linear_image(self.first.analysis, mean, covariance)
            self.second.update_from_moments(*moments)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.first!r}, {self.second!r}"


def _act(basis: Basis, function: Callable[[Tensor], Tensor], c: Tensor) -> Tensor:
    """A method of the basis, on complex coefficients part by part where the basis is real."""
    return function(c) if basis.is_complex else on_complex(function, c)


def _layout(first: Basis, second: Basis) -> Layout:
    known = torch.stack([first.layout.frequency, first.layout.position]).double()
    is_fixed = not second.needs_covariance and not list(second.parameters())
    if is_fixed and not known.isnan().all():
        known = _centroids(second, known)
    else:
        known = known.new_full((2, second.n_coefficients), torch.nan)
    return Layout.make(
        second.n_coefficients,
        frequency=known[0],
        position=known[1],
        weight=second.layout.weight,
    )


@torch.no_grad()
def _centroids(basis: Basis, values: Tensor) -> Tensor:
    """For each coefficient, the mean of the inputs' values, weighted by their energies in it."""
    offset = basis.analysis(values.new_zeros(basis.n_features))
    weighted = values.new_zeros(len(values), basis.n_coefficients)
    total = values.new_zeros(basis.n_coefficients)
    for start in range(0, basis.n_features, _ROWS):
        rows = values.new_zeros(min(_ROWS, basis.n_features - start), basis.n_features)
        rows.diagonal(start).fill_(1)
        energy = (basis.analysis(rows) - offset).abs().square()
        weighted += values[:, start : start + len(rows)] @ energy
        total += energy.sum(0)
    # A coefficient that is always 0 lies nowhere: in the middle.
    return torch.where(total > 1e-20, weighted / total, values.mean(1, keepdim=True))
