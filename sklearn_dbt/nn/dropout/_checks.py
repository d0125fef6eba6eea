"""Checks of a layer's arguments."""

from __future__ import annotations


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


def check_band(i: int, lock: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = lock
    except (TypeError, ValueError):
        raise ValueError(f"locks[{i}] must be a pair (low, high) in Hz, got {lock!r}.") from None
    if not 0 <= low <= high < float("inf"):
        raise ValueError(f"locks[{i}]: 0 <= low <= high must hold (Hz), got {lock!r}.")
    return low, high
