"""The basis with the least loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from ._base import Basis
from ._members import check_bases

__all__ = ["select_basis"]


def select_basis(bases: Sequence[Basis], loss: Callable[[Basis], float | Tensor]) -> Basis:
    r"""The basis with the least loss, the first of several.

    .. math:: T = \operatorname*{arg\,min}_{T_i} \mathcal L(T_i(x)) .

    Parameters
    ----------
    bases : sequence of Basis
        Candidates.
    loss : callable
        Loss of a basis, called once with each: a number, or a tensor of one. It may be infinite.

    Returns
    -------
    Basis
        The best candidate itself.

    Raises
    ------
    ValueError
        If there is no basis, or a loss is nan or infinite for all of them.
    TypeError
        If one is not a `Basis`.

    See Also
    --------
    Choice : A mixture whose weights are learnt by gradients.

    References
    ----------
    .. [1] R. R. Coifman and M. V. Wickerhauser, "Entropy-based algorithms for best basis
       selection", IEEE Transactions on Information Theory 38(2), 713-718, 1992.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.basis import DCT, DWT, Identity, select_basis
    >>> x = torch.tensor([0.0, 0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0])
    >>> candidates = [Identity(8), DCT(8), DWT(8, "haar")]
    >>> select_basis(candidates, lambda basis: basis.analysis(x).abs().sum())  # sparsest
    DWT(8, wavelet='haar', level=3, mode='periodization')
    """
    bases = check_bases("select_basis", "bases", bases)
    losses = [float(loss(basis)) for basis in bases]
    if any(math.isnan(value) for value in losses) or min(losses) == math.inf:
        raise ValueError(f"select_basis: losses must be numbers, not all infinite, got {losses}.")
    return bases[losses.index(min(losses))]
