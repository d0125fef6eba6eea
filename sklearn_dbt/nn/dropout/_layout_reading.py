"""What a layer keeps of its basis's layout: locked coefficients, and numbers of their places."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import check_band
from ._coefficients import Coefficients
from ._descriptors import Descriptor
from ._place_descriptors import Band, CoefficientSet

__all__ = ["Lock", "check_locks", "locked_by", "places"]

Lock = tuple[float, float] | CoefficientSet


def check_locks(where: str, locks: Sequence[Lock]) -> tuple[CoefficientSet, ...]:
    """Locks as sets, or an error that says which of them is none."""
    try:
        listed = tuple(locks)
    except TypeError:
        raise TypeError(
            f"{where}: locks must be a sequence of bands (low, high) in Hz and of sets such as "
            f"Scales([1]), got {locks!r}."
        ) from None
    return tuple(
        lock if isinstance(lock, CoefficientSet) else Band(*check_band(i, lock, where))
        for i, lock in enumerate(listed)
    )


def locked_by(locks: Sequence[CoefficientSet], known: Coefficients) -> Tensor:
    """Which coefficients are in any of the sets; an error if a set is empty."""
    locked = torch.zeros_like(known.layout.index, dtype=torch.bool)
    for i, lock in enumerate(locks):
        locked |= lock.inside(known, f"locks[{i}]")
    return locked


def places(descriptors: Sequence[Descriptor], known: Coefficients) -> Tensor:
    """Numbers of the descriptors that read the layout only, shape (n_of_these, n_coefficients)."""
    fixed = [d(known) for d in descriptors if d.source == "layout"]
    weight = known.layout.weight
    return torch.stack(fixed) if fixed else weight.new_zeros(0, len(weight))
