"""Which coefficients are kept or dropped together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..basis import Layout
from ._checks import check_choice

__all__ = ["MASK_SHARINGS", "Sharing", "octaves", "share_masks"]

MASK_SHARINGS = ("none", "octave")


class Sharing(NamedTuple):
    """Group of each coefficient, 0 to `n_groups` - 1, and how many groups there are."""

    group: Tensor
    n_groups: int


def share_masks(sharing: str, layout: Layout, where: str = "TransformDropout") -> Sharing | None:
    """Groups of coefficients that share their uniform, or None where each has its own.

    Parameters
    ----------
    sharing : {"none", "octave"}
        What is shared.
    layout : Layout
        What the coefficients are.
    where : str, default="TransformDropout"
        Beginning of the message if the name is unknown.

    Returns
    -------
    Sharing or None
        The groups.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    check_choice(f"{where}: mask_sharing", sharing, MASK_SHARINGS)
    if sharing == "none":
        return None
    group = octaves(layout)
    n_groups = int(group.max()) + 1
    return None if n_groups == len(group) else Sharing(group, n_groups)


def octaves(layout: Layout) -> Tensor:
    r"""Octave of each coefficient's frequency, as numbers from 0 on.

    The j-th octave is :math:`f_N 2^{-j} < f \le f_N 2^{1-j}` below the Nyquist frequency
    :math:`f_N`, the size of :math:`f` counting; frequency 0 is a group, and each coefficient
    without a frequency is one of its own. For a wavelet transform these are the detail scales and
    the approximation.

    Parameters
    ----------
    layout : Layout
        What the coefficients are.

    Returns
    -------
    Tensor of int64 of shape (n_coefficients,)
        The groups, low frequencies first; last those without a frequency.
    """
    frequency = layout.frequency.double().abs()
    # A rounding error above half the Nyquist frequency is no octave.
    octave = torch.floor(torch.log2(0.5 / frequency) + 1e-9)
    lonely = frequency.isnan()
    # Above the Nyquist frequency octaves have negative numbers: these go below the least.
    least = octave.nan_to_num(nan=0.0).min().clamp_max(0)
    octave[lonely] = least - 1 - torch.arange(int(lonely.sum()), dtype=octave.dtype)
    return torch.unique(-octave, return_inverse=True)[1]
