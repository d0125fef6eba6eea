"""Which cells of the alignment matrix a Sakoe-Chiba band admits."""

import torch
from torch import Tensor


def admitted(lengths_x: Tensor, lengths_y: Tensor, n: int, m: int, band: int | None) -> Tensor:
    r"""Return the cells a path may visit, pair by pair.

    The band follows the straight line between the corners (0, 0) and (n - 1, m - 1), so that
    it is right for unequal lengths too. A cell is admitted when its distance to that line, taken
    along the longer series, is at most ``band`` samples:

    .. math::

        |i\,(m - 1) - j\,(n - 1)| \le r\,(\min(n, m) - 1).

    The rule is symmetric in the two series; for :math:`n = m` it is :math:`|i - j| \le r`.

    Parameters
    ----------
    lengths_x, lengths_y : int64 tensors of shape (n_pairs,)
        Lengths of the two series of each pair, in samples.
    n, m : int
        Size of the matrices.
    band : int or None
        Radius :math:`r` in samples; None admits every cell within the lengths.

    Returns
    -------
    inside : tensor of shape (n_pairs, n, m), bool
        True where a path may go.

    References
    ----------
    Sakoe, H. and Chiba, S. (1978). Dynamic programming algorithm optimization for spoken word
    recognition. IEEE Transactions on Acoustics, Speech, and Signal Processing, 26(1), 43-49.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.alignment._band import admitted
    >>> admitted(torch.tensor([5]), torch.tensor([3]), 5, 3, 1).int()
    tensor([[[1, 0, 0],
             [1, 1, 0],
             [0, 1, 0],
             [0, 1, 1],
             [0, 0, 1]]], dtype=torch.int32)
    """
    i = torch.arange(n, device=lengths_x.device)[:, None]
    j = torch.arange(m, device=lengths_x.device)
    n_p, m_p = lengths_x[:, None, None], lengths_y[:, None, None]
    inside = (i < n_p) & (j < m_p)
    if band is not None:
        reach = band * (torch.minimum(n_p, m_p) - 1)
        inside &= (i * (m_p - 1) - j * (n_p - 1)).abs() <= reach
    return inside


def least_band(n: int, m: int) -> int:
    """Return the least radius, in samples, whose band still holds a path from corner to corner.

    Sample j of the shorter series sits at position s(j) = j (long - 1) / (short - 1) of the longer
    one and admits the samples from ceil(s(j) - r) to floor(s(j) + r). A path exists exactly when
    no sample of the longer series is skipped between j and j + 1, that is when
    ceil(s(j + 1)) - floor(s(j)) <= 2 r + 1.

    Parameters
    ----------
    n, m : int
        Lengths of the two series, in samples.

    Returns
    -------
    radius : int
        The least admissible ``band``.

    Examples
    --------
    >>> from sklearn_dbt.nn.alignment._band import least_band
    >>> least_band(100, 100), least_band(100, 99), least_band(100, 20)
    (0, 1, 3)
    """
    short, long = min(n, m) - 1, max(n, m) - 1
    if short == 0:  # a single row or column: its only path is always admitted
        return 0
    j = torch.arange(short)
    gap = -torch.div(-(j + 1) * long, short, rounding_mode="floor") - torch.div(
        j * long, short, rounding_mode="floor"
    )
    return int(gap.max()) // 2
