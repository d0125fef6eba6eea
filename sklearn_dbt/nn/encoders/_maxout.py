"""A layer that learns its activation: the largest of several affine maps."""

from __future__ import annotations

from torch import Tensor, nn

from ._checks import check_count

__all__ = ["Maxout"]


class Maxout(nn.Module):
    r"""Largest of several affine maps, unit by unit.

    .. math:: h_i(x) = \max_{1 \le j \le k} \; w_{ij}^\top x + b_{ij}

    Every unit is a convex, piecewise linear function of :math:`x`; with two pieces it can be a
    leaky rectifier of any slope, an absolute value, or linear.

    Parameters
    ----------
    in_features : int
        Width of the input.
    out_features : int
        Width of the output.
    n_pieces : int, default=2
        Number :math:`k` of affine maps a unit chooses from; 1 is a linear layer.

    Attributes
    ----------
    linear : torch.nn.Linear
        All maps at once, piece after piece: row ``j * out_features + i`` of its weight is
        :math:`w_{ij}`.

    Raises
    ------
    TypeError, ValueError
        If a size is not a positive integer.

    References
    ----------
    .. [1] I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout networks",
       ICML 2013.

    Examples
    --------
    >>> import torch
    >>> from sklearn_dbt.nn.encoders import Maxout
    >>> layer = Maxout(1, 1)
    >>> _ = layer.load_state_dict(
    ...     {"linear.weight": torch.tensor([[1.0], [-1.0]]), "linear.bias": torch.zeros(2)}
    ... )
    >>> layer(torch.tensor([[-2.0], [3.0]])).flatten().tolist()
    [2.0, 3.0]
    """

    def __init__(self, in_features: int, out_features: int, n_pieces: int = 2) -> None:
        super().__init__()
        self.out_features = check_count(out_features, "out_features")
        self.n_pieces = check_count(n_pieces, "n_pieces")
        in_features = check_count(in_features, "in_features")
        self.linear = nn.Linear(in_features, self.n_pieces * self.out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        x : Tensor of shape (..., in_features)
            Input.

        Returns
        -------
        Tensor of shape (..., out_features)
        """
        pieces = self.linear(x).unflatten(-1, (self.n_pieces, self.out_features))
        # max(dim).values sends a gradient to one piece; amax divides it among ties, and is slower.
        return pieces.max(-2).values

    def extra_repr(self) -> str:
        """Return the number of pieces for `repr`."""
        return f"n_pieces={self.n_pieces}"
