"""Bases by name."""

from __future__ import annotations

from collections.abc import Callable

from ._base import Basis
from ._dct import DCT
from ._dwt import DWT
from ._fourier import Fourier
from ._pca import PCA

__all__ = ["BASES", "make_basis"]

BASES: dict[str, Callable[[int], Basis]] = {"fourier": Fourier, "dct": DCT, "dwt": DWT, "pca": PCA}


def make_basis(basis: str | Basis, n_features: int) -> Basis:
    """Basis for signals of a length, from its name or as it is given.

    Parameters
    ----------
    basis : {"fourier", "dct", "dwt", "pca"} or Basis
        A name, for the basis with its defaults, or a `Basis` for signals of this length, which
        is returned as it is.
    n_features : int
        Length of the signals in samples.

    Returns
    -------
    Basis
        The basis.

    Raises
    ------
    ValueError
        If the name is unknown or the basis is made for another length.
    TypeError
        If `basis` is neither a name nor a `Basis`.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import DWT, make_basis
    >>> make_basis("dct", 16)
    DCT(16)
    >>> make_basis(DWT(16, wavelet="sym4", level=2), 16).bands["d1"]
    slice(8, 16, None)
    """
    if isinstance(basis, Basis):
        if basis.n_features != n_features:
            raise ValueError(
                f"basis is made for signals of {basis.n_features} samples, got n_features="
                f"{n_features}."
            )
        return basis
    names = ", ".join(repr(name) for name in BASES)
    if not isinstance(basis, str):
        raise TypeError(f"basis must be one of {names} or a Basis, got {type(basis).__name__}.")
    if basis not in BASES:
        raise ValueError(f"basis must be one of {names} or a Basis, got {basis!r}.")
    return BASES[basis](n_features)
