"""One basis along each axis of a grid: two-dimensional transforms, range and Doppler."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ._base import Basis, Layout, check_n_features
from ._identity import Identity
from ._members import along_axis, check_bases, check_moments, linear_image, on_complex
from ._spatial import SpatialDFT

__all__ = ["RangeDoppler", "Separable"]


class Separable(Basis):
    r"""One basis along each axis of a grid (Kronecker product), such as a two-dimensional DCT.

    The last axis of the signals is a grid of shape :math:`n_1 \times \dots \times n_d`, flattened
    in row-major order (the last axis of the grid runs fastest), and so are the coefficients,

    .. math:: c = (T_1 \otimes \dots \otimes T_d) \, x .

    At most one member may have the half spectrum of real signals (such as `Fourier`); it and then
    the other complex members act after the real ones. Where every complex member takes complex
    signals, so does the product: real members then act on both parts.

    Parameters
    ----------
    bases : sequence of Basis
        One basis for each axis of the grid.
    frequency_axis : int, default=None
        Axis of the grid whose frequency the layout has. None takes, of the frequencies along the
        axes that have one, the only one or else the highest in absolute value.

    Attributes
    ----------
    bases : torch.nn.ModuleList of Basis
        The members.
    shape : tuple of int
        Shape of the grid.
    coefficient_shape : tuple of int
        Shape of the grid of coefficients.
    needs_covariance : bool
        Whether a member adapts. `update_from_moments` gives each one the moments along its axis,
        over all places on the other axes, of what the members before it left.

    Raises
    ------
    ValueError
        If there is no basis, two have half spectra, or `frequency_axis` is no axis of the grid or
        one without frequencies.
    TypeError
        If one is not a `Basis`.

    Notes
    -----
    The layout has the position and the scale of the one member that has them, none if several do;
    weights multiply.

    References
    ----------
    .. [1] C. F. Van Loan, "The ubiquitous Kronecker product", Journal of Computational and Applied
       Mathematics 123(1-2), 85-100, 2000.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT, Separable
    >>> basis = Separable([DCT(2), DCT(4)])
    >>> image = torch.tensor([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 3.0, 3.0]])
    >>> basis.analysis(image.flatten()).round(decimals=4).reshape(2, 4).abs()
    tensor([[5.6569, 0.0000, 0.0000, 0.0000],
            [2.8284, 0.0000, 0.0000, 0.0000]])
    """

    bases: list[Basis]

    def __init__(self, bases: Sequence[Basis], frequency_axis: int | None = None) -> None:
        bases = check_bases("Separable", "bases", bases)
        half = [i for i, b in enumerate(bases) if b.is_complex and not b.takes_complex]
        if len(half) > 1:
            raise ValueError(
                "Separable: at most 1 complex basis may be one of real signals, got "
                f"{len(half)}: axes {half}. SpatialDFT takes complex signals."
            )
        needs_covariance = any(b.needs_covariance for b in bases)
        is_complex = any(b.is_complex for b in bases)
        super().__init__(
            math.prod(b.n_features for b in bases),
            _layout(bases, frequency_axis),
            is_complex=is_complex,
            is_orthogonal=all(b.is_orthogonal for b in bases),
            is_invertible=all(b.is_invertible for b in bases),
            # Moments are those of real signals.
            takes_complex=is_complex and not half and not needs_covariance,
        )
        self.bases = nn.ModuleList(bases)  # type: ignore[assignment]
        self.needs_covariance = needs_covariance
        self.is_linear = all(b.is_linear for b in bases)
        self.shape = tuple(b.n_features for b in bases)
        self.coefficient_shape = tuple(b.n_coefficients for b in bases)
        # Real members first, then the half spectrum, then those that take complex signals.
        self._order = sorted(
            range(len(bases)), key=lambda i: (bases[i].is_complex, bases[i].takes_complex)
        )

    def _analysis(self, x: Tensor) -> Tensor:
        grid = x.reshape(*x.shape[:-1], *self.shape)
        for axis, basis in self._members():
            act = basis.analysis if basis.is_complex else partial(on_complex, basis.analysis)
            grid = along_axis(act, grid, axis)
        return grid.reshape(*x.shape[:-1], self.n_coefficients)

    def _synthesis(self, c: Tensor) -> Tensor:
        grid = c.reshape(*c.shape[:-1], *self.coefficient_shape)
        for axis, basis in reversed(self._members()):
            if not basis.is_complex and not self.takes_complex:
                grid = grid.real  # of other coefficients than a signal's, the part that it spans
            act = basis.synthesis if basis.is_complex else partial(on_complex, basis.synthesis)
            grid = along_axis(act, grid, axis)
        grid = grid if self.takes_complex else grid.real
        return grid.reshape(*c.shape[:-1], self.n_features)

    def _members(self) -> list[tuple[int, Basis]]:
        """Axes, counted from the end, and their bases, in the order in which they act."""
        return [(i - len(self.shape), self.bases[i]) for i in self._order]

    @torch.no_grad()
    def update_from_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Adapt the members that adapt, each to the moments along its axis.

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
        check_moments("Separable.update_from_moments", self.n_features, mean, covariance)
        mean, covariance, shape = mean.double(), covariance.double(), list(self.shape)
        for axis, basis in self._members():
            if basis.is_complex:  # the last ones, and those do not adapt
                return
            if basis.needs_covariance:
                basis.update_from_moments(*_marginal(mean, covariance, shape, axis))
            acting = _AlongAxis(basis, tuple(shape), axis)
            mean, covariance = linear_image(acting, mean, covariance)
            shape[axis] = basis.n_coefficients

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"{self.n_features}, " + " x ".join(map(repr, self.bases))


class RangeDoppler(Separable):
    r"""Doppler spectrum of each range bin of a pulse-Doppler radar or sonar.

    The last axis of the signals is the data matrix of one coherent interval, pulses (slow time) by
    range bins (fast time), flattened in row-major order. Across the pulses a unitary discrete
    Fourier transform gives the Doppler spectrum,

    .. math::

        c_{k r} = \frac{1}{\sqrt P} \sum_{p=0}^{P-1} x_{p r} e^{-2 \pi i f_k p},
        \qquad f_k \in [-\tfrac12, \tfrac12) .

    Samples are complex (baseband); real ones are taken too, and synthesis is complex.

    Parameters
    ----------
    n_pulses : int
        Number :math:`P` of pulses, at least 1.
    n_range : int
        Number of range bins, at least 1.
    range_transform : bool, default=False
        Whether the range axis has a unitary discrete Fourier transform too.

    Attributes
    ----------
    bases : torch.nn.ModuleList of Basis
        The transforms along the pulses and along the range.
    shape, coefficient_shape : tuple of int
        ``(n_pulses, n_range)``.

    Notes
    -----
    The layout's frequency is the Doppler frequency :math:`f_k` in cycles per pulse, 0 for what does
    not move; its position is the range bin (nan with `range_transform`).

    References
    ----------
    .. [1] M. A. Richards, "Fundamentals of Radar Signal Processing", 2nd edition, McGraw-Hill,
       2014, chapter 5.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import RangeDoppler
    >>> basis = RangeDoppler(n_pulses=4, n_range=2)
    >>> clutter = torch.tensor([[1.0, 0.0]]).repeat(4, 1)
    >>> basis.analysis(clutter.flatten()).reshape(4, 2).abs()
    tensor([[2., 0.],
            [0., 0.],
            [0., 0.],
            [0., 0.]])
    >>> basis.layout.frequency.reshape(4, 2)[:, 0].tolist()
    [0.0, 0.25, -0.5, -0.25]
    """

    def __init__(self, n_pulses: int, n_range: int, range_transform: bool = False) -> None:
        n_pulses = check_n_features(n_pulses, "n_pulses")
        n_range = check_n_features(n_range, "n_range")
        along_range = SpatialDFT(n_range) if range_transform else Identity(n_range)
        super().__init__([SpatialDFT(n_pulses), along_range], frequency_axis=0)
        self.range_transform = bool(range_transform)

    def extra_repr(self) -> str:
        """Arguments that `repr` shows."""
        return f"n_pulses={self.shape[0]}, n_range={self.shape[1]}, " + (
            f"range_transform={self.range_transform}"
        )


class _AlongAxis:
    """Analysis along one axis of flattened grids."""

    def __init__(self, basis: Basis, shape: tuple[int, ...], axis: int) -> None:
        self.basis, self.shape, self.axis = basis, shape, axis

    def __call__(self, x: Tensor) -> Tensor:
        grid = along_axis(self.basis.analysis, x.reshape(*x.shape[:-1], *self.shape), self.axis)
        return grid.reshape(*x.shape[:-1], -1)


def _marginal(
    mean: Tensor, covariance: Tensor, shape: Sequence[int], axis: int
) -> tuple[Tensor, Tensor]:
    """Moments along one axis of a grid, each place on the other axes a sample."""
    entries = torch.arange(len(mean), device=mean.device).reshape(*shape)
    rows = entries.movedim(axis, -1).reshape(-1, shape[axis])
    means = mean[rows]
    centred = means - means.mean(0)
    within = covariance[rows[:, :, None], rows[:, None, :]].mean(0)
    return means.mean(0), within + centred.T @ centred / len(rows)


def _layout(bases: list[Basis], frequency_axis: int | None) -> Layout:
    layouts = [basis.layout for basis in bases]
    shape = [basis.n_coefficients for basis in bases]

    def spread(values: Tensor, axis: int) -> Tensor:
        sizes = [1] * len(shape)
        sizes[axis] = -1
        return values.reshape(sizes).expand(shape).flatten()

    frequencies = {
        i: spread(layout.frequency, i)
        for i, layout in enumerate(layouts)
        if not layout.frequency.isnan().any()
    }
    if frequency_axis is not None:
        if frequency_axis not in frequencies:
            raise ValueError(
                f"Separable: frequency_axis must be None or one of the axes with frequencies, "
                f"{list(frequencies)}, got {frequency_axis!r}."
            )
        frequencies = {frequency_axis: frequencies[frequency_axis]}
    positions = [
        spread(layout.position, i)
        for i, layout in enumerate(layouts)
        if not layout.position.isnan().any()
    ]
    scales = [spread(layout.scale, i) for i, layout in enumerate(layouts) if layout.scale.any()]
    return Layout.make(
        math.prod(shape),
        frequency=_highest(list(frequencies.values())),
        position=positions[0] if len(positions) == 1 else None,
        scale=scales[0] if len(scales) == 1 else None,
        weight=torch.stack([spread(layout.weight, i) for i, layout in enumerate(layouts)]).prod(0),
    )


def _highest(frequencies: list[Tensor]) -> Tensor | None:
    if len(frequencies) < 2:
        return frequencies[0] if frequencies else None
    return torch.stack(frequencies).abs().amax(0)
