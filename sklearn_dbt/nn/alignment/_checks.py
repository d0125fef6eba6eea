"""Checks of what the functions of this room are given."""

import math
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor


def check_pairs(
    x: Tensor,
    y: Tensor,
    lengths_x: Tensor | Sequence[int] | None,
    lengths_y: Tensor | Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Check two batches of series against each other and return their lengths as tensors."""
    for name, t in (("x", x), ("y", y)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name} must be a torch tensor; got {type(t).__name__}.")
        if t.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name} must be float32 or float64; got {t.dtype}.")
        if t.ndim != 3:
            raise ValueError(
                f"{name} must have shape (n_pairs, n_channels, n_times); got {tuple(t.shape)}."
            )
        if 0 in t.shape:
            raise ValueError(f"{name} is empty: its shape is {tuple(t.shape)}.")
    if x.dtype != y.dtype or x.device != y.device:
        raise TypeError(
            "x and y must share dtype and device; "
            f"got {x.dtype} on {x.device} and {y.dtype} on {y.device}."
        )
    if x.shape[:2] != y.shape[:2]:
        raise ValueError(
            "x and y must agree in n_pairs and n_channels; "
            f"got shapes {tuple(x.shape)} and {tuple(y.shape)}."
        )
    return _check_lengths(lengths_x, x, "lengths_x"), _check_lengths(lengths_y, y, "lengths_y")


def _check_lengths(lengths: Tensor | Sequence[int] | None, x: Tensor, name: str) -> Tensor:
    n_pairs, _, n_times = x.shape
    if lengths is None:
        return torch.full((n_pairs,), n_times, device=x.device)
    lengths = torch.as_tensor(lengths, device=x.device)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"{name} must be integers; got {lengths.dtype}.")
    if lengths.shape != (n_pairs,):
        raise ValueError(
            f"{name} must hold one length a pair, shape ({n_pairs},); got {tuple(lengths.shape)}."
        )
    wrong = ((lengths < 1) | (lengths > n_times)).nonzero()
    if len(wrong):
        p = int(wrong[0])
        raise ValueError(
            f"{name} must lie between 1 and the {n_times} samples there are; "
            f"got {int(lengths[p])} for pair {p}."
        )
    return lengths.to(torch.int64)


def check_positive(value: float | Tensor, name: str) -> Tensor:
    """Return a positive finite number as a tensor of one element."""
    if isinstance(value, Tensor):
        if value.numel() != 1 or not value.is_floating_point():
            raise TypeError(
                f"{name} must be a number or a floating tensor of one element; "
                f"got a {value.dtype} tensor of shape {tuple(value.shape)}."
            )
    elif isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number or a tensor of one element; got {value!r}.")
    number = float(value.detach() if isinstance(value, Tensor) else value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite; got {number}.")
    return value if isinstance(value, Tensor) else torch.tensor(number, dtype=torch.float64)
