"""Checks that the networks of this room share."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

__all__ = ["check_count", "check_sizes"]


def check_count(value: int, name: str, *, least: int = 1) -> int:
    """Return `value` as an int, or say what is wrong with it.

    Parameters
    ----------
    value : int
        What was given.
    name : str
        Its name in the error.
    least : int, default=1
        Smallest value allowed.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is smaller than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.")
    return int(value)


def check_sizes(sizes: Iterable[int], name: str) -> list[int]:
    """Return widths of layers as a list of positive ints, or say what is wrong with them.

    Parameters
    ----------
    sizes : iterable of int
        What was given; may be empty.
    name : str
        Its name in the error.

    Returns
    -------
    list of int

    Raises
    ------
    TypeError
        If it is no collection of integers.
    ValueError
        If one is not positive.
    """
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise TypeError(f"{name} must be a sequence of integers, got {sizes!r}.")
    return [check_count(size, f"{name}[{i}]") for i, size in enumerate(sizes)]
