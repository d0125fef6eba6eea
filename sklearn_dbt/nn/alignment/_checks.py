"""Checks of what the functions of this room are given."""

import math
import operator
from collections.abc import Sequence
from numbers import Real

import torch
from torch import Tensor

from sklearn_dbt.nn.alignment._band import least_band

LEAST = 1e-300  # numbers whose inverse is still a number, with room for costs


def check_pairs(
    x: Tensor,
    y: Tensor,
    lengths_x: Tensor | Sequence[int] | None,
    lengths_y: Tensor | Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Check two batches of series against each other and return their lengths as tensors."""
    _check_series(x, y, "n_pairs")
    if x.shape[:2] != y.shape[:2]:
        raise ValueError(
            "x and y must agree in n_pairs and n_channels; "
            f"got shapes {tuple(x.shape)} and {tuple(y.shape)}."
        )
    return _check_lengths(lengths_x, x, "lengths_x"), _check_lengths(lengths_y, y, "lengths_y")


def _check_series(x: Tensor, y: Tensor, leading: str) -> None:
    """Raise unless both are series of one dtype on one device."""
    for name, t in (("x", x), ("y", y)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name} must be a torch tensor; got {type(t).__name__}.")
        if t.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name} must be float32 or float64; got {t.dtype}.")
        if t.ndim != 3:
            raise ValueError(
                f"{name} must have shape ({leading}, n_channels, n_times); got {tuple(t.shape)}."
            )
        if 0 in t.shape[1:]:
            raise ValueError(f"{name} is empty: its shape is {tuple(t.shape)}.")
    if x.dtype != y.dtype or x.device != y.device:
        raise TypeError(
            "x and y must share dtype and device; "
            f"got {x.dtype} on {x.device} and {y.dtype} on {y.device}."
        )


def check_sets(
    x: Tensor,
    y: Tensor | None,
    lengths_x: Tensor | Sequence[int] | None,
    lengths_y: Tensor | Sequence[int] | None,
) -> tuple[Tensor, Tensor]:
    """Check two sets of series, or one, and return their lengths as tensors."""
    if y is None and lengths_y is not None:
        raise ValueError("lengths_y is given without y; the lengths of one set are lengths_x.")
    _check_series(x, x if y is None else y, "n_series")
    if y is not None and x.shape[1] != y.shape[1]:
        raise ValueError(
            f"x and y must agree in n_channels; got shapes {tuple(x.shape)} and {tuple(y.shape)}."
        )
    lengths = _check_lengths(lengths_x, x, "lengths_x")
    return lengths, lengths if y is None else _check_lengths(lengths_y, y, "lengths_y")


def _check_lengths(lengths: Tensor | Sequence[int] | None, x: Tensor, name: str) -> Tensor:
    n_pairs, _, n_times = x.shape
    if lengths is None:
        return torch.full((n_pairs,), n_times, device=x.device)
    lengths = torch.as_tensor(lengths, device=x.device)
    is_integer = not (lengths.is_floating_point() or lengths.is_complex())
    if len(x) and (not is_integer or lengths.dtype == torch.bool):  # an empty list has no type
        raise TypeError(f"{name} must be integers; got {lengths.dtype}.")
    if lengths.shape != (n_pairs,):
        raise ValueError(
            f"{name} must hold one length each, shape ({n_pairs},); got {tuple(lengths.shape)}."
        )
    wrong = ((lengths < 1) | (lengths > n_times)).nonzero()
    if len(wrong):
        p = int(wrong[0])
        raise ValueError(
            f"{name} must lie between 1 and the {n_times} samples there are; "
            f"got {int(lengths[p])} at place {p}."
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
    if not LEAST <= number < math.inf:
        least = f" and at least {LEAST}" if number > 0 else ""
        raise ValueError(f"{name} must be positive and finite{least}; got {number}.")
    return value if isinstance(value, Tensor) else torch.tensor(number, dtype=torch.float64)


def check_band(band: int | None, lengths_x: Tensor, lengths_y: Tensor) -> int | None:
    """Return a radius that is no larger than the series; raise where no path fits into it."""
    if band is None:
        return None
    if isinstance(band, bool) or not hasattr(band, "__index__"):
        raise TypeError(f"band is a radius in samples, an int or None; got {band!r}.")
    band = operator.index(band)
    if band < 0:
        raise ValueError(f"band is a radius in samples and must be at least 0; got {band}.")
    pairs = torch.stack([lengths_x, lengths_y], 1).unique(dim=0)
    if not len(pairs):
        return band
    band = min(band, int(pairs.max()))
    # Only lengths so unlike that a path could fail to fit are looked at one by one.
    short, long = pairs.amin(1) - 1, pairs.amax(1) - 1
    doubtful = pairs[2 * band <= long / short.clamp_min(1) + 1].tolist()
    least, n, m = max(((least_band(n, m), n, m) for n, m in doubtful), default=(0, 0, 0))
    if band < least:
        raise ValueError(
            f"band={band} is too narrow for series of lengths {n} and {m}: no path fits into it. "
            f"The least radius that works is {least}."
        )
    return band
