"""Checks of a layer's arguments."""

from __future__ import annotations

from collections.abc import Sequence


def check_rates(
    p: float,
    p_min: float,
    p_max: float,
    p_zero: float,
    momentum: float,
    sampling_rate: float | None,
) -> None:
    if not 0 <= p_min < p_max < 1:
        raise ValueError(f"0 <= p_min < p_max < 1 must hold, got p_min={p_min}, p_max={p_max}.")
    if not p_min <= p <= p_max:
        raise ValueError(f"p must be from p_min={p_min} to p_max={p_max}, got {p}.")
    if not 0 <= p_zero < p_max:
        raise ValueError(f"p_zero must be in [0, p_max={p_max}), got {p_zero}.")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum}.")
    if sampling_rate is not None and not 0 < sampling_rate < float("inf"):
        raise ValueError(
            f"sampling_rate must be positive and finite (Hz) or None, got {sampling_rate}."
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless a value is one of the choices."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {listed}; got {value!r}.")


def check_fraction(name: str, value: float) -> None:
    """Raise unless a number lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must be in (0, 1), got {value}.")


def check_band(i: int, lock: tuple[float, float]) -> tuple[float, float]:
    """Edges of a band in Hz, or an error that says which lock is none."""
    try:
        low, high = lock
    except (TypeError, ValueError):
        raise ValueError(
            f"locks[{i}] must be a pair (low, high) in Hz or a set such as Scales([1]), "
            f"got {lock!r}."
        ) from None
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"locks[{i}]: 0 <= low <= high must hold (Hz), got {lock!r}.")
    return low, high
