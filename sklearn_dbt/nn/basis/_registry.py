"""Bases by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ._base import Basis
from ._cwt import CWT
from ._dct import DCT
from ._dictionary import Dictionary
from ._dwt import DWT
from ._fourier import Fourier
from ._fractional_fourier import FractionalFourier
from ._gabor import Gabor
from ._graph_fourier import GraphFourier
from ._hartley import Hartley
from ._lattice_wavelet import LatticeWavelet
from ._learned_basis import LearnedBasis
from ._lifting import LiftingDWT
from ._pca import PCA
from ._stationary_wavelet import StationaryWavelet
from ._stft import STFT
from ._wavelet_packet import WaveletPacket

__all__ = ["BASES", "make_basis"]

BASES: dict[str, Callable[..., Basis]] = {
    "fourier": Fourier,
    "dct": DCT,
    "dwt": DWT,
    "hartley": Hartley,
    "stft": STFT,
    "gabor": Gabor,
    "swt": StationaryWavelet,
    "packet": WaveletPacket,
    "lifting": LiftingDWT,
    "cwt": CWT,
    "frft": FractionalFourier,
    "pca": PCA,
    "lattice_wavelet": LatticeWavelet,
    "learned": LearnedBasis,
    "dictionary": Dictionary,
    "graph": GraphFourier,
}


def make_basis(basis: str | Basis, n_features: int, **options: Any) -> Basis:
    """Basis for signals of a length, from its name or as it is given.

    Parameters
    ----------
    basis : str or Basis
        A name in `BASES` (``"fourier"``, ``"dct"``, ``"dwt"``, ``"pca"``, ...), for the basis with
        its defaults, or a `Basis` for signals of this length, which is returned as it is.
    n_features : int
        Length of the signals in samples.
    **options
        Further arguments of the basis that is named, such as ``wavelet="sym4"``.

    Returns
    -------
    Basis
        The basis.

    Raises
    ------
    ValueError
        If the name is unknown or the basis is made for another length.
    TypeError
        If `basis` is neither a name nor a `Basis`, or options go with a `Basis` or are not the
        named basis's.

    Examples
    --------
    >>> from sklearn_dbt.nn.basis import DWT, make_basis
    >>> make_basis("dct", 16)
    DCT(16)
    >>> make_basis("dwt", 16, wavelet="haar").wavelet
    'haar'
    >>> make_basis(DWT(16, wavelet="sym4", level=2), 16).bands["d1"]
    slice(8, 16, None)
    """
    if isinstance(basis, Basis):
        if basis.n_features != n_features:
            raise ValueError(
                f"basis is made for signals of {basis.n_features} samples, got n_features="
                f"{n_features}."
            )
        if options:
            raise TypeError(
                f"options {sorted(options)} go with the name of a basis; got a "
                f"{type(basis).__name__} that is already made."
            )
        return basis
    names = ", ".join(repr(name) for name in BASES)
    if not isinstance(basis, str):
        raise TypeError(f"basis must be one of {names} or a Basis, got {type(basis).__name__}.")
    if basis not in BASES:
        raise ValueError(f"basis must be one of {names} or a Basis, got {basis!r}.")
    make = BASES[basis]
    allowed = list(inspect.signature(make).parameters)[1:]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise TypeError(f"basis {basis!r} has no option {unknown}; its options: {allowed}.")
    return make(n_features, **options)
