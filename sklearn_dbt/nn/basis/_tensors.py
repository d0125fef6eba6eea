"""What tensor decompositions share: shapes and ranks, samples as one tensor, tensorly."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from ._base import check_n_features

__all__ = [
    "check_rank",
    "check_shape",
    "fix_signs",
    "numpy_tensorly",
    "orthonormal_columns",
    "stacked_samples",
]


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape as a tuple of at least one int of at least 1, or what is wrong with it."""
    try:
        sizes = list(shape)
    except TypeError:
        kind = type(shape).__name__
        raise TypeError(f"shape must be a sequence of integers, got a {kind}.") from None
    if not sizes:
        raise ValueError("shape must have at least 1 axis, got ().")
    return tuple(check_n_features(size, f"shape[{i}]") for i, size in enumerate(sizes))


def check_rank(rank: int, highest: int, name: str, why: str) -> int:
    """The rank as an int from 1 to the highest, or what is wrong with it."""
    value = None if isinstance(rank, bool) else rank
    try:
        value = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        kind = type(rank).__name__
        raise TypeError(f"{name} must be an integer of at least 1, got a {kind}.") from None
    if not 1 <= value <= highest:
        raise ValueError(f"{name} must lie from 1 to {highest}, {why}, got {value}.")
    return value


def stacked_samples(where: str, x: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Checked signals as one tensor in float64, the samples along its last axis."""
    samples = x.detach().reshape(-1, *shape).double().cpu().numpy()
    if len(samples) == 0:
        raise ValueError(f"{where}: x must hold at least 1 sample, got {tuple(x.shape)}.")
    if not np.isfinite(samples).all():
        raise ValueError(f"{where}: x has values that are not finite.")
    if not samples.any():
        raise ValueError(f"{where}: x is 0 everywhere, which no decomposition can be fitted to.")
    # Their scale decides nothing, and squares must neither vanish nor overflow.
    return np.moveaxis(samples / np.abs(samples).max(), 0, -1)


@contextmanager
def numpy_tensorly() -> Iterator[ModuleType]:
    """Tensorly computing with numpy, whatever the user has it compute with elsewhere."""
    try:
        import tensorly
        import tensorly.decomposition
    except ImportError as error:
        raise ImportError(
            "Fitting a tensor decomposition needs tensorly, which is not installed: "
            "pip install 'sklearn-dbt[tensor]'."
        ) from error
    before = tensorly.get_backend()
    tensorly.set_backend("numpy", local_threadsafe=True)  # other threads keep theirs
    try:
        yield tensorly
    finally:
        tensorly.set_backend(before, local_threadsafe=True)


def orthonormal_columns(matrix: Tensor, n_columns: int) -> Tensor:
    """As many orthonormal columns as wanted, the first of which span the matrix's.

    Columns that are orthonormal already stay as they are.
    """
    unit = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    q, r = torch.linalg.qr(torch.cat([matrix, unit], dim=1))
    # QR is free in the signs; columns keep theirs.
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0)
    return (q * signs)[:, :n_columns]


def fix_signs(columns: Tensor) -> Tensor:
    """Columns whose largest entry, in absolute value, is positive."""
    largest = columns.gather(0, columns.abs().argmax(0, keepdim=True))
    return columns * torch.where(largest < 0, -1.0, 1.0)
