"""Checks of a layer's arguments."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any


def check_number(name: str, value: Any, also: str = "") -> float:
    """Return a number as a float, or say that it is none."""
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a number{also}, got {value!r}.") from None


def check_rates(
    p: float,
    p_min: float,
    p_max: float,
    p_zero: float,
    momentum: float,
    sampling_rate: float | None,
    *,
    where: str = "TransformDropout",
) -> None:
    """Raise unless a layer's numbers are some, and within their bounds."""
    given = {"p": p, "p_min": p_min, "p_max": p_max, "p_zero": p_zero, "momentum": momentum}
    for name, value in given.items():
        check_number(f"{where}: {name}", value)
    if not 0 <= p_min < p_max < 1:
        raise ValueError(
            f"{where}: 0 <= p_min < p_max < 1 must hold, got p_min={p_min}, p_max={p_max}."
        )
    if not p_min <= p <= p_max:
        raise ValueError(f"{where}: p must be from p_min={p_min} to p_max={p_max}, got {p}.")
    if not 0 <= p_zero < p_max:
        raise ValueError(f"{where}: p_zero must be in [0, p_max={p_max}), got {p_zero}.")
    if not 0 <= momentum < 1:
        raise ValueError(f"{where}: momentum must be in [0, 1), got {momentum}.")
    if sampling_rate is None:
        return
    if not 0 < check_number(f"{where}: sampling_rate", sampling_rate, " or None") < float("inf"):
        raise ValueError(
            f"{where}: sampling_rate must be positive and finite (Hz) or None, got {sampling_rate}."
        )


def check_seed(seed: Any, where: str) -> None:
    """Raise unless torch takes an integer as a seed."""
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise TypeError(
            f"{where}: seed must be an int, a torch.Generator or None, got {type(seed).__name__}."
        )
    if not -(2**63) <= int(seed) < 2**64:
        raise ValueError(f"{where}: seed must be in [-2^63, 2^64), got {seed}.")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless a value is one of the choices."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}; got {value!r}.")


def check_fraction(name: str, value: float) -> None:
    """Raise unless a number lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must be in (0, 1), got {value}.")


def check_band(
    i: int, lock: tuple[float, float], where: str = "TransformDropout"
) -> tuple[float, float]:
    """Edges of a band in Hz, or an error that says which lock is none."""
    name = f"{where}: locks[{i}]"
    try:
        low, high = lock
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a pair (low, high) in Hz or a set such as Scales([1]), got {lock!r}."
        ) from None
    for edge in (low, high):
        check_number(f"{name}: each edge of {lock!r}", edge, " (Hz)")
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"{name}: 0 <= low <= high must hold (Hz), got {lock!r}.")
    return low, high
