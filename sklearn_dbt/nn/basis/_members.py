"""What bases made of other bases share: checks, other axes, complex numbers, moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ._base import Basis

__all__ = ["along_axis", "check_bases", "check_moments", "linear_image", "on_complex"]

Map = Callable[[Tensor], Tensor]


def check_bases(where: str, name: str, bases: Sequence[Basis]) -> list[Basis]:
    """The bases as a list of at least one, or an error that says which is none."""
    bases = list(bases)
    if not bases:
        raise ValueError(f"{where}: {name} must hold at least 1 basis, got none.")
    for i, basis in enumerate(bases):
        if not isinstance(basis, Basis):
            kind = type(basis).__name__
            raise TypeError(f"{where}: {name}[{i}] must be a Basis, got {kind}.")
    return bases


def check_moments(where: str, n_features: int, mean: Tensor, covariance: Tensor) -> None:
    """Raise unless mean and covariance have the shapes for this many features and are finite."""
    shapes = {"mean": (mean, (n_features,)), "covariance": (covariance, (n_features, n_features))}
    for name, (value, shape) in shapes.items():
        if tuple(value.shape) != shape:
            raise ValueError(f"{where}: {name} must have shape {shape}, got {tuple(value.shape)}.")
        if not torch.isfinite(value).all():
            raise ValueError(f"{where}: {name} has values that are not finite.")


def along_axis(function: Map, grid: Tensor, axis: int) -> Tensor:
    """What a function of the last axis gives along another axis."""
    return function(grid.movedim(axis, -1)).movedim(-1, axis)


def on_complex(function: Map, z: Tensor) -> Tensor:
    """A real affine map of the last axis, on real numbers or, by complex linearity, complex ones.

    Its linear part L acts on both parts; what it adds is real: T(x + iy) = T(x) + i L(y).
    """
    if not z.is_complex():
        return function(z)
    offset = function(z.real.new_zeros(z.shape[-1]))
    return torch.complex(function(z.real.contiguous()), function(z.imag.contiguous()) - offset)


def linear_image(function: Map, mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Moments of what a real affine map of the last axis makes of signals with these moments."""
    offset = function(torch.zeros_like(mean))
    rows = function(covariance) - offset
    return function(mean), function(rows.T) - offset
